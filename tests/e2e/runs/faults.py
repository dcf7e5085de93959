"""Outages under a steady load: of streamgauge, of Redis, of KEDA."""

import signal

from objects import Workload, example, streamgauge
from runs import run
from scene import Run, Scene

RATE, NEEDED = 400, 8


@run("faults", minutes=14)
def faults(run: Run) -> None:
    """The fleet stays while streamgauge, Redis or KEDA is killed or stopped, with fallback `currentReplicasIfHigher`."""
    workloads = []
    for name, kind in (("polled", "external"), ("pushed", "external-push")):
        stream = run.new_name(name)
        workloads.append(Workload(name, [streamgauge(run.ports, stream, kind, capacityPerReplica=50)], [stream]))
        workloads[-1].changes = {"fallback": {"failureThreshold": 3, "replicas": 5, "behavior": "currentReplicasIfHigher"}}
    told = example().get("fallback", {}).get("behavior")
    run.check("the example in manifests/ has this fallback", told == "currentReplicasIfHigher", f"behavior: {told}")
    with run.scene(workloads) as scene:
        scene.start_load(f"{RATE}:3600")
        for workload in workloads:
            scene.until_steady(workload.name, NEEDED)
        scene.wait(20)
        for what, strike, heal, seconds in _outages(run):
            began = scene.timeline.seconds
            scene.timeline.mark(what)
            strike()
            scene.wait(seconds)
            scene.timeline.mark(f"over: {what}")
            heal()
            _judge(run, scene, what, began)


def _outages(run: Run):
    gauge, redis = run.service.process, run.cluster.all["redis"]
    yield "kill -9 streamgauge", gauge.kill, run.service.start, 60
    yield "SIGSTOP streamgauge", lambda: gauge.signal(signal.SIGSTOP), lambda: gauge.signal(signal.SIGCONT), 60
    yield "SIGSTOP Redis", lambda: redis.signal(signal.SIGSTOP), lambda: redis.signal(signal.SIGCONT), 30
    yield "kill -9 Redis", redis.kill, run.cluster.start_redis, 15
    yield "restart KEDA", run.cluster.restart_operator, lambda: None, 5


def _judge(run: Run, scene: Scene, what: str, began: float) -> None:
    names = [workload.name for workload in scene.workloads]

    def well() -> bool:
        return all(
            scene.last(name, "object_ready", "") == "True"
            and scene.last(name, "object_fallback", "") != "True"
            and scene.last(name, "ready") >= NEEDED
            and scene.last(name, "backlog", 1e9) < 1500
            for name in names
        )

    scene.wait(5)
    took = scene.until(f"well again after {what}", well, 150)
    run.check(f"{what}: well again within 150 s", took is not None, f"{took} s")
    scene.wait(20)
    for name in names:
        wanted = [row["spec"] for row in scene.timeline.of(name, began) if row["spec"] != ""]
        run.check(f"{what}: {name} never below {NEEDED} replicas", min(wanted) >= NEEDED, f"{min(wanted)} to {max(wanted)}")
