"""Redis as the runs see it: makes streams, and says from Redis itself what waits and for how long."""

import time

import redis

from settings import GROUP

COUNTED = 2_000


class Broker:
    """The Redis of the cluster; answers None where it does not answer."""

    def __init__(self, port: int):
        # Redis loses count of what a group was given when it is killed: from then on what is left is counted.
        self.was_killed = False
        self.redis = redis.Redis(port=port, decode_responses=True, socket_timeout=0.5, socket_connect_timeout=0.5)

    def make(self, stream: str, group: str = GROUP) -> None:
        """A stream without messages and with the group."""
        self.redis.delete(stream)
        self.redis.xgroup_create(stream, group, id="0", mkstream=True)

    def empty(self, stream: str, group: str = GROUP) -> None:
        """Nothing to do for the group, which keeps its name: what was learned of it stays true."""
        try:
            self.redis.xgroup_create(stream, group, id="0", mkstream=True)
        except redis.ResponseError:
            pass

    def drop(self, *streams: str) -> None:
        if streams:
            self.redis.delete(*streams)

    def add(self, stream: str, count: int = 1) -> None:
        pipe = self.redis.pipeline(transaction=False)
        for _ in range(count):
            pipe.xadd(stream, {"v": "x"})
        pipe.execute()

    def orphan(self, stream: str, count: int, group: str = GROUP) -> None:
        """A consumer reads `count` messages and is never seen again."""
        self.redis.xreadgroup(group, "gone", {stream: ">"}, count=count)

    def waiting(self, stream: str, group: str = GROUP) -> tuple[int | None, float | None]:
        """Messages not yet acknowledged, and the age of the oldest in seconds. Nothing is ever deleted here, so `lag` is right."""
        try:
            found = [each for each in self.redis.xinfo_groups(stream) if each["name"] == group]
            if not found:
                return self.redis.xlen(stream), None
            lag, pending = found[0]["lag"], found[0]["pending"]
            oldest = []
            if pending:
                oldest.append(self.redis.xpending(stream, group)["min"])
            if lag is None or lag > 0:
                most = COUNTED if self.was_killed else 1
                entries = self.redis.xrange(stream, min="(" + found[0]["last-delivered-id"], count=most)
                oldest += [identifier for identifier, _ in entries[:1]]
                if self.was_killed and len(entries) < COUNTED:
                    lag = len(entries)
            ages = [time.time() - int(identifier.split("-")[0]) / 1000 for identifier in oldest if identifier]
            return None if lag is None else lag + pending, round(max(ages, default=0.0), 1)
        except redis.RedisError:
            return None, None
