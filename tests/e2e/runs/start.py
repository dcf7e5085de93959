"""How soon a process that has just started answers KEDA."""

import time
from statistics import median

from objects import streamgauge
from rpc import until_answered
from runs import run
from scene import Run
from service import Service
from settings import SERVICE_ADDRESSES

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
            times.append(until_answered(f"{instance.address}:{run.ports['grpc']}", "start", "shop", metadata, began) * 1000)
            instance.stop()
    finally:
        instance.stop()
    figures = f"median {median(times):.0f} ms, longest {max(times):.0f} ms of {ROUNDS} starts"
    run.check("GetMetricSpec within 100 ms of the start", median(times) <= 100, figures)
