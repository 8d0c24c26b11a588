"""Makes vectors.json with the aggregator of aws-kinesis-agg (PyPI, Apache-2.0, Amazon Web Services), which is not ours.

    pip install aws-kinesis-agg==1.2.3 six==1.17.0
    python vectors.py > vectors.json
"""

import base64
import json

from aws_kinesis_agg.aggregator import RecordAggregator
from aws_kinesis_agg.deaggregator import deaggregate_records

# Per record: (partition key, data, explicit hash key or None) of each user record.
CASES = {
    "one": [("taxi-1", b"{\"fare\": 7}", None)],
    "one key for all": [("taxi-1", b"record %d" % number, None) for number in range(5)],
    "a key for each": [("taxi-%d" % number, b"record %d" % number, None) for number in range(5)],
    "keys in turns": [("taxi-%d" % (number % 2), b"%d" % number, None) for number in range(6)],
    "hash keys": [("k", b"%d" % number, str(number << 120)) for number in (0, 1, 128, 255)],
    "the last hash key": [("k", b"last", str(2**128 - 1))],
    "one hash key for two partition keys": [("a", b"1", "5"), ("b", b"2", "5"), ("a", b"3", "6")],
    "no data": [("k", b"", None), ("k", b"x", None), ("k", b"", None)],
    "bytes that are no text": [("k", bytes(range(256)), None)],
    "keys that are not ASCII": [("ключ", "значение".encode(), None), ("鍵", "値".encode(), None)],
    "an aggregate in an aggregate": [("k", bytes.fromhex("f3899ac2") + b"inner", None)],
    "lengths of two bytes": [("k" * 200, b"v" * 300, None)],
    "indices of two bytes": [("key %03d" % number, b"%d" % number, None) for number in range(130)],
}


def pack(user_records):
    aggregator = RecordAggregator()
    for partition_key, data, hash_key in user_records:
        assert aggregator.add_user_record(partition_key, data, hash_key) is None
    return aggregator.clear_and_get().get_contents()[2]


def unpack(record):
    """What its own deaggregator reads: base64 of each user record's data."""
    kinesis = {"kinesisSchemaVersion": "1.0", "sequenceNumber": "1", "partitionKey": "k",
               "approximateArrivalTimestamp": 0, "data": base64.b64encode(record)}
    return [base64.b64decode(one["kinesis"]["data"]) for one in deaggregate_records([{"kinesis": kinesis}])]


def vector(name, user_records):
    record = pack(user_records)
    assert unpack(record) == [data for _, data, _ in user_records], name
    parts = [{"partition_key": key, "data": data.hex(), "hash_key": hash_key} for key, data, hash_key in user_records]
    return {"name": name, "record": record.hex(), "user_records": parts}


vectors = [json.dumps(vector(*case), ensure_ascii=False) for case in CASES.items()]
print("[\n" + ",\n".join(vectors) + "\n]")
