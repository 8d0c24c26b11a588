"""The aggregator that every SDK is checked with. The rules are those of `conformance/README.md`."""

from wasmill import Packed, Reject, aggregator, metrics

LEAST, GREATEST = -(2**63), 2**63 - 1
TOTALS = Packed(count="s64", sum="s64", min=("s64", GREATEST), max=("s64", LEAST))
OLD = Packed(count="s64", sum="s64", min="s64")


def without_maximum(data):
    old = OLD.decode(data)
    return TOTALS.type(old.count, old.sum, old.min, old.min)


@aggregator(
    fields={"id": "/id: s64", "cents": "/cents: s64"},
    settings={"factor": {"type": "integer", "default": 2, "minimum": 1}},
    accumulator=TOTALS,
    migrations={0: without_maximum},
)
class Totals:
    def __init__(self, settings):
        self.factor = settings["factor"]

    def add(self, totals, row):
        metrics.count("rows")
        if row.cents == 13:
            raise Reject("unlucky")
        totals.count += 1
        totals.sum += row.cents * self.factor
        totals.min = min(totals.min, row.id)
        totals.max = max(totals.max, row.id)

    def merge(self, into, other):
        into.count += other.count
        into.sum += other.sum
        into.min = min(into.min, other.min)
        into.max = max(into.max, other.max)

    def finish(self, totals, window):
        if totals.count % 11 == 0:
            raise Reject("eleven")
        result = {
            "key": window.key,
            "count": totals.count,
            "sum": totals.sum,
            "min": totals.min,
            "max": totals.max,
            "from": window.start,
            "to": window.end,
            "late": window.is_late,
        }
        return result if totals.sum % 2 == 0 else [result, {"key": window.key, "odd": totals.sum}]
