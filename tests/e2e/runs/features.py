"""Features of KEDA that treat an answer in ways of their own: formulas, several triggers, jobs, tolerances."""

from objects import Workload, behavior, streamgauge
from runs import run
from scene import Run
from settings import NAMESPACE
from timeline import JOB_LABEL


def _two(run: Run, name: str) -> Workload:
    streams = [run.new_name(f"{name}-a"), run.new_name(f"{name}-b")]
    triggers = [streamgauge(run.ports, stream, name=letter, capacityPerReplica=50) for letter, stream in zip("ab", streams)]
    return Workload(name, triggers, streams, start_seconds=2)


@run("modifiers", minutes=7)
def modifiers(run: Run) -> None:
    """The formula `a + b` over two triggers, and two triggers on one Deployment without a formula."""
    formula, plain = _two(run, "formula"), _two(run, "two-triggers")
    modifier = {"formula": "a + b", "target": "1", "activationTarget": "0"}
    formula.changes = {
        "advanced": {"scalingModifiers": modifier, "horizontalPodAutoscalerConfig": {"behavior": behavior()}},
    }
    with run.scene([formula, plain]) as scene:
        scene.start_load("100:3600")
        scene.wait(120)
        run.service.stop()
        run.service.start()
        scene.timeline.mark("streamgauge restarted")
        scene.wait(120)
        rows = {name: scene.timeline.of(name, 60) for name in ("formula", "two-triggers")}
        texts = [each["text"] for each in run.service.targets() if each["scaled_object"].split("#")[0] == "shop/formula"]
    for text in texts:
        run.note(text)
    # 100/s on each of two streams are 4 consumers' worth; at 80 % utilization 3 a stream.
    peak = max(row["spec"] for row in rows["formula"] if row["spec"] != "")
    run.check("a + b does not run away", peak <= 8, f"at most {peak} of 30 replicas for 4 replicas' worth of work")
    peak = max(row["spec"] for row in rows["two-triggers"] if row["spec"] != "")
    run.check("two triggers do not run away", peak <= 8, f"at most {peak} of 30 replicas for 4 replicas' worth of work")
    for name in rows:
        found = scene.summary[name]
        figures = f"{found['late_percent']} %, {found['left']} left"
        run.check(f"{name}: hardly anything late", (found["late_percent"] or 0) <= 1, figures)


@run("jobs", minutes=4)
def jobs(run: Run) -> None:
    """ScaledJob: work is done by jobs, and hardly any of them finds nothing to do."""
    stream = run.new_name("jobs")
    workload = Workload("jobs", [streamgauge(run.ports, stream, "external", capacityPerReplica=50)], [stream], maximum=20, job_idle_seconds=4)
    with run.scene([workload]) as scene:
        scene.start_load("200:45")
        scene.wait(58)
        took = scene.until("everything is done", lambda: scene.last("jobs", "backlog", 1) == 0, 120)
        scene.wait(25)
        made = len(_jobs(run))
        scene.wait(20)
        later = len(_jobs(run))
        done = scene.last("jobs", "done")
        text = (run.service.target("jobs") or {}).get("text", "no target")
        for job in _jobs(run):
            run.api.delete("Job", workload.namespace, job["metadata"]["name"])
    run.note(text)
    run.check("all work is done", took is not None and done >= 9_000, f"{done} of 9,000 done, {took} s after the load")
    run.check("jobs end when nothing is left: none is made for nothing", later <= made + 1, f"{made} jobs, then {later}")
    run.check("no more jobs than work asks for", later <= 24, f"{later} jobs for 4 jobs' worth of work over 45 s")


def _jobs(run: Run) -> list[dict]:
    return [each for each in run.api.get("Job", NAMESPACE) if each["metadata"]["labels"].get(JOB_LABEL) == "jobs"]


@run("tolerance0", minutes=5)
def tolerance0(run: Run) -> None:
    """With `tolerance: "0"` in the HPA's behavior what is emitted is what is desired, and the HPA follows it exactly."""
    stream = run.new_name("tolerance")
    workload = Workload("tolerance0", [streamgauge(run.ports, stream, capacityPerReplica=50)], [stream])
    workload.changes = {"advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior("0")}}}
    with run.scene([workload]) as scene:
        scene.load("200:50", "430:50", "480:50", "530:50", "580:50")
        rows = [row for row in scene.timeline.of("tolerance0") if row["desired"] != "" and row["emitted"] != ""]
    other = [row for row in rows if row["emitted"] != row["desired"]]
    run.check("emitted == desired", not other, f"{len(other)} of {len(rows)} rows differ; first {_brief(other)}")
    steady = [now for before, now in zip(rows, rows[25:]) if _same(rows, before, now)]
    wrong = [row for row in steady if row["spec"] != row["desired"]]
    figures = f"{len(wrong)} of {len(steady)} rows differ; first {_brief(wrong)}"
    run.check("spec == desired once that stood for 25 s", steady and not wrong, figures)


def _same(rows: list[dict], first: dict, last: dict) -> bool:
    between = [row["desired"] for row in rows if first["seconds"] <= row["seconds"] <= last["seconds"]]
    return len(set(between)) == 1


def _brief(rows: list[dict]) -> str:
    return "{seconds} s: desired {desired}, emitted {emitted}, spec {spec}".format(**rows[0]) if rows else "none"
