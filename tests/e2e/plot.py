"""A picture per run: replicas, backlog, oldest age and what was done, over time."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402  (the backend has to be chosen first)

PANELS = (("spec", "replicas wanted"), ("ready", "ready"), ("backlog", "backlog"), ("oldest_seconds", "oldest, s"))


def draw(title: str, rows: list[dict], file: Path) -> None:
    """`rows` of a timeline; marks become vertical lines."""
    figure, axes = pyplot.subplots(len(PANELS), sharex=True, figsize=(12, 11), constrained_layout=True)
    names = list(dict.fromkeys(row["workload"] for row in rows))
    marks = sorted({(row["seconds"], row["marks"]) for row in rows if row["marks"] and row["workload"] == names[0]})
    for axis, (column, label) in zip(axes, PANELS):
        for name in names:
            known = [(row["seconds"], row[column]) for row in rows if row["workload"] == name and row[column] != ""]
            axis.step([second for second, _ in known], [value for _, value in known], where="post", label=name, linewidth=1.2)
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        for second, text in marks:
            axis.axvline(second, color="grey", linestyle=":", linewidth=0.8)
            if axis is axes[0]:
                axis.annotate(_short(text), (second, 1.0), xycoords=("data", "axes fraction"), rotation=35, fontsize=7)
    axes[0].set_title(title, pad=80, loc="left")
    axes[0].legend(fontsize=8, ncols=2)
    axes[-1].set_xlabel("seconds")
    figure.savefig(file)
    pyplot.close(figure)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
