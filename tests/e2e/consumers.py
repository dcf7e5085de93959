"""The consumers of all ready pods: each reads and acknowledges with a name of its own, at its nominal rate.

All of them share one connection: what is due in a tick goes to Redis in one round trip, so that a hundred of them cost a
fraction of a core. A consumer holds a batch for as long as its messages take, then acknowledges it and reads the next.
"""

import threading
import time
from dataclasses import dataclass, field

import redis

from settings import LATE_SECONDS

TICK_SECONDS = 0.02
IDLE_SECONDS = 0.25  # between two reads of a consumer that found nothing
BATCH_SECONDS = 0.2  # how much work a consumer takes at once


@dataclass
class Consumer:
    """One reader of one or more streams in one group."""

    name: str
    streams: list[str]
    group: str
    per_second: float
    until_idle_seconds: float = 0  # a job: it has finished when it found nothing for so long
    held: list[tuple[str, str]] = field(default_factory=list)
    due: float = 0.0
    reading_since: float = 0.0
    idle_since: float = field(default_factory=time.monotonic)
    goes_on: bool = False  # it had a batch until now
    saturated: bool = False  # it went on at once with a full batch: its rate shows
    recovers: bool = True  # reads what it was given before (a lost answer), then what is new
    stopping: bool = False

    @property
    def batch(self) -> int:
        return max(1, min(100, round(self.per_second * BATCH_SECONDS)))


@dataclass
class Tally:
    """What was done of one stream."""

    done: int = 0
    late: int = 0
    delay_sum: float = 0.0
    delay_max: float = 0.0
    saturated_seconds: float = 0.0
    saturated_done: int = 0
    delays: dict[int, int] = field(default_factory=dict)

    def add(self, identifier: str, now: float) -> None:
        delay = max(0.0, now - int(identifier.split("-")[0]) / 1000)
        self.done += 1
        self.late += delay > LATE_SECONDS
        self.delay_sum += delay
        self.delay_max = max(self.delay_max, delay)
        self.delays[int(delay)] = self.delays.get(int(delay), 0) + 1


class Shared:
    """Any consumer takes any message. (An exclusive mode would give each consumer its own part of `streams`.)"""

    def streams_of(self, consumer: Consumer) -> list[str]:
        return consumer.streams


class Consumers:
    """Runs consumers in a thread of its own; `finished(name, succeeded)` is called when one has ended."""

    def __init__(self, redis_port: int, finished, assignment=None):
        self.redis = redis.Redis(port=redis_port, decode_responses=True, socket_connect_timeout=2)
        self.finished, self.assignment = finished, assignment or Shared()
        self.consumers: dict[str, Consumer] = {}
        self.tallies: dict[str, Tally] = {}
        self.lock = threading.Lock()

    def add(self, consumer: Consumer) -> None:
        with self.lock:
            self.consumers[consumer.name] = consumer

    def stop(self, name: str) -> bool:
        """Has it end after the batch in hand; False if there is none of that name."""
        with self.lock:
            if consumer := self.consumers.get(name):
                consumer.stopping = True
            return consumer is not None

    def run(self) -> None:
        while True:
            started = time.monotonic()
            with self.lock:
                due = [consumer for consumer in self.consumers.values() if consumer.due <= started]
            if due:
                self._turn(due)
            time.sleep(max(0.001, TICK_SECONDS - (time.monotonic() - started)))

    def _turn(self, due: list[Consumer]) -> None:
        pipe = self.redis.pipeline(transaction=False)
        steps = []
        # As of now: who is told to end meanwhile holds a new batch, and ends after that.
        ending = [consumer for consumer in due if consumer.stopping]
        for consumer in due:
            for stream in {stream for stream, _ in consumer.held}:
                pipe.xack(stream, consumer.group, *[i for s, i in consumer.held if s == stream])
                steps.append((consumer, None))
            if consumer not in ending:
                start = "0" if consumer.recovers else ">"
                streams = dict.fromkeys(self.assignment.streams_of(consumer), start)
                pipe.xreadgroup(consumer.group, consumer.name, streams, count=consumer.batch)
                steps.append((consumer, streams))
        try:
            answers = pipe.execute(raise_on_error=False) if steps else []
        except redis.RedisError:
            for consumer in due:
                consumer.recovers, consumer.due = True, time.monotonic() + 0.5
            return
        self._account(due)
        for (consumer, streams), answer in zip(steps, answers):
            if streams is not None:
                self._take(consumer, answer)
        for consumer in ending:
            self._end(consumer, succeeded=False)

    def _account(self, due: list[Consumer]) -> None:
        now, wall = time.monotonic(), time.time()
        for consumer in due:
            consumer.goes_on = bool(consumer.held)
            for stream, identifier in consumer.held:
                self.tallies.setdefault(stream, Tally()).add(identifier, wall)
            if consumer.held:
                tally = self.tallies[consumer.held[0][0]]
                tally.saturated_seconds += consumer.saturated * (now - consumer.reading_since)
                tally.saturated_done += consumer.saturated * len(consumer.held)
                consumer.held, consumer.idle_since = [], now

    def _take(self, consumer: Consumer, answer) -> None:
        now = time.monotonic()
        if isinstance(answer, Exception):
            self._make_group(consumer, answer)
            answer = []
        held = [(stream, identifier) for stream, entries in answer or [] for identifier, _ in entries]
        if held:
            # One that goes on working counts from when its last batch was due, so that ticks do not slow it down.
            begins = consumer.due if consumer.goes_on and consumer.due > now - 1 else now
            consumer.saturated = begins < now and len(held) == consumer.batch
            consumer.held, consumer.reading_since = held, now
            consumer.due = begins + len(held) / consumer.per_second
        elif consumer.recovers:
            consumer.recovers = False
        else:
            consumer.due = now + IDLE_SECONDS
            if consumer.until_idle_seconds and now - consumer.idle_since > consumer.until_idle_seconds:
                self._end(consumer, succeeded=True)

    def _make_group(self, consumer: Consumer, error: Exception) -> None:
        if "NOGROUP" not in str(error):
            return
        for stream in consumer.streams:
            try:
                self.redis.xgroup_create(stream, consumer.group, id="0", mkstream=True)
            except redis.RedisError:
                pass  # another consumer was faster, or it is tried again with the next read

    def _end(self, consumer: Consumer, succeeded: bool) -> None:
        with self.lock:
            self.consumers.pop(consumer.name, None)
        self.finished(consumer.name, succeeded)
