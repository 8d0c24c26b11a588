//! Which letters are meant.

use clap::builder::PossibleValuesParser;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};
use wasmill_stream::dead_letter::DeadLetter;
use wasmill_stream::time::TimeFormat;
use wasmill_stream::units::Period;
use wasmill_stream::{Cause, GuestFault};

/// Letters that are meant; what is left out does not matter.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Filter {
    /// Only of this cause
    #[arg(long, value_parser = PossibleValuesParser::new(causes()))]
    pub cause: Option<String>,
    /// Only of this source, step or sink
    #[arg(long)]
    pub step: Option<String>,
    /// Only what left the pipeline since: a time such as 2024-05-01T10:00:00Z, or how long ago, such as 2h
    #[arg(long, value_name = "TIME")]
    pub since: Option<Since>,
}

/// The names of all causes.
fn causes() -> impl Iterator<Item = &'static str> {
    let guest = GuestFault::ALL.into_iter().map(Cause::Guest);
    let others = [Cause::Undecodable, Cause::Rejected, Cause::Late, Cause::Future, Cause::Refused, Cause::Outage];
    others.into_iter().chain(guest).map(Cause::name)
}

/// A moment from which on letters count, ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since(pub i64);

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(time) = TimeFormat::Iso8601.parse(text.as_bytes()) {
            return Ok(Self(time));
        }
        let period: Period = text.parse().map_err(|_| {
            format!("expected a time such as 2024-05-01T10:00:00Z, or how long ago, such as 2h; found {text}")
        })?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Ok(Self(i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(period.millis())))
    }
}

impl Filter {
    /// Whether a letter is meant. One without a readable time is, whatever the time.
    pub fn takes(&self, letter: &DeadLetter) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        let since = self.since.zip(TimeFormat::Iso8601.parse(letter.at.as_bytes()));
        is(&self.cause, &letter.cause)
            && is(&self.step, &letter.step)
            && since.is_none_or(|(Since(from), at)| at >= from)
    }
}
