"""What `cell-key` does, from the bytes of each trip."""

from math import floor

from wasmill import Emit, transform


@transform(reads_values=True, writes_values=False)
def cell(row, context):
    trip = context.json()
    return Emit(key=f"{floor(trip['pickup_longitude'] * 100)}|{floor(trip['pickup_latitude'] * 100)}")
