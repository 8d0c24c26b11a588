//! Calls of a sink's writer, which may last: who looks at the sink's ledger meanwhile can see them.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;
use wasmill_stream::Result;
use wasmill_stream::ledger::{Activity, Latency, Meter, StepLedger};

/// Makes the calls of one sink's writer.
pub struct Calls {
    ledger: Arc<StepLedger>,
    meter: Meter,
}

impl Calls {
    /// None so far. `ledger`: the counters of the sink.
    pub fn new(ledger: Arc<StepLedger>) -> Self {
        ledger.is_sink.store(true, Relaxed);
        let meter = ledger.activities.meter(Instant::now());
        Self { ledger, meter }
    }

    /// Rows are written, or what is buffered.
    pub async fn write<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.make(Activity::Busy, Some(&self.ledger.write_latency), call).await
    }

    /// A checkpoint is prepared or committed, or the sink closed.
    pub async fn commit<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.make(Activity::Busy, Some(&self.ledger.commit_latency), call).await
    }

    /// Something is handed on to those behind the sink.
    pub async fn hand_on<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.make(Activity::Backpressured, None, call).await
    }

    async fn make<T>(
        &self,
        activity: Activity,
        latency: Option<&Latency>,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let begun = Instant::now();
        self.ledger.count_call();
        self.meter.turn_to(activity, begun);
        let answer = call.await;
        let now = Instant::now();
        self.meter.turn_to(Activity::Idle, now);
        self.ledger.count_call();
        latency.into_iter().for_each(|latency| latency.add(now - begun));
        answer
    }
}
