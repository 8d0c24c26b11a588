//! Consumers, and the subscriptions by which they are sent what comes.

use super::super::loopback::Chunks;
use super::arn;
use super::call::{Answer, Outcome, Refusal, invalid, not_found};
use super::clock::seconds;
use super::events::{event, exception, greeting};
use super::script::PushFault;
use super::shard::Record;
use super::state::State;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Consumers of a stream.
const CONSUMERS: usize = 20;
/// How long a subscription lasts, in milliseconds.
const LASTS: i64 = 300_000;
/// How long it cannot be taken over, in milliseconds.
const HOLDS: i64 = 5_000;
/// How often a subscription looks for records.
const LOOKS: Duration = Duration::from_millis(5);
/// Between two events of a subscription to which nothing comes, in milliseconds.
const BEAT: i64 = 50;
/// Records of one event.
const RECORDS: usize = 100;

/// Someone who may subscribe to shards.
#[derive(Debug, Clone, Default)]
pub struct Consumer {
    created: i64,
    /// How often it must be asked for before it is active.
    pub describes_until_active: usize,
    /// By shard: which subscription is the current one, and when it began.
    subscriptions: BTreeMap<String, (u64, i64)>,
    /// How many subscriptions there were.
    pub subscribed: u64,
}

impl Consumer {
    fn arn(&self, name: &str) -> String {
        format!("{}/consumer/{name}:{}", arn(), self.created / 1_000)
    }

    fn json(&self, name: &str) -> Value {
        let status = if self.describes_until_active == 0 { "ACTIVE" } else { "CREATING" };
        json!({"ConsumerName": name, "ConsumerARN": self.arn(name), "ConsumerStatus": status,
            "ConsumerCreationTimestamp": seconds(self.created)})
    }
}

impl State {
    pub fn register(&mut self, body: &Value) -> Answer {
        let name = self.consumer_name(body)?;
        if self.consumers.contains_key(&name) {
            return Err(Refusal::new("ResourceInUseException", format!("Consumer {name} already exists")));
        }
        if self.consumers.len() >= CONSUMERS {
            return Err(Refusal::new("LimitExceededException", "20 consumers are registered already"));
        }
        let consumer = Consumer { created: self.clock.now(), describes_until_active: 1, ..Consumer::default() };
        let described = consumer.json(&name);
        self.consumers.insert(name, consumer);
        Ok(json!({"Consumer": described}))
    }

    pub fn describe_consumer(&mut self, body: &Value) -> Answer {
        let name = match body["ConsumerARN"].as_str() {
            Some(given) => self.named(given)?,
            None => self.consumer_name(body)?,
        };
        let Some(consumer) = self.consumers.get_mut(&name) else {
            return Err(not_found(format!("Consumer {name} not found")));
        };
        let mut described = consumer.json(&name);
        consumer.describes_until_active = consumer.describes_until_active.saturating_sub(1);
        described["StreamARN"] = arn().into();
        Ok(json!({"ConsumerDescription": described}))
    }

    pub fn deregister(&mut self, body: &Value) -> Answer {
        let name = match body["ConsumerARN"].as_str() {
            Some(given) => self.named(given)?,
            None => self.consumer_name(body)?,
        };
        self.consumers.remove(&name).map(|_| Value::Null).ok_or_else(|| not_found("no such consumer"))
    }

    fn consumer_name(&self, body: &Value) -> Result<String, Refusal> {
        if body["StreamARN"].as_str() != Some(arn().as_str()) {
            return Err(not_found("Stream not found: consumers are named with the ARN of their stream"));
        }
        body["ConsumerName"].as_str().map(str::to_owned).ok_or_else(|| invalid("no ConsumerName"))
    }

    fn named(&self, given: &str) -> Result<String, Refusal> {
        let mut all = self.consumers.iter();
        let found = all.find(|(name, consumer)| consumer.arn(name) == given);
        found.map(|(name, _)| name.clone()).ok_or_else(|| not_found("no such consumer"))
    }

    /// Takes a subscription, or refuses it.
    fn admit(&mut self, body: &Value) -> Result<Subscription, Refusal> {
        let consumer = self.named(body["ConsumerARN"].as_str().unwrap_or_default())?;
        let shard_id = body["ShardId"].as_str().unwrap_or_default().to_owned();
        let shard = self.shards.get(&shard_id).ok_or_else(|| not_found("no such shard"))?;
        let place = &body["StartingPosition"];
        let number = place["SequenceNumber"].as_str();
        let next = match place["Type"].as_str().unwrap_or_default() {
            "LATEST" => shard.records.len(),
            kind => match number.and_then(|number| shard.behind_continuation(number)) {
                Some(next) => next,
                None => self.start(shard, kind, number, place["Timestamp"].as_f64())?,
            },
        };
        let fault = self.push_faults.get_mut(&shard_id).and_then(VecDeque::pop_front).flatten();
        let now = self.clock.now();
        let held = self.consumers.get_mut(&consumer).ok_or_else(|| not_found("no such consumer"))?;
        if held.describes_until_active > 0 {
            return Err(Refusal::new("ResourceInUseException", format!("Consumer {consumer} is not active")));
        }
        let is_held = held.subscriptions.get(&shard_id).is_some_and(|(_, since)| now - since < HOLDS);
        match fault {
            Some(PushFault::LimitExceeded) => return Err(Refusal::new("LimitExceededException", "scripted")),
            Some(PushFault::InUse) => {
                return Err(Refusal::new("ResourceInUseException", "Another active subscription"));
            }
            _ if is_held => return Err(Refusal::new("ResourceInUseException", "Another active subscription exists")),
            _ => {}
        }
        held.subscribed += 1;
        let turn = held.subscribed;
        held.subscriptions.insert(shard_id.clone(), (turn, now));
        Ok(Subscription { consumer, shard: shard_id, turn, since: now, incarnation: self.incarnation, next, fault })
    }

