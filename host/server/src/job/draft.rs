//! What a job file says, as far as it is right: every table read, nothing resolved, built or opened yet.

use super::checkpoint::{self, CheckpointSettings};
use super::swap::{self, SwapSettings};
use super::{JobFile, Origin, Parameters, Trust, archive, engine, sink, source, step};
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use std::fmt;
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeTable;
use wasmill_connect::component_store::FetchSettings;
use wasmill_engine::{ARCHIVE, DeadLetters, Options, SinkTerms, Tolerance};
use wasmill_plugin::{Grants, Limits};
use wasmill_stream::access::{Access, Anything};
use wasmill_stream::config::{ForeignSettings, Place, Problems, Section};
use wasmill_stream::process::Order;
use wasmill_stream::sink::Sink;
use wasmill_stream::source::Source;
use wasmill_stream::units::Period;
use wasmill_stream::watermark::{EventTime, WatermarkSpec};
use wasmill_stream::window::WindowSpec;

/// A job file, read.
pub struct Draft {
    /// The name of the job.
    pub name: String,
    /// How to run it.
    pub options: Options,
    /// Sources, then steps, then sinks, each in the order of the file.
    pub nodes: Vec<DraftNode>,
    /// Where rows go that leave the pipeline.
    pub dead_letters: Option<DeadLetterSettings>,
    /// How it keeps checkpoints.
    pub checkpoint: Option<CheckpointSettings>,
    /// What is asked of versions that take over while it runs.
    pub swap: SwapSettings,
    /// How it comes by its plugins.
    pub sourcing: Sourcing,
}

/// How a job comes by its plugins.
#[derive(Clone)]
pub struct Sourcing {
    /// The table `[components]`: how they are fetched.
    pub fetch: FetchSettings,
    /// The table `[trust]`: whose signature each must have. `None`: nobody's.
    pub trust: Option<Trust>,
    /// What the job may reach.
    pub access: Arc<dyn Access>,
}

impl Default for Sourcing {
    fn default() -> Self {
        Self { fetch: FetchSettings::within(&Anything), trust: None, access: Arc::new(Anything) }
    }
}

/// The table `[dead_letter]`.
pub struct DeadLetterSettings {
    /// Its `type`.
    pub kind: &'static str,
    /// The sink, and whether late rows go there.
    pub dead_letters: DeadLetters,
}

/// One table of the job file.
pub struct DraftNode {
    /// The name that the user gave it.
    pub name: String,
    /// Where the name is.
    pub place: Place,
    /// Which kind of table it is.
    pub role: Role,
    /// The names of its inputs.
    pub inputs: Vec<(String, Place)>,
    /// Its settings. `None` if there are problems with them: those are reported, and the name still counts.
    pub settings: Option<Settings>,
}

/// What a table declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `[source.NAME]`
    Source,
    /// `[step.NAME]` without a window: a transform or a process, as its plugin is.
    Step,
    /// `[step.NAME]` with a window.
    Aggregation,
    /// `[sink.NAME]`
    Sink,
    /// `[archive]`
    Archive,
}

impl Role {
    /// Whether nothing can read it.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Sink | Self::Archive)
    }

    /// What it is called in messages.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Step | Self::Aggregation => "step",
            Self::Sink => "sink",
            Self::Archive => "archive",
        }
    }
}

/// The settings of a table.
pub enum Settings {
    /// `[source.NAME]`
    Source(SourceSettings),
    /// `[step.NAME]` without a window.
    Step {
        /// Its plugin.
        plugin: PluginUse,
        /// In which order rows reach a process, and where that is said.
        order: Option<(Order, Place)>,
    },
    /// `[step.NAME]` with a window. `None` if there are problems with that.
    Aggregate(PluginUse, Option<WindowSettings>),
    /// `[sink.NAME]` or `[archive]`
    Sink {
        /// Its `type`.
        kind: &'static str,
        /// The sink.
        sink: Box<dyn Sink>,
        /// On which terms it gets its rows.
        terms: SinkTerms,
    },
}

/// The settings of a source.
pub struct SourceSettings {
    /// Its `type`.
    pub kind: &'static str,
    /// The source.
    pub source: Box<dyn Source>,
    /// The plugin that reads its records, if there is one.
    pub decoder: Option<PluginUse>,
    /// How rows get their event time.
    pub time: EventTime,
    /// How the watermark follows.
    pub watermark: WatermarkSpec,
}

/// The windows of an aggregation.
#[derive(Debug, Clone, Copy)]
pub struct WindowSettings {
    /// Which windows.
    pub spec: WindowSpec,
    /// How long a fired window still takes late rows.
    pub allowed_lateness: Period,
}

