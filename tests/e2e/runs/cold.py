"""Cold starts over arrivals, consumers and start-up times: nothing learned beside a configured capacity."""

from objects import Workload, streamgauge
from runs import run
from scene import Run

# Arrivals per second, messages per second of one consumer, seconds until a replica is ready.
CELLS = ((20, 5, 3), (20, 50, 30), (400, 50, 30), (400, 500, 3), (1500, 500, 30), (1500, 50, 3))
LOAD_SECONDS = 150


@run("cold-grid", minutes=36)
def cold_grid(run: Run) -> None:
    """Cold starts at 20 to 1,500 messages/s, consumers of 5 to 500/s, start-up in 3 and 30 s, beside a configured capacity."""
    for arrivals, rate, start in CELLS:
        maximum = max(30, 2 * arrivals // rate)
        label = f"{arrivals}-{rate}-{start}"
        workloads = []
        for name in ("cold", "configured"):
            stream = run.new_name(f"{name}-{label}")
            known = {"capacityPerReplica": rate} if name == "configured" else {}
            trigger = streamgauge(run.ports, stream, maxReplicas=maximum, **known)
            workloads.append(Workload(name, [trigger], [stream], per_second=rate, start_seconds=start, maximum=maximum))
        with run.scene(workloads, label) as scene:
            scene.load(f"{arrivals}:{LOAD_SECONDS}")
            scene.until_zero(480)
        judge(run, scene.summary, arrivals, rate, start)


def judge(run: Run, found: dict[str, dict], arrivals: int, rate: int, start: int) -> None:
    cold, configured = found["cold"], found["configured"]
    cell = f"{arrivals}/s, consumers {rate}/s, start {start} s"
    run.check_rate(cold, cell)
    # A start of 30 s makes the first messages late whatever is decided: nothing runs before.
    allowed = max(1.0, configured["late_percent"] + 1.0)
    run.check(f"{cell}: late ≤ {allowed:.1f} %", cold["late_percent"] <= allowed, f"{cold['late_percent']} %")
    worst = max(40.0, configured["worst_delay_seconds"] + 10)
    figure = cold["worst_delay_seconds"]
    run.check(f"{cell}: worst delay ≤ {worst:.0f} s", figure <= worst, f"{figure} s")
    limit = round(1.15 * configured["replica_seconds"])
    cost = cold["replica_seconds"]
    run.check(f"{cell}: replica-seconds ≤ 1.15 × configured", cost <= limit, f"{cost} of {limit}")
