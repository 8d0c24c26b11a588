"""Stateless logic as a plugin: a function over rows, or over whole batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ._binary import Binary, BinaryColumn, column_of, value_of
from ._context import Context, column
from ._emit import Refusal, Rows, SideRows, Writer
from ._failure import Fatal, Reject
from ._key import Key, key_of
from ._plugin import Kept, Plugin, with_context
from ._settings import Schema


@dataclass(slots=True)
class Output:
    """What a call returns, as it crosses the boundary."""

    main: Rows
    sides: list[SideRows]
    rejects: list[Refusal]


@dataclass(slots=True)
class Batch:
    """A batch in columns. `fields` are lists by name, with `None` where a value is missing."""

    times: list[int]
    keys: BinaryColumn | None
    values: BinaryColumn | None
    fields: dict[str, Sequence[Any]]

    def __len__(self) -> int:
        return len(self.times)


@dataclass(slots=True)
class Columns:
    """Rows to emit, in columns. What is left out stays as it was; without `origins`: one output row per input row."""

    origins: Sequence[int] | None = None
    times: Sequence[int] | None = None
    keys: Sequence[Key] | None = None
    values: Sequence[Any] | None = None
    sides: dict[str, Columns] = field(default_factory=dict)
    rejects: dict[int, str] = field(default_factory=dict)


def transform(
    *,
    fields: Mapping[str, str] | None = None,
    settings: Schema | None = None,
    side_outputs: Iterable[str] | Mapping[str, bool] | None = None,
    reads_values: bool | None = None,
    writes_values: bool = True,
) -> Callable[[Callable[..., Any]], Transform]:
    """Makes a plugin of a function that takes a row, and a context if it wants one, and returns what becomes of it:

    `None` drops the row, `True` keeps it, a dict or dataclass is its new value, `Emit` sets key, time, value or output,
    and a list is several of these.
    """
    return lambda logic: Transform(logic, fields, settings, side_outputs, reads_values, writes_values)


def transform_batch(
    *,
    fields: Mapping[str, str] | None = None,
    settings: Schema | None = None,
    side_outputs: Iterable[str] | Mapping[str, bool] | None = None,
    reads_values: bool | None = None,
    writes_values: bool = True,
) -> Callable[[Callable[[Batch, Any], Columns]], BatchTransform]:
    """Makes a plugin of a function over whole batches: it takes a `Batch` and the settings, and returns `Columns`."""
    return lambda logic: BatchTransform(logic, fields, settings, side_outputs, reads_values, writes_values)


class Stateless(Plugin):
    """A transform, however it is written. Calling it calls the function, as in a test."""

    kind = "transform"

    def __init__(self, logic: Callable[..., Any], *options: Any) -> None:
        super().__init__(*options)
        self.logic = logic

    def __call__(self, *arguments: Any) -> Any:
        return self.logic(*arguments)

    def migrate(self, _from_version: int, _states: Any) -> Any:
        raise Fatal("no state")


class Transform(Stateless):
    """A transform over rows."""

    def __init__(self, logic: Callable[..., Any], *options: Any) -> None:
        super().__init__(logic, *options)
        self._logic = with_context(logic, 1)

    def transform(self, batch: Any) -> Output:
        """Transforms a batch."""
        writer = Writer(self.writes_values, self.sides, Kept(batch))
        context = Context(batch, self.settings)
        logic = self._logic
        rows = self.fields.rows(batch)
        for at in range(len(batch.times)):
            context._at = at
            try:
                returned = logic(next(rows), context)
            except Reject as reject:
                writer.reject(at, str(reject))
                continue
            writer.add(at, returned)
        return Output(*writer.finish(len(batch.times)))


class BatchTransform(Stateless):
    """A transform over columns."""

    def transform(self, batch: Any) -> Output:
        """Transforms a batch."""
        cells = dict(zip(self.fields.names, self.fields.cells(batch)))
        columns = self.logic(Batch(batch.times, column(batch.keys), column(batch.values), cells), self.settings)
        numbers = {side.name: number for number, side in enumerate(self.sides)}
        sides = []
        for name, rows in columns.sides.items():
            if name not in numbers:
                raise TypeError(f'no side output "{name}"; declared are: {", ".join(numbers) or "none"}')
            sides.append(SideRows(numbers[name], _rows(rows)))
        return Output(_rows(columns), sides, [Refusal(*each) for each in sorted(columns.rejects.items())])


def _rows(columns: Columns) -> Rows:
    return Rows(
        None if columns.origins is None else list(columns.origins),
        None if columns.times is None else list(columns.times),
        _column(columns.keys, key_of),
        _column(columns.values, value_of),
    )


def _column(items: Sequence[Any] | None, write: Callable[[Any], bytes]) -> Binary | None:
    if items is None:
        return None
    return items.raw() if isinstance(items, BinaryColumn) else column_of([write(item) for item in items])
