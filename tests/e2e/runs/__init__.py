"""The runs by name, in the order in which they are done."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module


@dataclass
class Definition:
    """A run: what it shows, how long it takes about, and what does it."""

    about: str
    minutes: int
    do: Callable


RUNS: dict[str, Definition] = {}


def run(name: str, minutes: int):
    """Registers a function of a `Run`; the first line of its docstring says what it shows."""

    def register(do: Callable) -> Callable:
        RUNS[name] = Definition((do.__doc__ or "").strip().splitlines()[0], minutes, do)
        return do

    return register


# Each module registers its runs when it is imported.
for _module in "side_by_side cold scale_in hang beside features errors faults objects start tls".split():
    import_module(f"runs.{_module}")
