"""Windowed logic as a plugin: an accumulator per window and key, and results when a window fires."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ._binary import Binary, BinaryColumn, column_of, value_of
from ._codec import Codec, Json, Migrations, migrate
from ._context import Context
from ._emit import Refusal
from ._failure import Reject
from ._plugin import Plugin, make, method, with_context
from ._settings import Schema


@dataclass(slots=True)
class Accumulated:
    """What `accumulate` returns, as it crosses the boundary."""

    accumulators: Binary
    rejects: list[Refusal]


@dataclass(slots=True)
class Finished:
    """What `finish` returns, as it crosses the boundary."""

    origins: list[int] | None
    values: Binary
    rejects: list[Refusal]


@dataclass(slots=True, frozen=True)
class Window:
    """A window that fires: from `start` to before `end`, in milliseconds; `is_late` if late rows have changed it."""

    start: int
    end: int
    is_late: bool
    key_bytes: bytes

    @property
    def key(self) -> str:
        """The key as text."""
        return self.key_bytes.decode(errors="replace")


def aggregator(
    *,
    fields: Mapping[str, str] | None = None,
    settings: Schema | None = None,
    accumulator: Codec | None = None,
    state_version: int = 1,
    migrations: Migrations | None = None,
    reads_values: bool = False,
) -> Callable[[type], Aggregator]:
    """Makes a plugin of a class with the methods `add(accumulator, row)`, `merge(into, other)` and
    `finish(accumulator, window)`. Its constructor takes the settings, if it takes anything; `add` may take a context.

    `add` and `merge` change the accumulator in place, or return a new one. `finish` returns `None`, a result, or a list.
    """
    options = (fields, settings, None, reads_values)
    return lambda logic: Aggregator(logic, accumulator or Json(), state_version, migrations or {}, options)


class Aggregator(Plugin):
    """An aggregator. Calling it makes the object, as in a test."""

    kind = "aggregator"

    def __init__(self, logic: type, codec: Codec, version: int, migrations: Migrations, options: tuple[Any, ...]) -> None:
        super().__init__(*options)
        for name in ("add", "merge", "finish"):
            method(logic, name, "aggregator")
        self._class, self._codec, self._migrations = logic, codec, migrations
        self.state_version = version

    def __call__(self, *arguments: Any) -> Any:
        return self._class(*arguments)

    def configure(self, text: str) -> Any:
        needs = super().configure(text)
        self._logic = make(self._class, self.settings)
        self._add = with_context(self._logic.add, 2)
        return needs

    def accumulate(self, accumulators: Any, groups: list[int], batch: Any) -> Accumulated:
        """Adds each row to its accumulator."""
        column = BinaryColumn(accumulators)
        states: list[Any] = [None] * len(column)
        rejects = []
        context = Context(batch, self.settings)
        rows = self.fields.rows(batch)
        add = self._add
        for at, group in enumerate(groups):
            context._at = at
            state = states[group]
            if state is None:
                state = states[group] = self._load(column[group])
            try:
                changed = add(state, next(rows), context)
            except Reject as reject:
                rejects.append(Refusal(at, str(reject)))
                continue
            if changed is not None:
                states[group] = changed
        return Accumulated(column_of(list(self._stored(column, states))), rejects)

    def _load(self, stored: bytes) -> Any:
        return self._codec.decode(stored) if stored else self._codec.fresh()

    def _stored(self, column: BinaryColumn, states: list[Any]) -> Iterator[bytes]:
        for stored, state in zip(column, states):
            yield stored if state is None and stored else self._codec.encode(self._codec.fresh() if state is None else state)

    def merge(self, accumulators: Any, groups: list[int], count: int) -> Binary:
        """Merges accumulators of the same key."""
        merged: list[Any] = [None] * count
        for stored, group in zip(BinaryColumn(accumulators), groups):
            state, into = self._load(stored), merged[group]
            if into is None:
                merged[group] = state
                continue
            changed = self._logic.merge(into, state)
            if changed is not None:
                merged[group] = changed
        return column_of([self._codec.encode(state) for state in merged])

    def finish(self, fired: Any) -> Finished:
        """Turns accumulators of fired windows into results."""
        origins: list[int] = []
        values: list[bytes] = []
        rejects = []
        windows = zip(fired.starts, fired.ends, fired.panes, BinaryColumn(fired.keys), BinaryColumn(fired.accumulators))
        for at, (start, end, pane, key, stored) in enumerate(windows):
            try:
                returned = self._logic.finish(self._load(stored), Window(start, end, pane.name == "LATE", key))
            except Reject as reject:
                rejects.append(Refusal(at, str(reject)))
                continue
            results = returned if isinstance(returned, list) else [] if returned is None else [returned]
            values.extend(map(value_of, results))
            origins.extend([at] * len(results))
        is_whole = origins == list(range(len(fired.starts)))
        return Finished(None if is_whole else origins, column_of(values), rejects)

    def migrate(self, from_version: int, accumulators: Any) -> Binary:
        """Rewrites accumulators of an older version."""
        return migrate(accumulators, from_version, self._migrations, self._codec)
