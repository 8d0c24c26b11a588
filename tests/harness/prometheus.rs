//! A real Prometheus with the settings of `examples/deploy`, and its tool.

use super::http::json;
use super::server::{Running, start};
use super::{root, skipped};
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Stdio};

/// What a script is called that says where the tool is.
const TOOL: &str = "tests/tools/promtool.sh";

/// A Prometheus that reads one host.
pub struct Prometheus(Running);

impl Prometheus {
    /// Starts one that reads the host at this URL; `None`, and a message, if it cannot be had here.
    pub fn start(url: &str) -> Option<Self> {
        let running = start("prometheus", &[("WASMILL_SCRAPE", url.trim_start_matches("http://"))]);
        if running.is_none() {
            is_missing();
        }
        running.map(Self)
    }

    /// The samples that a query finds, each with its labels and its value.
    pub fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = json("GET", &format!("{}/api/v1/query?query={encoded}", self.0.url), "");
        let samples = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        let value =
            |sample: &Value| sample["value"][1].as_str().and_then(|value| value.parse().ok()).expect("a number");
        samples.iter().map(|sample| (sample["metric"].clone(), value(sample))).collect()
    }

    /// What a path of its API says.
    pub fn get(&self, path: &str) -> Value {
        json("GET", &format!("{}{path}", self.0.url), "")
    }
}

/// Runs promtool in `examples/deploy`; returns whether it is content and what it says. `None`, and a message, if it cannot be
/// had here.
pub fn promtool(arguments: &[&str], input: &str) -> Option<(bool, String)> {
    let output = Command::new(root().join(TOOL)).stderr(Stdio::inherit()).output().expect("the script is there");
    let said = String::from_utf8_lossy(&output.stdout);
    let Some(tool) = said.trim().strip_prefix("READY ") else {
        is_missing();
        return None;
    };
    let mut child = Command::new(tool)
        .args(arguments)
        .current_dir(root().join("examples/deploy"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

fn is_missing() {
    assert!(std::env::var_os("WASMILL_REQUIRE_SERVERS").is_none(), "prometheus is required");
    skipped("needs prometheus");
}
