"""Where things are, which ports they use, and what the environment may change."""

import os
import socket
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
CACHE = Path(os.environ.get("STREAMGAUGE_E2E_CACHE") or Path.home() / ".cache/streamgauge-e2e")
KUBERNETES = CACHE / "built/kubernetes"
KEDA = CACHE / "built/keda"
STREAMGAUGE = Path(os.environ.get("STREAMGAUGE") or PROJECT / "target/release/streamgauge").resolve()
OUTPUT = PROJECT / "target/e2e"
MANIFESTS = PROJECT / "manifests"

NAMESPACE = "shop"
GROUP = "g"
# The name that ScaledObjects call; the KEDA operator resolves it by a hosts file of its own.
SERVICE_NAME = "streamgauge.e2e"
SERVICE_ADDRESSES = ("127.0.0.2", "127.0.0.3")
LATE_SECONDS = 30

PORT_NAMES = (
    *("etcd", "etcd_peer", "api", "controllers", "redis", "grpc", "http"),
    *("keda_metrics", "keda_probe", "keda_grpc", "adapter", "adapter_metrics"),
    *("webhooks", "webhooks_metrics", "webhooks_probe"),
)
# Below the range from which the kernel takes ports of outgoing connections.
FIRST_PORT, LAST_PORT = 21_000, 30_000


def free_ports() -> dict[str, int]:
    """A block of ports of which none is in use, by name. Harnesses that start together begin to look at different ones."""
    bases = range(FIRST_PORT, LAST_PORT, 20)
    turn = os.getpid() % len(bases)
    for base in (*bases[turn:], *bases[:turn]):
        ports = range(base, base + len(PORT_NAMES))
        if all(_is_free(address, port) for port in ports for address in ("127.0.0.1", *SERVICE_ADDRESSES)):
            return dict(zip(PORT_NAMES, ports))
    raise SystemExit(f"no {len(PORT_NAMES)} free ports between {FIRST_PORT} and {LAST_PORT} on 127.0.0.1")


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
