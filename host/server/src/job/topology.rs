//! Turns the names in `input` into edges, and the tables into an order in which every node stands after its inputs.

use super::draft::{DraftNode, Role};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use wasmill_engine::DEAD_LETTERS;
use wasmill_stream::config::{Place, Problem, Problems, strsim_best};

/// The edges of a job.
pub struct Topology {
    /// The nodes, as their indices in the draft, every node after its inputs.
    pub order: Vec<usize>,
    /// For each node of the draft its inputs, as indices in the draft.
    pub inputs: Vec<Vec<Wire>>,
}

/// An edge whose output is known by name only: which outputs there are is for the plugin to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wire {
    /// The node whose rows they are.
    pub node: usize,
    /// Which of its outputs; `None` is the main one.
    pub output: Option<String>,
    /// Where the input is named.
    pub place: Place,
}

/// Resolves all inputs. Reports every problem.
pub fn resolve(nodes: &[DraftNode], problems: &mut Problems) -> Topology {
    for (role, group) in [(Role::Source, "source"), (Role::Sink, "sink")] {
        // A job may do nothing but archive.
        let is_there = |node: &DraftNode| node.role == role || (role == Role::Sink && node.role == Role::Archive);
        if !nodes.iter().any(is_there) {
            problems.push_hint(0..0, format!("the job has no {group}"), format!("add a table [{group}.NAME]"));
        }
    }
    for node in nodes.iter().filter(|node| node.name == DEAD_LETTERS) {
        let message = format!("`{DEAD_LETTERS}` is the name of the sink of the dead letters");
        problems.push_hint(node.place.clone(), message, "a table [dead_letter] declares it; rename this one");
    }
    let by_name = index(nodes, problems);
    let inputs: Vec<_> = nodes.iter().map(|node| node_inputs(node, nodes, &by_name, problems)).collect();
    let order = order(nodes, &inputs, problems);
    Topology { order, inputs }
}

/// One warning for each source or step whose rows go nowhere.
pub fn unread(nodes: &[DraftNode], topology: &Topology) -> Vec<Problem> {
    let is_read = |at: usize| topology.inputs.iter().flatten().any(|input| input.node == at);
    let unread = nodes.iter().enumerate().filter(|(at, node)| !node.role.is_end() && !is_read(*at));
    unread
        .map(|(_, node)| Problem {
            message: format!("nothing reads {} `{}`: its rows are dropped", node.role.noun(), node.name),
            place: node.place.clone(),
            hint: None,
        })
        .collect()
}

/// Names are one space: an input may name a source as well as a step.
fn index<'a>(nodes: &'a [DraftNode], problems: &mut Problems) -> HashMap<&'a str, usize> {
    let mut by_name = HashMap::new();
    for (at, node) in nodes.iter().enumerate() {
        match by_name.entry(node.name.as_str()) {
            Entry::Vacant(entry) => {
                entry.insert(at);
            }
            Entry::Occupied(entry) => {
                let (name, other) = (&node.name, nodes[*entry.get()].role.noun());
                let message = format!("`{name}` is the name of a {other} and of a {}", node.role.noun());
                problems.push_hint(node.place.clone(), message, "rename one of them");
            }
        }
    }
    by_name
}

fn node_inputs(
    node: &DraftNode,
    nodes: &[DraftNode],
    by_name: &HashMap<&str, usize>,
    problems: &mut Problems,
) -> Vec<Wire> {
    let mut inputs: Vec<Wire> = Vec::new();
    for (wanted, place) in &node.inputs {
        let is_named = |one: &Wire, at: usize, output: Option<&str>| one.node == at && one.output.as_deref() == output;
        match input(wanted, nodes, by_name) {
            Ok((at, output)) if inputs.iter().any(|one| is_named(one, at, output)) => {
                problems.push(place.clone(), format!("{}: input `{wanted}` is named twice", title(node)));
            }
            Ok((node, output)) => {
                inputs.push(Wire { node, output: output.map(str::to_owned), place: place.clone() });
            }
            Err((message, hint)) => {
                let message = format!("{}: {message}", title(node));
                match hint {
                    Some(hint) => problems.push_hint(place.clone(), message, hint),
                    None => problems.push(place.clone(), message),
                }
            }
        }
    }
    inputs
}

/// A message and what to do about it.
type Complaint = (String, Option<String>);

/// The node and the output that an input names.
fn input<'w>(
    wanted: &'w str,
    nodes: &[DraftNode],
    by_name: &HashMap<&str, usize>,
) -> Result<(usize, Option<&'w str>), Complaint> {
    let (name, output) = match wanted.split_once('.') {
        Some((name, output)) => (name, Some(output)),
        None => (wanted, None),
    };
    let Some(&at) = by_name.get(name) else {
        let outputs = nodes.iter().filter(|node| !node.role.is_end()).map(|node| node.name.as_str());
        let hint = match strsim_best(name, outputs.clone()) {
            Some(best) => format!("did you mean `{best}`?"),
            None => format!("there are: {}", outputs.collect::<Vec<_>>().join(", ")),
        };
        return Err((format!("input `{name}` is neither a source nor a step"), Some(hint)));
    };
    match nodes[at].role {
        Role::Sink | Role::Archive => Err((format!("input `{name}` is a sink, which has no output"), None)),
        _ => Ok((at, output)),
    }
}

/// Always takes the first node of the file whose inputs have all been taken.
fn order(nodes: &[DraftNode], inputs: &[Vec<Wire>], problems: &mut Problems) -> Vec<usize> {
    let mut order = Vec::with_capacity(nodes.len());
    let mut taken = vec![false; nodes.len()];
    let ready = |at: usize, taken: &[bool]| !taken[at] && inputs[at].iter().all(|input| taken[input.node]);
    while let Some(next) = (0..nodes.len()).find(|&at| ready(at, &taken)) {
        taken[next] = true;
        order.push(next);
    }
    if let Some(stuck) = taken.iter().position(|taken| !taken) {
        let cycle = cycle(stuck, inputs, &taken);
        let names: Vec<_> = cycle.iter().map(|&at| nodes[at].name.as_str()).collect();
        let place = cycle.first().map_or(0..0, |&at| place_of(&nodes[at]));
        problems.push_hint(
            place,
            format!("steps read each other in a circle: {}", names.join(" ← ")),
            "rows must flow from sources to sinks: let one of them read something else",
        );
    }
    order
}

/// Follows inputs that were never taken until a node comes up again.
fn cycle(start: usize, inputs: &[Vec<Wire>], taken: &[bool]) -> Vec<usize> {
    let mut path = vec![start];
    let mut at = start;
    loop {
        let Some(next) = inputs[at].iter().map(|input| input.node).find(|&node| !taken[node]) else { return path };
        if let Some(first) = path.iter().position(|&node| node == next) {
            path.push(next);
            return path.split_off(first);
        }
        path.push(next);
        at = next;
    }
}

fn place_of(node: &DraftNode) -> Place {
    node.inputs.first().map_or(node.place.clone(), |(_, place)| place.clone())
}

fn title(node: &DraftNode) -> String {
    format!("{} {}", node.role.noun(), node.name)
}
