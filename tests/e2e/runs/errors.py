"""Mistakes in a ScaledObject: the whole text has to reach whoever made them."""

from objects import Workload, streamgauge
from processes import wait_until
from rpc import refusal
from runs import run
from scene import Run, Scene

MISTAKES = {
    "typo": {"targetDelai": "30s"},
    "min-max": {"minReplicas": "5", "maxReplicas": "2"},
    "unknown-source": {"source": "mian"},
    "duration": {"targetDelay": "soon"},
}


@run("errors", minutes=2)
def errors(run: Run) -> None:
    """A typo, min > max, an unknown source, a refused namespace: the full text reaches the events or conditions."""
    workloads = []
    for name, metadata in MISTAKES.items():
        stream = run.new_name(name)
        workloads.append(Workload(name, [streamgauge(run.ports, stream, **metadata)], [stream]))
    with run.scene(workloads) as scene:
        scene.until("every text is said", lambda: all(_is_said(run, scene, each) for each in workloads), 40)
        for workload in workloads:
            _judge(run, scene, workload)
    other = _in_another_namespace(run)
    with run.scene([other], "another-namespace") as scene:
        scene.until("the text is said", lambda: _is_said(run, scene, other), 40)
        _judge(run, scene, other)


def _in_another_namespace(run: Run) -> Workload:
    run.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}})
    wait_until("the namespace has its account", lambda: run.api.get("ServiceAccount", "other", "default"))
    stream = run.new_name("refused")
    return Workload("refused", [streamgauge(run.ports, stream)], [stream], namespace="other")


def _text(run: Run, workload: Workload) -> str | None:
    """What streamgauge has to say about it."""
    address = f"{run.service.address}:{run.ports['grpc']}"
    return refusal(address, workload.name, workload.namespace, workload.triggers[0]["metadata"])


def _said(run: Run, scene: Scene, workload: Workload) -> str:
    """All that KEDA and the HPA say in events and conditions."""
    names = (workload.name, workload.hpa)
    events = run.api.get("Event", workload.namespace)
    texts = [event.get("message", "") for event in events if event["involvedObject"]["name"] in names]
    return "\n".join([*texts, scene.conditions(workload.name, namespace=workload.namespace)])


def _is_said(run: Run, scene: Scene, workload: Workload) -> bool:
    text = _text(run, workload)
    return bool(text) and text in _said(run, scene, workload)


def _judge(run: Run, scene: Scene, workload: Workload) -> None:
    text, said = _text(run, workload), _said(run, scene, workload)
    passed = bool(text) and text in said
    figures = f"“{text}”" if passed else f"“{text}” is not in: {max(said.splitlines(), key=len, default='nothing')}"
    run.check(f"{workload.name}: the text reaches the user", passed, figures)
