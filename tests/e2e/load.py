"""The producer: adds messages to streams by a schedule, and writes what it added each second as a trace for `simulate`.

    load.py PORT TRACE STREAM[,STREAM…] PHASE…

A phase is `RATE:SECONDS`, `FROM-TO:SECONDS` (a ramp) or `burst:MESSAGES`. What could not be added while Redis was away is added
when it is back.
"""

import csv
import sys
import time
from dataclasses import dataclass

import redis

SLICE_SECONDS = 0.05
MOST_AT_ONCE = 2_000
# One call per stream and slice instead of one per message.
ADD = "for _ = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], '*', 'v', ARGV[2]) end"


@dataclass
class Phase:
    """Messages per second that go from one rate to another; a burst has no length."""

    first: float
    last: float
    seconds: float
    at_once: int = 0

    def added_after(self, seconds: float) -> float:
        part = min(max(seconds, 0.0), self.seconds)
        slope = (self.last - self.first) / self.seconds if self.seconds else 0.0
        return self.at_once + self.first * part + slope * part * part / 2


def phase(text: str) -> Phase:
    what, number = text.split(":")
    if what == "burst":
        return Phase(0, 0, 0, int(number))
    first, _, last = what.partition("-")
    return Phase(float(first), float(last or first), float(number))


def due(phases: list[Phase], seconds: float) -> int:
    """Messages that should have been added `seconds` after the start."""
    total, begins = 0.0, 0.0
    for each in phases:
        if seconds < begins:
            break
        total += each.added_after(seconds - begins)
        begins += each.seconds
    return int(total + 1e-6)


def main(port: str, trace: str, streams: str, *texts: str) -> None:
    phases = [phase(text) for text in texts]
    length = sum(each.seconds for each in phases)
    client = redis.Redis(port=int(port), socket_timeout=120, socket_connect_timeout=2)
    added = dict.fromkeys(streams.split(","), 0)
    started, rows, told = time.monotonic(), 0, 0
    with open(trace, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time_seconds", "0"])
        while True:
            seconds = time.monotonic() - started
            wanted = due(phases, min(seconds, length))
            _add(client, added, wanted)
            done = seconds >= length and min(added.values()) >= wanted
            # The first stream stands for all: each gets the same. What Redis kept waiting counts in the second it came.
            now = next(iter(added.values()))
            while rows < int(seconds) or (done and rows < length):
                rows += 1
                arrived = now - told if rows >= int(seconds) else 0
                told += arrived
                writer.writerow([rows, arrived])
                file.flush()
            if done:
                return
            time.sleep(SLICE_SECONDS)


def _add(client: redis.Redis, added: dict[str, int], wanted: int) -> None:
    pipe = client.pipeline(transaction=False)
    missing = {stream: min(wanted - count, MOST_AT_ONCE) for stream, count in added.items() if count < wanted}
    for stream, count in missing.items():
        pipe.eval(ADD, 1, stream, count, "x" * 64)
    try:
        pipe.execute()
        for stream, count in missing.items():
            added[stream] += count
    except redis.RedisError:
        time.sleep(0.2)


if __name__ == "__main__":
    main(*sys.argv[1:])
