"""TLS between KEDA and streamgauge, with KEDA's own keys: who is served, who is not, and certificates that change under load."""

import os
from pathlib import Path

import pki
from objects import Workload, streamgauge
from runs import run
from scene import Run, Scene
from service import Service
from settings import NAMESPACE, SERVICE_ADDRESSES

ADDRESS = SERVICE_ADDRESSES[1]
ROTATIONS = 20
SERVED = ("trusting", "unsafe")
# Each with what the log of the instance that it calls has to say.
REFUSED = {
    "plain": "it does not speak TLS",
    "no-certificate": "it showed no client certificate",
    "stranger": "it showed no client certificate",  # Go shows none that the server does not ask for
    "distrustful": "it does not trust this service's certificate",
    "not-listed": "its certificate has none of client_names",
}


@run("tls", minutes=5)
def tls(run: Run) -> None:
    """KEDA's enableTLS, caCert, tlsClientCert, tlsClientKey and unsafeSsl: served or refused, and 20 new certificates under load."""
    folder = run.folder / "pki"
    _certificates(folder)
    files = {"cert_file": "server.crt", "key_file": "server.key", "client_ca_file": "ca.crt"}
    section = {key: str(folder / name) for key, name in files.items()} | {"client_names": ["keda"]}
    instance = Service(run.cluster, "streamgauge-tls", ADDRESS, tls=section)
    instance.start()
    try:
        workloads = _workloads(run, folder)
        with run.scene(list(workloads.values())) as scene:
            scene.start_load("100:3600")
            for name in SERVED:
                took = scene.until(f"{name} scales", lambda name=name: scene.last(name, "ready") >= 1, 60)
                run.check(f"{name}: KEDA is served over TLS", took is not None, f"the first pod after {took} s")
            for name, text in REFUSED.items():
                took = scene.until(f"{name} is told", lambda text=text: text in instance.log(), 30)
                run.check(f"{name}: the log says why", took is not None, f"“{text}”")
            text = "it speaks TLS, and this address does not"
            took = scene.until("TLS to the plain port is told", lambda: text in run.service.log(), 30)
            run.check("TLS to the plain port: the log says why", took is not None, f"“{text}”")
            _rotate(run, scene, instance, folder)
            for name in (*REFUSED, "tls-to-plain"):
                replicas = scene.last(name, "spec")
                run.check(f"{name}: KEDA gets nothing", replicas == 0, f"{replicas} replicas, {scene.last(name, 'backlog')} messages wait")
    finally:
        instance.stop()


def _rotate(run: Run, scene: Scene, instance: Service, folder: Path) -> None:
    said = "the changed certificate is served"
    before = {name: len(scene.events(name)) for name in SERVED}
    for turn in range(ROTATIONS):
        pki.certificate(folder, "next", "ca", f"/CN=streamgauge {turn}", [f"IP:{ADDRESS}"])
        # The pair is half new for a moment, as a reader of two files may see it.
        for ending in ("crt", "key"):
            os.replace(folder / f"next.{ending}", folder / f"server.{ending}")
        known = turn + 1
        scene.until(f"certificate {known} is served", lambda known=known: instance.log().count(said) >= known, 20)
    run.check("changed certificates are served", instance.log().count(said) == ROTATIONS, f"{instance.log().count(said)} of {ROTATIONS}")
    scene.wait(15)
    for name in SERVED:
        failures = [event for event in scene.events(name)[before[name] :] if "Warning" in event]
        run.check(f"{name}: no call failed while certificates changed", not failures, "; ".join(failures)[:300] or "no event")


def _certificates(folder: Path) -> None:
    folder.mkdir()
    for name in ("ca", "others"):
        pki.authority(folder, name)
    pki.certificate(folder, "server", "ca", "/CN=streamgauge", [f"IP:{ADDRESS}"])
    pki.certificate(folder, "client", "ca", "/CN=keda", ["DNS:keda"])
    pki.certificate(folder, "other-name", "ca", "/CN=other", ["DNS:other"])
    pki.certificate(folder, "stranger", "others", "/CN=keda", ["DNS:keda"])


def _workloads(run: Run, folder: Path) -> dict[str, Workload]:
    tls_port, plain_port = (f"{address}:{run.ports['grpc']}" for address in (ADDRESS, run.service.address))
    client = {"tlsClientCert": "client.crt", "tlsClientKey": "client.key"}
    trust, distrust = {"caCert": "ca.crt"}, {"caCert": "others.crt"}
    enable, unsafe = {"enableTLS": "true"}, {"enableTLS": "true", "unsafeSsl": "true"}
    stranger = {"tlsClientCert": "stranger.crt", "tlsClientKey": "stranger.key"}
    other = {"tlsClientCert": "other-name.crt", "tlsClientKey": "other-name.key"}
    kinds = {
        "trusting": (tls_port, enable, trust | client),
        "unsafe": (tls_port, unsafe, client),
        "plain": (tls_port, {}, {}),
        "no-certificate": (tls_port, enable, trust),
        "stranger": (tls_port, enable, trust | stranger),
        "distrustful": (tls_port, enable, distrust | client),
        "not-listed": (tls_port, enable, trust | other),
        "tls-to-plain": (plain_port, enable, trust),
    }
    return {name: _workload(run, folder, name, *kind) for name, kind in kinds.items()}


def _workload(run: Run, folder: Path, name: str, address: str, metadata: dict, files: dict) -> Workload:
    stream = run.new_name(name)
    trigger = streamgauge(run.ports, stream, "external", capacityPerReplica=50, scalerAddress=address, **metadata)
    if files:
        meta = {"name": f"tls-{name}", "namespace": NAMESPACE}
        texts = {key: (folder / file).read_text() for key, file in files.items()}
        refs = [{"parameter": key, "name": meta["name"], "key": key} for key in files]
        run.api.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": texts},
            {"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": meta, "spec": {"secretTargetRef": refs}},
        )
        trigger["authenticationRef"] = {"name": meta["name"]}
    return Workload(name, [trigger], [stream])
