"""What the three kinds of plugin have in common: options, description, needs, and going through rows."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ._context import Context, column
from ._emit import Side, parse_sides
from ._fields import Fields
from ._settings import Schema, parse_settings, schema_of


@dataclass(slots=True)
class Description:
    """Who a plugin is, as it crosses the boundary."""

    name: str
    version: str
    settings: str | None
    state_version: int


@dataclass(slots=True)
class Needs:
    """What a plugin wants and gives, as it crosses the boundary."""

    fields: list[str]
    reads_values: bool
    writes_values: bool
    side_outputs: list[Side]


class Plugin:
    """A plugin before it is a component."""

    kind: str
    state_version = 0

    def __init__(
        self,
        fields: Mapping[str, str] | None,
        settings: Schema | None,
        side_outputs: Iterable[str] | Mapping[str, bool] | None = None,
        reads_values: bool | None = None,
        writes_values: bool = True,
    ) -> None:
        self.fields = Fields(fields)
        self.schema = schema_of(settings)
        self.sides = parse_sides(side_outputs)
        self.writes_values = writes_values
        # Rows that are kept need their old values in outputs that have values of their own.
        keeps = writes_values or any(side.writes_values for side in self.sides)
        self.reads_values = keeps if reads_values is None else reads_values
        self.settings: Any = None

    def needs(self) -> Needs:
        """What it wants to see and gives back."""
        return Needs(self.fields.declarations, self.reads_values, self.writes_values, self.sides)

    def configure(self, text: str) -> Needs:
        """Takes the settings."""
        self.settings = parse_settings(text, self.schema)
        return self.needs()


class Kept:
    """What stays of a row in the columns of an output."""

    __slots__ = ("time", "_keys", "_values")

    def __init__(self, batch: Any) -> None:
        self.time: Callable[[int], int] = batch.times.__getitem__
        self._keys = column(batch.keys)
        self._values = column(batch.values)

    def key(self, row: int) -> bytes:
        """Its key; empty if no step has set one."""
        return b"" if self._keys is None else self._keys[row]

    def value(self, row: int) -> bytes:
        """Its bytes."""
        if self._values is None:
            raise TypeError("a row without a value of its own: give one, or declare reads_values=True")
        return self._values[row]


def with_context(function: Callable[..., Any], arguments: int) -> Callable[..., Any]:
    """The function with a context behind its `arguments`, whether its author takes that or not."""
    parameters = inspect.signature(function).parameters.values()
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    if len(positional) > arguments or any(each.kind == each.VAR_POSITIONAL for each in parameters):
        return function
    if arguments == 1:
        return lambda row, _context: function(row)
    return lambda state, row, _context: function(state, row)


def make(logic: type, settings: Any) -> Any:
    """The logic with its settings, if its class takes them."""
    return logic(settings) if inspect.signature(logic).parameters else logic()


def method(logic: type, name: str, kind: str) -> None:
    """Checks that a class has a method."""
    if not callable(getattr(logic, name, None)):
        raise TypeError(f'{kind}: class {logic.__name__} lacks a method "{name}"')


__all__ = ["Context", "Description", "Kept", "Needs", "Plugin", "make", "method", "with_context"]
