import unittest
from dataclasses import dataclass

from wasmill import Columns, Emit, Reject, transform, transform_batch

from .columns import batch, column, items


def ids(*cells, **more):
    return batch([at * 10 for at in range(len(cells))], column("s64", cells), **more)


def run(plugin, given, settings="{}"):
    plugin.configure(settings)
    return plugin.transform(given)


@dataclass
class Trip:
    name: str
    miles: float


class Transform(unittest.TestCase):
    def test_what_is_returned(self):
        """What a function returns drops, keeps, changes or multiplies a row."""
        answers = [None, True, {"a": "ü"}, [Emit(key=("k|", 1), time=7), Emit(value=b"raw")], False, Trip("x", 0.5)]
        plugin = transform(fields={"id": "s64"})(lambda row: answers[row.id])
        main = run(plugin, ids(0, 1, 2, 3, 4, 5, keys=list("abcdef"), values=list("uvwxyz"))).main
        self.assertEqual(main.origins, [1, 2, 3, 3, 5])
        self.assertEqual(main.times, [10, 20, 7, 30, 50])
        self.assertEqual(items(main.keys), ["b", "c", "k\\||1", "d", "f"])
        self.assertEqual(items(main.values), ["v", '{"a":"ü"}', "x", "raw", '{"name":"x","miles":0.5}'])

    def test_columns_left_out(self):
        """Columns that nothing sets are left out."""
        main = run(transform(fields={"id": "s64"}, writes_values=False)(lambda row: True), ids(1, 2)).main
        self.assertEqual((main.origins, main.times, main.keys, main.values), (None, None, None, None))

    def test_refusals(self):
        """Rows are refused with a reason; any other exception fails the call."""

        @transform(fields={"id": "s64"})
        def odd(row):
            if row.id % 2 == 0:
                raise Reject("even")
            return {"tenth": 10 // (row.id - 9)}

        rejects = run(odd, ids(1, 2, 3)).rejects
        self.assertEqual([(each.row, each.reason) for each in rejects], [(1, "even")])
        with self.assertRaises(ZeroDivisionError):
            run(odd, ids(1, 9))

    def test_side_outputs(self):
        """Side outputs are named; an unknown one, or a value for one that keeps bytes, is an error."""

        def make(emit):
            return transform(fields={"id": "s64"}, side_outputs={"odd": False})(lambda row: emit)

        output = run(make(Emit(to="odd")), ids(1, 2))
        self.assertEqual((output.main.origins, output.sides[0].rows.origins), ([], [0, 1]))
        with self.assertRaisesRegex(TypeError, 'no side output "even"; declared are: odd'):
            run(make(Emit(to="even")), ids(1))
        with self.assertRaisesRegex(TypeError, "declared to keep the bytes"):
            run(make(Emit(to="odd", value={})), ids(1))

    def test_context(self):
        """A function that takes a context sees time, key, value and settings of its row; fields may be missing."""
        seen = []

        @transform(fields={"name": "/user/name: string?"}, settings={"by": {"type": "integer"}})
        def look(row, context):
            seen.append((row.name, context.time, context.key, context.json(), context.settings["by"]))

        given = batch([5, 6], column("string", ["名前", None]), keys=["a", "b"], values=["1", '"x"'])
        run(look, given, '{"by": 3}')
        self.assertEqual(seen, [("名前", 5, "a", 1, 3), (None, 6, "b", "x", 3)])

    def test_batches(self):
        """A function over batches sees columns and returns columns."""

        @transform_batch(fields={"id": "s64"}, side_outputs=["odd"])
        def halves(rows, settings):
            even = [at for at, each in enumerate(rows.fields["id"]) if each % 2 == 0]
            odd = Columns(origins=[0], values=["first"])
            return Columns(origins=even, values=[{"n": rows.times[at]} for at in even], sides={"odd": odd}, rejects={2: "no"})

        output = run(halves, ids(1, 2, 3, 4))
        self.assertEqual((output.main.origins, items(output.main.values)), ([1, 3], ['{"n":10}', '{"n":30}']))
        self.assertEqual(items(output.sides[0].rows.values), ["first"])
        self.assertEqual(output.rejects[0].reason, "no")

    def test_mistakes_in_declarations(self):
        """A field that cannot be declared is refused where it is written."""
        with self.assertRaisesRegex(TypeError, 'field "id": expected a declaration such as "/id: s64\\?"'):
            transform(fields={"id": "int"})(lambda row: None)
        with self.assertRaisesRegex(TypeError, "fields become attributes"):
            transform(fields={"class": "s64"})(lambda row: None)
