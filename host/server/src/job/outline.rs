//! What a job looks like, for people: one line per node, drawn as a tree that hangs from its sources.

use super::draft::SourceSettings;
use std::fmt;
use wasmill_engine::{DEAD_LETTERS, Input, Port, SinkTerms};
use wasmill_stream::process::Order;
use wasmill_stream::sink::{OnOutage, Sink};
use wasmill_stream::units::Period;
use wasmill_stream::watermark::{EventTime, Strategy, WatermarkSpec};
use wasmill_stream::window::WindowSpec;

/// The nodes of a job in the order of the dataflow, each with a line about it.
#[derive(Debug, Clone)]
pub struct Outline {
    job: String,
    nodes: Vec<OutlineNode>,
    /// A line about the sink of the dead letters.
    dead_letters: Option<String>,
}

#[derive(Debug, Clone)]
struct OutlineNode {
    name: String,
    inputs: Vec<Input>,
    /// The names of its side outputs.
    sides: Vec<String>,
    about: String,
}

impl Outline {
    /// A job without nodes.
    pub fn new(job: &str) -> Self {
        Self { job: job.to_owned(), nodes: Vec::new(), dead_letters: None }
    }

    /// Adds a node after all of its inputs.
    pub fn push(&mut self, name: &str, inputs: Vec<Input>, sides: Vec<String>, about: String) {
        self.nodes.push(OutlineNode { name: name.to_owned(), inputs, sides, about });
    }

    /// Adds the sink of the dead letters.
    pub fn dead_letters(&mut self, about: String) {
        self.dead_letters = Some(about);
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The names of the sources.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter(|node| node.inputs.is_empty()).map(|node| node.name.as_str())
    }

    /// Who reads a node, and by which port.
    fn readers(&self, node: usize) -> Vec<(usize, Port)> {
        let edges = self.nodes.iter().enumerate().flat_map(|(at, reader)| {
            reader.inputs.iter().filter(move |input| input.node == node).map(move |input| (at, input.port))
        });
        edges.collect()
    }
}

impl fmt::Display for Outline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut drawing = Drawing { outline: self, drawn: vec![false; self.nodes.len()], lines: Vec::new() };
        for (at, node) in self.nodes.iter().enumerate() {
            if node.inputs.is_empty() {
                drawing.node(at, "  ", "  ");
            }
        }
        if let Some(about) = &self.dead_letters {
            drawing.lines.push((format!("  {DEAD_LETTERS}"), about.clone()));
        }
        let width = drawing.lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        writeln!(f, "{}", self.job)?;
        for (name, about) in &drawing.lines {
            writeln!(f, "{}", format!("{name:width$}  {about}").trim_end())?;
        }
        Ok(())
    }
}

/// The lines of the tree so far. A node with several inputs hangs from the first and is only named under the others.
struct Drawing<'a> {
    outline: &'a Outline,
    drawn: Vec<bool>,
    lines: Vec<(String, String)>,
}

impl Drawing<'_> {
    /// Draws a node and what hangs from it. `branch` precedes its name, `trunk` the lines below it.
    fn node(&mut self, at: usize, branch: &str, trunk: &str) {
        let node = &self.outline.nodes[at];
        if std::mem::replace(&mut self.drawn[at], true) {
            self.lines.push((format!("{branch}{}", node.name), "see above".to_owned()));
            return;
        }
        self.lines.push((format!("{branch}{}", node.name), node.about.clone()));
        let readers = self.outline.readers(at);
        for (nth, (reader, port)) in readers.iter().enumerate() {
            let (elbow, below) = if nth + 1 == readers.len() { ("└─", "   ") } else { ("├─", "│  ") };
            let side = |side: u32| node.sides.get(side as usize).map(String::as_str).unwrap_or_default();
            let port = match port {
                Port::Main => " ".to_owned(),
                Port::Late => "late→ ".to_owned(),
                Port::Side(number) => format!("{}→ ", side(*number)),
                Port::Dead => "dead→ ".to_owned(),
                Port::Raw => "raw→ ".to_owned(),
            };
            self.node(*reader, &format!("{trunk}{elbow}{port}"), &format!("{trunk}{below}"));
        }
    }
}

/// A line about a source.
pub fn source(settings: &SourceSettings) -> String {
    let time = match &settings.time {
        EventTime::Field(field) => field.to_string(),
        EventTime::Plugin => "set by the decoder".to_owned(),
        EventTime::Arrival => "arrival".to_owned(),
    };
    format!("{} source, event time {time}, {}", settings.kind, watermark(&settings.watermark))
}

fn watermark(spec: &WatermarkSpec) -> String {
    let follows = match spec.strategy {
        Strategy::BoundedDisorder(period) => format!("watermark {period} behind"),
        Strategy::Markers => "watermark by markers".to_owned(),
    };
    match spec.idle_timeout {
        Some(idle) => format!("{follows}, idle after {idle}"),
        None => format!("{follows}, never idle"),
    }
}

/// A line about an aggregation.
pub fn aggregation(plugin: &str, windows: WindowSpec, allowed_lateness: Period) -> String {
    let mut about = format!("{plugin}, {windows}");
    if allowed_lateness > Period::default() {
        about.push_str(&format!(", late rows for {allowed_lateness}"));
    }
    about
}

/// A line about a process.
pub fn process(plugin: &str, order: Order) -> String {
    match order {
        Order::Arrival => format!("{plugin}, process"),
        Order::EventTime => format!("{plugin}, process in the order of event time"),
    }
}

/// A line about a sink, with what it promises.
pub fn sink(kind: &str, sink: &dyn Sink, terms: &SinkTerms) -> String {
    let outage = match terms.on_outage {
        OnOutage::Wait => String::new(),
        OnOutage::DeadLetter { after } => format!(", dead letters after {after:?} of an outage"),
    };
    format!("{kind} sink, {}{outage}", sink.guarantee())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source that feeds two steps, a union of the two, and a late output: every node is drawn in full exactly once.
    #[test]
    fn draws_a_graph_as_a_tree() {
        let main = |node| Input { node, port: Port::Main };
        let mut outline = Outline::new("job");
        outline.push("in", vec![], vec![], "source".to_owned());
        outline.push("a", vec![main(0)], vec!["odd".to_owned()], "first".to_owned());
        outline.push("b", vec![main(0)], vec![], "second".to_owned());
        outline.push("both", vec![main(1), main(2)], vec![], String::new());
        outline.push("late", vec![Input { node: 1, port: Port::Late }], vec![], "sink".to_owned());
        outline.push("some", vec![Input { node: 1, port: Port::Side(0) }], vec![], "sink".to_owned());
        outline.dead_letters("file sink".to_owned());
        let expected = "\
job
  in               source
  ├─ a             first
  │  ├─ both
  │  ├─late→ late  sink
  │  └─odd→ some   sink
  └─ b             second
     └─ both       see above
  dead_letter      file sink
";
        assert_eq!(outline.to_string(), expected);
    }
}
