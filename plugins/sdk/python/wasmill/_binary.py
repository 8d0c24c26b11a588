"""Columns of byte strings, and the bytes of what a plugin gives as a value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from itertools import accumulate
from typing import Any

_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class Binary:
    """A column as it crosses the boundary: the ends of its items, and all their bytes."""

    ends: list[int]
    bytes: bytes


class BinaryColumn(Sequence[bytes]):
    """A column that the host has sent; items are cut out of it when somebody looks at them."""

    __slots__ = ("ends", "whole")

    def __init__(self, column: Any) -> None:
        self.ends: list[int] = column.ends
        self.whole: bytes = column.bytes

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self[each] for each in range(*at.indices(len(self)))]
        if at < 0:
            at += len(self.ends)
        if not 0 <= at < len(self.ends):
            raise IndexError(at)
        return self.whole[self.ends[at - 1] if at else 0 : self.ends[at]]

    def __iter__(self) -> Iterator[bytes]:
        start = 0
        for end in self.ends:
            yield self.whole[start:end]
            start = end

    def text(self, at: int) -> str:
        """An item as text; what is not UTF-8 becomes U+FFFD."""
        return self[at].decode(errors="replace")

    def texts(self) -> list[str]:
        """All items as texts. A column that is ASCII throughout is converted in one piece."""
        if self.whole.isascii():
            whole = self.whole.decode("ascii")
            return [whole[start:end] for start, end in zip([0, *self.ends], self.ends)]
        return [item.decode(errors="replace") for item in self]

    def raw(self) -> Binary:
        """As it crosses the boundary."""
        return Binary(self.ends, self.whole)


def column_of(items: Sequence[bytes]) -> Binary:
    """A column of these items."""
    return Binary(list(accumulate(map(len, items))), b"".join(items))


def encode(text: str) -> bytes:
    """UTF-8. Halves of surrogate pairs that stand alone become U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text).encode()


def _as_json(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"a value cannot be written as JSON: {type(value).__name__}")


# What JSON has no word for, such as NaN, is an error: readers would stumble over it.
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_as_json).encode


def value_of(value: Any) -> bytes:
    """The bytes of a value: text and bytes as they are, anything else as JSON."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return encode(value)
    if hasattr(value, "_asdict"):
        value = value._asdict()
    return encode(_to_json(value))
