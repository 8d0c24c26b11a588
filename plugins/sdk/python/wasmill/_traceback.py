"""Tracebacks inside a component. The ones of the standard library look for source files, which traps where there are none, so
this one keeps the lines of the plugin's modules and asks for nothing else."""

from __future__ import annotations

import os
import re
import sys
import traceback
from types import TracebackType

_HERE = os.path.dirname(__file__)
_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"

_sources: dict[str, list[str]] = {}


def keep_sources() -> None:
    """Keeps the lines of the modules that are not Python's own. To be called while there are files."""
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if path and path.endswith(".py") and not path.startswith(os.path.dirname(os.__file__)):
            with open(path, encoding="utf-8") as source:
                _sources[path] = source.read().splitlines()


def describe(error: BaseException) -> str:
    """The error with its traceback, from where the SDK calls the plugin."""
    return "".join(_parts(error, set())).rstrip()


def _parts(error: BaseException, seen: set[int]) -> list[str]:
    seen.add(id(error))
    earlier, words = error.__cause__, _CAUSE
    if earlier is None and not error.__suppress_context__:
        earlier, words = error.__context__, _CONTEXT
    before = [] if earlier is None or id(earlier) in seen else [*_parts(earlier, seen), words]
    frames = _frames(error.__traceback__)
    headline = ["Traceback (most recent call last):\n"] if frames else []
    return [*before, *headline, *frames, *traceback.format_exception_only(type(error), error)]


def _frames(place: TracebackType | None) -> list[str]:
    outer = place
    while place is not None and place.tb_frame.f_code.co_filename.startswith(_HERE):
        place = place.tb_next
    lines = []
    # An error of the SDK about the plugin has no frame of the plugin: then all are shown.
    for frame, number in traceback.walk_tb(place or outer):
        path = frame.f_code.co_filename
        source = _sources.get(path, [])
        # The build gives folders numbers that mean nothing to the author.
        lines.append(f'  File "{re.sub("^/[0-9]+/", "", path)}", line {number}, in {frame.f_code.co_name}\n')
        if number is not None and 0 < number <= len(source):
            lines.append(f"    {source[number - 1].strip()}\n")
    return lines
