"""report.md: one table per run, the medians of its repetitions with their spread, and what each run asserted."""

import json
from pathlib import Path
from statistics import median

COLUMNS = (
    ("late, %", "late_percent"),
    ("worst delay, s", "worst_delay_seconds"),
    ("mean delay, s", "mean_delay_seconds"),
    ("replica-seconds", "replica_seconds"),
    ("changes", "changes"),
    ("reversals", "reversals"),
    ("peak", "peak"),
    ("done", "done"),
    ("msg/s per consumer", "per_second_achieved"),
)


def write(folder: Path) -> Path:
    """Reads every summary.json below `folder` and writes report.md there."""
    rounds: dict[str, list[dict]] = {}
    for file in sorted(folder.glob("*/summary.json"), key=lambda file: file.stat().st_mtime):
        summary = json.loads(file.read_text())
        rounds.setdefault(summary["run"], []).append(summary)
    minutes = sum(summary["took_seconds"] for summaries in rounds.values() for summary in summaries) / 60
    lines = ["# End-to-end runs", "", f"{minutes:.0f} minutes.", ""]
    for name, summaries in rounds.items():
        lines += _of_run(name, summaries)
    file = folder / "report.md"
    file.write_text("\n".join(lines))
    return file


def _of_run(name: str, summaries: list[dict]) -> list[str]:
    passed = all(summary["passed"] for summary in summaries)
    times = len(summaries)
    took = round(sum(summary["took_seconds"] for summary in summaries) / 60, 1)
    often = f"{times} rounds (median, smallest to largest), " if times > 1 else ""
    lines = [f"## {name}: {'PASS' if passed else 'FAIL'}", "", f"{often}{took} minutes.", ""]
    for label in summaries[0]["scenes"]:
        scenes = [summary["scenes"][label] for summary in summaries if label in summary["scenes"]]
        lines += _table("workload" if label == name else label, scenes)
    for summary in summaries:
        for check in summary["checks"]:
            lines.append(f"- {'PASS' if check['passed'] else '**FAIL**'} {check['what']}: {check['figures']}")
    return lines + [""]


def _table(head: str, scenes: list[list[dict]]) -> list[str]:
    titles = [head, *(title for title, _ in COLUMNS)]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for row in scenes[0]:
        same = [each for scene in scenes for each in scene if each["workload"] == row["workload"]]
        cells = [_cell([each[key] for each in same]) for _, key in COLUMNS]
        lines.append("| " + " | ".join([row["workload"], *cells]) + " |")
    return lines + [""]


def _cell(values: list) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    if len(known) == 1 or min(known) == max(known):
        return _number(known[0])
    return f"{_number(median(known))} ({_number(min(known))} to {_number(max(known))})"


def _number(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value:,}"
