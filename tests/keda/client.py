"""KEDA's side of the protocol by an independent client: calls in KEDA's order and asserts what KEDA relies on.

Usage: client.py PROTO_FOLDER GRPC_PORT REDIS_PORT SERVICE_PID
The stubs are generated at run time from the proto. Ends with a line `N checks passed`.
"""

import importlib
import math
import os
import signal
import socket
import sys
import tempfile
import time

import grpc
from grpc_tools import protoc

DEADLINE = 10.0
passed = 0


def check(condition, what):
    global passed
    if not condition:
        sys.exit(f"FAILED: {what}")
    passed += 1


def stubs(proto_folder):
    out = tempfile.mkdtemp()
    done = protoc.main(["protoc", f"-I{proto_folder}", f"--python_out={out}", f"--grpc_python_out={out}", "externalscaler.proto"])
    check(done == 0, "the proto compiles with Google's compiler")
    sys.path.insert(0, out)
    return importlib.import_module("externalscaler_pb2"), importlib.import_module("externalscaler_pb2_grpc")


class Redis:
    """Just enough of RESP to set the scene."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")

    def __call__(self, *words):
        parts = [str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
        return self.reply()

    def reply(self):
        line = self.file.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            sys.exit(f"redis: {rest.decode()}")
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.reply() for _ in range(int(rest))]
        return rest


class Keda:
    """The calls that KEDA makes for one trigger, in its order."""

    def __init__(self, channel, pb, grpc_stubs, namespace, name, metadata):
        self.pb = pb
        self.stub = grpc_stubs.ExternalScalerStub(channel)
        # KEDA sends the whole trigger map, its own key included.
        metadata = {"scalerAddress": "streamgauge.keda:9090", **metadata}
        self.ref = pb.ScaledObjectRef(name=name, namespace=namespace, scalerMetadata=metadata)

    def specs(self):
        return self.stub.GetMetricSpec(self.ref, timeout=2).metricSpecs

    def poll(self):
        """One poll loop: GetMetricSpec, then GetMetrics and IsActive per spec; an error of either drops both."""
        (spec,) = self.specs()
        # KEDA prefixes the name with sN- for the HPA and strips it before calling.
        name = f"s0-{spec.metricName}".removeprefix("s0-")
        request = self.pb.GetMetricsRequest(scaledObjectRef=self.ref, metricName=name)
        values = self.stub.GetMetrics(request, timeout=2).metricValues
        check(len(values) == 1, "exactly one value: the HPA sums them")
        active = self.stub.IsActive(self.ref, timeout=2).result
        target = spec.targetSizeFloat if spec.targetSizeFloat > 0 else spec.targetSize
        value = values[0].metricValueFloat if values[0].metricValueFloat > 0 else values[0].metricValue
        check(values[0].metricValue == math.ceil(values[0].metricValueFloat), "both number fields, the integer rounded up")
        check(math.isfinite(value) and value >= 0, "a finite value")
        return target, value, active

    def until(self, wanted, what):
        """Polls until `wanted(target, value, active)` holds."""
        end, last = time.monotonic() + DEADLINE, None
        while time.monotonic() < end:
            try:
                last = self.poll()
                if wanted(*last):
                    check(True, what)
                    return last
            except grpc.RpcError as error:
                last = error
            time.sleep(0.02)
        sys.exit(f"FAILED: {what}; last: {last}")

    def refused(self, code, *words, target=("replicas", 1)):
        """KEDA drops the text of a GetMetricSpec error: the spec is answered, the two other calls carry the text."""
        (spec,) = self.specs()
        check((spec.metricName, spec.targetSize) == target, f"the spec that it will have, {target}: {spec}")
        request = self.pb.GetMetricsRequest(scaledObjectRef=self.ref, metricName=spec.metricName)
        for call in (
            lambda: self.stub.GetMetrics(request, timeout=2),
            lambda: self.stub.IsActive(self.ref, timeout=2),
        ):
            try:
                call()
            except grpc.RpcError as error:
                check(error.code() == code, f"{error.code()} instead of {code}: {error.details()}")
                for word in words:
                    check(word in error.details(), f"{word!r} in {error.details()!r}")
                check("s3cret" not in error.details(), "no value in an error")
                check(len(error.details()) < 1024, "fits an event of Kubernetes")
            else:
                sys.exit(f"FAILED: not refused with {code}")
        stream = self.stub.StreamMetricSpec(self.ref, timeout=60)
        check(list(next(stream).metricSpecs) == [spec], "the stream sends the same spec")
        stream.cancel()
        activity = self.stub.StreamIsActive(self.ref, timeout=0.3)
        try:
            sys.exit(f"FAILED: activity of a refused trigger: {next(activity)}")
        except grpc.RpcError as error:
            check(error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, "silent, and no error that KEDA would log")


def replicas(value, target):
    return math.ceil(value / target)


def main():
    proto_folder, grpc_port, redis_port, service_pid = sys.argv[1], *map(int, sys.argv[2:5])
    pb, grpc_stubs = stubs(proto_folder)
    redis = Redis(redis_port)
    channel = grpc.insecure_channel(f"127.0.0.1:{grpc_port}")

    def keda(name="worker", namespace="shop", **metadata):
        return Keda(channel, pb, grpc_stubs, namespace, name, metadata)

    def inline(stream, **more):
        return {"source": "main", "stream": stream, "consumerGroup": "g", **more}

    # Replicas mode: from a stream that never existed to work and its answer.
    trigger = keda(**inline("py:a", capacityPerReplica="10", targetDelay="10"))
    (spec,) = trigger.specs()
    check((spec.metricName, spec.targetSize, spec.targetSizeFloat) == ("replicas", 1, 1.0), "one metric, target 1")
    check(not set(spec.metricName) & set("/.:%()"), "a name without characters that Kubernetes refuses")
    trigger.until(lambda t, v, a: (t, v, a) == (1, 0, False), "a stream that never existed is zero and inactive")
    for n in range(30):
        redis("XADD", "py:a", "*", "n", n)
    trigger.until(lambda t, v, a: (t, v, a) == (1, 1, True), "a stream without its group: one replica, active")
    redis("XGROUP", "CREATE", "py:a", "g", "0")
    for n in range(2970):
        redis("XADD", "py:a", "*", "n", n)
    trigger.until(lambda t, v, a: v >= 30 and a, "3,000 waiting at 10/s within 10 s: at least 30 replicas")

    # KEDA's own keys and its own end-to-end figures.
    lag = keda("lag", **inline("py:b", lagCount="10"))
    check([s.targetSize for s in lag.specs()] == [10], "lagCount is the target")
    redis("XGROUP", "CREATE", "py:b", "g", "$", "MKSTREAM")
    for waiting, expect in ((30, 3), (10, 1), (20, 2), (0, 0)):
        redis("XTRIM", "py:b", "MAXLEN", 0)
        for n in range(waiting):
            redis("XADD", "py:b", "*", "n", n)
        lag.until(
            lambda t, v, a: replicas(v, t) == expect and v == waiting and a == (waiting > 0),
            f"threshold 10 and value {waiting} make {expect} replicas",
        )
    pending = keda("pending", **inline("py:b", pendingEntriesCount="5"))
    redis("XADD", "py:b", "*", "n", 1)
    redis("XREADGROUP", "GROUP", "g", "c", "STREAMS", "py:b", ">")
    pending.until(lambda t, v, a: (t, v, a) == (5, 1, True), "pendingEntriesCount counts pending entries")
    length = keda("length", source="main", stream="py:a", streamLength="50")
    length.until(lambda t, v, a: (t, v, a) == (50, 3000, True), "streamLength needs no consumer group")

    # What must be refused, by code and by words.
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    keda("bad1", **inline("py:a", laagCount="s3cret")).refused(invalid, "laagCount")
    keda("bad2", **inline("py:a", passwordFromEnv="s3cret")).refused(invalid, "passwordFromEnv")
    keda("bad3", **inline("py:a", targetDelay="s3cret")).refused(invalid, "targetDelay")
    bad = inline("py:a", lagCount="10", targetDelay="s3cret")
    keda("bad7", **bad).refused(invalid, "targetDelay", target=("backlog", 10))
    keda("bad8", **inline("py:a", minReplicas="9", maxReplicas="3")).refused(invalid, "maxReplicas")
    keda("bad9", **{f"key{n}": "s3cret" for n in range(200)}).refused(invalid, "more")
    keda("bad4", group="nobody").refused(invalid, "group")
    keda("bad5", **inline("other:*")).refused(grpc.StatusCode.PERMISSION_DENIED, "allow")
    keda("bad6", namespace="", **inline("py:a")).refused(invalid, "namespace")
    try:
        stub = grpc_stubs.ExternalScalerStub(channel)
        stub.GetMetrics(pb.GetMetricsRequest(scaledObjectRef=trigger.ref, metricName="backlog"), timeout=2)
        sys.exit("FAILED: an unknown metric name was answered")
    except grpc.RpcError as error:
        check(error.code() == invalid and "replicas" in error.details(), "an unknown metric name names the right one")
    try:
        stub.IsActive(pb.ScaledObjectRef(name="x" * 100_000, namespace="shop"), timeout=2)
        sys.exit("FAILED: a message over 64 KiB was taken")
    except grpc.RpcError as error:
        check(error.code() in (grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.RESOURCE_EXHAUSTED), "64 KiB are the most")

    # Streams: the state on open, each change, the same specs as GetMetricSpec, a clean end.
    pushed = keda("push", **inline("py:c", lagCount="10"))
    redis("XGROUP", "CREATE", "py:c", "g", "$", "MKSTREAM")
    pushed.until(lambda t, v, a: not a, "inactive at first")
    activity = pushed.stub.StreamIsActive(pushed.ref, timeout=60)
    check(next(activity).result is False, "the state on open")
    redis("XADD", "py:c", "*", "n", 1)
    check(next(activity).result is True, "a change is pushed")
    redis("XTRIM", "py:c", "MAXLEN", 0)
    check(next(activity).result is False, "and the change back")
    spec_stream = pushed.stub.StreamMetricSpec(pushed.ref, timeout=60)
    check(list(next(spec_stream).metricSpecs) == list(pushed.specs()), "the same specs as GetMetricSpec, never an empty list")

    os.kill(service_pid, signal.SIGTERM)
    check(pushed.poll() is not None, "calls are answered while draining")
    check([r for r in activity] == [] and activity.code() == grpc.StatusCode.OK, "activity streams end with OK")
    check([r for r in spec_stream] == [] and spec_stream.code() == grpc.StatusCode.OK, "spec streams end with OK")
    print(f"{passed} checks passed")


main()
