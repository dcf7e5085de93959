"""Calls to streamgauge as KEDA makes them, over gRPC; the few messages are encoded by hand."""

import time

import grpc

SERVICE = "/externalscaler.ExternalScaler/"


def until_answered(address: str, name: str, namespace: str, metadata: dict[str, str], began: float) -> float:
    """Seconds from `began` until GetMetricSpec is answered; a new connection per attempt, as none is kept while the port is closed."""
    while time.monotonic() - began < 30:
        with grpc.insecure_channel(address) as channel:
            try:
                if _call(channel, "GetMetricSpec", _reference(name, namespace, metadata)):
                    return time.monotonic() - began
            except grpc.RpcError:
                time.sleep(0.002)
    raise TimeoutError("GetMetricSpec is not answered within 30 s")


def refusal(address: str, name: str, namespace: str, metadata: dict[str, str]) -> str | None:
    """The text of the error that GetMetrics answers."""
    request = _text(1, _reference(name, namespace, metadata)) + _text(2, b"any")
    with grpc.insecure_channel(address) as channel:
        try:
            _call(channel, "GetMetrics", request)
        except grpc.RpcError as error:
            return error.details()
    return None


def _call(channel: grpc.Channel, method: str, request: bytes) -> bytes:
    call = channel.unary_unary(SERVICE + method, request_serializer=bytes, response_deserializer=bytes)
    return call(request, timeout=2)


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
