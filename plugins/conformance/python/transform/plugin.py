"""The transform that every SDK is checked with. The rules are those of `conformance/README.md`."""

from math import floor

from wasmill import Emit, Reject, metrics, transform


@transform(
    fields={"id": "/id: s64", "name": "/name: string?", "amount": "/amount: f64"},
    settings={"factor": {"type": "integer", "default": 2, "minimum": 1}},
    side_outputs={"nameless": False},
    reads_values=False,
)
def orders(row, context):
    metrics.count("rows")
    if row.id % 7 == 0:
        return None
    if row.amount < 0:
        raise Reject("negative amount")
    if row.name is None:
        return Emit(to="nameless")
    cents = floor(row.amount * context.settings["factor"] * 100 + 0.5)
    time = context.time + row.id % 1000

    def order(id):
        return Emit(key=row.name, time=time, value={"id": id, "name": row.name, "cents": cents})

    return [order(row.id), order(-row.id)] if row.id % 5 == 0 else order(row.id)
