//! Answers that break the contract, or stretch it.

use hostile_deeds::not_utf8;
use wasmill::{Batch, Binary, Columns, Failure, Reject, Rows, Settings, SideRows};

/// The setting `answer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings)]
pub enum Answer {
    /// Every row as it came.
    Honest,
    /// A row that was not in the batch.
    UnknownRow,
    /// The rows backwards.
    DescendingRows,
    /// Fewer times than rows.
    ShortColumn,
    /// Values whose ends fall.
    FallingEnds,
    /// Values that end beyond their bytes.
    EndsBeyondBytes,
    /// No values, although it declared to write them.
    MissingValues,
    /// Values, although it did not declare to write them.
    UndeclaredValues,
    /// Rows for a side output that it has not declared.
    UnknownSide,
    /// Rows for one side output, twice.
    SameSideTwice,
    /// A refusal, as it should be.
    Rejected,
    /// A refusal of a row that was not in the batch.
    UnknownReject,
    /// A refusal of a row that it also gives back.
    RejectedOrigin,
    /// Two refusals of one row.
    RejectedTwice,
    /// A refusal whose reason is no UTF-8.
    NotUtf8Reason,
    /// A refusal with a reason of `amount` bytes, with control characters.
    LongReason,
    /// The last time there is.
    FarFuture,
    /// The first time there is.
    FarPast,
    /// Values that are no UTF-8.
    NotUtf8Value,
    /// Values that are no JSON.
    NotJson,
    /// Keys that are no UTF-8.
    NotUtf8Key,
    /// Keys with a NUL, a newline and nothing else.
    NulKey,
    /// Keys of `amount` bytes.
    HugeKey,
    /// A value of `amount` bytes.
    HugeValue,
    /// `amount` rows from one.
    ManyRows,
    /// A failure that may pass.
    Retry,
    /// A failure that may pass, the reason being no UTF-8.
    NotUtf8Retry,
    /// A failure that stops the job.
    Fatal,
}

impl Answer {
    /// Whether it is about values.
    pub fn writes_values(self) -> bool {
        use Answer::{EndsBeyondBytes, FallingEnds, HugeValue, MissingValues, NotJson, NotUtf8Value};
        matches!(self, EndsBeyondBytes | FallingEnds | HugeValue | MissingValues | NotJson | NotUtf8Value)
    }

    /// The answer to a batch in which row `bad` is bad.
    pub fn to(self, batch: Batch, bad: u32, amount: usize) -> Result<Columns, Failure> {
        let rows = batch.times.len() as u32;
        let all = || Rows { origins: Some((0..rows).collect()), ..Rows::default() };
        let same = |bytes: &[u8]| Some((0..rows).map(|_| bytes).collect::<Binary>());
        let reject = |row, reason: String| Reject { row, reason };
        let refused = |rejects: Vec<Reject>| {
            let others = (0..rows).filter(|row| rejects.iter().all(|reject| reject.row != *row)).collect();
            Columns { rejects, ..Rows { origins: Some(others), ..Rows::default() }.into() }
        };
        let aside = |side| SideRows { side, rows: Rows::default() };
        Ok(match self {
            Self::Honest => Rows { values: batch.values, ..Rows::default() }.into(),
            Self::UnknownRow => Rows { origins: Some(vec![rows]), ..Rows::default() }.into(),
            Self::DescendingRows => Rows { origins: Some((0..rows).rev().collect()), ..Rows::default() }.into(),
            Self::ShortColumn => Rows { times: Some(batch.times[1..].to_vec()), ..all() }.into(),
            Self::FallingEnds => Rows {
                values: Some(Binary { ends: (0..rows).rev().collect(), bytes: vec![b'1'; rows as usize] }),
                ..all()
            }
            .into(),
            Self::EndsBeyondBytes => {
                Rows { values: Some(Binary { ends: vec![u32::MAX; rows as usize], bytes: b"{}".into() }), ..all() }
                    .into()
            }
            Self::MissingValues => all().into(),
            Self::UndeclaredValues => Rows { values: same(b"{}"), ..all() }.into(),
            Self::UnknownSide => Columns { sides: vec![aside(1)], ..Columns::default() },
            Self::SameSideTwice => Columns { sides: vec![aside(0), aside(0)], ..Columns::default() },
            Self::Rejected => refused(vec![reject(bad, "bad".into())]),
            Self::UnknownReject => refused(vec![reject(rows, "unknown".into())]),
            Self::RejectedOrigin => Columns { rejects: vec![reject(bad, "both".into())], ..Columns::default() },
            Self::RejectedTwice => refused(vec![reject(bad, "once".into()), reject(bad, "twice".into())]),
            Self::NotUtf8Reason => refused(vec![reject(bad, not_utf8())]),
            Self::LongReason => refused(vec![reject(bad, "\u{1b}[7mbad\n".repeat(amount / 8))]),
            Self::FarFuture => Rows { times: Some(vec![i64::MAX; rows as usize]), ..all() }.into(),
            Self::FarPast => Rows { times: Some(vec![i64::MIN; rows as usize]), ..all() }.into(),
            Self::NotUtf8Value => Rows { values: same(b"{\"a\":\"\xff\xc3(\"}"), ..all() }.into(),
            Self::NotJson => Rows { values: same(b"{\"a\":"), ..all() }.into(),
            Self::NotUtf8Key => Rows { keys: same(b"\xff\xc3("), ..all() }.into(),
            Self::NulKey => Rows { keys: same(b"\0\n"), ..all() }.into(),
            Self::HugeKey => Rows { keys: one(&vec![b'k'; amount]), ..only(bad, 1) }.into(),
            Self::HugeValue => Rows { values: one(&vec![b'1'; amount]), ..only(bad, 1) }.into(),
            Self::ManyRows => only(bad, amount).into(),
            Self::Retry => return Err(Failure::retry("later, perhaps")),
            Self::NotUtf8Retry => return Err(Failure::Retry(not_utf8())),
            Self::Fatal => return Err(Failure::fatal("it is no use")),
        })
    }
}

fn only(row: u32, times: usize) -> Rows {
    Rows { origins: Some(vec![row; times]), ..Rows::default() }
}

fn one(bytes: &[u8]) -> Option<Binary> {
    Some([bytes].into_iter().collect())
}
