"""Keyed logic with state and event-time timers as a plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ._binary import Binary, BinaryColumn, column_of
from ._codec import Codec, Json, Migrations, migrate
from ._context import KeyContext
from ._emit import Refusal, Rows, SideRows, Writer
from ._failure import Fatal, Reject
from ._plugin import Kept, Plugin, make, method, with_context
from ._settings import Schema
from ._timers import TimerColumns


@dataclass(slots=True)
class Output:
    """What a call returns, as it crosses the boundary."""

    states: Binary
    timers: TimerColumns
    main: Rows
    sides: list[SideRows]
    rejects: list[Refusal]


def process(
    *,
    fields: Mapping[str, str] | None = None,
    settings: Schema | None = None,
    side_outputs: Iterable[str] | Mapping[str, bool] | None = None,
    state: Codec | None = None,
    state_version: int = 1,
    migrations: Migrations | None = None,
    reads_values: bool | None = None,
    writes_values: bool = True,
) -> Callable[[type], Process]:
    """Makes a plugin of a class with the methods `row(row, context)` and, if it sets timers, `timer(time, context)`.

    Both return what to emit, as transforms do. `context.state` is the state of the key, `context.set_timer(time)` has
    `timer` called when event time has come that far. The constructor takes the settings, if it takes anything.
    """
    options = (fields, settings, side_outputs, reads_values, writes_values)
    return lambda logic: Process(logic, state or Json(), state_version, migrations or {}, options)


class Process(Plugin):
    """A process. Calling it makes the object, as in a test."""

    kind = "process"

    def __init__(self, logic: type, codec: Codec, version: int, migrations: Migrations, options: tuple[Any, ...]) -> None:
        super().__init__(*options)
        method(logic, "row", "process")
        self._class, self._codec, self._migrations = logic, codec, migrations
        self.state_version = version

    def __call__(self, *arguments: Any) -> Any:
        return self._class(*arguments)

    def configure(self, text: str) -> Any:
        needs = super().configure(text)
        logic = make(self._class, self.settings)
        self._row = with_context(logic.row, 1)
        self._timer = with_context(logic.timer, 1) if hasattr(logic, "timer") else _no_timer
        return needs

    def process(self, turn: Any) -> Output:
        """Processes rows and fires timers."""
        batch, rows = turn.batch, len(turn.batch.times)
        context = KeyContext(turn, self._codec, self.settings)
        writer = Writer(self.writes_values, self.sides, _KeptOfKeys(turn, rows))
        objects = self.fields.rows(batch)
        for at, (group, time) in enumerate(zip(turn.groups, batch.times)):
            context._group = group
            if turn.ordered:
                self._fire(context, writer, rows, time)
            context._at = at
            try:
                returned = self._row(next(objects), context)
            except Reject as reject:
                writer.reject(at, str(reject))
                continue
            writer.add(at, returned)
        for group in range(len(turn.keys.ends)):
            context._group = group
            self._fire(context, writer, rows, turn.watermark)
        states = self._stored(context)
        return Output(column_of(states), context._timers.columns(), *writer.finish(rows))

    def _fire(self, context: KeyContext, writer: Writer, rows: int, until: int) -> None:
        """Fires the timers of the key up to and including `until`, also those that are set meanwhile."""
        while (time := context._timers.take(context._group, until)) is not None:
            writer.add(rows + context._group, self._timer(time, context), time)

    def _stored(self, context: KeyContext) -> list[bytes]:
        loaded = context._loaded
        encode = self._codec.encode
        return [
            stored if group not in loaded else b"" if loaded[group] is None else encode(loaded[group])
            for group, stored in enumerate(context._states)
        ]

    def migrate(self, from_version: int, states: Any) -> Binary:
        """Rewrites states of an older version."""
        return migrate(states, from_version, self._migrations, self._codec)


class _KeptOfKeys(Kept):
    """What stays of a row, or of a timer: that has the key, but no value."""

    __slots__ = ("_turn", "_rows", "_turn_keys")

    def __init__(self, turn: Any, rows: int) -> None:
        super().__init__(turn.batch)
        self._turn, self._rows, self._turn_keys = turn, rows, BinaryColumn(turn.keys)

    def key(self, row: int) -> bytes:
        return self._turn_keys[self._turn.groups[row] if row < self._rows else row - self._rows]

    def value(self, row: int) -> bytes:
        if row >= self._rows:
            raise TypeError("a timer has no row whose value could be kept: give a value")
        return super().value(row)


def _no_timer(_time: int, _context: Any) -> Any:
    raise Fatal('a timer was set, but the plugin has no method "timer"')
