//! A job file on its way to a graph: read, checked as a whole so that every problem is found at once, its plugins built and
//! loaded. Nothing is opened or run in here.

mod approval;
mod archive;
mod checkpoint;
pub mod diff;
mod draft;
mod engine;
mod file;
mod given;
mod origin;
mod outline;
mod parameters;
mod plugins;
mod sink;
mod source;
mod step;
mod swap;
#[cfg(test)]
mod tests;
mod topology;
mod trust;
mod typed;
mod uses;
mod wiring;

pub use checkpoint::CheckpointSettings;
pub use file::JobFile;
pub use given::Given;
pub use origin::Origin;
pub use outline::Outline;
pub use parameters::Parameters;
pub use plugins::{Builder, Fetcher, Plugins};
pub use swap::{OpenWindows, SwapSettings};
pub use trust::Trust;
pub use uses::Uses;

use draft::{DeadLetterSettings, Draft, DraftNode, PluginUse, Role, Settings, SourceSettings, WindowSettings};
use plugins::StepPlugin;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmill_engine::{Declared, Graph, Input, Node, NodeKind, Options, Port, Tolerance};
use wasmill_plugin::Grants;
use wasmill_stream::config::{Place, Problem, Problems};
use wasmill_stream::plugin::Version;
use wasmill_stream::process::Order;
use wiring::Outputs;

/// A job that can run.
pub struct Job {
    /// Its name.
    pub name: String,
    /// How to run it.
    pub options: Options,
    /// What to run.
    pub graph: Graph,
    /// How it keeps checkpoints.
    pub checkpoint: Option<CheckpointSettings>,
    /// What is asked of versions that take over while it runs.
    pub swap: SwapSettings,
    /// The job file that it was read from.
    pub file: JobFile,
    /// What it looks like.
    pub outline: Outline,
    /// What is odd about the job file, though not wrong.
    pub warnings: Vec<Problem>,
    /// The digests of the plugins that the file names, by step.
    pub declared: Declared,
    /// Their bytes, by digest.
    pub components: BTreeMap<String, Arc<[u8]>>,
}

/// What [`examine`] found.
pub struct Examined {
    /// Everything that is wrong, in the order of the file.
    pub problems: Vec<Problem>,
    /// What is odd, though not wrong.
    pub warnings: Vec<Problem>,
    /// The job, if nothing is wrong and all plugins were built.
    pub job: Option<Job>,
    /// What the job looks like, if nothing is wrong.
    pub outline: Option<Outline>,
}

/// Reads a job file and loads its plugins.
pub fn load(file: &JobFile, parameters: &Parameters, plugins: &mut Plugins) -> Result<Job, Vec<Problem>> {
    let examined = examine(file, parameters, plugins);
    match examined.job {
        Some(job) => Ok(job),
        None => Err(examined.problems),
    }
}

/// Reads a job file, loads its plugins, and reports everything that is wrong.
pub fn examine(file: &JobFile, parameters: &Parameters, plugins: &mut Plugins) -> Examined {
    let mut problems = Problems::default();
    let Some(draft) = draft::read(file, parameters, &mut problems) else {
        return Examined { problems: problems.into_sorted(), warnings: Vec::new(), job: None, outline: None };
    };
    let topology = topology::resolve(&draft.nodes, &mut problems);
    let mut warnings = unused(parameters);
    // A misspelt input leaves another node unread, which would be said twice.
    if problems.is_empty() {
        warnings.extend(topology::unread(&draft.nodes, &topology));
    }
    let Draft { name, mut options, nodes, dead_letters, checkpoint, swap, sourcing } = draft;
    options.quota = sourcing.access.quota();
    plugins.obey(&sourcing, false);
    let nodes: Vec<_> = nodes.into_iter().map(|node| load_node(node, plugins, &mut problems)).collect();
    let wiring = wiring::connect(&nodes, &topology.inputs, &mut problems);
    let problems = problems.into_sorted();
    if !problems.is_empty() {
        return Examined { problems, warnings, job: None, outline: None };
    }
    warnings.extend(wiring::unread(&nodes, &wiring));
    let (mut outline, graph) = assemble(&name, nodes, &topology.order, &wiring);
    if let Some(DeadLetterSettings { kind, dead_letters }) = &dead_letters {
        outline.dead_letters(outline::sink(kind, dead_letters.sink.as_ref(), &dead_letters.terms));
    }
    let dead_letters = dead_letters.map(|settings| settings.dead_letters);
    let graph = graph.map(|nodes| Graph { nodes, dead_letters, successors: Vec::new() });
    let declared = graph.iter().flat_map(|graph| &graph.nodes).filter_map(declared).collect();
    let job = graph.map(|graph| Job {
        name,
        options,
        graph,
        checkpoint,
        swap,
        file: file.clone(),
        outline: outline.clone(),
        warnings: warnings.clone(),
        declared,
        components: plugins.components().clone(),
    });
    Examined { problems, warnings, job, outline: Some(outline) }
}

