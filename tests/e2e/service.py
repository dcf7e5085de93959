"""streamgauge as it runs in a cluster: with the ServiceAccount of manifests/ and its token, in a mount namespace of its own."""

import json
import shutil
import urllib.request
from pathlib import Path

import yaml

from cluster import Cluster
from processes import Process, wait_until
from settings import GROUP, MANIFESTS, NAMESPACE, SERVICE_ADDRESSES, STREAMGAUGE

# Groups of the config itself: what is learned of them outlives their ScaledObjects.
LEARNED = {"main": "learned", "slow": "learned-slow"}


class Service:
    """One instance of streamgauge on a loopback address."""

    def __init__(self, cluster: Cluster, name: str = "streamgauge", address: str = SERVICE_ADDRESSES[0], **server):
        """`server`: more of that section of the config."""
        self.server = server
        self.cluster, self.name, self.address = cluster, name, address
        self.folder = cluster.folder / name
        self.folder.mkdir(exist_ok=True)
        self.config = self.folder / "config.yaml"
        self.config.write_text(yaml.safe_dump(self.settings(), sort_keys=False))
        environment = {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(cluster.ports["api"]),
            "STREAMGAUGE_LOG": "streamgauge=debug,info",
        }
        place = "/run/secrets/kubernetes.io"
        mounts = f"mount -t tmpfs none /run && mkdir -p {place} && ln -s {self.folder}/account {place}/serviceaccount"
        arguments = [STREAMGAUGE, "serve", "--config", self.config]
        self.process = Process(name, arguments, cluster.logs / f"{name}.log", environment, mounts)

    def settings(self) -> dict:
        """Defaults wherever there are any."""
        ports = self.cluster.ports
        anything = [{"namespaces": [NAMESPACE], "streams": ["*"], "consumer_groups": ["*"]}]
        redis = {"url": f"redis://127.0.0.1:{ports['redis']}/0"}
        return {
            "server": {"grpc": f"{self.address}:{ports['grpc']}", "http": f"{self.address}:{ports['http']}", **self.server},
            "state": {"dir": str(self.folder / "state")},
            "sources": [
                {"name": "main", "redis": redis, "allow": anything},
                {"name": "slow", "poll_interval": "15s", "redis": redis, "allow": anything},
                {"name": "dead", "redis": {"url": "redis://127.0.0.1:1/0"}, "allow": anything},
            ],
            "groups": [
                {"name": name, "source": source, "stream": name, "consumer_group": GROUP, "policy": {"max_replicas": 30}}
                for source, name in LEARNED.items()
            ],
        }

    def start(self, ready: bool = True) -> "Service":
        self.make_account()
        self.process.start()
        if ready:
            wait_until(f"{self.name} is ready", self.ready, 30, 0.05)
        return self

    def make_account(self) -> None:
        """The ServiceAccount with its rights, and its token where a pod has it."""
        api, folder = self.cluster.api, self.folder / "account"
        for name in ("serviceaccount", "clusterrole", "clusterrolebinding"):
            api.apply(*[each for each in yaml.safe_load_all((MANIFESTS / f"{name}.yaml").read_text()) if each])
        folder.mkdir(exist_ok=True)
        where = "/api/v1/namespaces/streamgauge/serviceaccounts/streamgauge/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 36_000}}
        token = api.request("POST", where, request)["status"]["token"]
        for file, text in (("token", token), ("namespace", "streamgauge")):
            (folder / file).write_text(text)
        shutil.copy(self.cluster.pki / "ca.crt", folder / "ca.crt")

    def stop(self) -> None:
        self.process.stop(30)

    def forget(self) -> None:
        """Ends it; the next start knows nothing."""
        self.stop()
        shutil.rmtree(self.folder / "state", ignore_errors=True)

    def text(self, where: str) -> str:
        with urllib.request.urlopen(f"http://{self.address}:{self.cluster.ports['http']}{where}", timeout=1) as answer:
            return answer.read().decode()

    def ready(self) -> bool:
        return bool(self.text("/readyz") or True)

    def targets(self) -> list[dict]:
        """What each ScaledObject is answered, with the name of its stream."""
        groups = json.loads(self.text("/api/v1/groups?partitions=false"))["groups"]
        return [{**target, "stream": group["stream"]} for group in groups for target in group["targets"]]

    def target(self, workload: str) -> dict | None:
        """The target of a ScaledObject or ScaledJob by its name; of several triggers the first."""
        wanted = f"{NAMESPACE}/{workload}"
        return next((each for each in self.targets() if each["scaled_object"].split("#")[0] == wanted), None)

    def log(self) -> str:
        return Path(self.process.log).read_text(errors="replace")
