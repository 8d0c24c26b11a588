"""Settings: a plugin declares them with a JSON Schema, and `configure` checks the job file's against it.

An error names the setting and says what was expected. Understood: type, default, enum, const, the limits of numbers, texts
and arrays, pattern, items, properties, required.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

Schema = Mapping[str, Any]

_LIMITS: dict[str, tuple[str, Callable[[Any, Any], bool], str]] = {
    "minimum": ("number", lambda value, limit: value >= limit, "at least {}"),
    "maximum": ("number", lambda value, limit: value <= limit, "at most {}"),
    "exclusiveMinimum": ("number", lambda value, limit: value > limit, "more than {}"),
    "exclusiveMaximum": ("number", lambda value, limit: value < limit, "less than {}"),
    "multipleOf": ("number", lambda value, step: value % step == 0, "a multiple of {}"),
    "minLength": ("string", lambda value, limit: len(value) >= limit, "a text of at least {} characters"),
    "maxLength": ("string", lambda value, limit: len(value) <= limit, "a text of at most {} characters"),
    "pattern": ("string", lambda value, pattern: re.search(pattern, value) is not None, "a text that matches {}"),
    "minItems": ("array", lambda value, limit: len(value) >= limit, "at least {} items"),
    "maxItems": ("array", lambda value, limit: len(value) <= limit, "at most {} items"),
}
_OTHERS = {"type", "default", "enum", "const", "items", "properties", "required", "additionalProperties"}
_WORDS = {"title", "description", "examples", "$schema", "$id", "$comment"}


class BadSettings(ValueError):
    """Settings that do not fit; the text is for the author of the job file."""


def schema_of(settings: Schema | None) -> dict[str, Any]:
    """The schema of settings given as a schema of an object, or as the schemas of its members."""
    settings = settings or {}
    if settings.get("type") == "object":
        schema = {"additionalProperties": False, **settings}
    else:
        required = [name for name, part in settings.items() if "default" not in part]
        schema = {"type": "object", "properties": dict(settings), "required": required, "additionalProperties": False}
    _declared(schema, "settings")
    return schema


def _declared(schema: Schema, place: str) -> None:
    """Refuses a schema with words that would not be checked: a limit that silently does nothing is worse than none."""
    for word in schema:
        if word not in _LIMITS and word not in _OTHERS and word not in _WORDS:
            raise TypeError(f'{place}: "{word}" is not among the parts of JSON Schema that settings may use')
    for name, part in schema.get("properties", {}).items():
        _declared(part, f"{place}.{name}")
    if "items" in schema:
        _declared(schema["items"], f"{place}[]")


def parse_settings(text: str, schema: Schema) -> Any:
    """Reads settings from their JSON text. What is left out gets its default."""
    try:
        settings = json.loads(text or "{}")
    except ValueError as error:
        raise BadSettings(f"settings: {error}") from None
    return _check(settings, schema, "")


def _check(value: Any, schema: Schema, path: str) -> Any:
    def fail(expected: str) -> None:
        where = f'setting "{path}"' if path else "settings"
        raise BadSettings(f"{where}: expected {expected}, found {_shown(value)}")

    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(_has_type(value, each) for each in types):
        fail(" or ".join(map(_article, types)))
    choices = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if choices is not None and not any(_shown(value) == _shown(choice) for choice in choices):
        fail(" or ".join(map(_shown, choices)))
    for word, (of_type, holds, words) in _LIMITS.items():
        if word in schema and _has_type(value, of_type) and not holds(value, schema[word]):
            fail(words.format(schema[word]))
    if isinstance(value, list) and "items" in schema:
        return [_check(item, schema["items"], f"{path}[{at}]") for at, item in enumerate(value)]
    return _check_members(value, schema, path) if isinstance(value, dict) else value


def _check_members(value: dict[str, Any], schema: Schema, path: str) -> dict[str, Any]:
    known = schema.get("properties", {})
    checked = {}
    for name in sorted(value):
        place = f"{path}.{name}" if path else name
        if name in known:
            checked[name] = _check(value[name], known[name], place)
        elif schema.get("additionalProperties") is False:
            raise BadSettings(_unknown(name, place, list(known)))
        else:
            checked[name] = value[name]
    for name, part in known.items():
        if name in checked:
            continue
        if "default" in part:
            checked[name] = part["default"]
        elif name in schema.get("required", ()):
            place = f"{path}.{name}" if path else name
            raise BadSettings(f'setting "{place}" is missing: expected {_article(part.get("type"))}')
    return checked


def _unknown(name: str, place: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f'; did you mean "{close[0]}"?' if close else ""
    return f'unknown setting "{place}", expected {", ".join(known) or "none"}{hint}'


def _has_type(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    types = {"number": (int, float), "string": str, "array": list, "object": dict, "null": type(None)}
    return isinstance(value, types.get(name, ()))


def _article(name: Any) -> str:
    if isinstance(name, list):
        return " or ".join(map(_article, name))
    if name is None:
        return "a value"
    return name if name == "null" else f"an {name}" if name[0] in "aeio" else f"a {name}"


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