/// Loads a plugin in the place of a step's, with the settings and limits that the job file has for that. It may have what
/// the job file grants the step, and what is approved.
pub fn replacement(
    file: &JobFile,
    parameters: &Parameters,
    plugins: &mut Plugins,
    step: &str,
    origin: &Origin,
    approved: Grants,
) -> Result<Version, Vec<Problem>> {
    let mut problems = Problems::default();
    let draft = draft::read(file, parameters, &mut problems);
    let (nodes, sourcing) = draft.map(|draft| (draft.nodes, draft.sourcing)).unwrap_or_default();
    plugins.obey(&sourcing, true);
    let Some(mut node) = nodes.into_iter().find(|node| node.name == step) else {
        problems.push(0..0, format!("there is no step {step}"));
        return Err(problems.into_sorted());
    };
    match node.settings.as_mut().map(Settings::plugin_mut) {
        Some(Some(plugin)) => (plugin.origin, plugin.approved) = (origin.clone(), approved),
        Some(None) => problems.push(node.place.clone(), format!("{step} has no plugin")),
        None => {}
    }
    let kind = load_node(node, plugins, &mut problems).kind;
    let problems = problems.into_sorted();
    match kind {
        Some(NodeKind::Transform { plugin }) if problems.is_empty() => Ok(Version::Transform(plugin)),
        Some(NodeKind::Source { decoder: Some(plugin), .. }) if problems.is_empty() => Ok(Version::Transform(plugin)),
        Some(NodeKind::Aggregate { plugin, .. }) if problems.is_empty() => Ok(Version::Aggregate(plugin)),
        Some(NodeKind::Process { plugin, .. }) if problems.is_empty() => Ok(Version::Process(plugin)),
        _ => Err(problems),
    }
}

/// How a job keeps checkpoints, without looking at its plugins; and everything that is wrong with the file so far.
pub fn checkpoint_settings(file: &JobFile, parameters: &Parameters) -> (Option<CheckpointSettings>, Vec<Problem>) {
    let mut problems = Problems::default();
    let draft = draft::read(file, parameters, &mut problems);
    (draft.and_then(|draft| draft.checkpoint), problems.into_sorted())
}

/// Where the dead letters of a job are, if they are files of this machine.
pub fn dead_letter_path(file: &JobFile, parameters: &Parameters) -> Result<PathBuf, String> {
    let mut problems = Problems::default();
    let draft = draft::read(file, parameters, &mut problems).ok_or("the job file cannot be read")?;
    // A path that the job may not reach is one of them.
    if let Some(problem) = problems.into_sorted().first() {
        return Err(format!("the job file is wrong: {}", problem.message));
    }
    let letters = draft.dead_letters.ok_or("the job has no [dead_letter]")?;
    let path = letters.dead_letters.sink.path().map(Path::to_owned);
    path.ok_or_else(|| {
        format!("its dead letters are no files of this machine: they go to a sink of type {}", letters.kind)
    })
}

/// The digest of a node's plugin.
fn declared(node: &Node) -> Option<(String, String)> {
    let identity = match &node.kind {
        NodeKind::Source { decoder, .. } => decoder.as_ref()?.identity(),
        NodeKind::Transform { plugin } => plugin.identity(),
        NodeKind::Aggregate { plugin, .. } => plugin.identity(),
        NodeKind::Process { plugin, .. } => plugin.identity(),
        NodeKind::Sink { .. } => return None,
    };
    Some((node.name.clone(), identity.digest.clone()))
}

fn unused(parameters: &Parameters) -> Vec<Problem> {
    let warning = |name: &str| Problem {
        message: format!("parameter `{name}` is set, but the job file never mentions ${{{name}}}"),
        place: 0..0,
        hint: None,
    };
    parameters.unused().into_iter().map(warning).collect()
}

/// A node whose plugins were loaded.
struct Loaded {
    name: String,
    /// Where the name is.
    place: Place,
    /// One line for people.
    about: String,
    /// `None` if its plugin was not built, or if there are problems.
    kind: Option<NodeKind>,
    tolerance: Tolerance,
    outputs: Outputs,
    /// Which output of a node it reads if it names no other.
    reads: Port,
}

