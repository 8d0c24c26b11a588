//! The file of a tenant, `tenants/NAME.toml`:
//!
//! ```toml
//! class = "process"                  # runs in a process of its own; "shared" (the default): in that of the host
//!
//! [quota]                            # of all its jobs together; what is left out has no limit
//! jobs = 20                          # so many
//! cpu = 0.5                          # CPU time of plugins and operators, in cores
//! memory = "512 MiB"                 # linear memory of all instances of plugins
//! state = "1 GiB"                    # memory of all states
//! windows = 100_000                  # open windows, and keys with a state
//! output = "10 MiB"                  # to sinks, per second
//! log = "64 KiB"                     # of plugins, per second
//! metrics = 200                      # different metrics that plugins keep
//!
//! [allow]                            # what is left out is denied
//! sources = ["kinesis"]              # types
//! sinks = ["file", "opensearch"]
//! servers = ["https://search.acme.example"]
//! streams = ["acme-*"]               # names or ARNs
//! tables = ["acme-*"]                # of DynamoDB: likewise
//! topics = ["arn:aws:sns:eu-west-1:123456789012:acme-*"]
//! namespaces = ["acme"]              # of CloudWatch metrics
//! objects = ["s3://acme-data/in/"]
//! artifacts = ["registry.example/acme/"]
//! networks = ["10.1.0.0/16"]         # to which the names of servers may lead, beside public addresses
//!
//! [process]                          # for the class `process`
//! memory = "4 GiB"                   # that it may write to, all together
//! files = 4096                       # open files and sockets
//! tasks = 512                        # threads and processes
//! user = "acme"                      # a user of the machine, or "UID:GID", if the host is root
//!
//! [aws]
//! role = "arn:aws:iam::123456789012:role/acme"
//! external_id = "…"
//! policy = "acme.json"               # a session policy, beside this file
//!
//! [parameters]                       # values of ${NAME} in its job files
//! stage = "production"
//! ```

use super::rules::{AwsRules, Rules};
use crate::confinement::{Account, Limits};
use crate::job::{JobFile, Parameters};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use toml::de::DeTable;
use utoipa::ToSchema;
use wasmill_stream::config::{Problem, Problems, Section};
use wasmill_stream::quota::Quota;
use wasmill_stream::units::ByteCount;

/// A process has so much memory at least, bytes.
const LEAST_MEMORY: u64 = 64 << 20;
/// And so many files and threads.
const LEAST_NUMBER: u64 = 64;

/// What the file of a tenant says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Where its jobs run; `None`: the file does not say.
    pub class: Option<Class>,
    /// What a process of its own may take, and as whom it runs.
    pub process: ProcessSettings,
    /// How many jobs it may have.
    pub jobs: Option<usize>,
    /// CPU time, in cores.
    pub cpu: Option<f64>,
    memory: Option<u64>,
    state: Option<u64>,
    windows: Option<u64>,
    output: Option<u64>,
    log: Option<u64>,
    metrics: Option<u64>,
    /// What its jobs may reach.
    pub rules: Rules,
    /// Values of `${NAME}` in its job files.
    pub parameters: BTreeMap<String, String>,
}

/// Where the jobs of a tenant run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// In the process of the host, with those of other tenants.
    Shared,
    /// In a process that has nothing but the tenant's files, and no network.
    Process,
}

/// The table `[process]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ProcessSettings {
    pub limits: Limits,
    pub account: Option<Account>,
}

impl Default for ProcessSettings {
    fn default() -> Self {
        Self { limits: Limits { memory: 4 << 30, files: 4_096, tasks: 512 }, account: None }
    }
}

/// A value of `${NAME}`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Integer(i64),
    Number(f64),
    Boolean(bool),
}

