"""Processes started by the harness: each with a log of its own, ended by its pid, and never outliving the harness."""

import os
import signal
import subprocess
import time
from pathlib import Path


class Process:
    """One process. Start it from the main thread: the kernel ends it when the thread that started it goes."""

    def __init__(self, name: str, arguments: list, log: Path, environment: dict | None = None, mounts: str = ""):
        """`mounts`: shell commands that run first, in a mount namespace of the process' own."""
        self.name, self.log, self.mounts = name, log, mounts
        self.arguments = [str(argument) for argument in arguments]
        self.environment = {**os.environ, **(environment or {})}
        self.child: subprocess.Popen | None = None

    def start(self) -> "Process":
        if self.alive():
            return self
        command = ["setpriv", "--pdeathsig", "KILL", "--"]
        if self.mounts:
            command += ["unshare", "-m", "sh", "-c", f'{self.mounts} && exec "$@"', self.name]
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                command + self.arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                start_new_session=True,
            )
        return self

    @property
    def pid(self) -> int:
        assert self.child, f"{self.name} was never started"
        return self.child.pid

    def alive(self) -> bool:
        return self.child is not None and self.child.poll() is None

    def signal(self, number: int) -> None:
        if self.alive():
            os.kill(self.pid, number)

    def stop(self, seconds: float = 10) -> None:
        """Ends it: SIGTERM, after `seconds` SIGKILL. A stopped one is continued first."""
        if not self.alive():
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        if self.child:
            self.child.wait()

    def wait(self) -> int:
        assert self.child, f"{self.name} was never started"
        return self.child.wait()

    def last_lines(self, count: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


def wait_until(what: str, holds, seconds: float = 60, every: float = 0.2):
    """What `holds` gives once that is true; an error that names `what` when it takes longer than `seconds`."""
    end = time.monotonic() + seconds
    while True:
        try:
            if answer := holds():
                return answer
            failure = ""
        except Exception as error:  # not there yet: the last error is reported if it never comes
            failure = f": {error!r}"
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s{failure}")
        time.sleep(every)
