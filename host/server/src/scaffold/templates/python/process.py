"""Tells when a service falls silent, and when it is back."""

from wasmill import Packed, isoformat, process


@process(
    settings={"after_seconds": {"type": "integer", "minimum": 1, "default": 300}},
    state=Packed(seen="s64", silent="bool"),
    reads_values=False,
)
class Silence:
    def __init__(self, settings):
        self.after = settings["after_seconds"] * 1000

    def row(self, row, context):
        last = context.state
        context.state = context.fresh_state()
        context.state.seen = context.time
        context.set_timer(context.time + self.after)
        return self.change(context, "back", last.seen) if last and last.silent else None

    def timer(self, time, context):
        """Each row sets a timer; that of the last row finds that nothing has come since."""
        last = context.state
        if last.silent or last.seen + self.after > time:
            return None
        last.silent = True
        return self.change(context, "silent", last.seen)

    def change(self, context, now, seen):
        return {"service": context.key, "now": now, "last_seen": isoformat(seen)}
