import unittest
from types import SimpleNamespace

from wasmill import Emit, Fatal, Packed, Reject, aggregator, process

from .columns import batch, binary, column, items


@aggregator(fields={"n": "s64"}, migrations={0: lambda data: {"sum": data[0]}})
class Sum:
    def add(self, state, row):
        if row.n < 0:
            raise Reject("negative")
        state["sum"] = state.get("sum", 0) + row.n

    def merge(self, into, other):
        return {"sum": into["sum"] + other["sum"]}

    def finish(self, state, window):
        big = [{"big": True}] if state["sum"] > 5 else []
        return [{"key": window.key, "sum": state["sum"]}, *big]


@process(fields={"n": "s64"}, side_outputs=["fired"])
class Timers:
    """Emits what it sees, sets a timer 10 after each row, and says when one fires."""

    def row(self, row, context):
        context.state = {"seen": (context.state or {}).get("seen", 0) + 1}
        context.set_timer(context.time + 10)
        return {"n": row.n, "seen": context.state["seen"]}

    def timer(self, time, context):
        if context.state["seen"] > 1:
            context.state = None
        return Emit(to="fired", value={"key": context.key, "time": time})


def timers(*pending):
    return SimpleNamespace(groups=[group for group, _ in pending], times=[time for _, time in pending])


def turn(ordered, watermark, *pending):
    return Timers.process(
        SimpleNamespace(
            keys=binary(["a", "b"]),
            states=binary(["", ""]),
            groups=[0, 1, 0],
            batch=batch([0, 5, 10], column("s64", [1, 2, 3])),
            timers=timers(*pending),
            watermark=watermark,
            ordered=ordered,
        )
    )


class Stateful(unittest.TestCase):
    def setUp(self):
        Sum.configure("{}")
        Timers.configure("{}")

    def test_aggregator(self):
        """An aggregator adds, merges and finishes."""
        given = batch([0, 0, 0], column("s64", [1, -1, 4]))
        accumulated = Sum.accumulate(binary(["", '{"sum":2}']), [0, 1, 1], given)
        self.assertEqual(items(accumulated.accumulators), ['{"sum":1}', '{"sum":6}'])
        self.assertEqual([(each.row, each.reason) for each in accumulated.rejects], [(1, "negative")])
        merged = Sum.merge(accumulated.accumulators, [0, 0], 1)
        self.assertEqual(items(merged), ['{"sum":7}'])
        pane = SimpleNamespace(name="ON_TIME")
        fired = SimpleNamespace(starts=[0], ends=[9], panes=[pane], keys=binary(["k"]), accumulators=merged)
        finished = Sum.finish(fired)
        self.assertEqual((finished.origins, items(finished.values)), ([0, 0], ['{"key":"k","sum":7}', '{"big":true}']))

    def test_migration(self):
        """States of a known old version are rewritten, others are fatal."""
        self.assertEqual(items(Sum.migrate(0, binary([b"\7", b""]))), ['{"sum":7}', ""])
        with self.assertRaisesRegex(Fatal, "^unknown version 3$"):
            Sum.migrate(3, binary(["x"]))

    def test_packed(self):
        """Packed states keep every number; a misspelt member is an error."""
        codec = Packed(a=("s64", 2**63 - 1), b="f64", c="bool")
        state = codec.decode(codec.encode(codec.fresh()))
        self.assertEqual((state.a, state.b, state.c), (2**63 - 1, 0.0, False))
        with self.assertRaises(AttributeError):
            state.d = 1
        with self.assertRaisesRegex(ValueError, "3 bytes instead of 17"):
            codec.decode(b"abc")
        one = Packed(n="s64")
        self.assertEqual(one.decode(one.encode(one.type(5))).n, 5)

    def test_ordered_timers(self):
        """With rows in order, timers fire between them; the rest stays pending."""
        output = turn(True, 9)
        self.assertEqual(items(output.main.values), ['{"n":1,"seen":1}', '{"n":2,"seen":1}', '{"n":3,"seen":2}'])
        rows = output.sides[0].rows
        self.assertEqual((rows.origins, rows.times, items(rows.values)), ([3], [10], ['{"key":"a","time":10}']))
        self.assertEqual(items(output.states), ['{"seen":2}', '{"seen":1}'])
        self.assertEqual((output.timers.groups, output.timers.times), ([0, 1], [20, 15]))

    def test_timers_without_order(self):
        """Without order, timers fire after all rows, key by key, each by time."""
        output = turn(False, 15, (1, -3))
        self.assertEqual((output.sides[0].rows.origins, output.sides[0].rows.times), ([3, 4, 4], [10, -3, 15]))
        self.assertEqual(items(output.states), ["", '{"seen":1}'])
        self.assertEqual((output.timers.groups, output.timers.times), ([0], [20]))

    def test_logic_without_its_methods(self):
        """A class that lacks a method is refused where it is declared."""
        with self.assertRaisesRegex(TypeError, 'class Empty lacks a method "add"'):
            aggregator()(type("Empty", (), {}))
