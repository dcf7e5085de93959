"""What a run comes to, per workload: delays from the kubelet, replicas and their changes from the timeline."""


def of_workload(workload, rows: list[dict], tallies: dict) -> dict:
    """`rows`: the timeline's of this workload; `tallies`: the kubelet's by stream."""
    mine = [tallies[stream] for stream in workload.streams if stream in tallies]
    done = sum(each["done"] for each in mine)
    late = sum(each["late"] for each in mine)
    saturated = sum(each["saturated_seconds"] for each in mine)
    changes = changes_of([row["spec"] for row in rows if row["spec"] != ""])
    return {
        "workload": workload.name,
        "done": done,
        "left": rows[-1]["backlog"] if rows else "",
        "late": late,
        "late_percent": _ratio(100 * late, done),
        "worst_delay_seconds": round(max((each["delay_max"] for each in mine), default=0.0), 1),
        "mean_delay_seconds": _ratio(sum(each["delay_sum"] for each in mine), done),
        "replica_seconds": round(area(rows, "replicas")),
        "changes": len(changes),
        "reversals": reversals(changes),
        "peak": max((row["spec"] for row in rows if row["spec"] != ""), default=0),
        "per_second_nominal": workload.per_second,
        "per_second_achieved": _ratio(sum(each["saturated_done"] for each in mine), saturated),
        "delays": _histogram(mine),
    }


def changes_of(counts: list[int]) -> list[tuple[int, int]]:
    """Each change as (before, after)."""
    return [(before, after) for before, after in zip(counts, counts[1:]) if before != after]


def reversals(changes: list[tuple[int, int]]) -> int:
    """How often a change goes the other way than the one before."""
    up = [after > before for before, after in changes]
    return sum(first != second for first, second in zip(up, up[1:]))


def area(rows: list[dict], column: str) -> float:
    """The integral of a column over time."""
    known = [(row["seconds"], row[column]) for row in rows if row[column] != ""]
    return sum((later - now) * value for (now, value), (later, _) in zip(known, known[1:]))


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 2) if whole else None


def _histogram(tallies: list[dict]) -> dict[str, int]:
    """Messages by whole seconds of delay."""
    counts: dict[int, int] = {}
    for tally in tallies:
        for second, count in tally["delays"].items():
            counts[int(second)] = counts.get(int(second), 0) + count
    return {str(second): counts[second] for second in sorted(counts)}
