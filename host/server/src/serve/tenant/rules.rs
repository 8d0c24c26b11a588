//! What a tenant's jobs may reach: the table `[allow]` of its file. What is not in there is denied.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use url::Url;
use wasmill_stream::access::{Barred, Reach, Role};
use wasmill_stream::config::{Place, Problems, Section};

/// What may be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Types of sources.
    sources: Vec<String>,
    /// Types of sinks.
    sinks: Vec<String>,
    /// `https://host` or `https://host:port`, as [`Reach::Server`] has them.
    servers: Vec<String>,
    /// Names or ARNs of streams; `*` at the end stands for anything.
    streams: Vec<String>,
    /// Names or ARNs of DynamoDB tables; `*` likewise.
    tables: Vec<String>,
    /// ARNs of SNS topics; `*` likewise.
    topics: Vec<String>,
    /// Namespaces of CloudWatch metrics; `*` likewise.
    namespaces: Vec<String>,
    /// Buckets, and what keys begin with.
    objects: Vec<(String, String)>,
    /// What `registry/repository` begins with.
    artifacts: Vec<String>,
    /// Addresses to which the names of servers may lead although they are nobody's on the internet, such as `10.1.0.0/16`.
    networks: Vec<String>,
    /// The role that jobs take on.
    pub aws: Option<AwsRules>,
}

/// The role of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct AwsRules {
    pub role: String,
    pub external_id: Option<String>,
    pub policy: Option<String>,
}

impl Rules {
    /// Reads the table `[allow]`.
    pub fn read(mut table: Section<'_>, problems: &mut Problems) -> Self {
        let mut list = |key| table.located::<Vec<String>>(key, problems).unwrap_or_default();
        let (sources, _) = list("sources");
        let (sinks, _) = list("sinks");
        let (servers, at_servers) = list("servers");
        let (streams, _) = list("streams");
        let (tables, _) = list("tables");
        let (topics, _) = list("topics");
        let (namespaces, _) = list("namespaces");
        let (objects, at_objects) = list("objects");
        let (artifacts, at_artifacts) = list("artifacts");
        let (networks, at_networks) = list("networks");
        table.finish(problems);
        let servers = servers.iter().filter_map(|text| server(text, &at_servers, problems)).collect();
        let objects = objects.iter().filter_map(|text| prefix(text, &at_objects, problems)).collect();
        for text in artifacts.iter().filter(|text| !text.contains('/')) {
            let message = format!("allow: `artifacts`: \"{text}\" would allow each registry whose name begins so");
            problems.push_hint(at_artifacts.clone(), message, "write it like \"registry.example/\"");
        }
        for text in networks.iter().filter(|text| text.parse::<IpNet>().is_err()) {
            let message = format!("allow: `networks`: \"{text}\" is not a network");
            problems.push_hint(at_networks.clone(), message, "write it like \"10.1.0.0/16\" or \"fd00:1::/32\"");
        }
        Self { sources, sinks, servers, streams, tables, topics, namespaces, objects, artifacts, networks, aws: None }
    }

    /// Servers by name and port, as far as they are named one by one: those of `servers`, and the registries of `artifacts`.
    pub fn named(&self) -> impl Iterator<Item = Url> {
        let registry = |text: &String| {
            let (registry, _) = text.split_once('/')?;
            Url::parse(&format!("https://{registry}")).ok()
        };
        let servers = self.servers.iter().filter_map(|text| Url::parse(text).ok());
        servers.chain(self.artifacts.iter().filter_map(registry))
    }

    /// The role that a session takes on.
    pub fn role(&self, session: String) -> Option<Role> {
        let AwsRules { role, external_id, policy } = self.aws.clone()?;
        Some(Role { arn: role, session, external_id, policy, lent_at: None })
    }

    /// Whether there are streams that may be used.
    pub fn has_streams(&self) -> bool {
        !self.streams.is_empty()
    }

    /// Whether there are tables that may be used.
    pub fn has_tables(&self) -> bool {
        !self.tables.is_empty()
    }

    /// Whether there are topics that may be used.
    pub fn has_topics(&self) -> bool {
        !self.topics.is_empty()
    }

    /// Whether there are namespaces of metrics that may be used.
    pub fn has_namespaces(&self) -> bool {
        !self.namespaces.is_empty()
    }

