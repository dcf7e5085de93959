"""Several instances of streamgauge behind one name, which KEDA asks in turn."""

from objects import Workload, streamgauge
from runs import run
from scene import Run, Scene
from service import Service
from settings import SERVICE_ADDRESSES
from summary import changes_of, reversals

RATE = 650  # 13 replicas' worth


@run("beside", minutes=11)
def beside(run: Run) -> None:
    """An instance that knows nothing starts behind the same name while 14 run; then both are restarted one by one."""
    workloads = []
    for name, known in (("configured", {"capacityPerReplica": 50}), ("default", {})):
        stream = run.new_name(name)
        workloads.append(Workload(name, [streamgauge(run.ports, stream, **known)], [stream]))
    second = Service(run.cluster, "streamgauge-2", SERVICE_ADDRESSES[1])
    try:
        with run.scene(workloads) as scene:
            scene.start_load(f"0-{RATE}:90", f"{RATE}:3600")
            scene.until("the load is whole", lambda: scene.timeline.seconds > 100, 120)
            for workload in workloads:
                scene.until_steady(workload.name, 13)
            scene.wait(60)
            run.cluster.resolve_to(SERVICE_ADDRESSES)
            run.cluster.restart_operator()
            began = scene.timeline.seconds
            second.start()
            scene.timeline.mark("a second instance starts beside the first")
            scene.wait(330)  # longer than what a new instance holds back for
            asked = [each["scaled_object"] for each in second.targets() if each["last_asked_at"]]
            run.check("KEDA asks the second instance", len(asked) >= len(workloads), ", ".join(asked))
            _steady(run, scene, began, "a second instance beside the first")
            began = scene.timeline.seconds
            for instance in (run.service, second) * 2:
                scene.timeline.mark(f"restart {instance.name}")
                instance.stop()
                instance.start()
                scene.wait(25)
            scene.wait(30)
            _steady(run, scene, began, "a rolling restart, twice")
    finally:
        second.forget()
        run.cluster.resolve_to(SERVICE_ADDRESSES[:1])
        run.cluster.restart_operator()


def _steady(run: Run, scene: Scene, since: float, what: str) -> None:
    for workload in scene.workloads:
        wanted = [row["spec"] for row in scene.timeline.of(workload.name, since) if row["spec"] != ""]
        changes = changes_of(wanted)
        figures = f"{min(wanted)} to {max(wanted)}, {len(changes)} changes, {reversals(changes)} reversals"
        run.check(f"{what}: {workload.name}: never below what the load needs", min(wanted) >= 13, figures)
        passed = reversals(changes) <= 1 and max(wanted) <= max(20, wanted[0])
        run.check(f"{what}: {workload.name}: no flapping", passed, figures)
