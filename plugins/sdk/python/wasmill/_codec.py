"""How accumulators and states become bytes between two calls.

Their layout lives as long as the state of the job: when it changes, raise `state_version` and say in `migrations` how to
read the old one.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Protocol

from ._binary import Binary, BinaryColumn, column_of
from ._failure import Fatal

Migrations = Mapping[int, Callable[[bytes], Any]]


class Codec(Protocol):
    """Makes, writes and reads accumulators or states. Empty bytes are for the host: a fresh accumulator, no state."""

    def fresh(self) -> Any: ...
    def encode(self, state: Any) -> bytes: ...
    def decode(self, data: bytes) -> Any: ...


class Json:
    """Any JSON value; the default. `fresh` makes the first one."""

    def __init__(self, fresh: Callable[[], Any] = dict) -> None:
        self.fresh = fresh

    def encode(self, state: Any) -> bytes:
        return json.dumps(state, ensure_ascii=False, separators=(",", ":")).encode()

    def decode(self, data: bytes) -> Any:
        return json.loads(data)


_FORMATS = {"s64": "q", "f64": "d", "bool": "?"}
_ZEROS = {"s64": 0, "f64": 0.0, "bool": False}


class Packed:
    """Numbers at fixed places, little-endian: `Packed(count="s64", mean="f64")`. Smaller and faster than JSON.

    A state is an object with these attributes. Fresh ones are zero, or as given: `Packed(least=("s64", 100))`.
    """

    def __init__(self, **members: str | tuple[str, Any]) -> None:
        if not members:
            raise TypeError('Packed: expected members, such as count="s64"')
        types, first = {}, {}
        for name, member in members.items():
            kind, *fresh = (member,) if isinstance(member, str) else member
            if kind not in _FORMATS:
                raise TypeError(f'member "{name}": expected s64, f64 or bool, found {kind!r}')
            types[name] = kind
            first[name] = fresh[0] if fresh else _ZEROS[kind]
        self._struct = struct.Struct("<" + "".join(_FORMATS[kind] for kind in types.values()))
        self.type = _record(list(types), first)
        self._read = attrgetter(*types) if len(types) > 1 else lambda state: (getattr(state, next(iter(types))),)

    def fresh(self) -> Any:
        return self.type()

    def encode(self, state: Any) -> bytes:
        return self._struct.pack(*self._read(state))

    def decode(self, data: bytes) -> Any:
        if len(data) != self._struct.size:
            size = self._struct.size
            raise ValueError(f"stored state has {len(data)} bytes instead of {size}: another version of the plugin wrote it")
        return self.type(*self._struct.unpack(data))


def _record(names: list[str], first: dict[str, Any]) -> Any:
    """A class with these attributes and nothing else, so that a misspelt one is an error."""

    def init(self: Any, *values: Any, **named: Any) -> None:
        for name, value in zip(names, values) if values else {**first, **named}.items():
            setattr(self, name, value)

    def show(self: Any) -> str:
        return f"Packed({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return type("Packed", (), {"__slots__": tuple(names), "__init__": init, "__repr__": show})


def migrate(states: Any, from_version: int, migrations: Migrations, codec: Codec) -> Binary:
    """Rewrites states of an older version by the plugin's table of migrations."""
    column = BinaryColumn(states)
    if not column:
        return column.raw()
    if from_version not in migrations:
        raise Fatal(f"unknown version {from_version}")
    read = migrations[from_version]
    try:
        return column_of([codec.encode(read(state)) if state else b"" for state in column])
    except Exception as error:
        raise Fatal(f"state of version {from_version}: {error}") from error
