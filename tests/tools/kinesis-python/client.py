"""Writes and reads a Kinesis stream with libraries that are not ours: boto3 and aws-kinesis-agg.

    client.py URL STREAM put    lines of standard input become records, packed and as they are in turns of 50
    client.py URL STREAM get    the data of all records, unpacked, a line each
"""

import base64
import itertools
import sys

import boto3
from aws_kinesis_agg.aggregator import RecordAggregator
from aws_kinesis_agg.deaggregator import iter_deaggregate_records

TURN = 50


def put(client, stream, lines):
    turns = [lines[at : at + TURN] for at in range(0, len(lines), TURN)]
    for turn, packs in zip(turns, itertools.cycle([False, True])):
        if packs:
            put_packed(client, stream, turn)
        else:
            records = [{"PartitionKey": f"key {len(line)}", "Data": line.encode()} for line in turn]
            answer = client.put_records(StreamName=stream, Records=records)
            assert answer["FailedRecordCount"] == 0, answer


def put_packed(client, stream, lines):
    aggregator = RecordAggregator()
    # An aggregate goes to the shard of its first user record, so all of them have its key.
    full = [aggregator.add_user_record("key", line) for line in lines] + [aggregator.clear_and_get()]
    for record in filter(None, full):
        partition_key, _, data = record.get_contents()
        client.put_record(StreamName=stream, PartitionKey=partition_key, Data=data)


def get(client, stream):
    for shard in client.list_shards(StreamName=stream)["Shards"]:
        iterator = client.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            page = client.get_records(ShardIterator=iterator)
            yield from page["Records"]
            if not page["Records"] and page["MillisBehindLatest"] == 0:
                break
            iterator = page.get("NextShardIterator")


def as_event(record):
    """A record as the library expects it: as a Lambda function gets it."""
    kinesis = {
        "kinesisSchemaVersion": "1.0",
        "sequenceNumber": record["SequenceNumber"],
        "partitionKey": record["PartitionKey"],
        "approximateArrivalTimestamp": 0,
        "data": base64.b64encode(record["Data"]),
    }
    return {"eventVersion": "1.0", "eventSource": "aws:kinesis", "kinesis": kinesis}


def main(url, stream, action):
    client = boto3.client(
        "kinesis", endpoint_url=url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y"
    )
    if action == "put":
        put(client, stream, sys.stdin.read().splitlines())
        return
    for user_record in iter_deaggregate_records(map(as_event, get(client, stream))):
        print(base64.b64decode(user_record["kinesis"]["data"]).decode())


main(*sys.argv[1:])
