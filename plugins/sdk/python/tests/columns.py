"""Batches as the host would send them, for the tests."""

from types import SimpleNamespace

from wasmill._binary import BinaryColumn, column_of

ZEROS = {"s64": 0, "time": 0, "f64": 0.0, "bool": False, "string": ""}


def binary(items):
    return column_of([item.encode() if isinstance(item, str) else item for item in items])


def items(column):
    return [item.decode() for item in BinaryColumn(column)]


def column(kind, cells):
    """A column of a field; `None` cells are missing."""
    filled = [ZEROS[kind] if cell is None else cell for cell in cells]
    value = binary(filled) if kind == "string" else filled
    missing = [at for at, cell in enumerate(cells) if cell is None]
    return SimpleNamespace(cells=SimpleNamespace(value=value), missing=missing)


def batch(times, *fields, keys=None, values=None):
    return SimpleNamespace(
        times=times, keys=keys and binary(keys), values=values and binary(values), fields=list(fields)
    )
