"""What a plugin returns for a row, and the columns that become of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any, Protocol

from ._binary import Binary, column_of, value_of
from ._key import Key, key_of

_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(slots=True)
class Emit:
    """A row to emit. What is left out stays as in the row that it came from; `to` names a side output."""

    key: Key | None = None
    time: int | None = None
    value: Any = None
    to: str | None = None


@dataclass(slots=True)
class Side:
    """A declared side output, as it crosses the boundary."""

    name: str
    writes_values: bool


@dataclass(slots=True)
class Rows:
    """The rows of an output, as they cross the boundary."""

    origins: list[int] | None = None
    times: list[int] | None = None
    keys: Binary | None = None
    values: Binary | None = None


@dataclass(slots=True)
class SideRows:
    """The rows of a side output, as they cross the boundary."""

    side: int
    rows: Rows


@dataclass(slots=True)
class Refusal:
    """A row that is refused, as it crosses the boundary."""

    row: int
    reason: str


class Input(Protocol):
    """What a row has if the plugin leaves it out."""

    def time(self, origin: int) -> int: ...
    def key(self, origin: int) -> bytes: ...
    def value(self, origin: int) -> bytes: ...


def parse_sides(declared: Iterable[str] | Mapping[str, bool] | None) -> list[Side]:
    """Reads `["name"]`, or `{"name": writes_values}`."""
    if isinstance(declared, str):
        raise TypeError(f"side_outputs: expected a list of names, found {declared!r}")
    entries = declared.items() if isinstance(declared, Mapping) else [(name, True) for name in declared or ()]
    for name, _ in entries:
        if not _NAME.fullmatch(name) or name == "late":
            raise TypeError(f'side output "{name}": expected letters, digits, "_" and "-", and not "late"')
    return [Side(name, bool(writes_values)) for name, writes_values in entries]


class Writer:
    """Takes what a plugin returns, row by row, and makes the columns of all outputs."""

    def __init__(self, writes_values: bool, sides: list[Side], given: Input) -> None:
        self._given = given
        self._main = _Output("the main output", writes_values)
        self._sides = {side.name: _Output(f'side output "{side.name}"', side.writes_values) for side in sides}
        self._rejects: list[Refusal] = []

    def reject(self, row: int, reason: str) -> None:
        """Refuses a row."""
        self._rejects.append(Refusal(row, reason))

    def add(self, origin: int, returned: Any, time: int | None = None) -> None:
        """Adds what was returned for `origin`. `time` is that of rows that have none to keep, those of a timer."""
        if returned is None or returned is False:
            return
        if isinstance(returned, Emit):
            own_time = time if returned.time is None else returned.time
            self._output(returned.to).push(origin, returned.key, own_time, returned.value)
        elif isinstance(returned, list):
            for one in returned:
                self.add(origin, one, time)
        elif returned is True:
            self._main.push(origin, None, time, None)
        elif isinstance(returned, (dict, str, bytes)) or hasattr(returned, "_asdict") or is_dataclass(returned):
            self._main.push(origin, None, time, returned)
        else:
            found = type(returned).__name__
            raise TypeError(f"returned {found}; expected None, True, a dict, a dataclass, text, bytes, Emit, or a list of these")

    def _output(self, name: str | None) -> _Output:
        if name is None:
            return self._main
        if name not in self._sides:
            raise TypeError(f'no side output "{name}"; declared are: {", ".join(self._sides) or "none"}')
        return self._sides[name]

    def finish(self, rows: int | None) -> tuple[Rows, list[SideRows], list[Refusal]]:
        """The columns for the host. `rows`: how many input rows, all of which in order need no origins."""
        sides = [
            SideRows(number, output.columns(self._given, None))
            for number, output in enumerate(self._sides.values())
            if output.origins
        ]
        return self._main.columns(self._given, rows), sides, self._rejects


class _Output:
    """The rows of one output."""

    __slots__ = ("_name", "_writes_values", "origins", "_keys", "_times", "_values")

    def __init__(self, name: str, writes_values: bool) -> None:
        self._name = name
        self._writes_values = writes_values
        self.origins: list[int] = []
        self._keys: list[bytes | None] = []
        self._times: list[int | None] = []
        self._values: list[bytes | None] = []

    def push(self, origin: int, key: Key | None, time: int | None, value: Any) -> None:
        if value is not None:
            if not self._writes_values:
                raise TypeError(f"{self._name} is declared to keep the bytes of its rows, but got a value")
            value = value_of(value)
        if time is not None and not isinstance(time, int):
            raise TypeError(f"a time is a whole number of milliseconds, found {type(time).__name__}")
        self._keys.append(None if key is None else key_of(key))
        self.origins.append(origin)
        self._times.append(time)
        self._values.append(value)

    def columns(self, given: Input, rows: int | None) -> Rows:
        keys, times = self._filled(self._keys, given.key), self._filled(self._times, given.time)
        values = self._filled(self._values, given.value, True) if self._writes_values else None
        is_whole = rows is not None and self.origins == list(range(rows))
        return Rows(
            origins=None if is_whole else self.origins,
            times=times,
            keys=None if keys is None else column_of(keys),
            values=None if values is None else column_of(values),
        )

    def _filled(self, cells: list[Any], instead: Callable[[int], Any], always: bool = False) -> list[Any] | None:
        """The cells with what rows bring along where nothing was set; `None` if nothing was set at all."""
        unset = cells.count(None)
        if unset == len(cells) and not always:
            return None
        if unset == 0:
            return cells
        return [instead(origin) if cell is None else cell for origin, cell in zip(self.origins, cells)]
