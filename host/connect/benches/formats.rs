//! What it costs to write rows as Parquet: by the `file` sink, from JSON to complete files, and by the bare library, which is given the columns of the same rows decoded and in blocks as large as the sink's row groups. Beside them the
//! decoder alone, and JSON lines and CSV by the sink. Counted is the CPU time of the process; the disk is a folder of `/dev/shm`
//! if there is one.

use bytes::Bytes;
use cpu_time::ProcessTime;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use toml::de::DeTable;
use wasmill_connect::SINKS;
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::field::{Decoder, FieldSpec};
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Opening, Sink};
use wasmill_stream::{Batch, Binary, Cells, Column};

const BATCHES: usize = 100;
const ROWS: usize = 4_096;
/// Rows of a block of the bare library: about what makes 16 MiB of values.
const BLOCK: usize = 50 * ROWS;
/// Rounds, of which the best counts: others use the machine, too.
const ROUNDS: usize = 5;

const FIELDS: [&str; 8] = [
    "/medallion: string",
    "/pickup: time(unix-ms)",
    "/longitude: f64",
    "/latitude: f64",
    "/distance: f64",
    "/fare: f64",
    "/passengers: s64",
    "/payment: string",
];

fn main() {
    let batches: Vec<Arc<Batch>> = (0..BATCHES).map(|number| Arc::new(batch(number))).collect();
    let bytes: usize = batches.iter().map(|batch| batch.values.total_bytes()).sum();
    let rows = BATCHES * ROWS;
    println!("{rows} rows, {} bytes each", bytes / rows);
    let report = |what: &str, cost: Duration| {
        let (rate, each) = (rows as f64 / cost.as_secs_f64() / 1e6, cost.as_nanos() as f64 / rows as f64);
        println!("{what}: {rate:.2} M rows/s per core, {each:.0} ns per row");
    };
    report("decoding alone", best(|| drop(black_box(decoded(&batches)))));
    let columns = decoded(&batches);
    for (name, packing) in [("zstd", Compression::ZSTD(ZstdLevel::default())), ("none", Compression::UNCOMPRESSED)] {
        report(&format!("the bare library, {name}"), best(|| drop(black_box(bare(&columns, packing)))));
    }
    let declared = format!("columns = {FIELDS:?}");
    for (what, settings) in [
        ("parquet, declared columns, zstd", format!("format = \"parquet\"\n{declared}")),
        ("parquet, declared columns, none", format!("format = \"parquet\"\ncompression = \"none\"\n{declared}")),
        ("parquet, columns of each file, zstd", "format = \"parquet\"".to_owned()),
        ("csv, declared columns", format!("format = \"csv\"\n{declared}")),
        ("json", String::new()),
        ("json, partitions", "prefix = \"p={payment}/\"".to_owned()),
    ] {
        report(what, best(|| by_sink(&settings, &batches)));
    }
}

/// Trips that look like those of a day.
fn batch(number: usize) -> Batch {
    let row = |at: usize| {
        let n = number * ROWS + at;
        let spread = |by: usize| (n.wrapping_mul(2_654_435_761) >> 7) % by;
        format!(
            "{{\"medallion\":\"{:08X}\",\"pickup\":{},\"longitude\":-73.{:06},\"latitude\":40.{:06},\"distance\":{}.{:02},\
             \"fare\":{}.5,\"passengers\":{},\"payment\":\"{}\"}}",
            spread(13_000),
            1_357_000_000_000usize + n * 7,
            spread(999_983),
            spread(999_979),
            spread(30),
            spread(100),
            spread(60),
            1 + spread(5),
            ["cash", "credit", "dispute"][spread(3)]
        )
    };
    let values: Binary = (0..ROWS).map(row).collect();
    Batch { times: vec![0; ROWS], values, ..Batch::default() }
}

fn best(mut act: impl FnMut()) -> Duration {
    let cost = |_| {
        let start = ProcessTime::now();
        act();
        start.elapsed()
    };
    (0..ROUNDS).map(cost).min().unwrap_or_default()
}

fn fields() -> Vec<FieldSpec> {
    FIELDS.iter().map(|field| field.parse().expect(field)).collect()
}

fn decoded(batches: &[Arc<Batch>]) -> Vec<Vec<Column>> {
    let mut decoder = Decoder::new(&fields());
    batches.iter().map(|batch| decoder.decode(&batch.values)).collect()
}

/// A file of these columns, of which none may be missing, by the library.
fn bare(batches: &[Vec<Column>], packing: Compression) -> Vec<u8> {
    let first = batches.first().expect("a batch");
    let field = |(number, column): (usize, &Column)| {
        let (kind, logical) = match &column.cells {
            Cells::Int(_) if number == 1 => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
            Cells::Int(_) => (Physical::INT64, None),
            Cells::Float(_) => (Physical::DOUBLE, None),
            Cells::Bool(_) => (Physical::BOOLEAN, None),
            Cells::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let name = format!("c{number}");
        let builder = Type::primitive_type_builder(&name, kind).with_repetition(Repetition::REQUIRED);
        Arc::new(builder.with_logical_type(logical).build().expect("a type"))
    };
    let fields = first.iter().enumerate().map(field).collect();
    let schema = Type::group_type_builder("row").with_fields(fields).build().expect("a schema");
    let properties = Arc::new(WriterProperties::builder().set_compression(packing).build());
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), properties).expect("a file");
    for block in batches.chunks(BLOCK / ROWS) {
        let mut group = writer.next_row_group().expect("a row group");
        for number in 0..first.len() {
            let mut column = group.next_column().expect("a column").expect("as many as there are");
            let (mut ints, mut floats, mut texts) = (Vec::new(), Vec::new(), Vec::new());
            for columns in block {
                match &columns[number].cells {
                    Cells::Int(cells) => ints.extend_from_slice(cells),
                    Cells::Float(cells) => floats.extend_from_slice(cells),
                    Cells::Text(cells) => {
                        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
                        cells.pack(&mut bytes, &mut ends);
                        let (bytes, mut start) = (Bytes::from(bytes), 0);
                        texts.extend(ends.iter().map(|end| {
                            ByteArray::from(bytes.slice(std::mem::replace(&mut start, *end as usize)..*end as usize))
                        }));
                    }
                    Cells::Bool(_) => {}
                }
            }
            let written = match &first[number].cells {
                Cells::Int(_) => column.typed::<Int64Type>().write_batch(&ints, None, None),
                Cells::Float(_) => column.typed::<DoubleType>().write_batch(&floats, None, None),
                _ => column.typed::<ByteArrayType>().write_batch(&texts, None, None),
            };
            written.expect("rows");
            column.close().expect("a column");
        }
        group.close().expect("a row group");
    }
    writer.into_inner().expect("a file")
}

fn by_sink(settings: &str, batches: &[Arc<Batch>]) {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder");
    let text = format!("path = {:?}\n{settings}", folder.path().join("out"));
    let sink = sink(&text);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let mut writer = sink.open(Opening::new(Arc::new(StepLedger::new("out")))).await.expect("it opens");
        for batch in batches {
            writer.write(batch.clone()).await.expect("a write");
        }
        writer.close().await.expect("the end");
    });
}

fn sink(text: &str) -> Box<dyn Sink> {
    let table = DeTable::parse(text).expect("TOML");
    let parameters = |_: &str| None;
    let mut section = Section::new("sink out", table.span(), table.into_inner(), &parameters);
    let mut problems = Problems::default();
    let kind = SINKS.iter().find(|kind| kind.name == "file").expect("it is listed");
    (kind.check)("out", &mut section, &mut problems).expect("good settings")
}