impl Settings {
    /// Reads it; else everything that is wrong with it.
    pub fn read(file: &JobFile) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        let (table, errors) = DeTable::parse_recoverable(file.text());
        for error in &errors {
            let message = error.message().trim().replace('\n', ", ");
            problems.push(error.span().unwrap_or(0..0), format!("not valid TOML: {message}"));
        }
        if !problems.is_empty() {
            return Err(problems.into_sorted());
        }
        let nothing = Parameters::new::<String, String>([]);
        let mut root = Section::root(table.into_inner(), &nothing);
        let mut settings = Self::default();
        if let Some(quota) = root.table("quota", &mut problems) {
            settings.read_quota(quota, &mut problems);
        }
        settings.class = root.optional("class", &mut problems);
        if let Some(process) = root.table("process", &mut problems) {
            settings.process = read_process(process, &mut problems);
        }
        if let Some(allow) = root.table("allow", &mut problems) {
            settings.rules = Rules::read(allow, &mut problems);
        }
        if let Some(aws) = root.table("aws", &mut problems) {
            settings.rules.aws = read_aws(file, aws, &mut problems);
        }
        let values = root.optional::<BTreeMap<String, Value>>("parameters", &mut problems).unwrap_or_default();
        settings.parameters = values.into_iter().map(|(name, value)| (name, value.text())).collect();
        root.finish(&mut problems);
        match problems.is_empty() {
            true => Ok(settings),
            false => Err(problems.into_sorted()),
        }
    }

    fn read_quota(&mut self, mut table: Section<'_>, problems: &mut Problems) {
        self.jobs = table.optional("jobs", problems);
        if let Some((cpu, place)) = table.located::<f64>("cpu", problems) {
            // Nobody gets ahead with less.
            if !(0.001..=10_000.0).contains(&cpu) {
                problems.push(place, "quota: `cpu` is in cores, between 0.001 and 10000, as in cpu = 0.5");
            }
            self.cpu = Some(cpu);
        }
        let bytes = |key, table: &mut Section<'_>, problems: &mut Problems| {
            table.optional::<ByteCount>(key, problems).map(|count| count.bytes())
        };
        self.memory = bytes("memory", &mut table, problems);
        self.state = bytes("state", &mut table, problems);
        self.windows = table.optional("windows", problems);
        self.output = bytes("output", &mut table, problems);
        self.log = bytes("log", &mut table, problems);
        self.metrics = table.optional("metrics", problems);
        table.finish(problems);
    }

    /// Has a quota hold these limits from now on.
    pub fn set_limits(&self, quota: &Quota) {
        quota.cpu.set_limit(self.cpu.map(|cores| (cores * 1e9) as u64));
        quota.memory.set_limit(self.memory);
        quota.state.set_limit(self.state);
        quota.windows.set_limit(self.windows);
        quota.output.set_limit(self.output);
        quota.log.set_limit(self.log);
        quota.metrics.set_limit(self.metrics);
    }
}

impl Value {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Integer(number) => number.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Boolean(is_true) => is_true.to_string(),
        }
    }
}

fn read_process(mut table: Section<'_>, problems: &mut Problems) -> ProcessSettings {
    let ProcessSettings { mut limits, .. } = ProcessSettings::default();
    if let Some((memory, place)) = table.located::<ByteCount>("memory", problems) {
        limits.memory = memory.bytes();
        if limits.memory < LEAST_MEMORY {
            problems.push(place, "process: `memory` is at least 64 MiB, which the program itself takes");
        }
    }
    for (key, limit) in [("files", &mut limits.files), ("tasks", &mut limits.tasks)] {
        if let Some((number, place)) = table.located::<u64>(key, problems) {
            *limit = number;
            if number < LEAST_NUMBER {
                problems.push(place, format!("process: `{key}` is at least {LEAST_NUMBER}"));
            }
        }
    }
    let account = table.located::<String>("user", problems).and_then(|(user, place)| {
        let found = Account::find(&user);
        found.map_err(|error| problems.push(place, format!("process: `user`: {error}"))).ok()
    });
    table.finish(problems);
    ProcessSettings { limits, account }
}

