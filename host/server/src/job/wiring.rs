//! From the names of outputs to outputs: which ones a node has is known when its plugin has been loaded.

use super::Loaded;
use super::draft::Role;
use super::topology::Wire;
use wasmill_engine::{Input, NodeKind, Port};
use wasmill_stream::config::{Problem, Problems, strsim_best};
use wasmill_stream::plugin::Side;
use wasmill_stream::process::Order;

/// What late rows are called.
const LATE: &str = "late";

/// The outputs of a node besides the main one.
pub struct Outputs {
    late: bool,
    /// `None` if the plugin could not be asked.
    sides: Option<Vec<String>>,
}

impl Outputs {
    /// The outputs of a node whose plugin has been loaded, or not.
    pub fn of(role: Role, kind: Option<&NodeKind>) -> Self {
        let names = |sides: &[Side]| Some(sides.iter().map(|side| side.name.clone()).collect());
        let (late, sides) = match (role, kind) {
            (Role::Aggregation, _) => (true, Some(Vec::new())),
            (Role::Source | Role::Sink | Role::Archive, _) => (false, Some(Vec::new())),
            (Role::Step, Some(NodeKind::Transform { plugin })) => (false, names(&plugin.needs().sides)),
            (Role::Step, Some(NodeKind::Process { plugin, order })) => {
                (*order == Order::EventTime, names(&plugin.needs().sides))
            }
            (Role::Step, _) => (true, None),
        };
        Self { late, sides }
    }

    /// The names of the side outputs.
    pub fn sides(&self) -> Vec<String> {
        self.sides.clone().unwrap_or_default()
    }

    fn port(&self, name: &str) -> Option<Port> {
        if name == LATE {
            return self.late.then_some(Port::Late);
        }
        match &self.sides {
            // The plugin will be asked when it is there.
            None => Some(Port::Main),
            Some(sides) => sides.iter().position(|side| side == name).map(|side| Port::Side(side as u32)),
        }
    }

    fn names(&self) -> Vec<String> {
        self.sides().into_iter().chain(self.late.then(|| LATE.to_owned())).collect()
    }
}

/// Finds the output of every edge. Reports those that are not there.
pub fn connect(nodes: &[Loaded], wires: &[Vec<Wire>], problems: &mut Problems) -> Vec<Vec<Input>> {
    let mut connect = |reader: usize, wire: &Wire| {
        let from = &nodes[wire.node];
        let Some(name) = &wire.output else { return Some(Input { node: wire.node, port: nodes[reader].reads }) };
        let port = from.outputs.port(name);
        if port.is_none() {
            let (message, hint) = missing(from, name);
            problems.push_hint(wire.place.clone(), message, hint);
        }
        port.map(|port| Input { node: wire.node, port })
    };
    let inputs = wires.iter().enumerate();
    inputs.map(|(reader, wires)| wires.iter().filter_map(|wire| connect(reader, wire)).collect()).collect()
}

fn missing(from: &Loaded, name: &str) -> (String, String) {
    let step = &from.name;
    if name == LATE {
        let hint = "steps with a `window` have late rows, and processes with order = \"event-time\"";
        return (format!("`{step}` has no late rows"), format!("{hint}; use `{step}`"));
    }
    let outputs = from.outputs.names();
    let hint = match strsim_best(name, outputs.iter().map(String::as_str)) {
        Some(best) => format!("did you mean `{step}.{best}`?"),
        None if outputs.is_empty() => format!("it has none besides its main one; use `{step}`"),
        None => format!("it has: {}", outputs.join(", ")),
    };
    (format!("`{step}` has no output `{name}`"), hint)
}

/// One warning for each side output whose rows go nowhere.
pub fn unread(nodes: &[Loaded], wiring: &[Vec<Input>]) -> Vec<Problem> {
    let mut warnings = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        for (number, side) in (0..).zip(node.outputs.sides()) {
            let output = Input { node: at, port: Port::Side(number) };
            if !wiring.iter().flatten().any(|input| *input == output) {
                let message = format!("nothing reads output `{side}` of step `{}`: its rows are dropped", node.name);
                let hint = Some(format!("input = \"{}.{side}\" reads it", node.name));
                warnings.push(Problem { message, place: node.place.clone(), hint });
            }
        }
    }
    warnings
}
