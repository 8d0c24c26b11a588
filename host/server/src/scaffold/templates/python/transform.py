"""Keeps the requests that failed or were slow, and keys them by service."""

from wasmill import Emit, Reject, transform


@transform(
    fields={"service": "/service: string", "status": "/status: s64", "millis": "/millis: s64"},
    settings={"slow_ms": {"type": "integer", "minimum": 1, "default": 500}},
    reads_values=False,
    writes_values=False,
)
def troubled_requests(row, context):
    if row.millis < 0:
        raise Reject("negative duration")
    is_troubled = row.status >= 500 or row.millis >= context.settings["slow_ms"]
    return Emit(key=row.service) if is_troubled else None
