"""The second argument of a plugin's functions: what there is to know about the row at hand besides its fields."""

from __future__ import annotations

import json
from typing import Any

from ._binary import BinaryColumn
from ._codec import Codec
from ._timers import Timers


class Context:
    """One object per call, which looks at the row at hand: do not keep it."""

    __slots__ = ("settings", "_at", "_batch", "_keys", "_values")

    def __init__(self, batch: Any, settings: Any) -> None:
        self.settings = settings
        self._at = 0
        self._batch = batch
        self._keys = column(batch.keys)
        self._values = column(batch.values)

    @property
    def time(self) -> int:
        """The row's event time, in milliseconds since 1970."""
        return self._batch.times[self._at]

    @property
    def key(self) -> str | None:
        """Its key as text; `None` if no earlier step has set one."""
        return None if self._keys is None else self._keys.text(self._at)

    @property
    def key_bytes(self) -> bytes | None:
        """Its key as bytes."""
        return None if self._keys is None else self._keys[self._at]

    @property
    def value(self) -> bytes:
        """Its raw value."""
        if self._values is None:
            raise TypeError("the raw value is not there: declare reads_values=True")
        return self._values[self._at]

    @property
    def text(self) -> str:
        """Its raw value as text."""
        return self.value.decode(errors="replace")

    def json(self) -> Any:
        """Its raw value, parsed: slower than a declared field."""
        return json.loads(self.value)


class KeyContext(Context):
    """The context in a process: it knows the state and the timers of the key, too."""

    __slots__ = ("watermark", "_codec", "_group", "_states", "_loaded", "_timers")

    def __init__(self, turn: Any, codec: Codec, settings: Any) -> None:
        super().__init__(turn.batch, settings)
        self.watermark: int = turn.watermark
        self._keys = BinaryColumn(turn.keys)
        self._codec = codec
        self._group = 0
        self._states = BinaryColumn(turn.states)
        self._loaded: dict[int, Any] = {}
        self._timers = Timers(len(turn.keys.ends), turn.timers)

    @property
    def key(self) -> str:
        """The key as text."""
        return self._keys.text(self._group)

    @property
    def key_bytes(self) -> bytes:
        """The key as bytes."""
        return self._keys[self._group]

    @property
    def state(self) -> Any:
        """The state of the key, `None` if it has none. What is changed in place is kept."""
        if self._group not in self._loaded:
            stored = self._states[self._group]
            self._loaded[self._group] = self._codec.decode(stored) if stored else None
        return self._loaded[self._group]

    @state.setter
    def state(self, state: Any) -> None:
        self._loaded[self._group] = state

    def fresh_state(self) -> Any:
        """A fresh state, as the codec makes it."""
        return self._codec.fresh()

    def set_timer(self, time: int) -> None:
        """Sets a timer of the key. Setting it twice is the same as once."""
        self._timers.set(self._group, time)

    def clear_timer(self, time: int) -> None:
        """Forgets a timer of the key, if there is one."""
        self._timers.clear(self._group, time)


def column(binary: Any) -> BinaryColumn | None:
    """An optional column."""
    return None if binary is None else BinaryColumn(binary)
