"""Numbers about the plugin's work. Names are letters, digits and `_`."""

from . import _host


def count(name: str, by: int = 1) -> None:
    """Adds to a counter."""
    if by < 0:
        raise ValueError(f"metrics.count: expected a count, found {by}")
    _host.counts[name] = _host.counts.get(name, 0) + by


def gauge(name: str, value: float) -> None:
    """Sets a gauge."""
    _host.host.gauge(name, float(value))


def observe(name: str, value: float) -> None:
    """Adds an observation to a histogram."""
    _host.host.observe(name, float(value))
