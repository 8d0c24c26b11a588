//! Random streams: times, keys, disorder, batch cuts, watermarks, lateness, refused rows. Windows and brute force must agree
//! on every result in its order, on every late row and on every refusal.

use super::oracle::{Fate, Oracle};
use super::{Bench, Row, WindowSpec, Windows, ms};
use crate::checkpoint::{Changes, fold};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

/// What happens to the windows.
#[derive(Debug, Clone)]
enum Step {
    Rows(Vec<Row>),
    Watermark(i64),
}

/// Which windows, in a range in which many rows meet.
fn specs() -> impl Strategy<Value = WindowSpec> {
    let tumbling = (1i64..30, 0i64..30)
        .prop_map(|(size, offset)| WindowSpec::Tumbling { size: ms(size), offset: ms(offset % size) });
    let sliding = (1i64..40, 1i64..40, 0i64..40).prop_map(|(size, slide, offset)| {
        let slide = slide.min(size);
        WindowSpec::Sliding { size: ms(size), slide: ms(slide), offset: ms(offset % slide) }
    });
    let session = (1i64..15).prop_map(|gap| WindowSpec::Session { gap: ms(gap) });
    prop_oneof![tumbling, sliding, session]
}

/// A stream whose times follow a rising line with disorder, cut into batches, with watermarks in between.
fn streams() -> impl Strategy<Value = Vec<Step>> {
    let rows = (0i64..60, 0usize..6, 0u32..12);
    let batch = (prop::collection::vec(rows, 0..12), 0i64..10, prop::option::weighted(0.4, 0i64..80));
    prop::collection::vec(batch, 1..16).prop_map(|batches| {
        let keys = ["", "a", "b", "a much longer key than others", "a much longer key than other", "ä"];
        let (mut steps, mut now, mut id) = (Vec::new(), -60, 0);
        for (rows, passed, lag) in batches {
            let rows = rows.into_iter().map(|(jitter, key, mood)| {
                id += 1;
                Row { time: now + jitter, key: keys[key].to_owned(), id, bad: mood == 0 }
            });
            steps.push(Step::Rows(rows.collect()));
            now += passed;
            steps.extend(lag.map(|lag| Step::Watermark(now + 60 - lag)));
        }
        steps.push(Step::Watermark(i64::MAX));
        steps
    })
}

/// What is on the disk: all that the windows have told, and their watermark.
struct Saved {
    runs: Vec<Changes>,
    watermark: i64,
}

impl Saved {
    /// Takes down what is new; now and then brings the runs together.
    fn save(&mut self, windows: &mut Windows) {
        let mut log = Changes::default();
        windows.changes(&mut log);
        self.watermark = windows.watermark();
        self.runs.push(log);
        if self.runs.len() > 3 {
            let from = self.runs.len() % 2;
            let logs: Vec<&[u8]> = self.runs[from..].iter().map(Changes::bytes).collect();
            let folded = fold(&logs, self.watermark, from == 0, 100).expect("whole logs");
            self.runs.splice(from.., folded);
        }
    }

    /// Windows that go on where the others stood.
    fn load(&self, spec: WindowSpec, lateness: i64) -> Windows {
        let mut windows = Windows::new(spec, ms(lateness));
        windows.resume(self.watermark);
        for change in self.runs.iter().flat_map(Changes::iter) {
            windows.load(&change).expect("it was noted");
        }
        windows.track();
        windows
    }
}

/// Runs a stream through both, cutting batches down to at most `cut` rows. With `crashes`, windows live only from one
/// watermark to the next; then others take over from what was saved.
fn compare(spec: WindowSpec, lateness: i64, steps: &[Step], cut: usize, crashes: bool) -> Result<(), TestCaseError> {
    let (mut bench, mut oracle) = (Bench::new(spec, lateness), Oracle::new(spec, lateness));
    bench.windows.track();
    let mut saved = Saved { runs: Vec::new(), watermark: i64::MIN };
    for step in steps {
        match step {
            Step::Rows(rows) => {
                for rows in rows.chunks(cut) {
                    let fates: Vec<_> = rows.iter().map(|row| oracle.add(row)).collect();
                    let ids = |wanted: Fate| -> Vec<u32> {
                        rows.iter().zip(&fates).filter(|(_, fate)| **fate == wanted).map(|(row, _)| row.id).collect()
                    };
                    prop_assert_eq!(bench.add(rows), (ids(Fate::Late), ids(Fate::Refused)));
                }
            }
            Step::Watermark(watermark) => {
                prop_assert_eq!(bench.advance(*watermark), oracle.advance(*watermark));
                if crashes {
                    saved.save(&mut bench.windows);
                    bench.windows = saved.load(spec, lateness);
                }
            }
        }
        // Slices of sliding windows are not windows: there may be more or fewer of them.
        if !matches!(spec, WindowSpec::Sliding { .. }) {
            prop_assert_eq!(bench.windows.open(), oracle.open());
        }
    }
    prop_assert_eq!(bench.windows.open(), 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// A random stream in random batches → exactly the results, late rows and refusals that brute force finds.
    #[test]
    fn windows_equal_brute_force(spec in specs(), lateness in prop_oneof![Just(0), 0i64..50], steps in streams()) {
        compare(spec, lateness, &steps, usize::MAX, false)?;
    }

    /// The same stream through windows that crash at every watermark and go on from what they told before → the same answer.
    #[test]
    fn crashes_do_not_matter(
        spec in specs(),
        lateness in prop_oneof![Just(0), 0i64..50],
        steps in streams(),
    ) {
        compare(spec, lateness, &steps, usize::MAX, true)?;
    }

    /// The same stream cut into other batches → the same answer, since brute force knows no batches.
    #[test]
    fn batch_cuts_do_not_matter(
        spec in specs(),
        lateness in prop_oneof![Just(0), 0i64..50],
        steps in streams(),
        cut in 1usize..4,
    ) {
        compare(spec, lateness, &steps, cut, false)?;
    }
}
