"""Scale-in: from idle to zero, after a stall of Redis, beside orphaned entries, and by a hold of one's own."""

import signal

from objects import Workload, streamgauge
from runs import run
from scene import Run, Scene


@run("scale-in", minutes=22)
def scale_in(run: Run) -> None:
    """Idle at 8 replicas to zero; a stall of Redis; 20 orphaned entries; scaleInHold of one trigger."""
    idle_to_zero(run)
    stall(run)
    orphans(run)
    hold(run)


def one(run: Run, name: str, **metadata) -> Workload:
    stream = run.new_name(name)
    return Workload(name, [streamgauge(run.ports, stream, capacityPerReplica=50, **metadata)], [stream])


def idle_to_zero(run: Run) -> None:
    workload = one(run, "idle")
    with run.scene([workload], "idle") as scene:
        _at_eight(scene, workload.name)
        limit = workload.cooldown + 60
        scene.loads[0].stop()
        scene.timeline.mark("load ends")
        took = scene.until_zero(600)
    run.check(f"idle from 8 replicas to zero within {limit} s", took is not None and took <= limit, f"{took} s")


def stall(run: Run) -> None:
    workload = one(run, "stall")
    with run.scene([workload], "stall") as scene:
        _at_eight(scene, workload.name)
        redis = run.cluster.all["redis"]
        scene.timeline.mark("SIGSTOP Redis")
        redis.signal(signal.SIGSTOP)
        scene.wait(20)
        redis.signal(signal.SIGCONT)
        scene.timeline.mark("SIGCONT Redis")
        began = scene.timeline.seconds
        scene.wait(240)
        rows = scene.timeline.of(workload.name, began)
    high = sum(1 for row in rows if row["spec"] != "" and row["spec"] > 12)
    peak = max(row["spec"] for row in rows if row["spec"] != "")
    run.check("a stall of 20 s holds no more than 12 replicas for over 100 s", high <= 100, f"peak {peak}, {high} s above 12")
    low = min(row["spec"] for row in rows if row["spec"] != "")
    run.check("a stall does not scale in below what the load needs", low >= 8, f"smallest {low}")


def orphans(run: Run) -> None:
    workload = one(run, "orphans")
    with run.scene([workload], "orphans", settle=0) as scene:
        broker = run.cluster.broker
        broker.add(workload.stream, 20)
        broker.orphan(workload.stream, 20)
        scene.timeline.mark("20 entries are pending at a consumer that is gone")
        scene.start_load("400:100", "100:420")
        scene.until("8 replicas ready", lambda: scene.last(workload.name, "ready") >= 8, 90)
        scene.until("the load is 100/s", lambda: scene.timeline.seconds > 110, 130)
        took = scene.until("at most 4 replicas", lambda: 0 < scene.last(workload.name, "spec", 99) <= 4, 380)
        spec, limit = scene.last(workload.name, "spec"), scene.last(workload.name, "limit", "")
    figures = f"{took} s after the load fell to 100/s; {spec} replicas, limit {limit}"
    # What arrived is held for five minutes, orphans or not.
    run.check("20 orphaned entries do not hold the peak: at most 4 replicas within 360 s", took is not None and took <= 360, figures)


def hold(run: Run) -> None:
    short, long = one(run, "hold-10s", scaleInHold="10s"), one(run, "hold-150s", scaleInHold="150s")
    with run.scene([short, long], "hold") as scene:
        scene.start_load("400:90", "100:220")
        scene.until("the load is 100/s", lambda: scene.timeline.seconds > 105, 130)
        began = scene.timeline.seconds
        scene.wait(190)
        fell = {each.name: _fell_after(scene, each.name, began) for each in (short, long)}
    quick, slow = fell["hold-10s"], fell["hold-150s"]
    run.check("scaleInHold 10s: scaled in within 75 s", quick is not None and quick <= 75, f"{quick} s")
    run.check("scaleInHold 150s: not before 90 s", slow is None or slow >= 90, f"{slow} s")


def _fell_after(scene: Scene, workload: str, since: float) -> float | None:
    """Seconds until fewer than 7 replicas were wanted."""
    fell = (row["seconds"] - since for row in scene.timeline.of(workload, since) if row["spec"] not in ("", 0) and row["spec"] < 7)
    found = next(fell, None)
    return None if found is None else round(found, 1)


def _at_eight(scene: Scene, workload: str) -> None:
    """Slowly, so that no backlog asks for more than the load itself."""
    scene.start_load("0-400:60", "400:3600")
    scene.until("the load is whole", lambda: scene.timeline.seconds > 70, 90)
    scene.until_steady(workload, 8)
    scene.wait(60)
