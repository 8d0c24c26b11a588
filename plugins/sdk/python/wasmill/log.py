"""Lines for the host's log, which adds job, step and plugin: `log.info("…")`."""

from . import _host


def debug(message: object) -> None:
    """Writes a line at level debug."""
    _host.host.log("debug", str(message))


def info(message: object) -> None:
    """Writes a line at level info."""
    _host.host.log("info", str(message))


def warn(message: object) -> None:
    """Writes a line at level warn."""
    _host.host.log("warn", str(message))


def error(message: object) -> None:
    """Writes a line at level error."""
    _host.host.log("error", str(message))