fn load_node(node: DraftNode, plugins: &mut Plugins, problems: &mut Problems) -> Loaded {
    let DraftNode { name, place, role, settings, .. } = node;
    let mut tolerance = Tolerance::default();
    let (about, kind) = match settings {
        None => (String::new(), None),
        Some(Settings::Source(settings)) => {
            tolerance = settings.decoder.as_ref().map(|decoder| decoder.tolerance).unwrap_or_default();
            load_source(&name, settings, plugins, problems)
        }
        Some(Settings::Step { plugin, order }) => {
            tolerance = plugin.tolerance;
            load_step(&name, &plugin, order, plugins, problems)
        }
        Some(Settings::Aggregate(plugin, windows)) => {
            tolerance = plugin.tolerance;
            let (about, plugin) = plugins.aggregate(&name, &plugin, problems);
            match (windows, plugin) {
                (Some(WindowSettings { spec, allowed_lateness }), plugin) => {
                    let about = outline::aggregation(&about, spec, allowed_lateness);
                    let kind = |plugin| NodeKind::Aggregate { plugin, windows: spec, allowed_lateness };
                    (about, plugin.map(kind))
                }
                (None, _) => (about, None),
            }
        }
        Some(Settings::Sink { kind, sink, terms }) => {
            (outline::sink(kind, sink.as_ref(), &terms), Some(NodeKind::Sink { sink, terms }))
        }
    };
    let outputs = Outputs::of(role, kind.as_ref());
    let reads = if role == Role::Archive { Port::Raw } else { Port::Main };
    Loaded { name, place, about, kind, tolerance, outputs, reads }
}

fn load_step(
    name: &str,
    plugin: &PluginUse,
    order: Option<(Order, Place)>,
    plugins: &mut Plugins,
    problems: &mut Problems,
) -> (String, Option<NodeKind>) {
    let (about, loaded) = plugins.step(name, plugin, problems);
    match (loaded, order) {
        (None, _) => (about, None),
        (Some(StepPlugin::Transform(_)), Some((_, place))) => {
            let message = format!("{}: `order` is for processes, and this plugin is a transform", plugin.title);
            problems.push_hint(place, message, "leave it out: transforms take rows as they arrive");
            (about, None)
        }
        (Some(StepPlugin::Transform(plugin)), None) => (about, Some(NodeKind::Transform { plugin })),
        (Some(StepPlugin::Process(plugin)), order) => {
            let order = order.map(|(order, _)| order).unwrap_or_default();
            (outline::process(&about, order), Some(NodeKind::Process { plugin, order }))
        }
    }
}

fn load_source(
    name: &str,
    settings: SourceSettings,
    plugins: &mut Plugins,
    problems: &mut Problems,
) -> (String, Option<NodeKind>) {
    let mut about = outline::source(&settings);
    let SourceSettings { source, decoder, time, watermark, .. } = settings;
    let Some(decoder) = decoder else {
        return (about, Some(NodeKind::Source { source, decoder: None, time, watermark }));
    };
    let (decoder_about, plugin) = plugins.transform(name, &decoder, problems);
    about.push_str(&format!(", decoded by {decoder_about}"));
    if let Some(side) = plugin.as_ref().and_then(|plugin| plugin.needs().sides.first()) {
        let message = format!("{}: this plugin has a side output `{}`, a decoder has none", decoder.title, side.name);
        problems.push_hint(decoder.place, message, "use it as a step behind the source");
    }
    (about, plugin.map(|decoder| NodeKind::Source { source, decoder: Some(decoder), time, watermark }))
}

/// Puts the nodes into the order of the dataflow. There is no graph if one of them is not complete.
fn assemble(name: &str, nodes: Vec<Loaded>, order: &[usize], wiring: &[Vec<Input>]) -> (Outline, Option<Vec<Node>>) {
    let mut rank = vec![0; nodes.len()];
    for (at, &node) in order.iter().enumerate() {
        rank[node] = at;
    }
    let edges = |node: usize| -> Vec<Input> {
        wiring[node].iter().map(|input| Input { node: rank[input.node], ..*input }).collect()
    };
    let mut slots: Vec<_> = nodes.into_iter().map(Some).collect();
    let mut outline = Outline::new(name);
    let mut graph = Vec::new();
    for &at in order {
        let Some(node) = slots[at].take() else { continue };
        outline.push(&node.name, edges(at), node.outputs.sides(), node.about);
        if let Some(kind) = node.kind {
            graph.push(Node { name: node.name, inputs: edges(at), kind, tolerance: node.tolerance });
        }
    }
    let complete = graph.len() == outline.len();
    (outline, complete.then_some(graph))
}
