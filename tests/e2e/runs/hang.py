"""New pods that never become ready."""

from objects import Workload, keda, streamgauge
from runs import run
from scene import Run


@run("hang", minutes=6)
def hang(run: Run) -> None:
    """New pods never become ready: the answer must not climb beyond what can have come up."""
    ours, theirs = run.new_name("ours"), run.new_name("keda")
    workloads = [
        Workload("hang", [streamgauge(run.ports, ours, capacityPerReplica=50)], [ours]),
        Workload("hang-keda", [keda(run.ports, theirs, 500)], [theirs], example=False),
    ]
    with run.scene(workloads) as scene:
        scene.start_load("100:60", "400:600")
        scene.until("2 ready", lambda: scene.last("hang", "ready") >= 2, 50)
        scene.until("just before 400/s", lambda: scene.timeline.seconds > 62, 70)
        ready = scene.last("hang", "ready")
        for workload in workloads:
            run.cluster.kubelet(do="hang", workload=workload.name)
        scene.timeline.mark(f"new pods hang from now on, {ready} are ready")
        began = scene.timeline.seconds
        scene.wait(170)
        rows = scene.timeline.of("hang", began)
        for workload in workloads:
            run.cluster.kubelet(do="heal", workload=workload.name)
        scene.timeline.mark("pods start again")
        took = scene.until("8 ready", lambda: scene.last("hang", "ready") >= 8, 60)
        target = run.service.target("hang") or {}
    wanted = [row["spec"] for row in rows if row["spec"] != ""]
    figures = f"{ready} ready, {wanted[0]} wanted at first, at most {max(wanted)}; KEDA's trigger {scene.summary['hang-keda']['peak']}"
    # The step that the load needs may be taken; nothing may be added while nothing comes up.
    run.check("with pods that hang at most 14 replicas are wanted", max(wanted) <= 14, figures)
    late = [row["desired"] for row in rows if row["seconds"] > began + 60 and row["desired"] != ""]
    run.check("the answer stays where it is after 60 s", late and max(late) == min(late), f"{min(late)} to {max(late)}")
    run.check("it goes on when pods start again", took is not None, f"8 ready after {took} s: {target.get('text', '')}")
