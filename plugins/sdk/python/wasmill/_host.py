"""What a plugin may ask of the host. A component connects it to its imports; in tests lines go to stderr."""

import sys
from typing import Protocol


class Host(Protocol):
    """The imports of a component."""

    def log(self, level: str, message: str) -> None: ...
    def count(self, name: str, by: int) -> None: ...
    def gauge(self, name: str, value: float) -> None: ...
    def observe(self, name: str, value: float) -> None: ...


class Terminal:
    """Stands in for the host in tests: remembers metrics, prints lines."""

    def __init__(self) -> None:
        self.metrics: dict[str, float | list[float]] = {}

    def log(self, level: str, message: str) -> None:
        print(f"{level}: {message}", file=sys.stderr)

    def count(self, name: str, by: int) -> None:
        self.metrics[name] = self.metrics.get(name, 0) + by

    def gauge(self, name: str, value: float) -> None:
        self.metrics[name] = value

    def observe(self, name: str, value: float) -> None:
        self.metrics.setdefault(name, []).append(value)


host: Host = Terminal()

# Counters of the call at hand. They cross the boundary once per call, not once per row, and only if the call succeeds.
counts: dict[str, int] = {}


def attach(connected: Host) -> None:
    """Connects logs and metrics."""
    global host
    host = connected


def begin_call() -> None:
    """Begins a call: what a failed one has counted is forgotten."""
    counts.clear()


def end_call() -> None:
    """Ends a call that has succeeded."""
    for name, by in counts.items():
        host.count(name, by)
    counts.clear()
