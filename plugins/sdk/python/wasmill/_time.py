"""Times are milliseconds since 1970-01-01T00:00:00Z."""

from datetime import datetime, timedelta

_EPOCH = datetime(1970, 1, 1)


def isoformat(millis: int) -> str:
    """The time as the host writes it: `2013-01-01T00:10:00.000Z`. Years 1 to 9999."""
    return (_EPOCH + timedelta(milliseconds=millis)).isoformat(timespec="milliseconds") + "Z"
