"""Starts the cluster and streamgauge, does the runs that are asked for, writes the report, and takes everything down."""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import report
from cluster import Cluster
from runs import RUNS
from scene import Run
from service import Service
from settings import OUTPUT, STREAMGAUGE


def main() -> int:
    arguments = _arguments()
    if arguments.list:
        for name, definition in RUNS.items():
            print(f"{name:<12} {definition.minutes:>3} min  {definition.about}")
        return 0
    unknown = [name for name in arguments.runs if name not in RUNS]
    if unknown:
        raise SystemExit(f"no such run: {', '.join(unknown)}; there are {', '.join(RUNS)}")
    if not STREAMGAUGE.exists():
        raise SystemExit(f"{STREAMGAUGE} is not there: build it, or set STREAMGAUGE to a binary")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    folder = _new_folder(arguments.output)
    failed = do_runs(arguments.runs or list(RUNS), arguments.repeat, folder)
    print(f"\n{report.write(folder)}")
    print(f"failed: {', '.join(failed)}" if failed else "all runs passed")
    return 1 if failed else 0


def do_runs(names: list[str], repeat: int, folder: Path) -> list[str]:
    """The names of the runs that failed."""
    logs = folder / "logs"
    logs.mkdir(parents=True)
    data = Path(tempfile.mkdtemp(prefix="streamgauge-e2e-"))
    cluster = Cluster(data, logs)
    services: list[Service] = []
    failed = []
    try:
        print(f"output: {folder}\nstarting the cluster on ports {min(cluster.ports.values())} and up", flush=True)
        cluster.up()
        services.append(Service(cluster))
        for turn in range(repeat):
            for name in names:
                cluster.revive()
                services[0].start()
                where = folder / (name if turn == 0 else f"{name}-{turn + 1}")
                if not do_run(Run(name, cluster, services[0], where)):
                    failed.append(where.name)
    finally:
        for service in services:
            service.stop()
        cluster.down()
        shutil.rmtree(data, ignore_errors=True)
    return failed


def do_run(run: Run) -> bool:
    """Whether everything that the run asserts holds. An error in it is one more failed check."""
    print(f"\n=== {run.name}: {RUNS[run.name].about} ({time.strftime('%H:%M:%S')})", flush=True)
    run.folder.mkdir(parents=True)
    began = time.monotonic()
    try:
        RUNS[run.name].do(run)
    except Exception as error:
        traceback.print_exc()
        run.check("the run comes to its end", False, repr(error))
    summary = run.summary(time.monotonic() - began)
    (run.folder / "summary.json").write_text(json.dumps(summary, indent=1))
    print(f"=== {run.name}: {'PASS' if summary['passed'] else 'FAIL'} after {summary['took_seconds']} s", flush=True)
    return summary["passed"]


def _new_folder(output: Path) -> Path:
    name = time.strftime("%Y%m%d-%H%M%S")
    choices = (output / (name if turn == 1 else f"{name}-{turn}") for turn in range(1, 100))
    return next(folder for folder in choices if not folder.exists())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/e2e/run", description="End-to-end runs on a real KEDA; all of them by default.")
    parser.add_argument("runs", nargs="*", help="runs to do")
    parser.add_argument("--list", action="store_true", help="say what runs there are")
    parser.add_argument("--repeat", type=int, default=int(os.environ.get("REPEAT") or 1), help="rounds (also REPEAT)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where results go, in a folder by time")
    return parser.parse_args()


def _interrupt(*_) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted: everything was taken down", file=sys.stderr)
        sys.exit(130)
