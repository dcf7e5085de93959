"""How soon a process that has just started answers KEDA."""

import time
from statistics import median

import grpc

from objects import streamgauge
from runs import run
from scene import Run
from service import Service
from settings import SERVICE_ADDRESSES

METHOD = "/externalscaler.ExternalScaler/GetMetricSpec"
ROUNDS = 10


@run("start", minutes=1)
def start(run: Run) -> None:
    """GetMetricSpec is answered within 100 ms of the start of the process."""
    instance = Service(run.cluster, "streamgauge-start", SERVICE_ADDRESSES[1])
    metadata = streamgauge(run.ports, "start")["metadata"]
    times = []
    try:
        for _ in range(ROUNDS):
            instance.make_account()
            began = time.monotonic()
            instance.process.start()
            times.append(_until_answered(f"{instance.address}:{run.ports['grpc']}", metadata, began) * 1000)
            instance.stop()
    finally:
        instance.stop()
    figures = f"median {median(times):.0f} ms, longest {max(times):.0f} ms of {ROUNDS} starts"
    run.check("GetMetricSpec within 100 ms of the start", median(times) <= 100, figures)


def _until_answered(address: str, metadata: dict[str, str], began: float) -> float:
    """Seconds; a new connection per attempt, as none is kept while the port is closed."""
    while time.monotonic() - began < 30:
        with grpc.insecure_channel(address) as channel:
            call = channel.unary_unary(METHOD, request_serializer=bytes, response_deserializer=bytes)
            try:
                if call(_reference("start", "shop", metadata), timeout=1):
                    return time.monotonic() - began
            except grpc.RpcError:
                time.sleep(0.002)
    raise TimeoutError("GetMetricSpec is not answered within 30 s")


def _reference(name: str, namespace: str, metadata: dict[str, str]) -> bytes:
    """A ScaledObjectRef of externalscaler.proto: name = 1, namespace = 2, scalerMetadata = 3."""
    entries = [_text(3, _text(1, key.encode()) + _text(2, value.encode())) for key, value in metadata.items()]
    return _text(1, name.encode()) + _text(2, namespace.encode()) + b"".join(entries)


def _text(field: int, value: bytes) -> bytes:
    """A length-delimited field of protobuf's encoding."""
    return bytes([field << 3 | 2]) + _length(len(value)) + value


def _length(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _length(rest) if rest else bytes([low])
