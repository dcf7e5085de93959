"""The same load for streamgauge and for KEDA's own trigger, side by side, each with a stream and consumers of its own."""

import json

from objects import Workload, keda, streamgauge
from processes import wait_until
from runs import run
from scene import Run
from service import LEARNED
from settings import LATE_SECONDS

THRESHOLDS = (100, 250, 500, 1500)
COLD, LEARNED_NAME, CONFIGURED = "sg-cold", "sg-learned", "sg-configured"


@run("load-flat", minutes=12)
def flat(run: Run) -> None:
    """400 messages/s for 240 s, from zero."""
    compare(run, ["400:240"], most_changes=6)


@run("load-steps", minutes=15)
def steps(run: Run) -> None:
    """100, 400, 200, 600 and 50 messages/s for 90 s each."""
    compare(run, ["100:90", "400:90", "200:90", "600:90", "50:90"])


@run("load-burst", minutes=9)
def burst(run: Run) -> None:
    """20,000 messages at once from zero, then 50/s for 120 s."""
    compare(run, ["burst:20000", "50:120"], late_percent=None, worst=None)


@run("load-ramp", minutes=13)
def ramp(run: Run) -> None:
    """From 0 to 600 messages/s within 300 s."""
    compare(run, ["0-600:300"])


@run("load-poll15", minutes=12)
def poll15(run: Run) -> None:
    """As load-flat, with polls every 15 s by both streamgauge and KEDA."""
    compare(run, ["400:240"], source="slow", polling=15, worst=50, most_changes=6)


def compare(run: Run, phases, source="main", polling=5, late_percent=1.0, worst=40.0, most_changes=None) -> None:
    """`late_percent`, `worst`: what the default settings may have at most, where the load leaves a choice."""
    teach(run, source, polling)
    with run.scene(workloads_of(run, source, polling)) as scene:
        scene.load(*phases)
        scene.until_zero()
    judge(run, scene.summary, late_percent, worst, most_changes)


def workloads_of(run: Run, source: str, polling: int) -> list[Workload]:
    ours = [
        Workload(COLD, [], [run.new_name("cold")]),
        learned(run, source, polling),
        Workload(CONFIGURED, [], [run.new_name("configured")]),
    ]
    for workload in ours:
        capacity = {"capacityPerReplica": 50} if workload.name == CONFIGURED else {}
        workload.triggers = [streamgauge(run.ports, workload.stream, source=source, **capacity)]
    theirs = [Workload(f"keda-{count}", [], [run.new_name(f"keda-{count}")], example=False) for count in THRESHOLDS]
    for workload, count in zip(theirs, THRESHOLDS):
        workload.triggers = [keda(run.ports, workload.stream, count)]
    for workload in ours + theirs:
        workload.polling = polling
    return ours + theirs


def learned(run: Run, source: str, polling: int) -> Workload:
    stream = LEARNED[source]
    trigger = streamgauge(run.ports, stream, source=source)
    return Workload(LEARNED_NAME, [trigger], [stream], polling=polling, keep=True)


def capacity(run: Run, group: str) -> float | None:
    """What streamgauge takes one replica of a group to do, per second."""
    return json.loads(run.service.text(f"/api/v1/groups/{group}"))["capacity_per_second"]


def teach(run: Run, source: str, polling: int) -> None:
    """Lets streamgauge learn the capacity of the group that is kept, unless it knows it already."""
    group = LEARNED[source]
    run.cluster.broker.empty(group)
    wait_until(f"{group} is observed", lambda: run.service.text(f"/api/v1/groups/{group}"))
    if capacity(run, group) is not None:
        run.note(f"{group}: {capacity(run, group)} messages/s per replica, learned before")
        return
    with run.scene([learned(run, source, polling)], "teaching") as scene:
        scene.start_load("200:240")
        scene.until("the capacity is learned", lambda: capacity(run, group) is not None, 240)
        scene.loads[0].stop()
        scene.timeline.mark("load ends")
        scene.until_zero(600)
    run.check("the capacity is learned from one load", capacity(run, group), f"{capacity(run, group)} messages/s per replica, really 50")


def judge(run: Run, found: dict[str, dict], late_percent, worst, most_changes) -> None:
    cold, learned, configured = found[COLD], found[LEARNED_NAME], found[CONFIGURED]
    # One that is behind all along, by a hair less than what counts as late, is no choice that anybody could rely on.
    theirs = [found[f"keda-{count}"] for count in THRESHOLDS]
    in_time = [each for each in theirs if (each["mean_delay_seconds"] or 0) < LATE_SECONDS / 2]
    best = min(in_time or theirs, key=lambda each: (each["late_percent"] or 0, each["replica_seconds"]))
    for each in found.values():
        run.check_rate(each)
    if late_percent is not None:
        run.check(f"cold: late ≤ {late_percent} %", cold["late_percent"] <= late_percent, f"{cold['late_percent']} %")
    if worst is not None:
        figure = cold["worst_delay_seconds"]
        run.check(f"cold: worst delay ≤ {worst:.0f} s", figure <= worst, f"{figure} s")
    limit = round(1.15 * configured["replica_seconds"])
    cost = cold["replica_seconds"]
    run.check("cold: replica-seconds ≤ 1.15 × configured", cost <= limit, f"{cost} of {limit}")
    if most_changes is not None:
        run.check(f"cold: ≤ {most_changes} changes", cold["changes"] <= most_changes, cold["changes"])
    name = best["workload"]
    figures = f"{cold['late_percent']} % against {best['late_percent']} %"
    run.check(f"cold: late no more than KEDA's best threshold ({name})", cold["late_percent"] <= best["late_percent"], figures)
    figures = f"{learned['replica_seconds']} against {best['replica_seconds']}"
    run.check(f"learned: cheaper than {name}", learned["replica_seconds"] < best["replica_seconds"], figures)
    figures = f"{learned['late_percent']} % against {best['late_percent']} %"
    run.check(f"learned: late no more than {name}", learned["late_percent"] <= best["late_percent"], figures)