fn read_aws(file: &JobFile, mut table: Section<'_>, problems: &mut Problems) -> Option<AwsRules> {
    let role = table.required_located::<String>("role", problems);
    let external_id = table.optional("external_id", problems);
    let policy = table.located::<String>("policy", problems);
    table.finish(problems);
    let (role, place) = role?;
    if !role.starts_with("arn:") || !role.contains(":role/") {
        let message = format!("aws: `role`: \"{role}\" is not the ARN of a role");
        problems.push_hint(place, message, "expected arn:aws:iam::ACCOUNT:role/NAME");
    }
    let policy = policy.and_then(|(name, place)| {
        let path = file.resolve(&name);
        let text = fs::read_to_string(&path).map_err(|error| error.to_string());
        let is_json = |text: String| serde_json::from_str::<serde_json::Value>(&text).map(|_| text);
        let checked = text.and_then(|text| is_json(text).map_err(|error| format!("not JSON: {error}")));
        checked.map_err(|error| problems.push(place, format!("aws: `policy`: {}: {error}", path.display()))).ok()
    });
    Some(AwsRules { role, external_id, policy })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill_stream::access::Reach;

    fn read(text: &str) -> Result<Settings, Vec<String>> {
        let file = JobFile::new("tenants/acme.toml", text);
        Settings::read(&file).map_err(|problems| problems.into_iter().map(|problem| problem.message).collect())
    }

    /// Each limit → the quota has it; none → no limit; less than before → from now on.
    #[test]
    fn limits() {
        let quota = Quota::unlimited("tenant acme");
        let text = "[quota]\njobs = 2\ncpu = 0.5\nmemory = \"1 MiB\"\nstate = \"2 KiB\"\nwindows = 3\noutput = \"4 KiB\"\n\
                    log = \"5 B\"\nmetrics = 6\n[parameters]\na = \"x\"\nb = 7\nc = true\n";
        let settings = read(text).expect("it can be read");
        settings.set_limits(&quota);
        assert_eq!(settings.jobs, Some(2));
        let rates = quota.rates().map(|(_, rate)| rate.limit());
        assert_eq!(rates, [Some(500_000_000), Some(4 << 10), Some(5)]);
        assert_eq!(quota.pools().map(|(_, pool)| pool.limit()), [Some(1 << 20), Some(2 << 10), Some(3), Some(6)]);
        let parameters: Vec<_> = settings.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(parameters, ["a=x", "b=7", "c=true"]);
        read("").expect("nothing has to be there").set_limits(&quota);
        assert!(quota.pools().iter().all(|(_, pool)| pool.limit().is_none()));
        assert!(quota.rates().iter().all(|(_, rate)| rate.limit().is_none()));
    }

    /// Tables, topics and namespaces that are named, wholly or by how they begin, may be used; others are refused with those that are.
    #[test]
    fn what_sinks_may_use() {
        let text =
            "[allow]\ntables = [\"acme-*\"]\ntopics = [\"arn:aws:sns:eu-west-1:1:acme-*\"]\nnamespaces = [\"acme\"]\n";
        let rules = read(text).expect("it can be read").rules;
        for (own, other, key) in [
            (Reach::Table("acme-readings"), Reach::Table("readings"), "`tables`"),
            (
                Reach::Topic("arn:aws:sns:eu-west-1:1:acme-a"),
                Reach::Topic("arn:aws:sns:eu-west-1:2:acme-a"),
                "`topics`",
            ),
            (Reach::Namespace("acme"), Reach::Namespace("acme2"), "`namespaces`"),
        ] {
            assert_eq!(rules.allow("tenant acme", own), Ok(()));
            let barred = rules.allow("tenant acme", other).expect_err("it is not named");
            assert!(barred.message.contains("tenant acme may not use") && barred.hint.contains(key), "{barred:?}");
            assert!(Rules::default().allow("tenant acme", own).is_err());
        }
    }

    /// What is wrong → all of it is said, by key.
    #[test]
    fn problems() {
        let text = "[quota]\ncpu = 0\nmemory = \"much\"\njob = 1\n[allow]\nservers = [\"https://a/b\", \"ftp://a\"]\n\
                    objects = [\"bucket\"]\n[aws]\nrole = \"acme\"\npolicy = \"none.json\"\n";
        let problems = read(text).expect_err("it is wrong");
        let expected = [
            "`cpu` is in cores",
            "`memory`",
            "unknown key `job`",
            "https://a/b",
            "ftp://a",
            "`objects`",
            "is not the ARN of a role",
            "none.json",
        ];
        assert_eq!(problems.len(), expected.len(), "{problems:?}");
        for words in expected {
            assert!(problems.iter().any(|problem| problem.contains(words)), "{words}: {problems:?}");
        }
    }
}
