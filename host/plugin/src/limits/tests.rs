use super::*;
use wasmill_stream::config::Parameters;

fn none(_: &str) -> Option<String> {
    None
}

fn parse(text: &str) -> (Limits, Vec<String>) {
    let table = toml::de::DeTable::parse(text).expect("the test's TOML is valid").into_inner();
    let parameters: &dyn Parameters = &none;
    let section = Section::new("step clean limits", 0..text.len(), table, parameters);
    let mut problems = Problems::default();
    let limits = Limits::read(section, &Limits::CEILING, &mut problems);
    (limits, problems.into_sorted().into_iter().map(|problem| problem.message).collect())
}

/// Every limit can be set; what is left out keeps its default.
#[test]
fn limits_of_a_job_file() {
    let text = "memory = \"1 MiB\"\ncall = \"2s\"\nslow = \"10ms\"\ninit = \"3s\"\noutput = \"4 KiB\"\nrows = 5\n\
                state = \"6 KiB\"\nlog = \"7 KiB\"\n";
    let expected = Limits {
        memory: Some(ByteCount::new(1 << 20)),
        call: Period::from_millis(2_000),
        slow: Period::from_millis(10),
        init: Period::from_millis(3_000),
        output: ByteCount::new(4 << 10),
        rows: 5,
        state: ByteCount::new(6 << 10),
        log: ByteCount::new(7 << 10),
    };
    assert_eq!(parse(text), (expected, Vec::new()));
    assert_eq!(parse(""), (Limits::default(), Vec::new()));
}

/// Limits of nothing, above the ceiling and unknown ones are problems that name the key, all at once.
#[test]
fn bad_limits() {
    let (_, problems) = parse("memory = \"2 GiB\"\ncall = \"0s\"\nrows = 20000000\nstack = 1\n");
    let expected = [
        "step clean limits: `memory` is 2 GiB, expected more than nothing and at most 1 GiB",
        "step clean limits: `call` is 0s, expected more than nothing and at most 1m",
        "step clean limits: `rows` is 20000000, expected more than nothing and at most 10000000",
        "step clean limits: unknown key `stack`",
    ];
    assert_eq!(problems, expected);
}

/// A component that carries an engine gets more memory, unless the job file says how much.
#[test]
fn memory_by_size() {
    let memory = |limits: Limits, size| limits.for_component(ByteCount::new(size)).memory();
    assert_eq!(memory(Limits::default(), 4 << 20), MEMORY);
    assert_eq!(memory(Limits::default(), (4 << 20) + 1), ENGINE_MEMORY);
    let set = Limits { memory: Some(ByteCount::new(5)), ..Limits::default() };
    assert_eq!(memory(set, 18 << 20), ByteCount::new(5));
}

/// A call may return what its limit says, and more if it was given much.
#[test]
fn large_batches_may_return_more() {
    let limits = Limits::default();
    assert_eq!(limits.call(100).output, limits.output);
    assert_eq!(limits.call(1 << 20).output, ByteCount::new(16 << 20));
    assert_eq!((limits.rows(1), limits.rows(4_096)), (10_000, 65_536));
}
