//! A job file on its way to a graph: read, checked as a whole so that every problem is found at once, its plugins built and
//! loaded. Nothing is opened or run in here.

mod draft;
mod engine;
mod file;
mod outline;
mod parameters;
mod plugins;
mod sink;
mod source;
mod step;
#[cfg(test)]
mod tests;
mod topology;

pub use file::JobFile;
pub use outline::Outline;
pub use parameters::Parameters;
pub use plugins::{Builder, Plugins};

use draft::{Draft, DraftNode, Settings, SourceSettings};
use topology::Topology;
use wasmill_engine::{Graph, Input, Node, NodeKind, Options};
use wasmill_stream::config::{Problem, Problems};

/// A job that can run.
pub struct Job {
    /// Its name.
    pub name: String,
    /// How to run it.
    pub options: Options,
    /// What to run.
    pub graph: Graph,
    /// What it looks like.
    pub outline: Outline,
    /// What is odd about the job file, though not wrong.
    pub warnings: Vec<Problem>,
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
    let Draft { name, options, nodes } = draft;
    let nodes: Vec<_> = nodes.into_iter().map(|node| load_node(node, plugins, &mut problems)).collect();
    let problems = problems.into_sorted();
    if !problems.is_empty() {
        return Examined { problems, warnings, job: None, outline: None };
    }
    let (outline, graph) = assemble(&name, nodes, &topology);
    let job = graph.map(|graph| Job { name, options, graph, outline: outline.clone(), warnings: warnings.clone() });
    Examined { problems, warnings, job, outline: Some(outline) }
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
    /// One line for people.
    about: String,
    /// `None` if its plugin was not built, or if there are problems.
    kind: Option<NodeKind>,
}

fn load_node(node: DraftNode, plugins: &mut Plugins, problems: &mut Problems) -> Loaded {
    let name = node.name;
    let (about, kind) = match node.settings {
        None => (String::new(), None),
        Some(Settings::Source(settings)) => load_source(&name, settings, plugins, problems),
        Some(Settings::Transform(plugin)) => {
            let (about, plugin) = plugins.transform(&name, &plugin, problems);
            (about, plugin.map(|plugin| NodeKind::Transform { plugin }))
        }
        Some(Settings::Aggregate(plugin, windows)) => {
            let (about, plugin) = plugins.aggregate(&name, &plugin, problems);
            let about = outline::aggregation(&about, &windows);
            let (windows, allowed_lateness) = (windows.spec, windows.allowed_lateness);
            (about, plugin.map(|plugin| NodeKind::Aggregate { plugin, windows, allowed_lateness }))
        }
        Some(Settings::Sink { kind, sink }) => (outline::sink(kind, sink.as_ref()), Some(NodeKind::Sink { sink })),
    };
    Loaded { name, about, kind }
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
    let (decoder_about, decoder) = plugins.transform(name, &decoder, problems);
    about.push_str(&format!(", decoded by {decoder_about}"));
    (about, decoder.map(|decoder| NodeKind::Source { source, decoder: Some(decoder), time, watermark }))
}

/// Puts the nodes into the order of the dataflow. There is no graph if one of them is not complete.
fn assemble(name: &str, nodes: Vec<Loaded>, topology: &Topology) -> (Outline, Option<Graph>) {
    let mut rank = vec![0; nodes.len()];
    for (at, &node) in topology.order.iter().enumerate() {
        rank[node] = at;
    }
    let edges = |node: usize| -> Vec<Input> {
        topology.inputs[node].iter().map(|input| Input { node: rank[input.node], ..*input }).collect()
    };
    let mut slots: Vec<_> = nodes.into_iter().map(Some).collect();
    let mut outline = Outline::new(name);
    let mut graph = Vec::new();
    for &at in &topology.order {
        let Some(node) = slots[at].take() else { continue };
        outline.push(&node.name, edges(at), node.about);
        if let Some(kind) = node.kind {
            graph.push(Node { name: node.name, inputs: edges(at), kind });
        }
    }
    let complete = graph.len() == outline.len();
    (outline, complete.then_some(Graph { nodes: graph }))
}
