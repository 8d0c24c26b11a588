"""The fields that a plugin wants: how they are declared to the host, and how columns become row objects."""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any

from ._binary import BinaryColumn

_DECLARATION = re.compile(r"(?:(?P<pointer>.*):)?\s*(?P<type>[a-z0-9]+)(?:\([^)]*\))?\??\s*", re.DOTALL)
_TYPES = ("bool", "s64", "f64", "string", "time")


class Fields:
    """Declared fields: `{"name": "/pointer: type"}`, or `{"name": "type"}` for the member of that name."""

    def __init__(self, declared: Mapping[str, str] | None) -> None:
        self.names = list(declared or {})
        self.declarations = [_declaration(name, text) for name, text in (declared or {}).items()]
        try:
            self._row: Any = namedtuple("Row", self.names)
        except ValueError as error:
            raise TypeError(f"fields become attributes of a row: {error}") from None

    def cells(self, batch: Any) -> list[Sequence[Any]]:
        """The cells of the columns; `None` where a value is missing."""
        if len(batch.fields) != len(self.names):
            raise TypeError(f"the host sent {len(batch.fields)} columns for {len(self.names)} fields")
        return [_cells(column) for column in batch.fields]

    def rows(self, batch: Any) -> Iterator[Any]:
        """The rows as objects: named tuples, made by C code that goes through all columns at once."""
        if not self.names:
            return repeat(self._row(), len(batch.times))
        return map(self._row._make, zip(*self.cells(batch)))


def _declaration(name: str, text: str) -> str:
    found = _DECLARATION.fullmatch(text)
    if found is None or found["type"] not in _TYPES:
        raise TypeError(f'field "{name}": expected a declaration such as "/{name}: s64?", found {text!r}')
    return f"/{name}: {text.strip()}" if found["pointer"] is None else text


def _cells(column: Any) -> Sequence[Any]:
    cells = column.cells.value
    if hasattr(cells, "ends"):
        cells = BinaryColumn(cells).texts()
    for row in column.missing:
        cells[row] = None
    return cells
