"""Mistakes in a ScaledObject: the whole text has to reach whoever made them."""

from objects import Workload, streamgauge
from processes import wait_until
from runs import run
from scene import Run, Scene

# What is wrong, and words that have to stand in an event or a condition.
MISTAKES = {
    "typo": ({"targetDelai": "30s"}, ["targetDelai", "targetDelay"]),
    "min-max": ({"minReplicas": "5", "maxReplicas": "2"}, ["minReplicas", "maxReplicas"]),
    "source": ({"source": "mian"}, ["mian"]),
    "duration": ({"targetDelay": "soon"}, ["targetDelay"]),
}


@run("errors", minutes=2)
def errors(run: Run) -> None:
    """A typo, min > max, an unknown source, a refused namespace: the full text reaches the events or conditions."""
    workloads = []
    for name, (metadata, _) in MISTAKES.items():
        stream = run.new_name(name)
        workloads.append(Workload(name, [streamgauge(run.ports, stream, **metadata)], [stream]))
    other = _in_another_namespace(run)
    expected = {name: words for name, (_, words) in MISTAKES.items()} | {"refused": ["other"]}
    with run.scene(workloads) as scene:
        _await(scene, workloads, expected)
        for workload in workloads:
            _judge(run, scene, workload, expected[workload.name])
    with run.scene([other], "another-namespace") as scene:
        scene.wait(20)
        _judge(run, scene, other, expected["refused"])


def _in_another_namespace(run: Run) -> Workload:
    run.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}})
    wait_until("the namespace has its account", lambda: run.api.get("ServiceAccount", "other", "default"))
    stream = run.new_name("refused")
    return Workload("refused", [streamgauge(run.ports, stream)], [stream], namespace="other")


def _said(run: Run, scene: Scene, workload: Workload) -> str:
    names = (workload.name, f"keda-hpa-{workload.name}")
    events = run.api.get("Event", workload.namespace)
    texts = [event.get("message", "") for event in events if event["involvedObject"]["name"] in names]
    return "\n".join([*texts, scene.conditions(workload.name, namespace=workload.namespace)])


def _await(scene: Scene, workloads: list[Workload], expected: dict) -> None:
    def all_said() -> bool:
        return all(word in _said(scene.run, scene, each) for each in workloads for word in expected[each.name])

    scene.until("every text is said", all_said, 40)


def _judge(run: Run, scene: Scene, workload: Workload, words: list[str]) -> None:
    said = _said(run, scene, workload)
    lines = [line for line in said.splitlines() if any(word in line for word in words)]
    shown = max(lines, key=len, default=said.splitlines()[0] if said else "nothing was said")
    run.check(f"{workload.name}: the text reaches the user", all(word in said for word in words), shown[:400])