    /// The buckets that may be used.
    pub fn buckets(&self) -> impl Iterator<Item = &str> {
        self.objects.iter().map(|(bucket, _)| bucket.as_str())
    }

    /// Networks to which names may lead.
    pub fn networks(&self) -> impl Iterator<Item = IpNet> {
        self.networks.iter().filter_map(|text| text.parse().ok())
    }

    /// Whether something may be reached. `owner`: for the message.
    pub fn allow(&self, owner: &str, reach: Reach<'_>) -> Result<(), Barred> {
        let (may, what, key, allowed) = match reach {
            Reach::Source(kind) => (
                self.sources.iter().any(|one| one == kind),
                format!("have a source of type `{kind}`"),
                "sources",
                &self.sources,
            ),
            Reach::Sink(kind) => (
                self.sinks.iter().any(|one| one == kind),
                format!("have a sink of type `{kind}`"),
                "sinks",
                &self.sinks,
            ),
            Reach::Server(server) => (
                self.servers.iter().any(|one| one == server),
                format!("reach the server {server}"),
                "servers",
                &self.servers,
            ),
            Reach::Stream(stream) => (
                self.streams.iter().any(|one| fits(one, stream)),
                format!("use the stream {stream}"),
                "streams",
                &self.streams,
            ),
            Reach::Table(table) => (
                self.tables.iter().any(|one| fits(one, table)),
                format!("use the table {table}"),
                "tables",
                &self.tables,
            ),
            Reach::Topic(topic) => (
                self.topics.iter().any(|one| fits(one, topic)),
                format!("use the topic {topic}"),
                "topics",
                &self.topics,
            ),
            Reach::Namespace(namespace) => (
                self.namespaces.iter().any(|one| fits(one, namespace)),
                format!("use the namespace {namespace}"),
                "namespaces",
                &self.namespaces,
            ),
            Reach::Objects { bucket, prefix } => {
                let may = self.objects.iter().any(|(b, p)| b == bucket && prefix.starts_with(p.as_str()));
                let allowed: Vec<_> =
                    self.objects.iter().map(|(bucket, prefix)| format!("s3://{bucket}/{prefix}")).collect();
                return decide(may, owner, &format!("use s3://{bucket}/{prefix}"), "objects", &allowed);
            }
            Reach::Artifact(name) => {
                let may = self.artifacts.iter().any(|one| name.starts_with(one.as_str()));
                (may, format!("fetch oci://{name}"), "artifacts", &self.artifacts)
            }
            Reach::MachineRights => {
                let message = format!("{owner} may not use the AWS rights of the machine");
                let hint = "give `access_key_id` and `secret_access_key` as parameters, or ask whoever runs the host for a role \
                            in [aws]";
                return Err(Barred { message, hint: hint.to_owned() });
            }
        };
        decide(may, owner, &what, key, allowed)
    }
}

fn decide(may: bool, owner: &str, what: &str, key: &str, allowed: &[String]) -> Result<(), Barred> {
    if may {
        return Ok(());
    }
    let hint = match allowed.is_empty() {
        true => format!("its file has nothing as `{key}` in [allow]: ask whoever runs the host"),
        false => format!("`{key}` in [allow] of its file has {}", allowed.join(", ")),
    };
    Err(Barred { message: format!("{owner} may not {what}"), hint })
}

/// Whether a pattern, with or without a `*` at its end, fits a text.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(head) => text.starts_with(head),
        None => pattern == text,
    }
}

/// A server as requests name it: names in small letters, addresses and ports in their one form.
fn server(text: &str, place: &Place, problems: &mut Problems) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.path() == "/"
            && url.query().is_none()
            && url.username().is_empty()
    });
    if url.is_none() {
        let message = format!("allow: `servers`: \"{text}\" is not the address of a server");
        problems.push_hint(place.clone(), message, "write it like \"https://host\" or \"https://host:9200\"");
    }
    url.map(|url| url.origin().ascii_serialization())
}

fn prefix(text: &str, place: &Place, problems: &mut Problems) -> Option<(String, String)> {
    let split = text.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
    if split.is_none_or(|(bucket, _)| bucket.is_empty()) {
        let message = format!("allow: `objects`: \"{text}\" names no bucket");
        problems.push_hint(place.clone(), message, "write it like \"s3://bucket/\" or \"s3://bucket/prefix/\"");
        return None;
    }
    split.map(|(bucket, prefix)| (bucket.to_owned(), prefix.to_owned()))
}
