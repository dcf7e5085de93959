"""One row per second and workload: what streamgauge answers, what the HPA and KEDA make of it, what runs, what waits."""

import csv
import threading
import time
from pathlib import Path

from api import Api
from broker import Broker
from objects import Workload
from settings import NAMESPACE

COLUMNS = (
    *("seconds", "workload", "desired", "emitted", "active", "limit", "hpa_desired", "hpa_current"),
    *("spec", "replicas", "ready", "backlog", "oldest_seconds"),
    *("object_ready", "object_active", "object_fallback", "done", "marks"),
)
WATCHED = ("ScaledObject", "ScaledJob", "HorizontalPodAutoscaler")
JOB_LABEL = "scaledjob.keda.sh/name"
KINDS = ("Deployment", "HorizontalPodAutoscaler", "ScaledObject")


class Timeline:
    """Looks once a second in a thread of its own until it is ended."""

    def __init__(self, api: Api, broker: Broker, targets, tallies, workloads: list[Workload], echo: int = 15):
        """`targets()` gives streamgauge's targets, `tallies()` the kubelet's."""
        self.api, self.broker, self.targets, self.tallies = api, broker, targets, tallies
        self.workloads, self.echo = workloads, echo
        self.rows: list[dict] = []
        self.newest: dict[str, dict] = {}
        self.events: dict[str, str] = {}
        self.marks: list[str] = []
        self.started, self.going = time.monotonic(), True
        self.before = {key for key, _ in self._read_events()}
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def mark(self, text: str) -> None:
        """Stands in the next row, and in the plot."""
        self.marks.append(text)
        print(f"  {self.seconds:6.1f} s: {text}", flush=True)

    def last(self, workload: str, column: str, default=0):
        """The newest value of a column, `default` where it is not known."""
        value = self.newest.get(workload, {}).get(column, "")
        return default if value in ("", None) else value

    def of(self, workload: str, since: float = 0.0) -> list[dict]:
        return [row for row in self.rows if row["workload"] == workload and row["seconds"] >= since]

    def end(self, folder: Path) -> None:
        """Ends it and writes timeline.csv and events.txt."""
        self.going = False
        self.thread.join()
        self._see_events()
        with (folder / "timeline.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self.rows)
        (folder / "events.txt").write_text("".join(f"{line}\n" for line in self.events.values()))

    def _run(self) -> None:
        turn = 0
        while self.going:
            began = time.monotonic()
            try:
                self._look()
                if turn % 5 == 0:
                    self._see_events()
            except Exception as error:  # the API server may be busy; the next second tries again
                print(f"  {self.seconds:6.1f} s: no row: {error!r}", flush=True)
            if turn % self.echo == 0:
                self._print()
            turn += 1
            time.sleep(max(0.05, 1 - (time.monotonic() - began)))

    def _look(self) -> None:
        marks, self.marks = " | ".join(self.marks), []
        try:
            targets = self.targets()
        except OSError:
            targets = None
        tallies = self.tallies()
        objects = {kind: self._by_name(kind) for kind in KINDS}
        for workload in self.workloads:
            row = dict.fromkeys(COLUMNS, "") | {"seconds": round(self.seconds, 1), "workload": workload.name, "marks": marks}
            row |= _answer(targets, workload)
            row |= self._jobs(workload) if workload.job_idle_seconds else _replicas(objects["Deployment"].get(workload.name))
            row |= _hpa(objects["HorizontalPodAutoscaler"].get(workload.hpa))
            row |= _conditions(objects["ScaledObject"].get(workload.name))
            row["backlog"], row["oldest_seconds"] = self._waiting(workload)
            row["done"] = sum(tallies.get(stream, {}).get("done", 0) for stream in workload.streams)
            self.rows.append(row)
            self.newest[workload.name] = row

    def _by_name(self, kind: str) -> dict[str, dict]:
        return {each["metadata"]["name"]: each for each in self.api.get(kind, NAMESPACE)}

    def _jobs(self, workload: Workload) -> dict:
        mine = [each for each in self.api.get("Job", workload.namespace) if each["metadata"]["labels"].get(JOB_LABEL) == workload.name]
        return {
            "replicas": sum(each["status"].get("active", 0) for each in mine),
            "ready": sum(each["status"].get("ready", 0) for each in mine),
        }

    def _waiting(self, workload: Workload) -> tuple:
        each = [self.broker.waiting(stream) for stream in workload.streams]
        if any(backlog is None for backlog, _ in each):
            return "", ""
        return sum(backlog for backlog, _ in each), max(age or 0 for _, age in each)

    def _read_events(self):
        for event in self.api.get("Event", NAMESPACE):
            about = event["involvedObject"]
            if about["kind"] in WATCHED:
                count = (event.get("series") or {}).get("count") or event.get("count") or 1
                text = f"{event['type']} {about['kind']}/{about['name']} {event['reason']}: {event.get('message', '')}"
                yield event["metadata"]["uid"] + str(count), f"{text} (×{count})"

    def _see_events(self) -> None:
        for key, text in self._read_events():
            if key not in self.before and key not in self.events:
                self.events[key] = f"{self.seconds:7.1f} {text}"

    def _print(self) -> None:
        for row in self.newest.values():
            print(
                "  {seconds:6.1f} s {workload:<16} desired {desired} emitted {emitted} ({limit}), HPA {hpa_desired}, "
                "spec {spec} ready {ready}, backlog {backlog} oldest {oldest_seconds} s".format(**row),
                flush=True,
            )


def _answer(targets: list[dict] | None, workload: Workload) -> dict:
    if targets is None:
        return {"limit": "(down)"}
    mine = [each for each in targets if each["scaled_object"].split("#")[0] == f"{workload.namespace}/{workload.name}"]
    mine = [each for each in mine if each["stream"] in workload.streams]
    if not mine:
        return {}
    known = [each["desired"] for each in mine if each["desired"] is not None]
    emitted = [each["emitted"] for each in mine if each["emitted"] is not None]
    return {
        "desired": max(known, default=""),
        "emitted": max(emitted, default=""),
        "active": any(each["active"] for each in mine),
        "limit": "+".join(str(each["limit"]) for each in mine),
    }


def _replicas(seen: dict | None) -> dict:
    if not seen:
        return {}
    status = seen["status"]
    return {
        "spec": seen["spec"].get("replicas", ""),
        "replicas": status.get("replicas", 0),
        "ready": status.get("readyReplicas", 0),
    }


def _hpa(seen: dict | None) -> dict:
    status = (seen or {}).get("status", {})
    return {"hpa_desired": status.get("desiredReplicas", ""), "hpa_current": status.get("currentReplicas", "")}


def _conditions(seen: dict | None) -> dict:
    found = {each["type"]: each["status"] for each in (seen or {}).get("status", {}).get("conditions") or []}
    return {f"object_{kind.lower()}": found.get(kind, "") for kind in ("Ready", "Active", "Fallback")}
