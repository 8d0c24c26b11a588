//! What a node of a plan is asked.

use super::{Emits, PlanKind, PlanNode, process_shape, window_shape};
use crate::graph::{Input, Port};
use wasmill_stream::field::FieldSpec;
use wasmill_stream::plugin::{Identity, Needs, Plugin, Version};
use wasmill_stream::watermark::EventTime;

impl PlanNode {
    /// Where the wanted fields are in batches from `from`.
    pub fn columns(&self, from: Input) -> &[usize] {
        let edge = self.inputs.iter().find(|(input, _)| *input == from);
        edge.map(|(_, columns)| columns.as_slice()).expect("parcels come only from a node's inputs")
    }

    /// What an output carries; `None` if nobody reads it.
    pub fn emits(&self, port: Port) -> Option<&Emits> {
        self.outputs.iter().find(|(output, _)| *output == port).map(|(_, emits)| emits)
    }

    /// What the main output carries.
    pub fn main(&self) -> &Emits {
        &self.outputs[0].1
    }

    /// Whether somebody takes its dead letters.
    pub fn keeps_dead_letters(&self) -> bool {
        self.emits(Port::Dead).is_some()
    }

    /// Whether somebody takes its records as they were read.
    pub fn keeps_records(&self) -> bool {
        self.emits(Port::Raw).is_some()
    }

    /// Whether it matters when its records arrived.
    pub fn asks_for_arrivals(&self) -> bool {
        self.keeps_records() || matches!(&self.kind, PlanKind::Source { time: EventTime::Arrival, .. })
    }

    /// Who its plugin is.
    pub fn identity(&self) -> Option<Identity> {
        self.plugin().map(|plugin| plugin.identity().clone())
    }

    /// Its plugin.
    pub fn plugin(&self) -> Option<&dyn Plugin> {
        match &self.kind {
            PlanKind::Source { decoder, .. } => decoder.as_ref().map(|plugin| -> &dyn Plugin { &**plugin }),
            PlanKind::Transform { plugin } => Some(&**plugin),
            PlanKind::Aggregate { plugin, .. } => Some(&**plugin),
            PlanKind::Process { plugin, .. } => Some(&**plugin),
            PlanKind::Sink => None,
        }
    }

    /// Its plugin as a version that may be put back.
    pub fn version(&self) -> Option<Version> {
        match &self.kind {
            PlanKind::Source { decoder, .. } => decoder.clone().map(Version::Transform),
            PlanKind::Transform { plugin } => Some(Version::Transform(plugin.clone())),
            PlanKind::Aggregate { plugin, .. } => Some(Version::Aggregate(plugin.clone())),
            PlanKind::Process { plugin, .. } => Some(Version::Process(plugin.clone())),
            PlanKind::Sink => None,
        }
    }

    /// Makes a version its plugin. `false`: the node cannot run such a plugin, and nothing has changed.
    pub fn install(&mut self, version: Version) -> bool {
        match (&mut self.kind, version) {
            (PlanKind::Source { decoder: Some(plugin), .. }, Version::Transform(new)) => *plugin = new,
            (PlanKind::Transform { plugin }, Version::Transform(new)) => *plugin = new,
            (PlanKind::Aggregate { plugin, .. }, Version::Aggregate(new)) => *plugin = new,
            (PlanKind::Process { plugin, .. }, Version::Process(new)) => *plugin = new,
            _ => return false,
        }
        true
    }

    /// Lists a version among those whose costs are told.
    pub fn list(&self, version: &Version) {
        let plugin = version.plugin();
        self.ledger.add_guest(plugin.identity(), plugin.ledger());
    }

    /// What its plugin and those in reserve need.
    fn needs(&self) -> impl Iterator<Item = &Needs> {
        self.plugin().into_iter().chain(self.reserve.iter().map(Version::plugin)).map(|plugin| plugin.needs())
    }

    /// What kind of state it keeps, and the settings that this depends on; `None` for nodes without state.
    pub fn shape(&self) -> Option<String> {
        match &self.kind {
            PlanKind::Aggregate { windows, allowed_lateness, .. } => Some(window_shape(windows, allowed_lateness)),
            PlanKind::Process { order, .. } => Some(process_shape(*order)),
            PlanKind::Source { .. } | PlanKind::Transform { .. } | PlanKind::Sink => None,
        }
    }

    /// Whether a plugin with these needs keeps the values, and so the fields, that the rows of an output had as input.
    pub fn keeps(&self, needs: &Needs, port: Port) -> bool {
        let written = match port {
            Port::Main => needs.writes_values,
            Port::Side(side) => needs.sides.get(side as usize).is_some_and(|side| side.writes_values),
            Port::Late => false,
            Port::Dead | Port::Raw => true,
        };
        match &self.kind {
            PlanKind::Source { .. } | PlanKind::Sink => false,
            PlanKind::Transform { .. } | PlanKind::Process { .. } => !written,
            PlanKind::Aggregate { .. } => port == Port::Late,
        }
    }

    /// Whether what an output carries has to come in with the rows.
    fn hands_on(&self, port: Port) -> bool {
        self.needs().any(|needs| self.keeps(needs, port))
    }

    pub(super) fn wanted_fields(&self, outputs: &[(Port, Emits)]) -> Vec<FieldSpec> {
        let own: Vec<&FieldSpec> = match &self.kind {
            PlanKind::Source { .. } => outputs[0].1.fields.iter().collect(),
            _ => self.needs().flat_map(|needs| &needs.fields).collect(),
        };
        let passed = outputs.iter().filter(|(port, _)| self.hands_on(*port)).flat_map(|(_, emits)| &emits.fields);
        let mut wanted: Vec<FieldSpec> = Vec::new();
        for field in own.into_iter().chain(passed) {
            if !wanted.contains(field) {
                wanted.push(field.clone());
            }
        }
        wanted
    }

    /// Whether it reads the values of its input, or hands them on.
    pub fn wants_values(&self) -> bool {
        match &self.kind {
            PlanKind::Source { .. } | PlanKind::Sink => true,
            _ => {
                self.needs().any(|needs| needs.reads_values)
                    || self.outputs.iter().any(|(port, emits)| emits.values && self.hands_on(*port))
            }
        }
    }
}
