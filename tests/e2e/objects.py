"""The objects of a run: Deployments of consumers, ScaledObjects as manifests/scaledobject-example.yaml has them, triggers."""

import copy
from dataclasses import dataclass, field

import yaml

from settings import GROUP, MANIFESTS, NAMESPACE, SERVICE_NAME


@dataclass
class Workload:
    """A stream with its consumers and what scales them; ScaledObject and Deployment carry its name."""

    name: str
    triggers: list[dict]
    streams: list[str]
    per_second: float = 50
    start_seconds: float = 3
    polling: int = 5
    cooldown: int = 60
    minimum: int = 0
    maximum: int = 30
    replicas: int = 0
    example: bool = True  # behavior and fallback of manifests/; False: the HPA's defaults
    changes: dict = field(default_factory=dict)  # of the ScaledObject's spec
    namespace: str = NAMESPACE
    hpa: str = ""  # the name of its HPA, set by the scene
    keep: bool = False  # the stream outlives the run
    job_idle_seconds: int = 0  # a ScaledJob, whose pods end when they found nothing for so long

    @property
    def stream(self) -> str:
        return self.streams[0]


def streamgauge(ports: dict, stream: str, kind: str = "", name: str = "", **metadata) -> dict:
    """A trigger with the example's type and metadata for `stream`; None as a value takes a key away."""
    trigger = example()["triggers"][0]
    told = {**trigger["metadata"], "scalerAddress": f"{SERVICE_NAME}:{ports['grpc']}"}
    told |= {"source": "main", "stream": stream, "consumerGroup": GROUP, "maxReplicas": "30", **metadata}
    told = {key: str(value) for key, value in told.items() if value is not None}
    return {"type": kind or trigger["type"], "metadata": told, **({"name": name} if name else {})}


def keda(ports: dict, stream: str, lag_count: int) -> dict:
    """KEDA's own trigger for `stream`."""
    address = f"127.0.0.1:{ports['redis']}"
    metadata = {"address": address, "stream": stream, "consumerGroup": GROUP, "lagCount": str(lag_count)}
    return {"type": "redis-streams", "metadata": metadata}


def example() -> dict:
    """The spec of the ScaledObject in manifests/."""
    return copy.deepcopy(yaml.safe_load((MANIFESTS / "scaledobject-example.yaml").read_text())["spec"])


def behavior(tolerance: str | None = None) -> dict:
    """The example's HPA behavior, with a tolerance of its own if asked for."""
    found = example()["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    if tolerance is not None:
        for direction in ("scaleUp", "scaleDown"):
            found[direction]["tolerance"] = tolerance
    return found


def scaled_object(workload: Workload) -> dict:
    spec = {
        "scaleTargetRef": {"name": workload.name},
        "pollingInterval": workload.polling,
        "cooldownPeriod": workload.cooldown,
        "minReplicaCount": workload.minimum,
        "maxReplicaCount": workload.maximum,
        "triggers": workload.triggers,
    }
    if workload.example:
        model = example()
        spec |= {key: model[key] for key in ("fallback", "advanced") if key in model}
    spec |= workload.changes
    advanced = spec.get("advanced") or {}
    config = advanced.get("horizontalPodAutoscalerConfig") or {}
    spec["advanced"] = advanced | {"horizontalPodAutoscalerConfig": config | {"name": workload.hpa}}
    meta = {"name": workload.name, "namespace": workload.namespace}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": meta,
        "spec": {key: value for key, value in spec.items() if value is not None},
    }


def template(workload: Workload, **annotations) -> dict:
    """Pods that the kubelet runs as consumers."""
    told = {"stream": ",".join(workload.streams), "group": GROUP, "rate": workload.per_second, "start": workload.start_seconds}
    told |= annotations
    return {
        "metadata": {
            "labels": {"app": workload.name, "e2e": workload.name},
            "annotations": {f"e2e/{key}": str(value) for key, value in told.items()},
        },
        "spec": {"containers": [{"name": "consumer", "image": "none"}], "terminationGracePeriodSeconds": 30},
    }


def deployment(workload: Workload) -> dict:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": workload.name, "namespace": workload.namespace},
        "spec": {
            "replicas": workload.replicas,
            "selector": {"matchLabels": {"app": workload.name}},
            "template": template(workload),
        },
    }


def scaled_job(workload: Workload) -> dict:
    """Jobs of one pod each, which end when they found nothing for a while."""
    pods = template(workload, **{"until-idle": workload.job_idle_seconds})
    pods["spec"]["restartPolicy"] = "Never"
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledJob",
        "metadata": {"name": workload.name, "namespace": workload.namespace},
        "spec": {
            "jobTargetRef": {"template": pods, "backoffLimit": 0},
            "pollingInterval": workload.polling,
            "maxReplicaCount": workload.maximum,
            "triggers": workload.triggers,
        },
    }


def all_of(workload: Workload) -> list[dict]:
    """What is applied for a workload."""
    return [scaled_job(workload)] if workload.job_idle_seconds else [deployment(workload), scaled_object(workload)]
