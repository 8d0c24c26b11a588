//! Where a tenant's connections may go: to servers that its rules name, and from there only to addresses that are public, or in
//! networks that its rules name. The address that was looked at is the one that is connected to.

use super::address::is_public;
use crate::serve::tenant::Rules;
use async_trait::async_trait;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use url::Host;

/// The port of https.
const HTTPS: u16 = 443;
/// What the names of servers of AWS end with.
const AWS: [&str; 2] = [".amazonaws.com", ".amazonaws.com.cn"];
/// The name that every machine has for itself.
const LOCALHOST: &str = "localhost";

/// Why there is no connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Failed {
    /// It may not be.
    Barred(String),
    /// Nobody answers.
    Absent(String),
}

/// Finds the addresses of names.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// Those of one name.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// As the machine does it.
pub struct Machine;

#[async_trait]
impl Resolve for Machine {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// A server that somebody wants to reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    host: Host,
    port: u16,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Destination {
    /// `HOST:PORT` as requests have it. Whatever form a host is written in, it has one here.
    pub fn parse(host: &str, port: u16) -> Result<Self, String> {
        match Host::parse(host) {
            Ok(host) => Ok(Self { host, port }),
            Err(error) => Err(format!("\"{host}\" is no host: {error}")),
        }
    }

    /// The addresses to connect to, if the rules allow that; else why not.
    pub async fn addresses(&self, rules: &Rules, resolver: &dyn Resolve) -> Result<Vec<SocketAddr>, Failed> {
        let is_named = rules.named().any(|url| {
            let is_host = url.host().is_some_and(|host| host.to_owned() == self.host);
            is_host && url.port_or_known_default() == Some(self.port)
        });
        if !is_named && !self.is_of_aws(rules) {
            return Err(Failed::Barred(format!("{self} is no server that [allow] of its file names")));
        }
        let found = match &self.host {
            // Whoever wrote it into the rules meant this address.
            Host::Ipv4(address) => return Ok(vec![SocketAddr::new((*address).into(), self.port)]),
            Host::Ipv6(address) => return Ok(vec![SocketAddr::new((*address).into(), self.port)]),
            // Nobody is asked about it, and it means one thing.
            Host::Domain(name) if name == LOCALHOST => {
                let own: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
                return Ok(own.map(|address| SocketAddr::new(address, self.port)).to_vec());
            }
            Host::Domain(name) => {
                let found = resolver.resolve(name).await;
                found.map_err(|error| Failed::Absent(format!("find {name}: {error}")))?
            }
        };
        for address in &found {
            let address = address.to_canonical();
            if !is_public(address) && !rules.networks().any(|network| network.contains(&address)) {
                return Err(Failed::Barred(format!(
                    "{self} leads to {address}, which is not public; `networks` in [allow] of its file names others"
                )));
            }
        }
        match found.is_empty() {
            true => Err(Failed::Absent(format!("{self} has no address"))),
            false => Ok(found.into_iter().map(|address| SocketAddr::new(address, self.port)).collect()),
        }
    }

    /// Whether it is the server of AWS for streams, buckets, tables, topics or metrics that may be used. Who may do what there is for AWS to say.
    fn is_of_aws(&self, rules: &Rules) -> bool {
        let Host::Domain(name) = &self.host else { return false };
        let Some(name) = AWS.iter().find_map(|ending| name.strip_suffix(ending)) else { return false };
        let labels: Vec<&str> = name.split('.').collect();
        let is_kinesis = matches!(
            labels.as_slice(),
            ["kinesis" | "kinesis-fips", _]
                | [_, "data-kinesis" | "control-kinesis" | "data-kinesis-fips" | "control-kinesis-fips", _]
        );
        let is_s3 = match labels.as_slice() {
            ["s3" | "s3-fips", _region] | ["s3" | "s3-fips", "dualstack", _region] => rules.buckets().next().is_some(),
            [bucket @ .., "s3" | "s3-fips", _region] | [bucket @ .., "s3" | "s3-fips", "dualstack", _region] => {
                let bucket = bucket.join(".");
                rules.buckets().any(|allowed| allowed == bucket)
            }
            _ => false,
        };
        let is_of_rule = match labels.as_slice() {
            // The second form has the account in front.
            ["dynamodb" | "dynamodb-fips", _] | [_, "ddb", _] => rules.has_tables(),
            ["sns" | "sns-fips", _] => rules.has_topics(),
            ["monitoring" | "monitoring-fips", _] => rules.has_namespaces(),
            _ => false,
        };
        self.port == HTTPS && ((is_kinesis && rules.has_streams()) || is_s3 || is_of_rule)
    }
}
