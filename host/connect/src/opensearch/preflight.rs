//! What has to be there before the first document: the index, data stream or alias, with the types of fields that the job file
//! names, made from the job file where it is missing. What cannot be put right is an error that says what is there and what was
//! wanted.

use super::creation::Creation;
use super::mappings::{self, Verdict};
use super::server::{Reply, Server};
use super::settings::Settings;
use crate::retry::{Backoff, until_answered};
use opensearch::http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use wasmill_stream::{Error, Result};

/// Above those of templates that come with a server.
const PRIORITY: u32 = 500;

/// An index as the server describes it.
#[derive(Deserialize)]
struct Index {
    data_stream: Option<String>,
    #[serde(default)]
    mappings: Value,
}

/// One preparation of one sink.
struct Preflight<'a> {
    server: &'a Server,
    settings: &'a Settings,
    creation: &'a Creation,
    /// The name of the index, with an asterisk for what depends on time.
    name: String,
}

/// Proves that the server answers and lets us in, and that there is, or will be, what the job file says. Returns whether it is a
/// data stream.
pub async fn prepare(server: &Server, settings: &Settings) -> Result<bool> {
    let preflight = Preflight { server, settings, creation: &settings.creation, name: settings.index.covering("*") };
    until_answered(Backoff::new(settings.patience), || preflight.prepare()).await
}

