//! The time as the service has it, by the `Date` of its answers: that is the time by which it dates records, and by which it
//! understands "since".

use aws_sdk_kinesis::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_kinesis::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_kinesis::error::BoxError;
use aws_sdk_kinesis::primitives::{DateTime, DateTimeFormat};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

/// A date has whole seconds, and an answer takes its time: a clock that differs by less than this may be right.
const TOLERANCE: i64 = 2_000;

/// A clock that differs by more should be put right: at five minutes, requests are refused.
const ALARM: i64 = 120_000;

/// The clock of the service. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct ServerClock {
    /// By how much it is ahead of this machine's, in milliseconds.
    ahead: Arc<AtomicI64>,
}

impl ServerClock {
    /// Milliseconds since 1970: later than the service has it by two seconds at most, as far as is known.
    pub fn now(&self) -> i64 {
        wall_clock().saturating_add(self.ahead.load(Relaxed))
    }

    /// An answer that came at `now` had this date. Returns by how much the service is ahead if that has become alarming.
    fn hear(&self, date: i64, now: i64) -> Option<i64> {
        let may_be_right = (date..date.saturating_add(TOLERANCE)).contains(&now);
        let ahead = if may_be_right { 0 } else { date.saturating_sub(now) };
        let before = self.ahead.swap(ahead, Relaxed);
        let is_alarming = |ahead: i64| ahead.unsigned_abs() > ALARM.unsigned_abs();
        (is_alarming(ahead) && !is_alarming(before)).then_some(ahead)
    }
}

impl Intercept for ServerClock {
    fn name(&self) -> &'static str {
        "ServerClock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok()?.to_millis().ok());
        if let Some(ahead) = date.and_then(|date| self.hear(date, wall_clock())) {
            let seconds = ahead / 1_000;
            tracing::warn!(seconds, "this machine's clock is behind that of Kinesis (ahead of it, if negative)");
        }
        Ok(())
    }
}

/// Milliseconds since 1970, by this machine.
fn wall_clock() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of a service whose clock is about the same, ahead or behind → its time; the first that is far off is told, and
    /// the next ones only after it was right in between.
    #[test]
    fn dates_move_the_clock() {
        const NOW: i64 = 1_795_000_000_000;
        let clock = ServerClock::default();
        let minutes = |minutes: i64| minutes * 60_000;
        for (date, ahead, told) in [
            (NOW, 0, false),
            (NOW - 1_999, 0, false),
            (NOW - 2_000, -2_000, false),
            (NOW + 1, 1, false),
            (NOW + minutes(2), minutes(2), false),
            (NOW + minutes(20), minutes(20), true),
            (NOW + minutes(21), minutes(21), false),
            (NOW, 0, false),
            (NOW - minutes(20), -minutes(20), true),
        ] {
            let heard = clock.hear(date, NOW);
            assert_eq!((clock.ahead.load(Relaxed), heard.is_some()), (ahead, told), "{}", date - NOW);
            assert!((clock.now() - wall_clock() - ahead).abs() < 1_000);
        }
    }
}
