"""The pending timers of the keys of a call, each key's in the order of their times."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class TimerColumns:
    """Timers as they cross the boundary."""

    groups: list[int]
    times: list[int]


class Timers:
    """Pending timers."""

    __slots__ = ("_by_group",)

    def __init__(self, groups: int, timers: Any) -> None:
        self._by_group: list[list[int]] = [[] for _ in range(groups)]
        for group, time in zip(timers.groups, timers.times):
            self._by_group[group].append(time)

    def set(self, group: int, time: int) -> None:
        """Adds a timer, unless it is there."""
        if not isinstance(time, int):
            raise TypeError(f"set_timer: a time is a whole number of milliseconds, found {type(time).__name__}")
        pending = self._by_group[group]
        at = bisect_left(pending, time)
        if at == len(pending) or pending[at] != time:
            pending.insert(at, time)

    def clear(self, group: int, time: int) -> None:
        """Removes a timer, if it is there."""
        pending = self._by_group[group]
        if time in pending:
            pending.remove(time)

    def take(self, group: int, until: int) -> int | None:
        """The next timer up to and including `until`, which is then no longer pending."""
        pending = self._by_group[group]
        return pending.pop(0) if pending and pending[0] <= until else None

    def columns(self) -> TimerColumns:
        """All that are pending."""
        groups = [group for group, pending in enumerate(self._by_group) for _ in pending]
        return TimerColumns(groups, [time for pending in self._by_group for time in pending])
