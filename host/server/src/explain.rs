//! Why a window is still open: what its step waits for, split by split.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;
use wasmill_engine::{Lookouts, Told, Watched};
use wasmill_stream::Result;
use wasmill_stream::ledger::SplitState;
use wasmill_stream::time::iso8601;

/// How long a step may take to end an epoch. One that takes longer stands still, and that is the explanation.
const PATIENCE: Duration = Duration::from_secs(3);

/// The windows of a step that are open, and what holds them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// The step.
    pub step: String,
    /// The key whose windows these are, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How far event time has come for the step, as RFC 3339 in UTC; nothing before it has heard of any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<String>,
    /// The first windows that have yet to fire.
    pub windows: Vec<OpenWindow>,
    /// The splits of the sources that the step depends on, those that hold the first window first.
    pub splits: Vec<HoldingSplit>,
    /// All of it in a sentence.
    pub why: String,
}

/// A window that has yet to fire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenWindow {
    /// Its start, as RFC 3339 in UTC.
    pub start: String,
    /// Its end: it fires when the watermark of the step reaches it.
    pub end: String,
}

/// A split of a source, and what it has to do with the first window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HoldingSplit {
    /// The source.
    pub source: String,
    /// The split, as the source calls it.
    pub split: String,
    /// How far its event time has come, as RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<String>,
    /// How far reading is behind the end of the split in milliseconds, if its server says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind_ms: Option<i64>,
    /// Whether it holds the window.
    pub holds: bool,
    /// Why, or why not.
    pub why: String,
}

/// Asks a running job.
pub async fn explain(lookouts: &Lookouts, step: &str, key: Option<String>) -> Result<Explanation> {
    let watched = lookouts.step(step)?;
    let mut answers = watched.ask(key.as_deref().map(str::as_bytes))?;
    let (mut told, until, mut is_late) = (Vec::new(), Instant::now() + PATIENCE, false);
    loop {
        match timeout_at(until, answers.recv()).await {
            Ok(Some(answer)) => told.push(answer),
            Ok(None) => break,
            Err(_) => {
                is_late = true;
                break;
            }
        }
    }
    Ok(Explanation::of(watched, key, &told, is_late))
}

impl Explanation {
    fn of(step: &Watched, key: Option<String>, told: &[Told], is_late: bool) -> Self {
        let sources = step.sources.iter().flat_map(|(source, ledger)| {
            ledger.splits.look().into_iter().map(|(split, state)| (source.to_string(), split, state))
        });
        Self::from_parts(&step.name, key, told, sources.collect(), is_late)
    }

    fn from_parts(
        step: &str,
        key: Option<String>,
        told: &[Told],
        splits: Vec<(String, String, SplitState)>,
        is_late: bool,
    ) -> Self {
        let watermark = told.iter().map(|told| told.watermark).min();
        let mut windows: Vec<(i64, i64)> = told.iter().flat_map(|told| told.windows.iter().copied()).collect();
        windows.sort_unstable_by_key(|&(start, end)| (end, start));
        windows.dedup();
        let target = windows.first().map(|&(_, end)| end);
        let all_idle = !splits.is_empty() && splits.iter().all(|(.., state)| state.is_idle);
        let mut splits: Vec<HoldingSplit> = splits
            .into_iter()
            .map(|(source, split, state)| HoldingSplit::of(source, split, state, target, all_idle))
            .collect();
        splits.sort_by_key(|split| !split.holds);
        let why = sentence(step, watermark, target, &splits, (is_late, all_idle));
        let known = |time: &i64| (*time != i64::MIN && *time != i64::MAX).then(|| iso8601(*time));
        let window = |(start, end): (i64, i64)| OpenWindow { start: iso8601(start), end: iso8601(end) };
        Self {
            step: step.to_owned(),
            key,
            watermark: watermark.as_ref().and_then(known),
            windows: windows.into_iter().map(window).collect(),
            splits,
            why,
        }
    }
}

impl HoldingSplit {
    fn of(source: String, split: String, state: SplitState, target: Option<i64>, all_idle: bool) -> Self {
        let SplitState { watermark, is_idle, behind } = state;
        let (holds, why) = match (watermark, target) {
            _ if is_idle && all_idle => (
                target.is_some(),
                "it is silent, as all others are: event time stands still until rows come".to_owned(),
            ),
            _ if is_idle => (false, "it is silent and caught up: it holds nothing back".to_owned()),
            (None, target) => (target.is_some(), "nothing has been read from it that tells its time".to_owned()),
            (Some(watermark), Some(end)) if watermark < end => {
                let missing = seconds(end.saturating_sub(watermark));
                (true, format!("its event time is {}, {missing} s before the end of the window", iso8601(watermark)))
            }
            (Some(watermark), _) => (false, format!("its event time has come to {}", iso8601(watermark))),
        };
        Self { source, split, watermark: watermark.map(iso8601), behind_ms: behind, holds, why }
    }
}

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1e3
}

fn sentence(
    step: &str,
    watermark: Option<i64>,
    target: Option<i64>,
    splits: &[HoldingSplit],
    (is_late, all_idle): (bool, bool),
) -> String {
    if is_late {
        let s = PATIENCE.as_secs();
        return format!(
            "{step} has not ended an epoch for {s} s: nothing comes in, or a sink behind it takes no more rows"
        );
    }
    let Some(end) = target else { return format!("no window of {step} is open") };
    let holding: Vec<String> = splits
        .iter()
        .filter(|split| split.holds)
        .map(|split| format!("split {} of {}", split.split, split.source))
        .collect();
    let end = iso8601(end);
    match holding.len() {
        _ if all_idle => format!("the window that ends at {end} is open because all splits are silent"),
        0 if watermark.is_some_and(|watermark| watermark > i64::MIN) => {
            format!("all splits have come to {end}; {step} has yet to hear of it")
        }
        0 => format!("the window that ends at {end} is open because no split is"),
        1 => format!("{} holds the window that ends at {end}: {}", holding[0], splits[0].why),
        number => {
            let shown = holding.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
            let more = if number > 3 { format!(" and {} more", number - 3) } else { String::new() };
            format!("{shown}{more} hold the window that ends at {end}")
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.why)?;
        writeln!(f, "watermark of {}: {}", self.step, self.watermark.as_deref().unwrap_or("none yet"))?;
        for OpenWindow { start, end } in &self.windows {
            writeln!(f, "  open  {start} to before {end}")?;
        }
        for split in &self.splits {
            let mark = if split.holds { "holds" } else { "     " };
            let behind = split.behind_ms.map(|ms| format!(", {} s behind its end", seconds(ms))).unwrap_or_default();
            writeln!(f, "  {mark}  {} of {}: {}{behind}", split.split, split.source, split.why)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
