"""The cluster: etcd, kube-apiserver, the controllers it takes, KEDA, Redis and our kubelet, all on loopback."""

import sys
import urllib.request
from pathlib import Path

import yaml

import pki
from api import Api
from broker import Broker
from kubelet import NODE, ask
from processes import Process, wait_until
from settings import HERE, KEDA, KUBERNETES, NAMESPACE, SERVICE_ADDRESSES, SERVICE_NAME, free_ports

CONTROLLERS = (
    *("deployment", "replicaset", "job", "horizontal-pod-autoscaler", "garbage-collector", "namespace"),
    *("serviceaccount", "serviceaccount-token", "root-ca-certificate-publisher"),
)


class Cluster:
    """Everything but streamgauge. `folder` keeps its data; logs go to `logs`."""

    def __init__(self, folder: Path, logs: Path):
        self.folder, self.logs, self.pki = folder, logs, folder / "pki"
        self.ports = free_ports()
        self.control = folder / "kubelet.sock"
        self.hosts = folder / "hosts"
        self.all: dict[str, Process] = {}

    def up(self) -> None:
        pki.make(self.pki, self.ports["api"])
        self.api = Api(self.ports["api"], self.pki)
        self.broker = Broker(self.ports["redis"])
        self.resolve_to(SERVICE_ADDRESSES[:1])
        self.start_kubernetes()
        self.prepare()
        self.start_redis()
        self.start_kubelet()
        self.start_keda()
        wait_until("external metrics are served", lambda: self.api.request("GET", "/apis/external.metrics.k8s.io/v1beta1"), 120)

    def down(self) -> None:
        """Ends everything at once: nothing of it is kept."""
        for process in reversed(self.all.values()):
            process.kill()

    def check(self) -> None:
        """Names what has ended although nobody wanted it."""
        gone = [process.name for process in self.all.values() if not process.alive()]
        if gone:
            raise RuntimeError(f"ended unexpectedly: {', '.join(gone)}; see {self.logs}\n{self.all[gone[0]].last_lines()}")

    def start(self, name: str, *arguments, environment: dict | None = None, mounts: str = "") -> Process:
        process = self.all.get(name)
        if not process:
            process = Process(name, list(arguments), self.logs / f"{name}.log", environment, mounts)
            self.all[name] = process
        return process.start()

    def kubelet(self, **request):
        return ask(self.control, **request)

    def start_kubernetes(self) -> None:
        ports, files, config = self.ports, self.pki, self.pki / "admin.kubeconfig"
        client, peer = f"http://127.0.0.1:{ports['etcd']}", f"http://127.0.0.1:{ports['etcd_peer']}"
        self.start(
            "etcd",
            *("etcd", "--name", NODE, "--data-dir", self.folder / "etcd", "--unsafe-no-fsync"),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"{NODE}={peer}"),
        )
        self.start(
            "kube-apiserver",
            KUBERNETES / "kube-apiserver",
            f"--etcd-servers={client}",
            *("--bind-address=127.0.0.1", f"--secure-port={ports['api']}", "--endpoint-reconciler-type=none"),
            *("--service-cluster-ip-range=10.96.0.0/24", "--authorization-mode=RBAC", f"--cert-dir={self.folder}"),
            f"--client-ca-file={files}/ca.crt",
            *(f"--tls-cert-file={files}/apiserver.crt", f"--tls-private-key-file={files}/apiserver.key"),
            "--service-account-issuer=https://kubernetes.default.svc",
            *(f"--service-account-key-file={files}/sa.pub", f"--service-account-signing-key-file={files}/sa.key"),
            *(f"--requestheader-client-ca-file={files}/front-ca.crt", "--requestheader-allowed-names=front-proxy"),
            *("--requestheader-extra-headers-prefix=X-Remote-Extra-", "--requestheader-group-headers=X-Remote-Group"),
            "--requestheader-username-headers=X-Remote-User",
            *(f"--proxy-client-cert-file={files}/front.crt", f"--proxy-client-key-file={files}/front.key"),
        )
        wait_until("the API server is ready", lambda: self.api.request("GET", "/readyz") == "ok", 120)
        # More calls per second than the default 20: the workloads of a run must not wait for each other's pods.
        self.start(
            "kube-controller-manager",
            KUBERNETES / "kube-controller-manager",
            *(f"--{what}kubeconfig={config}" for what in ("", "authentication-", "authorization-")),
            *("--bind-address=127.0.0.1", f"--secure-port={ports['controllers']}", f"--cert-dir={self.folder}"),
            *("--leader-elect=false", "--kube-api-qps=100", "--kube-api-burst=200"),
            *(f"--service-account-private-key-file={files}/sa.key", f"--root-ca-file={files}/ca.crt"),
            "--controllers=" + ",".join(f"{name}-controller" for name in CONTROLLERS),
        )

    def prepare(self) -> None:
        """CRDs, namespaces, the node, and the service of KEDA's metrics."""
        for file in sorted((KEDA / "crds").glob("*.yaml")):
            self.api.apply(*[each for each in yaml.safe_load_all(file.read_text()) if each])
        for name in ("keda", "streamgauge", NAMESPACE):
            self.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        service = {"name": "keda-metrics-apiserver", "namespace": "keda", "port": self.ports["adapter"]}
        ports = [{"name": "https", "port": self.ports["adapter"]}]
        self.api.apply(
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}},
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": service["name"], "namespace": "keda"},
                "spec": {"type": "ExternalName", "externalName": "localhost", "ports": ports},
            },
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": "v1beta1.external.metrics.k8s.io"},
                "spec": {
                    "service": service,
                    "group": "external.metrics.k8s.io",
                    "version": "v1beta1",
                    "groupPriorityMinimum": 100,
                    "versionPriority": 100,
                    "caBundle": pki.encoded(self.pki / "ca.crt"),
                },
            },
        )

    def start_redis(self) -> None:
        self.broker.was_killed = "redis" in self.all
        self.start(
            "redis",
            *("redis-server", "--port", self.ports["redis"], "--bind", "127.0.0.1", "--dir", self.folder),
            *("--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--logfile", ""),
        )
        wait_until("Redis answers", self.broker.redis.ping)

    def start_kubelet(self) -> None:
        arguments = (self.ports["api"], self.pki, self.ports["redis"], self.control)
        self.start("kubelet", sys.executable, HERE / "kubelet.py", *arguments)
        wait_until("the kubelet answers", lambda: self.kubelet(do="pods") is not None)

    def resolve_to(self, addresses) -> None:
        """What streamgauge's name means to the KEDA operator from its next start on."""
        lines = [f"{address} {SERVICE_NAME}\n" for address in addresses]
        self.hosts.write_text(Path("/etc/hosts").read_text().rstrip("\n") + "\n" + "".join(lines))

    def start_keda(self) -> None:
        self.start_operator()
        ports, config, tls = self.ports, self.pki / "admin.kubeconfig", self.pki / "keda"
        environment = {"KUBECONFIG": str(config), "POD_NAMESPACE": "keda", "WATCH_NAMESPACE": ""}
        self.start(
            "keda-adapter",
            KEDA / "keda-adapter",
            *(f"--secure-port={ports['adapter']}", "--bind-address=127.0.0.1", f"--port={ports['adapter_metrics']}"),
            *(f"--metrics-service-address=localhost:{ports['keda_grpc']}", f"--client-ca-file={self.pki}/ca.crt"),
            *(f"--tls-cert-file={tls}/tls.crt", f"--tls-private-key-file={tls}/tls.key", f"--cert-dir={tls}"),
            *(f"--{what}-kubeconfig={config}" for what in ("authentication", "authorization", "lister")),
            environment=environment,
        )
        self.start(
            "keda-webhooks",
            KEDA / "keda-webhooks",
            *(f"--port={ports['webhooks']}", f"--cert-dir={tls}"),
            f"--metrics-bind-address=127.0.0.1:{ports['webhooks_metrics']}",
            f"--health-probe-bind-address=127.0.0.1:{ports['webhooks_probe']}",
            environment=environment,
        )
        address = f"https://localhost:{ports['webhooks']}/validate-keda-sh-v1alpha1-scaledobject"
        rule = {"apiGroups": ["keda.sh"], "apiVersions": ["v1alpha1"], "resources": ["scaledobjects"]}
        hook = {
            "name": "vscaledobject.kb.io",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "clientConfig": {"url": address, "caBundle": pki.encoded(self.pki / "ca.crt")},
            "rules": [{**rule, "operations": ["CREATE", "UPDATE"]}],
        }
        kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
        self.api.apply({**kind, "metadata": {"name": "keda-admission"}, "webhooks": [hook]})

    def start_operator(self) -> None:
        ports = self.ports
        self.start(
            "keda-operator",
            KEDA / "keda-operator",
            *("--zap-log-level=info", "--zap-encoder=console", "--zap-time-encoding=iso8601"),
            f"--metrics-bind-address=127.0.0.1:{ports['keda_metrics']}",
            f"--health-probe-bind-address=127.0.0.1:{ports['keda_probe']}",
            f"--metrics-service-bind-address=127.0.0.1:{ports['keda_grpc']}",
            *(f"--cert-dir={self.pki}/keda", "--enable-cert-rotation=false"),
            *("--enable-webhook-patching=false", "--enable-apiservice-patching=false"),
            environment={
                "KUBECONFIG": str(self.pki / "admin.kubeconfig"),
                "POD_NAMESPACE": "keda",
                "KEDA_CLUSTER_OBJECT_NAMESPACE": "keda",
                "WATCH_NAMESPACE": "",
            },
            mounts=f"mount --bind {self.hosts} /etc/hosts",
        )
        wait_until("the KEDA operator is ready", self._operator_ready, 120)

    def _operator_ready(self) -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['keda_probe']}/readyz", timeout=2) as answer:
            return answer.status == 200

    def restart_operator(self) -> None:
        self.all["keda-operator"].stop(40)
        self.start_operator()

    def revive(self) -> None:
        """Everything runs again, whatever a run did to it."""
        for name, process in self.all.items():
            if not process.alive():
                print(f"  starting {name} again")
                process.start()
        wait_until("Redis answers", self.broker.redis.ping)
        wait_until("the KEDA operator is ready", self._operator_ready, 120)
