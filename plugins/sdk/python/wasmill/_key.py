"""Keys: rows with equal bytes belong together.

They are readable text; parts of a tuple are joined by `|` and escaped so that different tuples give different keys, in
every SDK alike.
"""

from __future__ import annotations

import re
from typing import Union

from ._binary import encode

Part = Union[str, bytes, int]
Key = Union[Part, tuple[Part, ...], list[Part]]

_SPECIAL = re.compile(rb"[|\\]")
_PIECES = re.compile(r"\\.?|[^\\]", re.DOTALL)


def key_of(key: Key) -> bytes:
    """The bytes of a key."""
    if isinstance(key, (tuple, list)):
        return b"|".join(_SPECIAL.sub(rb"\\\g<0>", _plain(part)) for part in key)
    return _plain(key)


def _plain(key: Part) -> bytes:
    if isinstance(key, str):
        return encode(key)
    if isinstance(key, bytes):
        return key
    if isinstance(key, int) and not isinstance(key, bool):
        return b"%d" % key
    raise TypeError(f"a key is text, bytes, an integer, or a tuple of these; found {type(key).__name__}")


def key_parts(key: str) -> list[str]:
    """The parts of a key that was made from a tuple, as texts."""
    parts = [""]
    for piece in _PIECES.findall(key):
        if piece == "|":
            parts.append("")
        else:
            parts[-1] += piece[1:] if len(piece) > 1 else piece
    return parts