impl Preflight<'_> {
    async fn prepare(&self) -> Result<bool> {
        let reply = self.server.send(Method::Get, &format!("/{}", self.name), "").await?;
        let found: BTreeMap<String, Index> = match reply.status {
            StatusCode::OK => serde_json::from_str(&reply.body).map_err(|error| {
                Error::unavailable(format!("{}: look at index {}", reply.from, self.name)).with_source(error)
            })?,
            StatusCode::NOT_FOUND => BTreeMap::new(),
            _ => return Err(self.server.refusal(&format!("look at index {}", self.name), &reply)),
        };
        if let Some(policy) = &self.creation.policy {
            self.keep_policy(policy).await?;
        }
        if self.wants_template() {
            self.put_template().await?;
        }
        // An empty list: nothing has a name of the pattern yet.
        if found.is_empty() {
            return self.create().await;
        }
        self.compare(&found).await?;
        let is = found.values().any(|index| index.data_stream.is_some());
        match self.settings.data_stream {
            Some(wanted) if is != wanted => Err(Error::invalid(format!(
                "{}: {} is {}, but the job file says `data_stream = {wanted}`",
                self.server,
                self.name,
                if is { "a data stream" } else { "an index and no data stream" }
            ))),
            _ => Ok(is),
        }
    }

    /// Whether indexes are made by the server, from a template: those of a time, of a data stream, or behind an alias.
    fn wants_template(&self) -> bool {
        let by_server = !self.settings.index.is_literal() || self.is_data_stream() || self.creation.rollover;
        by_server && (self.creation.says_something() || self.creation.rollover)
    }

    fn is_data_stream(&self) -> bool {
        self.settings.data_stream == Some(true)
    }

    /// What indexes, policies and templates that belong to the job are called.
    fn own_name(&self) -> String {
        format!("wasmill-{}", self.name.trim_end_matches('*').trim_end_matches(['-', '.', '_']).replace('*', "x"))
    }

    /// Those that the template is for.
    fn covered(&self) -> String {
        if self.creation.rollover { format!("{}-*", self.name) } else { self.name.clone() }
    }

    async fn put_template(&self) -> Result<()> {
        let mut settings = self.creation.settings.clone().unwrap_or_else(|| json!({}));
        if self.creation.rollover && self.creation.policy.is_some() {
            settings["plugins.index_state_management.rollover_alias"] = self.name.as_str().into();
        }
        let mut content = self.creation.content();
        content.insert("settings".to_owned(), settings);
        let mut template = json!({
            "index_patterns": [self.covered()],
            "priority": PRIORITY,
            "template": content,
        });
        if self.is_data_stream() {
            template["data_stream"] = json!({});
        }
        let name = self.own_name();
        self.put(&format!("/_index_template/{name}"), &template, &format!("put index template {name}")).await
    }

    /// Makes sure of the policy by which the server rolls indexes over and removes them.
    async fn keep_policy(&self, policy: &Value) -> Result<()> {
        let name = self.own_name();
        let path = format!("/_plugins/_ism/policies/{name}");
        let mut policy = policy.clone();
        if policy.get("ism_template").is_none() {
            policy["ism_template"] = json!([{"index_patterns": [self.covered()], "priority": PRIORITY}]);
        }
        let reply = self.server.send(Method::Get, &path, "").await?;
        match reply.status {
            // It may have been changed by hand since, for good reasons.
            StatusCode::OK => Ok(()),
            StatusCode::NOT_FOUND => {
                self.put(&path, &json!({"policy": policy}), &format!("put ISM policy {name}")).await
            }
            _ => Err(self.server.refusal(&format!("look at ISM policy {name}"), &reply)),
        }
    }

    /// Nothing is there. Returns whether what is made is a data stream.
    async fn create(&self) -> Result<bool> {
        let (name, is_stream) = (&self.name, self.is_data_stream());
        match (self.settings.index.is_literal(), is_stream) {
            (true, true) => {
                self.put(&format!("/_data_stream/{name}"), &Value::Null, &format!("create data stream {name}")).await?
            }
            (true, false) if self.creation.rollover => {
                let alias = json!({"aliases": {name.as_str(): {"is_write_index": true}}});
                self.put(&format!("/{name}-000001"), &alias, &format!("create index {name}-000001")).await?;
            }
            (true, false) if self.creation.says_something() => {
                let content = self.creation.content().into();
                self.put(&format!("/{name}"), &content, &format!("create index {name}")).await?;
            }
            (false, _) if self.creation.says_something() => {}
            _ if self.creation.is_dynamic => {}
            _ => self.find_template().await?,
        }
        Ok(is_stream)
    }

    /// Nobody has said what types the fields of an index have that is not there. Then a template of the server has to.
    async fn find_template(&self) -> Result<()> {
        let name = self.settings.index.at(0);
        let reply = self.server.send(Method::Post, &format!("/_index_template/_simulate_index/{name}"), "").await?;
        let found: Value = serde_json::from_str(&reply.body).unwrap_or_default();
        if reply.status.is_success() && found["template"].is_object() {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{}: there is no index {}, no index template for it, and the job file says nothing of its `mappings`: the first \
             document would decide the types of all fields. Add `mappings`, or `dynamic_mappings = true` if it may",
            self.server, self.name
        )))
    }

    /// Holds the mappings of what is there against the job file.
    async fn compare(&self, found: &BTreeMap<String, Index>) -> Result<()> {
        let Some(wanted) = &self.creation.mappings else { return Ok(()) };
        for (index, Index { mappings: found, .. }) in found {
            match mappings::compare(wanted, found) {
                Verdict::Same => {}
                Verdict::Missing(fields) => {
                    tracing::info!("index {index} gets the fields {}", fields.join(", "));
                    let what = format!("add {} to index {index}", fields.join(", "));
                    self.put(&format!("/{index}/_mapping"), wanted, &what).await?;
                }
                Verdict::Conflicting(conflicts) => {
                    return Err(Error::invalid(format!(
                        "{}: the mappings of index {index} are not those of the job file: {conflicts}. The type of a field \
                         cannot be changed: write to another index, or reindex this one",
                        self.server
                    )));
                }
            }
        }
        Ok(())
    }

    async fn put(&self, path: &str, body: &Value, what: &str) -> Result<()> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = self.server.send(Method::Put, path, body).await?;
        // Another writer may have been faster.
        if reply.status.is_success() || is_there_already(&reply) {
            return Ok(());
        }
        Err(self.server.refusal(what, &reply))
    }
}

fn is_there_already(reply: &Reply) -> bool {
    reply.body.contains("resource_already_exists_exception")
}

impl Creation {
    /// The body of a request that makes an index.
    fn content(&self) -> Map<String, Value> {
        let aliases: Map<String, Value> = self.aliases.iter().map(|alias| (alias.clone(), json!({}))).collect();
        let parts = [
            ("mappings", self.mappings.clone()),
            ("settings", self.settings.clone()),
            ("aliases", (!aliases.is_empty()).then_some(aliases.into())),
        ];
        parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?))).collect()
    }
}
