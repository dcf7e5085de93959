"""A small kubelet: binds pods, makes them ready after their start-up time and runs one consumer per ready pod.

Annotations of a pod, after `e2e/`: stream (several joined by commas), group, rate (messages per second), start (seconds until it
is ready), until-idle (seconds; a job ends when it found nothing for so long). A socket takes one JSON request per connection:
{"do": "tallies" | "reset" | "hang" | "heal" | "pods"}; `hang` keeps new pods of a workload from becoming ready.
"""

import json
import os
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from api import Api, ApiError, path
from consumers import Consumer, Consumers

NODE = "e2e"
LABEL = "e2e"


@dataclass
class Pod:
    """A pod that is starting or runs a consumer."""

    namespace: str
    name: str
    workload: str
    annotations: dict
    ready_at: float
    state: str = "starting"  # then running, ended


class Kubelet:
    """All pods of the node, told of by a watch."""

    def __init__(self, api: Api, redis_port: int):
        self.api = api
        self.calls = ThreadPoolExecutor(4)
        self.consumers = Consumers(redis_port, self.ended)
        self.pods: dict[str, Pod] = {}
        self.hanging: set[str] = set()

    def run(self, control: Path) -> None:
        for work in (self.consumers.run, self.start_pods, lambda: self.answer(control)):
            threading.Thread(target=_or_die, args=(work,), daemon=True).start()
        while True:
            try:
                self.follow()
            except (OSError, ApiError, ValueError) as error:
                print("watch:", repr(error), flush=True)
                time.sleep(1)

    def follow(self) -> None:
        for kind, each in self.api.watch("Pod", LABEL):
            if kind == "LISTED":
                for name in [name for name in self.pods if not any(name.startswith(uid) for uid in each)]:
                    self.remove(name)
            elif kind == "DELETED":
                self.remove(_key(each))
            else:
                self.see(each)

    def see(self, seen: dict) -> None:
        meta, key = seen["metadata"], _key(seen)
        if meta.get("deletionTimestamp"):
            self.remove(key, Pod(meta["namespace"], meta["name"], "", {}, 0))
        elif key not in self.pods and seen["status"].get("phase") not in ("Succeeded", "Failed"):
            annotations = {k.removeprefix("e2e/"): v for k, v in meta.get("annotations", {}).items()}
            ready_at = time.monotonic() + float(annotations.get("start", 3))
            pod = Pod(meta["namespace"], meta["name"], meta["labels"][LABEL], annotations, ready_at)
            self.pods[key] = pod
            self.call(self.bind, pod)

    def remove(self, key: str, unknown: Pod | None = None) -> None:
        """Ends the pod: after the batch in hand if it works, at once otherwise."""
        pod = self.pods.get(key, unknown)
        if pod and not self.consumers.stop(key):
            self.pods.pop(key, None)
            self.call(self.api.delete, "Pod", pod.namespace, pod.name, 0)

    def start_pods(self) -> None:
        while True:
            for key, pod in list(self.pods.items()):
                if pod.state == "starting" and time.monotonic() >= pod.ready_at and pod.workload not in self.hanging:
                    pod.state = "running"
                    self.call(self.make_ready, pod)
                    self.consumers.add(_consumer(key, pod))
            time.sleep(0.05)

    def ended(self, key: str, succeeded: bool) -> None:
        if not (pod := self.pods.get(key)):
            return
        pod.state = "ended"
        if succeeded:
            self.call(self.set_status, pod, "Succeeded", False, {"terminated": {"exitCode": 0, "finishedAt": _now()}})
        else:
            self.pods.pop(key, None)
            self.call(self.api.delete, "Pod", pod.namespace, pod.name, 0)

    def bind(self, pod: Pod) -> None:
        target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod.name}, "target": target}
        self.api.request("POST", path("Pod", pod.namespace, pod.name) + "/binding", body)

    def make_ready(self, pod: Pod) -> None:
        self.set_status(pod, "Running", True, {"running": {"startedAt": _now()}})

    def set_status(self, pod: Pod, phase: str, ready: bool, state: dict) -> None:
        kinds = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
        truth = [{"type": kind, "status": str(ready), "lastTransitionTime": _now()} for kind in kinds]
        container = {"name": "consumer", "image": "none", "imageID": "", "ready": ready, "restartCount": 0, "state": state}
        status = {"phase": phase, "conditions": truth, "containerStatuses": [container]}
        self.api.patch("Pod", pod.namespace, pod.name, {"status": status}, "/status")

    def call(self, what, *arguments) -> None:
        def attempt():
            try:
                what(*arguments)
            except ApiError as error:
                if error.status not in (404, 409):
                    print(what.__name__, error, flush=True)
            except Exception as error:  # a thread of the pool would swallow it
                print(what.__name__, repr(error), flush=True)

        self.calls.submit(attempt)

    def answer(self, control: Path) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(control))
        listener.listen()
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rw") as line:
                request = json.loads(line.readline())
                line.write(json.dumps(self.do(**request)) + "\n")

    def do(self, do: str, workload: str = ""):
        if do == "hang":
            self.hanging.add(workload)
        elif do == "heal":
            self.hanging.discard(workload)
        elif do == "reset":
            self.consumers.tallies.clear()
        elif do == "tallies":
            return {stream: asdict(tally) for stream, tally in list(self.consumers.tallies.items())}
        elif do == "pods":
            return [pod.name for pod in list(self.pods.values())]
        return None


def ask(control: Path, **request):
    """One request to a running kubelet."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(control))
        with connection.makefile("rw") as line:
            line.write(json.dumps(request) + "\n")
            line.flush()
            return json.loads(line.readline())


def _key(seen: dict) -> str:
    return f"{seen['metadata']['uid']}/{seen['metadata']['name']}"


def _consumer(key: str, pod: Pod) -> Consumer:
    told = pod.annotations
    return Consumer(key, told["stream"].split(","), told["group"], float(told["rate"]), float(told.get("until-idle", 0)))


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _or_die(work) -> None:
    try:
        work()
    except BaseException as error:
        print("the kubelet ends:", repr(error), flush=True)
        os._exit(1)


if __name__ == "__main__":
    api_port, pki, redis_port, control = sys.argv[1:]
    Kubelet(Api(int(api_port), Path(pki)), int(redis_port)).run(Path(control))
