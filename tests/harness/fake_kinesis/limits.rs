//! What a shard takes and gives in a second, and how often shards are listed.

use std::collections::BTreeMap;

/// The limits, and what has been used of them.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Reads of a shard.
    pub reads: f64,
    /// Bytes read from a shard.
    pub read_bytes: f64,
    /// Records written to a shard.
    pub records: f64,
    /// Bytes written to a shard.
    pub written_bytes: f64,
    /// Lists of shards. AWS allows more; a source that lists more often than this lists too often.
    pub lists: f64,
    used: BTreeMap<(Kind, String), Used>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Reads,
    ReadBytes,
    Records,
    WrittenBytes,
    Lists,
}

/// How much of a second's worth is used, and when that was so.
#[derive(Debug, Clone, Copy)]
struct Used {
    amount: f64,
    at: i64,
}

impl Limits {
    /// Those of AWS, and one list a second.
    pub fn of_aws() -> Self {
        let mib = f64::from(1 << 20);
        Self {
            reads: 5.0,
            read_bytes: 2.0 * mib,
            records: 1_000.0,
            written_bytes: mib,
            lists: 1.0,
            used: BTreeMap::new(),
        }
    }

    /// Whether the shard may be read now.
    pub fn read(&mut self, shard: &str, now: i64) -> bool {
        // A page may be larger than a second's worth: then the shard is closed to readers until it is paid off.
        self.take(Kind::ReadBytes, shard, 0.0, self.read_bytes, now)
            && self.take(Kind::Reads, shard, 1.0, self.reads, now)
    }

    /// The shard has given so many bytes.
    pub fn has_given(&mut self, shard: &str, bytes: usize, now: i64) {
        let rate = self.read_bytes;
        self.entry(Kind::ReadBytes, shard, rate, now).amount += bytes as f64;
    }

    /// Whether the shard takes a record of so many bytes now.
    pub fn write(&mut self, shard: &str, bytes: usize, now: i64) -> bool {
        self.take(Kind::WrittenBytes, shard, bytes as f64, self.written_bytes, now)
            && self.take(Kind::Records, shard, 1.0, self.records, now)
    }

    /// Whether shards may be listed now.
    pub fn list(&mut self, now: i64) -> bool {
        self.take(Kind::Lists, "", 1.0, self.lists, now)
    }

    fn take(&mut self, kind: Kind, shard: &str, amount: f64, rate: f64, now: i64) -> bool {
        let used = self.entry(kind, shard, rate, now);
        let fits = used.amount + amount <= rate;
        if fits {
            used.amount += amount;
        }
        fits
    }

    /// What is used now: it becomes less with time.
    fn entry(&mut self, kind: Kind, shard: &str, rate: f64, now: i64) -> &mut Used {
        let used = self.used.entry((kind, shard.to_owned())).or_insert(Used { amount: 0.0, at: now });
        let passed = (now - used.at).max(0) as f64 / 1_000.0;
        *used = Used { amount: (used.amount - passed * rate).max(0.0), at: now };
        used
    }
}
