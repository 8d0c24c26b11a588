"""What `cell-key` does, from the same fields."""

from math import floor

from wasmill import Emit, transform


@transform(
    fields={"longitude": "/pickup_longitude: f64", "latitude": "/pickup_latitude: f64"},
    reads_values=False,
    writes_values=False,
)
def cell(row):
    return Emit(key=f"{floor(row.longitude * 100)}|{floor(row.latitude * 100)}")
