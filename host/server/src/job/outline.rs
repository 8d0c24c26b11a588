//! What a job looks like, for people: one line per node, drawn as a tree that hangs from its sources.

use super::draft::{SourceSettings, WindowSettings};
use std::fmt;
use wasmill_engine::{Input, Port};
use wasmill_stream::sink::Sink;
use wasmill_stream::units::Period;
use wasmill_stream::watermark::{EventTime, Strategy, WatermarkSpec};

/// The nodes of a job in the order of the dataflow, each with a line about it.
#[derive(Debug, Clone)]
pub struct Outline {
    job: String,
    nodes: Vec<OutlineNode>,
}

#[derive(Debug, Clone)]
struct OutlineNode {
    name: String,
    inputs: Vec<Input>,
    about: String,
}

impl Outline {
    /// A job without nodes.
    pub fn new(job: &str) -> Self {
        Self { job: job.to_owned(), nodes: Vec::new() }
    }

    /// Adds a node after all of its inputs.
    pub fn push(&mut self, name: &str, inputs: Vec<Input>, about: String) {
        self.nodes.push(OutlineNode { name: name.to_owned(), inputs, about });
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
            let port = if *port == Port::Late { "late→ " } else { " " };
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
pub fn aggregation(plugin: &str, windows: &WindowSettings) -> String {
    let mut about = format!("{plugin}, {}", windows.spec);
    if windows.allowed_lateness > Period::default() {
        about.push_str(&format!(", late rows for {}", windows.allowed_lateness));
    }
    about
}

/// A line about a sink: its promise without the small print, which is what follows a colon.
pub fn sink(kind: &str, sink: &dyn Sink) -> String {
    let promise = sink.guarantee().split(':').next().unwrap_or_default();
    format!("{kind} sink, {promise}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source that feeds two steps, a union of the two, and a late output: every node is drawn in full exactly once.
    #[test]
    fn draws_a_graph_as_a_tree() {
        let main = |node| Input { node, port: Port::Main };
        let mut outline = Outline::new("job");
        outline.push("in", vec![], "source".to_owned());
        outline.push("a", vec![main(0)], "first".to_owned());
        outline.push("b", vec![main(0)], "second".to_owned());
        outline.push("both", vec![main(1), main(2)], String::new());
        outline.push("late", vec![Input { node: 1, port: Port::Late }], "sink".to_owned());
        let expected = "\
job
  in               source
  ├─ a             first
  │  ├─ both
  │  └─late→ late  sink
  └─ b             second
     └─ both       see above
";
        assert_eq!(outline.to_string(), expected);
    }
}
