"""Reads folders and buckets of Parquet in Hive partitions with libraries that are not ours: DuckDB and pyarrow.

    client.py duckdb FOLDER SQL          the rows of a query of the view `rows`, a JSON object a line
    client.py pyarrow FOLDER             all rows of the data set
    client.py pyarrow URL BUCKET/PREFIX [KEY]
                                         the same from a bucket; KEY is the id and the secret of those who may
"""

import datetime
import json
import sys

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def plain(value):
    """Times as milliseconds, bytes as their digits."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime.datetime):
        value = value.replace(tzinfo=value.tzinfo or datetime.timezone.utc)
        return (value - EPOCH) // datetime.timedelta(milliseconds=1)
    return str(value) if isinstance(value, datetime.date) else value


def by_duckdb(folder, sql):
    import duckdb

    con = duckdb.connect()
    con.execute(
        "CREATE VIEW rows AS SELECT * FROM read_parquet('%s/**/*.parquet', hive_partitioning = true, "
        "union_by_name = true)" % folder
    )
    found = con.execute(sql)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row)) for row in found.fetchall()]


def by_pyarrow(place, prefix=None, key="test"):
    from pyarrow import dataset, fs

    files = None
    if prefix is not None:
        files = fs.S3FileSystem(
            access_key=key, secret_key=key, region="us-east-1", scheme="http",
            endpoint_override=place.removeprefix("http://"),
        )
    # What a job has not finished begins with a dot, and is left alone. A bucket has no folders that could be asked for.
    found = place
    if files is not None:
        found = [info.path for info in files.get_file_info(fs.FileSelector(prefix, recursive=True)) if info.is_file]
    hive = dataset.partitioning(flavor="hive")
    found = dataset.dataset(found, format="parquet", partitioning=hive, filesystem=files, partition_base_dir=prefix)
    return found.to_table().to_pylist()


readers = {"duckdb": by_duckdb, "pyarrow": by_pyarrow}
for row in readers[sys.argv[1]](*sys.argv[2:]):
    print(json.dumps({name: plain(value) for name, value in row.items()}))
