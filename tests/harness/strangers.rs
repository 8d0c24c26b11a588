//! Tenants of a host, each with rows, plugins and small jobs of its own.

use super::data::json_lines;
use super::fleet::Fleet;
use super::plugins::component;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;

/// 2013-01-01T00:00:00Z
const START: i64 = 1_356_998_400_000;

/// What may read and write its own files.
pub const FILES: &str = "[allow]\nsources = [\"replay\"]\nsinks = [\"file\"]\n";

/// Rows with ids from 1, one a second.
fn rows(count: i64) -> String {
    (1..=count)
        .map(|id| json!({"t": START + id * 1_000, "id": id, "user": format!("u{id}")}).to_string() + "\n")
        .collect()
}

/// A tenant with its rows and plugins.
pub fn settle(fleet: &Fleet, tenant: &str, quota: &str, count: i64) {
    fleet.allow(tenant, &format!("{quota}\n{FILES}"));
    let folder = fleet.tenant(tenant);
    fs::write(folder.join("in.jsonl"), rows(count)).expect("it can be written");
    for plugin in ["identity", "hostile/transform"] {
        let name = plugin.replace('/', "-");
        fs::copy(component(plugin), folder.join(format!("{name}.wasm"))).expect("it was built");
    }
}

/// A job that copies its rows through a plugin. Relative paths are those of the tenant's folder, or, of plugins, of its job files.
pub fn copy(out: &str, plugin: &str, more: &str) -> String {
    format!(
        "[source.rows]\ntype = \"replay\"\npath = \"in.jsonl\"\nevent_time = \"/t: time(unix-ms)\"\n\
         [step.same]\ninput = \"rows\"\nplugin = \"{plugin}\"\n{more}\n\
         [sink.out]\ninput = \"same\"\ntype = \"file\"\npath = \"{out}\"\noverwrite = true\n"
    )
}

/// A plugin of a tenant that gives back what it gets.
pub const IDENTITY: &str = "../identity.wasm";
/// One that does as its settings say.
pub const HOSTILE: &str = "../hostile-transform.wasm";

/// The ids that a tenant's job has written.
pub fn ids(fleet: &Fleet, tenant: &str, out: &str) -> BTreeSet<i64> {
    let text = fs::read_to_string(fleet.tenant(tenant).join(out)).expect("the sink wrote it");
    let rows = json_lines(&text);
    let ids: BTreeSet<i64> = rows.iter().map(|row| row["id"].as_i64().expect("a number")).collect();
    assert_eq!(ids.len(), rows.len(), "no row twice");
    ids
}

/// All ids of so many rows.
pub fn all(count: i64) -> BTreeSet<i64> {
    (1..=count).collect()
}
