//! The arguments of `wasmill replay`, and what they ask for.

use clap::ValueEnum;
use wasmill_connect::replay::files::Format;
use wasmill_connect::replay::playback::{AdaptTime, MarkerSettings, Playback};
use wasmill_stream::field::{FieldSpec, FieldType};
use wasmill_stream::time::TimeFormat;
use wasmill_stream::units::Period;
use wasmill_stream::{Error, Result};

/// Play recorded events into a Kinesis stream
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Inputs are JSON lines or CSV with a header, packed or not: gzip, snappy and lz4 are known by their content. Without
--time-field and --partition-key lines are sent as they are, whatever they hold.

Region and credentials come from the environment as with every AWS tool; AWS_ENDPOINT_URL_KINESIS or --endpoint names an
emulator. What the stream refuses is tried again for as long as it takes, so an event may come twice.

Markers are records like {\"type\":\"watermark\",\"watermark\":\"2013-01-01T00:00:00.000Z\"} in every shard: everything before
that time has arrived. A job reads them with `watermark = { markers = true }`.

Ctrl-C stops reading, waits until what was sent has arrived, and ends; a second one ends at once.

Examples:
  wasmill replay trips.csv.gz --stream trips --time-field dropoff_datetime --speedup 6480 --aggregate
  wasmill replay s3://bucket/trips/ --stream trips --time-field '/t: time(unix-ms)' --adapt-time invocation")]
pub struct Arguments {
    /// Files, folders (their files in the order of their names), s3://BUCKET/KEY or s3://BUCKET/FOLDER/
    #[arg(required = true)]
    input: Vec<String>,
    /// Name or ARN of the stream
    #[arg(long)]
    stream: String,
    /// Region of the stream
    #[arg(long)]
    region: Option<String>,
    /// Profile of ~/.aws/config
    #[arg(long)]
    profile: Option<String>,
    /// Address of another Kinesis, such as an emulator
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Address of another S3
    #[arg(long, value_name = "URL")]
    s3_endpoint: Option<String>,
    /// Region of the bucket, if it is another one than that of the stream
    #[arg(long, value_name = "REGION")]
    s3_region: Option<String>,
    /// How inputs are written; by default CSV if they are called .csv, else JSON lines
    #[arg(long)]
    format: Option<InputFormat>,
    /// How many times faster than event time, or `max`
    #[arg(long, default_value = "max", value_parser = parse_speedup)]
    speedup: Speedup,
    /// Field with the event time: a name, or like `/trip/end: time(unix-s)`
    #[arg(long, value_name = "FIELD")]
    time_field: Option<String>,
    /// How the time is written: iso8601, unix-ms, unix-s, or a pattern like `%m/%d/%Y %H:%M`
    #[arg(long, value_name = "FORMAT", requires = "time_field")]
    time_format: Option<String>,
    /// Leave out events before this time
    #[arg(long, value_name = "TIME", requires = "time_field", value_parser = parse_time)]
    seek: Option<i64>,
    /// Pack events into few records, as the Kinesis Producer Library does
    #[arg(long)]
    aggregate: bool,
    /// What becomes of the event time in an event; in an array it can only stay
    #[arg(long, value_name = "HOW", default_value = "original")]
    adapt_time: Adapt,
    /// Add a member with the time at which the event is sent
    #[arg(long, value_name = "NAME")]
    add_timestamp: Option<String>,
    /// Field with the partition key; by default events are spread evenly
    #[arg(long, value_name = "FIELD")]
    partition_key: Option<String>,
    /// Send markers; the default if there is a time field
    #[arg(long, requires = "time_field", conflicts_with = "no_markers")]
    markers: bool,
    /// Send no markers
    #[arg(long)]
    no_markers: bool,
    /// How often to send markers at least
    #[arg(long, value_name = "PERIOD", default_value = "5s")]
    marker_interval: Period,
    /// After how many events to send markers as well
    #[arg(long, value_name = "EVENTS", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    marker_events: u64,
    /// How far events of the input are out of order
    #[arg(long, value_name = "PERIOD", default_value = "0s")]
    disorder: Period,
    /// Print rate, lag, retries and what is buffered, every 20 s or so often
    #[arg(long, value_name = "PERIOD", num_args = 0..=1, default_missing_value = "20s", require_equals = true)]
    pub statistics: Option<Period>,
    /// How often to play the input
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    passes: u64,
    /// Play no more than so many events of each pass
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Pause between two events
    #[arg(long, value_name = "PERIOD", default_value = "0s")]
    delay: Period,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum InputFormat {
    /// JSON lines
    Json,
    /// Comma-separated values under a header line
    Csv,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Adapt {
    /// It stays
    Original,
    /// The first event happens when the replay begins, all others as much later as they did
    Invocation,
    /// It becomes the time at which the event is sent
    Ingestion,
}

/// How many times faster than event time; `None` is `max`.
#[derive(Debug, Clone, Copy)]
struct Speedup(Option<f64>);

fn parse_speedup(text: &str) -> Result<Speedup, String> {
    match text.parse::<f64>() {
        Ok(speedup) if speedup > 0.0 && speedup.is_finite() => Ok(Speedup(Some(speedup))),
        _ if text == "max" => Ok(Speedup(None)),
        _ => Err("expected a number above 0, or `max`".to_owned()),
    }
}

fn parse_time(text: &str) -> Result<i64, String> {
    let time = TimeFormat::Iso8601.parse(text.as_bytes());
    time.ok_or_else(|| "expected a time like 2013-01-01T00:00:00Z".to_owned())
}

impl Arguments {
    /// What is to be played, and how.
    pub fn playback(&self) -> Result<Playback> {
        let time = self.time_field.as_deref().map(|field| self.time(field)).transpose()?;
        let Speedup(speedup) = self.speedup;
        let adapt_time = match self.adapt_time {
            Adapt::Original => AdaptTime::Original,
            Adapt::Invocation => AdaptTime::Invocation,
            Adapt::Ingestion => AdaptTime::Ingestion,
        };
        if time.is_none() && (speedup.is_some() || adapt_time != AdaptTime::Original) {
            let what = "--speedup and --adapt-time need --time-field: which field has the event time?";
            return Err(Error::invalid(what));
        }
        let settings =
            MarkerSettings { interval: self.marker_interval, events: self.marker_events, disorder: self.disorder };
        Ok(Playback {
            inputs: self.input.clone(),
            format: self.format.map(|format| match format {
                InputFormat::Json => Format::Json,
                InputFormat::Csv => Format::Csv,
            }),
            limit: self.limit,
            passes: self.passes,
            stream: self.stream.clone(),
            region: self.region.clone(),
            profile: self.profile.clone(),
            endpoint: self.endpoint.clone(),
            s3_endpoint: self.s3_endpoint.clone(),
            s3_region: self.s3_region.clone(),
            markers: (time.is_some() && !self.no_markers).then_some(settings),
            time,
            speedup,
            seek: self.seek,
            delay: self.delay.duration(),
            aggregate: self.aggregate,
            adapt_time,
            add_timestamp: self.add_timestamp.clone(),
            partition_key: self.partition_key.as_deref().map(key).transpose()?,
        })
    }

    /// The field with the event time.
    fn time(&self, field: &str) -> Result<FieldSpec> {
        let pointer = pointer(field);
        let text = match (&self.time_format, pointer.contains(':')) {
            (Some(format), _) => format!("{pointer}: time({format})"),
            (None, true) => pointer,
            (None, false) => format!("{pointer}: time"),
        };
        let spec: FieldSpec = text.parse().map_err(|error| Error::invalid(format!("--time-field: {error}")))?;
        match spec.kind {
            FieldType::Time(_) => Ok(spec),
            _ => Err(Error::invalid(format!("--time-field: `{field}` must have the type time, or none"))),
        }
    }
}

/// The field with the partition key, as a text and as a number.
fn key(field: &str) -> Result<[FieldSpec; 2]> {
    let invalid = |error| Error::invalid(format!("--partition-key: {error}"));
    let pointer = pointer(field);
    let spec = |kind| format!("{pointer}: {kind}").parse().map_err(invalid);
    Ok([spec("string")?, spec("s64")?])
}

/// A name stands for the member that is called so.
fn pointer(field: &str) -> String {
    if field.starts_with('/') { field.to_owned() } else { format!("/{}", field.replace('~', "~0").replace('/', "~1")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name, a pointer, a type, a format of its own → the same kind of field; other types are refused.
    #[test]
    fn time_fields() {
        let field = |field: &str, format: Option<&str>| {
            let mut arguments = vec!["replay", "in", "--stream", "s", "--time-field", field];
            arguments.extend(format.iter().flat_map(|format| ["--time-format", format]));
            let command = <Arguments as clap::Args>::augment_args(clap::Command::new("replay"));
            let matches = command.try_get_matches_from(arguments).expect("arguments");
            let arguments = <Arguments as clap::FromArgMatches>::from_arg_matches(&matches).expect("arguments");
            arguments.playback().map(|playback| playback.time.map(|field| field.to_string()).unwrap_or_default())
        };
        let spec = |text: &str| text.parse::<FieldSpec>().expect("a field").to_string();
        assert_eq!(field("t", None).expect("a name"), spec("/t: time"));
        assert_eq!(field("a/b", Some("unix-s")).expect("a name"), spec("/a~1b: time(unix-s)"));
        assert_eq!(field("/a/b: time(%Y-%m-%d %H:%M)", None).expect("a pointer"), spec("/a/b: time(%Y-%m-%d %H:%M)"));
        assert!(field("/a: string", None).is_err());
    }
}
