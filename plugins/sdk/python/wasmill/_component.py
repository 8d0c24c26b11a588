"""From a plugin to the exports of a component. The entry module that `wasmill build` writes calls this; nothing else may
import it, since the bindings exist only inside a build."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import componentize_py_types
from wit_world.imports import log as wit_log
from wit_world.imports import metrics as wit_metrics
from wit_world.imports import types as wit_types

from . import _host, _traceback, log
from ._failure import Fatal, Retry
from ._plugin import Description, Plugin
from ._settings import BadSettings

_LEVELS = {level.name.lower(): level for level in wit_log.Level}
_FUNCTIONS = {
    "transform": ("Transformer", ["transform"]),
    "aggregator": ("Aggregation", ["accumulate", "merge", "finish"]),
    "process": ("Processing", ["process"]),
}


class _Imports:
    """The imports of the component."""

    def log(self, level: str, message: str) -> None:
        wit_log.log(_LEVELS[level], message)

    count = staticmethod(wit_metrics.count)
    gauge = staticmethod(wit_metrics.gauge)
    observe = staticmethod(wit_metrics.observe)


def exports(module: ModuleType, kind: str, name: str, version: str) -> dict[str, type]:
    """The classes that the entry module must define, by name."""
    plugin = _plugin(module, kind)
    _host.attach(_Imports())
    _traceback.keep_sources()
    _remove_clock()

    class Lifecycle:
        def describe(self) -> Any:
            return Description(name, version, _json(plugin.schema), plugin.state_version)

        def configure(self, settings: str) -> Any:
            return _configured(plugin, settings)

        def migrate(self, from_version: int, states: Any) -> Any:
            return _guarded(plugin.migrate, from_version, states)

    interface, functions = _FUNCTIONS[kind]
    logic = type(interface, (), {each: _method(getattr(plugin, each)) for each in functions})
    return {"Lifecycle": Lifecycle, interface: logic}


def _plugin(module: ModuleType, kind: str) -> Any:
    plugins = {name: each for name, each in vars(module).items() if isinstance(each, Plugin)}
    found = list({id(each): each for each in plugins.values()}.values())
    if len(found) != 1:
        names = f": {', '.join(plugins)}" if plugins else ""
        raise TypeError(
            f"{module.__name__}.py has {len(found)} plugins{names}; expected one function or class with @transform(…), "
            "@aggregator(…) or @process(…)"
        )
    if found[0].kind != kind:
        raise TypeError(
            f'pyproject.toml says kind = "{kind}", but {module.__name__}.py has @{found[0].kind}(…); make them agree'
        )
    return found[0]


def _json(schema: Any) -> str:
    return json.dumps(schema, ensure_ascii=False)


def _remove_clock() -> None:
    """There is no clock in a component; asking for it would trap without a word."""

    def refuse(*_: Any) -> Any:
        raise RuntimeError("a plugin has no clock: use context.time, or window.end")

    for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep"):
        setattr(time, name, refuse)


def _configured(plugin: Any, settings: str) -> Any:
    try:
        return plugin.configure(settings)
    except BadSettings as error:
        raise componentize_py_types.Err(str(error)) from None
    except Exception as error:
        log.error(_traceback.describe(error))
        raise componentize_py_types.Err(f"{type(error).__name__}: {error}") from None


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _self, *arguments: _guarded(function, *arguments)


def _guarded(function: Callable[..., Any], *arguments: Any) -> Any:
    """Runs a call. An exception that is no failure of the contract is logged with its traceback and traps."""
    _host.begin_call()
    try:
        result = function(*arguments)
    except Retry as error:
        raise componentize_py_types.Err(wit_types.Failure_Retry(str(error))) from None
    except Fatal as error:
        raise componentize_py_types.Err(wit_types.Failure_Fatal(str(error))) from None
    except BaseException as error:
        log.error(_traceback.describe(error))
        raise
    _host.end_call()
    return result
