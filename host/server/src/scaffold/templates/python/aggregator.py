"""Counts the requests of each service in a window: all, failed ones, and how long the slowest took."""

from wasmill import Packed, aggregator, isoformat


@aggregator(
    fields={"status": "/status: s64", "millis": "/millis: s64"},
    settings={"at_least": {"type": "integer", "minimum": 1, "default": 1}},
    accumulator=Packed(requests="s64", failed="s64", slowest="s64"),
)
class RequestStatistics:
    def __init__(self, settings):
        self.at_least = settings["at_least"]

    def add(self, totals, row):
        totals.requests += 1
        totals.failed += row.status >= 500
        totals.slowest = max(totals.slowest, row.millis)

    def merge(self, into, other):
        into.requests += other.requests
        into.failed += other.failed
        into.slowest = max(into.slowest, other.slowest)

    def finish(self, totals, window):
        if totals.requests < self.at_least:
            return None
        return {
            "service": window.key,
            "requests": totals.requests,
            "failed": totals.failed,
            "slowest_ms": totals.slowest,
            "from": isoformat(window.start),
        }
