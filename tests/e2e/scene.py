"""One scene of a run: its workloads from nothing to gone, watched all the while; and the run that it belongs to."""

import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import plot
from cluster import Cluster
from objects import Workload, all_of
from processes import Process, wait_until
from service import Service
from settings import HERE, NAMESPACE
from summary import of_workload
from timeline import Timeline


@dataclass
class Check:
    """Something that the run asserts, and the figures it rests on."""

    what: str
    passed: bool
    figures: str


@dataclass
class Run:
    """What a run works with, and what came of it."""

    name: str
    cluster: Cluster
    service: Service
    folder: Path
    checks: list[Check] = field(default_factory=list)
    scenes: dict[str, list[dict]] = field(default_factory=dict)

    @property
    def ports(self) -> dict[str, int]:
        return self.cluster.ports

    @property
    def api(self):
        return self.cluster.api

    def check(self, what: str, passed, figures="") -> None:
        check = Check(what, bool(passed), str(figures))
        self.checks.append(check)
        print(f"  {'PASS' if check.passed else 'FAIL'} {self.name}: {what}: {check.figures}", flush=True)

    def check_rate(self, found: dict, about: str = "") -> None:
        """Consumers work at their nominal rate while they are saturated: else the machine was too slow for the figures to count."""
        nominal, achieved = found["per_second_nominal"], found["per_second_achieved"]
        what = f"{about or found['workload']}: consumers work at their rate"
        self.check(what, achieved is None or achieved > 0.95 * nominal, f"{achieved or 'never saturated'} of {nominal}/s")

    def note(self, text: str) -> None:
        print(f"  {text}", flush=True)

    def scene(self, workloads: list[Workload], label: str = "", **options) -> "Scene":
        return Scene(self, workloads, label, **options)

    def new_name(self, name: str) -> str:
        """A stream that nothing is known of."""
        return f"{self.name}:{name}:{time.time_ns() // 1_000_000}"

    def summary(self, took_seconds: float) -> dict:
        return {
            "run": self.name,
            "passed": all(check.passed for check in self.checks),
            "took_seconds": round(took_seconds),
            "checks": [asdict(check) for check in self.checks],
            "scenes": self.scenes,
        }


