"""Write wasmill plugins in Python: functions and small classes, which `wasmill build` turns into components.

Nothing here imports the generated bindings, so plugins run and are tested with any Python; what connects them to a
component is in `_component`, which only the entry module of a build imports.
"""

from . import log, metrics
from ._aggregator import Window, aggregator
from ._codec import Json, Packed
from ._context import Context, KeyContext
from ._emit import Emit
from ._failure import Fatal, Reject, Retry
from ._key import key_parts
from ._process import process
from ._time import isoformat
from ._transform import Batch, Columns, transform, transform_batch

__all__ = [
    "Batch",
    "Columns",
    "Context",
    "Emit",
    "Fatal",
    "Json",
    "KeyContext",
    "Packed",
    "Reject",
    "Retry",
    "Window",
    "aggregator",
    "isoformat",
    "key_parts",
    "log",
    "metrics",
    "process",
    "transform",
    "transform_batch",
]
