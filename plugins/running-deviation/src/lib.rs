//! Tells when a number is far from what its key has shown so far: per key a running mean and standard deviation (Welford), and
//! a row for each value that is more than some standard deviations away. A key that falls silent is forgotten.

use serde::Serialize;
use std::time::Duration;
use wasmill::settings::Pointer;
use wasmill::{Accumulator, Context, Fields, Json, Process, Settings, Time};

#[derive(Settings)]
struct RunningDeviation {
    /// Where the number is, as a JSON pointer.
    field: Pointer,
    /// How many standard deviations from the mean are too far.
    #[setting(default = 3.0, minimum = 0)]
    sigmas: f64,
    /// How many values a key must have shown before one can be too far.
    #[setting(default = 30, minimum = 2)]
    warm_up: u64,
    /// How long a key may be silent until it is forgotten.
    #[setting(default = "1h")]
    idle: Duration,
}

#[derive(Fields)]
struct Reading {
    value: f64,
}

#[derive(Default, Accumulator)]
struct Running {
    count: u64,
    mean: f64,
    /// The sum of the squared distances from the mean.
    squares: f64,
    last: Time,
}

#[derive(Serialize)]
struct Alert {
    key: String,
    value: f64,
    mean: f64,
    deviation: f64,
    /// How many values mean and deviation are of; this one is not among them.
    count: u64,
    time: Time,
}

impl Running {
    fn add(&mut self, value: f64) {
        self.count += 1;
        let distance = value - self.mean;
        self.mean += distance / self.count as f64;
        self.squares += distance * (value - self.mean);
    }

    fn deviation(&self) -> f64 {
        (self.squares / (self.count - 1) as f64).sqrt()
    }
}

impl Process for RunningDeviation {
    type Row = Reading;
    type State = Running;
    type Output = Json<Alert>;

    fn row(&self, state: &mut Option<Running>, Reading { value }: Reading, context: &mut Context<'_, Self::Output>) {
        let time = context.time();
        let running = state.get_or_insert_with(|| {
            context.set_timer(time + self.idle);
            Running::default()
        });
        if running.count >= self.warm_up && (value - running.mean).abs() > self.sigmas * running.deviation() {
            let Running { count, mean, .. } = *running;
            let (key, deviation) = (context.key().text().into_owned(), running.deviation());
            context.emit(Json(Alert { key, value, mean, deviation, count, time }));
        }
        running.add(value);
        running.last = running.last.max(time);
    }

    /// There is one timer per key. If the key was not silent all the time, it moves on.
    fn timer(&self, state: &mut Option<Running>, context: &mut Context<'_, Self::Output>) {
        match state.as_ref().map(|running| running.last + self.idle) {
            Some(due) if due > context.time() => context.set_timer(due),
            _ => *state = None,
        }
    }

    fn pointer<'a>(&'a self, _declared: &'a str) -> &'a str {
        &self.field.0
    }
}

wasmill::process!(RunningDeviation);

#[cfg(test)]
mod tests;