/// A plugin as a table asks for it.
#[derive(Debug, Clone)]
pub struct PluginUse {
    /// What messages call the table: `step cell`.
    pub title: String,
    /// The component, or the folder of its source.
    pub origin: Origin,
    /// Where that is written.
    pub place: Place,
    /// For its `configure`.
    pub settings: ForeignSettings,
    /// Where the settings are; the place of the origin if there are none.
    pub settings_place: Place,
    /// What it may import.
    pub grants: Grants,
    /// What it may import, too, as somebody has approved it while the job ran.
    pub approved: Grants,
    /// What it may use.
    pub limits: Limits,
    /// How much it may fail.
    pub tolerance: Tolerance,
    /// The digests that its component may have; `None`: any.
    pub sha256: Option<Vec<String>>,
    /// Whether the job runs only components that it names by their digest.
    pub locked: bool,
}

/// Reads all tables. Reports every problem; `None` if the file is not TOML.
pub fn read(file: &JobFile, parameters: &Parameters, problems: &mut Problems) -> Option<Draft> {
    let (table, errors) = DeTable::parse_recoverable(file.text());
    for error in &errors {
        let message = error.message().trim().replace('\n', ", ");
        problems.push(error.span().unwrap_or(0..0), format!("not valid TOML: {message}"));
    }
    // What the parser made of the rest is a guess: problems with that would mislead.
    if !errors.is_empty() {
        return None;
    }
    let mut root = Section::root(table.into_inner(), parameters);
    let name = root.optional("name", problems).unwrap_or_else(|| file.stem());
    let options = root.table("engine", problems).map(|table| engine::read(table, problems)).unwrap_or_default();
    let mut nodes = Vec::new();
    let mut archived = Vec::new();
    for (name, mut table) in tables(&mut root, "source", problems) {
        let wish = archive::read_wish(&name, &mut table, problems);
        let node = source::read(file, name, table, problems);
        archived.extend(wish.filter(|wish| archive::can_be(&node, wish, problems)));
        nodes.push(node);
    }
    for (name, table) in tables(&mut root, "step", problems) {
        nodes.push(step::read(file, name, table, problems));
    }
    let dead_letters = root.table("dead_letter", problems).map(|table| sink::read_dead_letters(table, problems));
    for (name, table) in tables(&mut root, "sink", problems) {
        nodes.push(sink::read(name, table, dead_letters.is_some(), problems));
    }
    nodes.extend(archive::read(root.table(ARCHIVE, problems), archived, problems));
    if root.optional("locked", problems).unwrap_or(false) {
        let plugins = nodes.iter_mut().filter_map(|node| node.settings.as_mut()?.plugin_mut());
        plugins.for_each(|plugin| plugin.locked = true);
    }
    let checkpoint = root.table("checkpoint", problems).and_then(|table| checkpoint::read(&name, table, problems));
    let swap = root.table("swap", problems).map(|table| swap::read(table, problems)).unwrap_or_default();
    let fetch = root.table("components", problems).map(|table| FetchSettings::check(table, problems));
    let access = parameters.shared_access();
    let fetch = fetch.unwrap_or_else(|| FetchSettings::within(&*access));
    let trust = root.table("trust", problems).and_then(|table| Trust::read(table, problems));
    root.finish(problems);
    let sourcing = Sourcing { fetch, trust, access };
    let dead_letters = dead_letters.flatten();
    Some(Draft { name, options, nodes, dead_letters, checkpoint, swap, sourcing })
}

/// The tables `[GROUP.NAME]`.
fn tables<'a>(root: &mut Section<'a>, group: &'static str, problems: &mut Problems) -> Vec<(String, Section<'a>)> {
    let Some(mut group) = root.table(group, problems) else { return Vec::new() };
    let tables = group.named_tables(problems);
    for (name, table) in &tables {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(plain) {
            let message = format!("the name `{name}` may only have letters, digits, `_` and `-`");
            problems.push(table.place(), message);
        }
    }
    tables
}

/// The names in `input`, which is one name or a list.
pub fn read_inputs(table: &mut Section<'_>, problems: &mut Problems) -> Vec<(String, Place)> {
    let Some((inputs, place)) = table.required_located::<Inputs>("input", problems) else { return Vec::new() };
    match inputs {
        Inputs::One(name) => vec![(name, place)],
        Inputs::Several(names) => {
            if names.is_empty() {
                problems.push(place, format!("{}: `input` is empty", table.title()));
            }
            names.into_iter().map(|name| (name.get_ref().clone(), name.span())).collect()
        }
    }
}

enum Inputs {
    One(String),
    Several(Vec<Spanned<String>>),
}

impl<'de> Deserialize<'de> for Inputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InputsVisitor)
    }
}

struct InputsVisitor;

impl<'de> Visitor<'de> for InputsVisitor {
    type Value = Inputs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a source or step, or a list of names")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Inputs, E> {
        Ok(Inputs::One(name.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Inputs, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = items.next_element()? {
            names.push(name);
        }
        Ok(Inputs::Several(names))
    }
}
