//! Turns the names in `input` into edges, and the tables into an order in which every node stands after its inputs.

use super::draft::{DraftNode, Role};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use wasmill_engine::{Input, Port};
use wasmill_stream::config::{Place, Problem, Problems, strsim_best};

/// What an input may add to the name of an aggregation.
const LATE: &str = ".late";

/// The edges of a job.
pub struct Topology {
    /// The nodes, as their indices in the draft, every node after its inputs.
    pub order: Vec<usize>,
    /// For each node of the draft its inputs, as indices in the draft.
    pub inputs: Vec<Vec<Input>>,
}

/// Resolves all inputs. Reports every problem.
pub fn resolve(nodes: &[DraftNode], problems: &mut Problems) -> Topology {
    for (role, group) in [(Role::Source, "source"), (Role::Sink, "sink")] {
        if !nodes.iter().any(|node| node.role == role) {
            problems.push_hint(0..0, format!("the job has no {group}"), format!("add a table [{group}.NAME]"));
        }
    }
    let by_name = index(nodes, problems);
    let inputs: Vec<_> = nodes.iter().map(|node| node_inputs(node, nodes, &by_name, problems)).collect();
    let order = order(nodes, &inputs, problems);
    Topology { order, inputs }
}

/// One warning for each source or step whose rows go nowhere.
pub fn unread(nodes: &[DraftNode], topology: &Topology) -> Vec<Problem> {
    let is_read = |at: usize| topology.inputs.iter().flatten().any(|input| input.node == at);
    let unread = nodes.iter().enumerate().filter(|(at, node)| node.role != Role::Sink && !is_read(*at));
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
) -> Vec<Input> {
    let mut inputs = Vec::new();
    for (wanted, place) in &node.inputs {
        match input(wanted, nodes, by_name) {
            Ok(input) if inputs.contains(&input) => {
                problems.push(place.clone(), format!("{}: input `{wanted}` is named twice", title(node)));
            }
            Ok(input) => inputs.push(input),
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

fn input(wanted: &str, nodes: &[DraftNode], by_name: &HashMap<&str, usize>) -> Result<Input, (String, Option<String>)> {
    let (name, port) = match wanted.strip_suffix(LATE) {
        Some(name) => (name, Port::Late),
        None => (wanted, Port::Main),
    };
    let Some(&at) = by_name.get(name) else {
        let outputs = nodes.iter().filter(|node| node.role != Role::Sink).map(|node| node.name.as_str());
        let hint = match strsim_best(name, outputs.clone()) {
            Some(best) => format!("did you mean `{best}`?"),
            None => format!("there are: {}", outputs.collect::<Vec<_>>().join(", ")),
        };
        return Err((format!("input `{name}` is neither a source nor a step"), Some(hint)));
    };
    match (nodes[at].role, port) {
        (Role::Sink, _) => Err((format!("input `{name}` is a sink, which has no output"), None)),
        (Role::Source | Role::Transform, Port::Late) => {
            let hint = format!("only steps with a `window` have late rows; use `{name}`");
            Err((format!("`{name}` has no late rows"), Some(hint)))
        }
        _ => Ok(Input { node: at, port }),
    }
}

/// Always takes the first node of the file whose inputs have all been taken.
fn order(nodes: &[DraftNode], inputs: &[Vec<Input>], problems: &mut Problems) -> Vec<usize> {
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
fn cycle(start: usize, inputs: &[Vec<Input>], taken: &[bool]) -> Vec<usize> {
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
