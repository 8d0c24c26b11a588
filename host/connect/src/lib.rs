//! Sources and sinks. Each lives in a folder or file of its own and is one line in [`SOURCES`] or [`SINKS`]; the check of
//! job files, `--help` and the documentation walk these lists.

pub mod aws;
pub mod checkpoint_store;
mod cloudwatch;
pub mod component_store;
mod digest;
mod disk;
mod dynamodb;
mod file;
mod format;
mod gathering;
mod json_lines;
mod json_object;
mod kinesis;
mod lines;
mod listing;
mod mark;
mod opensearch;
mod partitions;
pub mod replay;
mod requests;
mod retry;
mod row_field;
mod row_id;
mod s3;
mod saved;
mod secret;
mod sns;
pub mod stdin;
pub mod stdout;
mod template;
mod time_pattern;
mod webhook;

/// Writing to a Kinesis stream, for the sink of jobs and for the producer of the command line.
pub use kinesis::{pack, producer};

use wasmill_stream::config::{Problems, Section};
use wasmill_stream::sink::Sink;
use wasmill_stream::source::Source;

/// A kind of source: `type = "NAME"` in a `[source.…]` table.
pub struct SourceKind {
    /// Its name in job files.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    /// Reads its settings. Reports every problem; returns `None` if there is one. Touches nothing outside.
    /// The first argument is the source's name in the job file, the first part of its split ids.
    pub check: fn(&str, &mut Section<'_>, &mut Problems) -> Option<Box<dyn Source>>,
}

/// A kind of sink: `type = "NAME"` in a `[sink.…]` table.
pub struct SinkKind {
    /// Its name in job files.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    /// Reads its settings. Reports every problem; returns `None` if there is one. Touches nothing outside.
    /// The first argument is the sink's name in the job file.
    pub check: fn(&str, &mut Section<'_>, &mut Problems) -> Option<Box<dyn Sink>>,
}

/// Every source.
pub const SOURCES: &[SourceKind] = &[
    SourceKind { name: "kinesis", about: "all shards of a Kinesis stream", check: kinesis::check },
    SourceKind {
        name: "replay",
        about: "recorded files or generated events, played as a stream",
        check: replay::check,
    },
    SourceKind { name: "stdin", about: "lines of standard input", check: stdin::check },
];

/// Every sink.
pub const SINKS: &[SinkKind] = &[
    SinkKind { name: "cloudwatch", about: "CloudWatch metrics", check: cloudwatch::check },
    SinkKind { name: "dynamodb", about: "items in a DynamoDB table", check: dynamodb::check },
    SinkKind { name: "file", about: "JSON lines, CSV or Parquet in files", check: file::check },
    SinkKind { name: "http", about: "signed requests to a server, with rows as JSON", check: webhook::check },
    SinkKind { name: "kinesis", about: "records in a Kinesis stream", check: kinesis::sink::check },
    SinkKind { name: "opensearch", about: "documents in an OpenSearch index", check: opensearch::check },
    SinkKind { name: "s3", about: "JSON lines, CSV or Parquet in objects of an S3 bucket", check: s3::check },
    SinkKind { name: "sns", about: "messages to an SNS topic", check: sns::check },
    SinkKind { name: "stdout", about: "lines to standard output", check: stdout::check },
];
