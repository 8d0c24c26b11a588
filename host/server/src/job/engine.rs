//! The table `[engine]`: how to run the job.

use wasmill_engine::Options;
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::key::KEY_GROUPS;
use wasmill_stream::units::{ByteCount, Period};

/// Reads it. What is missing or wrong has its default.
pub fn read(mut table: Section<'_>, problems: &mut Problems) -> Options {
    let mut options = Options::default();
    if let Some((workers, place)) = table.located::<usize>("workers", problems) {
        if !(1..=KEY_GROUPS).contains(&(workers as u64)) {
            let message = format!("engine: `workers` must be 1 to {KEY_GROUPS}, the number of key groups");
            problems.push(place, message);
        }
        options.workers = workers;
    }
    if let Some((epoch, place)) = table.located::<Period>("epoch", problems) {
        if epoch.millis() == 0 {
            problems.push(place, "engine: `epoch` must be longer than zero");
        }
        options.epoch = epoch.duration();
    }
    if let Some((in_flight, place)) = table.located::<ByteCount>("in_flight", problems) {
        if !(1..=u64::from(u32::MAX)).contains(&in_flight.bytes()) {
            problems.push(place, "engine: `in_flight` must be between 1 B and 4 GiB");
        }
        options.in_flight = in_flight;
    }
    if let Some((state_limit, place)) = table.located::<ByteCount>("state_limit", problems) {
        if state_limit.bytes() == 0 {
            problems.push(place, "engine: `state_limit` must be larger than zero");
        }
        options.state_limit = state_limit;
    }
    table.finish(problems);
    options
}
