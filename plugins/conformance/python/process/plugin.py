"""The process that every SDK is checked with. The rules are those of `conformance/README.md`."""

from wasmill import Emit, Packed, Reject, metrics, process

MINUTE = 60_000
STATE = Packed(count="s64", sum="s64", last="s64")
OLD = Packed(count="s64", sum="s64")


def without_last(data):
    old = OLD.decode(data)
    return STATE.type(old.count, old.sum, 0)


@process(
    fields={"id": "/id: s64", "cents": "/cents: s64"},
    settings={"factor": {"type": "integer", "default": 2, "minimum": 1}},
    side_outputs=["idle"],
    reads_values=False,
    state=STATE,
    migrations={0: without_last},
)
class Idle:
    def __init__(self, settings):
        self.factor = settings["factor"]

    def row(self, row, context):
        metrics.count("rows")
        if row.cents == 13:
            raise Reject("unlucky")
        state = context.state = context.state or context.fresh_state()
        state.count += 1
        state.sum += row.cents * self.factor
        state.last = context.time
        context.set_timer(context.time // MINUTE * MINUTE + 2 * MINUTE)
        if row.cents * state.count > state.sum + 100 * self.factor * state.count:
            return {"key": context.key, "id": row.id, "cents": row.cents, "count": state.count}
        return None

    def timer(self, time, context):
        state = context.state
        if state is None or state.last + MINUTE >= time:
            return None
        context.state = None
        return Emit(to="idle", value={"key": context.key, "count": state.count, "sum": state.sum, "at": time})
