//! Counts the requests of each service in a window: all, failed ones, and how long the slowest took.

use serde::Serialize;
use wasmill::{Accumulator, Aggregator, Fields, Key, Settings, Time, Window};

#[derive(Settings)]
struct RequestStatistics {
    /// Services with fewer requests in a window are left out.
    #[setting(default = 1, minimum = 1)]
    at_least: u64,
}

#[derive(Fields)]
struct Request {
    status: i64,
    millis: i64,
}

/// What is kept of a window and key while rows come in.
#[derive(Default, Accumulator)]
struct Totals {
    requests: u64,
    failed: u64,
    slowest: i64,
}

#[derive(Serialize)]
struct Statistics {
    service: String,
    requests: u64,
    failed: u64,
    slowest_ms: i64,
    from: Time,
}

impl Aggregator for RequestStatistics {
    type Row = Request;
    type Accumulator = Totals;
    type Results = Option<Statistics>;

    fn accumulate(&self, totals: &mut Totals, request: Request) {
        totals.requests += 1;
        totals.failed += u64::from(request.status >= 500);
        totals.slowest = totals.slowest.max(request.millis);
    }

    fn merge(&self, into: &mut Totals, from: Totals) {
        into.requests += from.requests;
        into.failed += from.failed;
        into.slowest = into.slowest.max(from.slowest);
    }

    fn finish(&self, window: Window, key: Key<'_>, totals: Totals) -> Option<Statistics> {
        let Totals { requests, failed, slowest: slowest_ms } = totals;
        let service = key.text().into_owned();
        (requests >= self.at_least).then(|| Statistics { service, requests, failed, slowest_ms, from: window.start })
    }
}

wasmill::aggregator!(RequestStatistics);
