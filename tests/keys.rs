//! Keys that are lent for a moment, and clocks that are wrong: the real program on a stream that checks every signature.

use crate::harness::data::{json_lines, written};
use crate::harness::fake_kinesis::{FakeKinesis, Keys};
use crate::harness::host::Host;
use crate::harness::loopback::{self, Reply};
use crate::harness::patience::until;
use crate::harness::program::wasmill;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use wasmill_stream::time::iso8601;

/// How long keys are good for, in milliseconds.
const LIFE: i64 = 1_000;
/// How far the clock of the service is off, in milliseconds: further than it allows for.
const OFF: i64 = 20 * 60_000;

/// A job that reads a stream with the keys of the machine.
fn job(url: &str, dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "[source.events]\ntype = \"kinesis\"\nstream = \"trips\"\nregion = \"eu-west-1\"\nendpoint = \"{url}\"\n\
         read_interval = \"20ms\"\npoll_interval = \"20ms\"\nevent_time = \"/t: time(unix-ms)\"\n\
         [sink.rows]\ninput = \"events\"\ntype = \"file\"\npath = \"{dir}/rows.jsonl\"\n"
    )
}

/// Lends keys as the metadata service of a machine does: each time others, of which the stream takes only the last.
struct Lender {
    url: String,
    lent: Arc<AtomicUsize>,
}

impl Lender {
    fn start(fake: &Arc<FakeKinesis>) -> Self {
        let lent = Arc::new(AtomicUsize::new(0));
        let (fake, count) = (fake.clone(), lent.clone());
        let url = loopback::serve(move |_| {
            let turn = count.fetch_add(1, Relaxed);
            let (secret, token) = (format!("secret {turn}"), format!("token {turn}"));
            let mut state = fake.state();
            // The end of the keys is told by the machine's clock, which is that of the program.
            let end = state.clock.now() - state.clock.ahead + LIFE;
            state.keys = Some(Keys { id: "AKID".into(), secret: secret.clone(), token: Some(token.clone()) });
            let keys =
                json!({"AccessKeyId": "AKID", "SecretAccessKey": secret, "Token": token, "Expiration": iso8601(end)});
            Reply::Json(200, keys.to_string())
        });
        Self { url, lent }
    }
}

/// Keys that are good for a second each, of which the stream takes only the last, and a clock that is twenty minutes ahead of the
/// program's, or behind it → records are read all the time, each once.
#[test]
fn keys_end_and_clocks_are_off() {
    let (fake, dir) = (Arc::new(FakeKinesis::with_shards(2)), tempfile::tempdir().expect("a folder"));
    let path = dir.path();
    fs::write(path.join("job.toml"), job(&fake.url, path)).expect("it can be written");
    let lender = Lender::start(&fake);
    let mut command = wasmill(path);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"] {
        command.env_remove(name);
    }
    // No profile of whoever runs this.
    command.env("AWS_CONFIG_FILE", "none").env("AWS_SHARED_CREDENTIALS_FILE", "none");
    command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &lender.url).args(["run", "job.toml"]);
    let mut host = Host::start(&mut command, &path.join("log.txt"));
    let numbers = || -> Vec<u64> {
        let rows = written(path, "rows.");
        let whole = rows.rsplit_once('\n').map_or("", |(whole, _)| whole);
        json_lines(whole).iter().map(|row| row["number"].as_u64().expect("a number")).collect()
    };
    let mut put = 0;
    for ahead in [0, OFF, -OFF] {
        fake.state().clock.ahead = ahead;
        let before = lender.lent.load(Relaxed);
        until("other keys, three times, and what came meanwhile", || {
            assert!(host.status().is_none(), "it ended by itself: {}", host.text());
            let row = format!("{{\"number\":{put},\"t\":{}}}", 1_700_000_000_000_u64 + put);
            fake.state().put(put % 2 * (1 << 31), row);
            put += 1;
            (lender.lent.load(Relaxed) >= before + 3).then_some(())
        });
        until("all rows", || {
            assert!(host.status().is_none(), "it ended by itself: {}", host.text());
            (numbers().len() as u64 >= put).then_some(())
        });
    }
    host.signal("TERM");
    host.wait().well();
    let mut numbers = numbers();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..put).collect::<Vec<_>>());
}