    /// Whether a subscription is still the one that counts.
    fn is_current(&self, of: &Subscription) -> bool {
        let held = self.consumers.get(&of.consumer).and_then(|consumer| consumer.subscriptions.get(&of.shard));
        held.is_some_and(|(turn, _)| *turn == of.turn)
    }
}

/// Who subscribed to what.
struct Subscription {
    consumer: String,
    shard: String,
    turn: u64,
    since: i64,
    incarnation: u32,
    /// The next record to send.
    next: usize,
    fault: Option<PushFault>,
}

/// What a subscription sends next.
enum Step {
    Nothing,
    Event(Value),
    /// The last event of a closed shard.
    LastEvent(Value),
    TakenOver,
    Over,
}

/// Takes a subscription, or refuses it.
pub fn subscribe(state: &Arc<Mutex<State>>, body: &Value) -> Outcome {
    match lock(state).admit(body) {
        Err(refusal) => refusal.into(),
        Ok(subscription) => {
            let state = state.clone();
            Outcome::Stream(Box::new(move |chunks| subscription.run(&state, chunks)))
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no test panics in here")
}

impl Subscription {
    fn run(mut self, state: &Mutex<State>, chunks: &mut Chunks<'_>) -> std::io::Result<()> {
        if self.fault == Some(PushFault::Silent) {
            return self.keep_silent(state);
        }
        if lock(state).greets {
            chunks.send(&greeting())?;
        }
        let (mut sent, mut last) = (0, i64::MIN);
        loop {
            let step = {
                let state = lock(state);
                let now = state.clock.now();
                let is_due = now.saturating_sub(last) >= BEAT;
                self.step(&state, now, is_due)
            };
            let (event, is_last) = match step {
                Step::Over => return Ok(()),
                Step::TakenOver => {
                    return chunks.send(&exception("ResourceInUseException", "another subscription took over"));
                }
                Step::Nothing => {
                    std::thread::sleep(LOOKS);
                    continue;
                }
                Step::Event(payload) => (event(&payload), false),
                Step::LastEvent(payload) => (event(&payload), true),
            };
            match (self.fault, sent) {
                (Some(PushFault::Cut), 1) => return chunks.break_off(&event[..event.len() / 2]),
                (Some(PushFault::Fails), 1) => {
                    return chunks.send(&exception("InternalFailureException", "scripted"));
                }
                (Some(PushFault::Ends), 1) => return Ok(()),
                (Some(PushFault::SilentAfterOne), 1) => return self.keep_silent(state),
                _ => chunks.send(&event)?,
            }
            (sent, last) = (sent + 1, lock(state).clock.now());
            if is_last {
                return Ok(());
            }
        }
    }

    /// The connection stays, and nothing comes.
    fn keep_silent(&self, state: &Mutex<State>) -> std::io::Result<()> {
        while lock(state).is_current(self) {
            std::thread::sleep(LOOKS);
        }
        Ok(())
    }

    fn step(&mut self, state: &State, now: i64, is_due: bool) -> Step {
        let Some(shard) = state.shards.get(&self.shard).filter(|_| self.incarnation == state.incarnation) else {
            return Step::Over;
        };
        if !state.is_current(self) {
            return Step::TakenOver;
        }
        if now - self.since >= LASTS {
            return Step::Over;
        }
        self.next = self.next.max(shard.trimmed);
        let (records, _) = shard.page(self.next, RECORDS.min(state.page));
        let is_end = shard.closed && self.next + records.len() == shard.records.len() && state.ends_subscriptions;
        if records.is_empty() && !is_due && !is_end {
            return Step::Nothing;
        }
        self.next += records.len();
        let records: Vec<_> = records.iter().map(Record::json).collect();
        let behind = shard.behind(self.next, now);
        let mut payload = json!({"Records": records, "MillisBehindLatest": behind});
        if is_end {
            if state.names_children {
                payload["ChildShards"] = state.children_of(&self.shard);
            }
            return Step::LastEvent(payload);
        }
        payload["ContinuationSequenceNumber"] = shard.continuation(self.next).into();
        Step::Event(payload)
    }
}