class Scene:
    """A context: what stands in `workloads` exists inside, and is gone afterwards."""

    def __init__(self, run: Run, workloads: list[Workload], label: str, settle: float = 8):
        """`settle`: seconds that KEDA has to make its HPAs before anything happens."""
        self.run, self.workloads, self.label, self.settle = run, workloads, label, settle
        self.cluster, self.service = run.cluster, run.service
        self.folder = run.folder / label if label else run.folder
        self.loads: list[Process] = []
        self.summary: dict[str, dict] = {}

    def __enter__(self) -> "Scene":
        self.folder.mkdir(parents=True, exist_ok=True)
        for workload in self.workloads:
            # The controller remembers for five minutes what an HPA of that name asked for, be it deleted meanwhile.
            workload.hpa = f"keda-hpa-{workload.name}-{time.time_ns() // 1_000_000}"
            for stream in workload.streams:
                (self.cluster.broker.empty if workload.keep else self.cluster.broker.make)(stream)
        self.cluster.kubelet(do="reset")
        api = self.run.api
        self.timeline = Timeline(api, self.cluster.broker, self.service.targets, self._tallies, self.workloads)
        try:
            for workload in self.workloads:
                api.apply(*all_of(workload))
            if self.settle:
                time.sleep(self.settle)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_) -> None:
        for load in self.loads:
            load.stop()
        self.timeline.end(self.folder)
        self._keep_decisions()
        tallies = self._tallies()
        for workload in self.workloads:
            self.summary[workload.name] = of_workload(workload, self.timeline.of(workload.name), tallies)
        self.run.scenes[self.label or self.run.name] = list(self.summary.values())
        if self.timeline.rows:
            title = f"{self.run.name} {self.label}".strip()
            plot.draw(title, self.timeline.rows, self.folder / "timeline.svg")
        self._remove()

    def _tallies(self) -> dict:
        return self.cluster.kubelet(do="tallies")

    def _keep_decisions(self) -> None:
        """Why streamgauge answered what it answered; not where the run has ended it."""
        try:
            (self.folder / "decisions.json").write_text(self.service.text("/api/v1/decisions?limit=1000"))
        except OSError as error:
            self.run.note(f"no decisions: {error}")

    def _remove(self) -> None:
        api = self.run.api
        for workload in self.workloads:
            for kind in ("ScaledObject", "ScaledJob", "Deployment"):
                api.delete(kind, workload.namespace, workload.name)
        names = {workload.name for workload in self.workloads}

        def gone() -> bool:
            pods = [pod for pod in api.get("Pod", NAMESPACE) if pod["metadata"]["labels"].get("app") in names]
            return not pods and not any(each["metadata"]["name"] in names for each in api.get("ScaledObject", NAMESPACE))

        try:
            wait_until("the pods are gone", gone, 60)
        except TimeoutError as error:
            self.run.note(str(error))
        self.cluster.broker.drop(*[s for w in self.workloads if not w.keep for s in w.streams])

    def start_load(self, *phases: str, streams: list[str] | None = None) -> Process:
        """Adds messages by a schedule (see load.py) to all streams, or to those named."""
        streams = streams or [stream for workload in self.workloads for stream in workload.streams]
        number = len(self.loads) + 1
        name = "load.csv" if number == 1 else f"load-{number}.csv"
        arguments = [self.run.ports["redis"], self.folder / name, ",".join(streams), *phases]
        log = self.cluster.logs / "load.log"
        process = Process("load", [sys.executable, HERE / "load.py", *arguments], log)
        self.timeline.mark("load " + " ".join(phases))
        self.loads.append(process)
        return process.start()

    def load(self, *phases: str) -> None:
        """The same, until all was added. Phases are marked as they begin."""
        process = self.start_load(*phases)
        while process.alive():
            time.sleep(0.2)
        self.timeline.mark("load ends")

    def last(self, workload: str, column: str, default=0):
        return self.timeline.last(workload, column, default)

    def until(self, what: str, holds, seconds: float) -> float | None:
        """Seconds until `holds()`, said in the timeline; None if that takes too long."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if holds():
                took = round(time.monotonic() - began, 1)
                self.timeline.mark(f"{what} after {took} s")
                return took
            time.sleep(0.3)
        self.timeline.mark(f"NOT within {seconds:.0f} s: {what}")
        return None

    def until_zero(self, seconds: float = 700) -> float | None:
        names = [workload.name for workload in self.workloads]
        at_zero = lambda: all(self.last(name, "spec", 1) == 0 and self.last(name, "replicas") == 0 for name in names)  # noqa: E731
        return self.until("all at zero", at_zero, seconds)

    def until_steady(self, workload: str, ready: int, backlog: int = 1500, seconds: float = 240) -> float | None:
        """Until `ready` pods work and hardly anything waits."""
        steady = lambda: self.last(workload, "ready") >= ready and self.last(workload, "backlog", 1e9) < backlog  # noqa: E731
        return self.until(f"{workload}: {ready} ready and backlog below {backlog}", steady, seconds)

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def conditions(self, workload: str, kind: str = "ScaledObject", namespace: str = NAMESPACE) -> str:
        """All conditions of a KEDA object as text."""
        found = self.run.api.get(kind, namespace, workload) or {}
        each = found.get("status", {}).get("conditions") or []
        return "; ".join(f"{c['type']}={c['status']} {c.get('reason', '')} {c.get('message', '')}".strip() for c in each)

    def events(self, workload: str) -> list[str]:
        """What was said of a workload in events so far."""
        hpa = next((w.hpa for w in self.workloads if w.name == workload), "")
        ends = (f"/{workload} ", f"/{hpa} ")
        return [text for text in list(self.timeline.events.values()) if any(end in text for end in ends)]
