//! What happens to records before they are rows: the source's decoder plugin, the fields that later steps want, event
//! time, in-stream markers, and the watermark of the split. Knows nothing of timely.

use super::transform::count;
use crate::admit::admit;
use crate::discards::Discards;
use crate::graph::Tolerance;
use crate::isolate::{Guard, IsolatedTransform};
use crate::plan::{Plan, PlanKind, PlanNode};
use crate::swap::{Swappable, Takeover};
use std::sync::Arc;
use wasmill_stream::field::{Decoder, FieldSpec, FieldType};
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::plugin::{Logic, Needs, Transform, Transformed, Version, View};
use wasmill_stream::source::Chunk;
use wasmill_stream::time::TimeFormat;
use wasmill_stream::watermark::{EventTime, SplitClock, Strategy};
use wasmill_stream::{Batch, Cause, Cells, Column, Lineage, Result, SplitId};

/// The members of a marker event.
const MARKER_TYPE: &str = "type";
const MARKER_VALUE: &str = "watermark";

/// Turns chunks of one source into batches, on one worker.
pub struct Intake {
    index: usize,
    name: Arc<str>,
    ledger: Arc<StepLedger>,
    tolerance: Tolerance,
    keeps_letters: bool,
    /// Records as they were read, if somebody takes them.
    raw: Option<Vec<Batch>>,
    discards: Discards,
    plugin: Option<Predecoder>,
    /// A version of the plugin that is about to take over.
    tried: Option<Predecoder>,
    /// Rows that the plugin has failed on and will see again.
    begun: Option<(SplitId, Batch)>,
    layout: Layout,
    time: EventTime,
}

/// What is decoded of the records, and where it is.
struct Layout {
    decoder: Decoder,
    decodes: bool,
    /// How many of the decoded columns are emitted; they come first.
    emitted: usize,
    /// The column of the event time.
    time_column: Option<usize>,
    /// The columns of a marker's type and value.
    marker_columns: Option<(usize, usize)>,
    emits_values: bool,
}

/// The source's own transform and the fields that it wants.
struct Predecoder {
    version: Version,
    logic: IsolatedTransform,
    needs: Needs,
    decoder: Decoder,
}

impl Layout {
    fn new(node: &PlanNode) -> Self {
        let PlanKind::Source { time, watermark, .. } = &node.kind else {
            unreachable!("an intake belongs to a source");
        };
        let mut fields: Vec<FieldSpec> = node.main().fields.clone();
        let mut place = |spec: &FieldSpec| match fields.iter().position(|field| field == spec) {
            Some(at) => at,
            None => {
                fields.push(spec.clone());
                fields.len() - 1
            }
        };
        let time_column = match time {
            EventTime::Field(spec) => Some(place(spec)),
            EventTime::Plugin | EventTime::Arrival => None,
        };
        let marker_columns = (watermark.strategy == Strategy::Markers).then(|| {
            let text = marker_field(MARKER_TYPE, FieldType::Text);
            let time = marker_field(MARKER_VALUE, FieldType::Time(TimeFormat::Iso8601));
            (place(&text), place(&time))
        });
        Self {
            decoder: Decoder::new(&fields),
            decodes: !fields.is_empty(),
            emitted: node.main().fields.len(),
            time_column,
            marker_columns,
            emits_values: node.main().values,
        }
    }
}

impl Intake {
    /// The intake of a source node.
    pub fn new(index: usize, node: &PlanNode) -> Result<Self> {
        let PlanKind::Source { decoder, time, .. } = &node.kind else {
            unreachable!("an intake belongs to a source");
        };
        let mut intake = Self {
            index,
            name: node.name.clone(),
            ledger: node.ledger.clone(),
            tolerance: node.tolerance,
            keeps_letters: node.keeps_dead_letters(),
            raw: node.keeps_records().then(Vec::new),
            discards: Discards::new(node, node.identity()),
            plugin: None,
            tried: None,
            begun: None,
            layout: Layout::new(node),
            time: time.clone(),
        };
        if let Some(plugin) = decoder {
            intake.plugin = Some(intake.predecoder(Version::Transform(plugin.clone()), plugin.instantiate()?));
        }
        Ok(intake)
    }

    fn predecoder(&self, version: Version, logic: Box<dyn Transform>) -> Predecoder {
        let needs = version.plugin().needs().clone();
        let guard = Guard::new(self.ledger.clone(), self.tolerance, self.keeps_letters);
        Predecoder { logic: IsolatedTransform::new(logic, guard), decoder: Decoder::new(&needs.fields), needs, version }
    }

    /// Turns a chunk into a batch and moves the split's clock. `None` if no row is left. `now`: wall clock, ms.
    pub fn take(&mut self, split: &SplitId, chunk: Chunk, clock: &mut SplitClock, now: i64) -> Result<Option<Batch>> {
        StepLedger::add(&self.ledger.read, chunk.values.len());
        StepLedger::add(&self.ledger.bytes, chunk.values.total_bytes());
        let lineage =
            Lineage { split: split.clone(), positions: Arc::new(chunk.positions), records: None, bytes: None };
        let mut batch = Batch {
            step: self.name.clone(),
            times: chunk.arrivals.unwrap_or_else(|| vec![now; chunk.values.len()]),
            values: chunk.values,
            lineage: Some(lineage),
            ..Batch::default()
        };
        if let Some(raw) = &mut self.raw {
            raw.push(batch.clone());
        }
        if self.keeps_letters
            && let Some(lineage) = &mut batch.lineage
        {
            lineage.bytes = Some(batch.values.clone());
        }
        if let Some(plugin) = &mut self.plugin {
            batch = plugin.admit(batch, &mut self.discards);
        }
        self.begun = Some((split.clone(), batch));
        self.go_on(clock, now)
    }

    /// The split whose rows the plugin has failed on and will see again.
    pub fn begun(&self) -> Option<&SplitId> {
        self.begun.as_ref().map(|(split, _)| split)
    }

    /// Goes on with the rows of [`Intake::begun`].
    pub fn go_on(&mut self, clock: &mut SplitClock, now: i64) -> Result<Option<Batch>> {
        let Some((split, mut batch)) = self.begun.take() else { return Ok(None) };
        let mut emitted = batch.len();
        if let Some(plugin) = self.plugin.as_mut().filter(|_| !batch.is_empty()) {
            let answer = match plugin.call(&batch) {
                Ok(answer) => answer,
                Err(error) => {
                    self.begun = Some((split, batch));
                    return Err(error);
                }
            };
            emitted = count(&batch, &answer, &mut self.discards)?;
            batch.fields.clear();
            batch = answer.main.apply(batch);
        }
        let mut columns = if self.layout.decodes { self.layout.decoder.decode(&batch.values) } else { Vec::new() };
        let kept = self.stamp(&mut batch, &columns, clock, now);
        columns.truncate(self.layout.emitted);
        batch.fields = columns;
        if !self.layout.emits_values {
            // Nobody reads the bytes any more: the source may have their share of its budget back.
            batch.values = Default::default();
        }
        if let Some(kept) = kept {
            emitted -= (batch.len() - kept.len()).min(emitted);
            batch = batch.select(&kept);
        }
        if clock.rows(&batch.times, now) {
            let kept = self.refuse_future(&batch, clock.limit(now));
            emitted -= (batch.len() - kept.len()).min(emitted);
            batch = batch.select(&kept);
        }
        StepLedger::add(&self.ledger.emitted, emitted);
        StepLedger::add(&self.ledger.written, batch.len());
        Ok((!batch.is_empty()).then_some(batch))
    }

    /// The records since the last call as they were read, if somebody takes them.
    pub fn take_raw(&mut self) -> Vec<Batch> {
        self.raw.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The dead letters since the last call.
    pub fn take_letters(&mut self) -> Vec<Batch> {
        self.discards.take()
    }

    /// The guard of the plugin.
    pub fn guard(&mut self) -> Option<&mut Guard> {
        self.plugin.as_mut().map(|plugin| plugin.logic.guard())
    }

    /// Sets event times and obeys markers. Returns the rows that stay rows, if not all.
    fn stamp(&mut self, batch: &mut Batch, columns: &[Column], clock: &mut SplitClock, now: i64) -> Option<Vec<u32>> {
        let markers = self.obey_markers(columns, clock, now);
        let time = self.layout.time_column.map(|at| &columns[at]);
        if let Some(Column { cells: Cells::Int(times), .. }) = time {
            batch.times.copy_from_slice(times);
        }
        let faults = time.map(|column| column.faults.as_slice()).unwrap_or_default();
        if faults.is_empty() && markers.is_empty() {
            return None;
        }
        let mut keep = vec![true; batch.len()];
        for &row in &markers {
            keep[row as usize] = false;
        }
        StepLedger::add(&self.ledger.control, markers.len());
        for fault in faults {
            // A marker has no event time and needs none.
            if std::mem::replace(&mut keep[fault.row as usize], false)
                && let EventTime::Field(spec) = &self.time
            {
                let reason = format!("no event time: {}", spec.reason(fault.kind));
                self.discards.row(batch, fault.row as usize, Cause::Undecodable, &reason);
            }
        }
        Some((0..batch.len() as u32).filter(|&row| keep[row as usize]).collect())
    }

    /// Refuses the rows that are later than `limit`. Returns the others.
    fn refuse_future(&mut self, batch: &Batch, limit: i64) -> Vec<u32> {
        let (kept, refused) = (0..batch.len() as u32).partition::<Vec<_>, _>(|&row| batch.times[row as usize] <= limit);
        for row in refused {
            let reason = "its event time is further ahead of the clock than max_future allows";
            self.discards.row(batch, row as usize, Cause::Future, reason);
        }
        kept
    }

    /// The rows that are markers, ascending.
    fn obey_markers(&self, columns: &[Column], clock: &mut SplitClock, now: i64) -> Vec<u32> {
        let Some((kind, value)) = self.layout.marker_columns else { return Vec::new() };
        let (Cells::Text(kinds), Cells::Int(values)) = (&columns[kind].cells, &columns[value].cells) else {
            return Vec::new();
        };
        let faulty = |row: u32| columns[value].faults.binary_search_by_key(&row, |fault| fault.row).is_ok();
        let mut markers = Vec::new();
        for (row, kind) in kinds.iter().enumerate() {
            if kind == b"watermark" && !faulty(row as u32) {
                clock.marker(values[row], now);
                markers.push(row as u32);
            }
        }
        markers
    }
}

impl Swappable for Intake {
    fn lay_out(&mut self, plan: &Arc<Plan>) -> Result<()> {
        self.layout = Layout::new(&plan.nodes[self.index]);
        Ok(())
    }

    fn try_on(&mut self, takeover: &Takeover, logic: Logic) -> Result<()> {
        let Logic::Transform(logic) = logic else { return Err(takeover.misfit()) };
        self.tried = Some(self.predecoder(takeover.version.clone(), logic));
        Ok(())
    }

    /// Rows that the version before has failed on are this one's.
    fn decide(&mut self, taken: bool) {
        let Some(mut tried) = self.tried.take().filter(|_| taken) else { return };
        self.discards = self.discards.of(Some(tried.version.plugin().identity().clone()));
        self.begun = self.begun.take().map(|(split, batch)| (split, tried.admit(batch, &mut self.discards)));
        self.plugin = Some(tried);
    }
}

impl Predecoder {
    /// The rows that the plugin may see, with its fields.
    fn admit(&mut self, mut batch: Batch, discards: &mut Discards) -> Batch {
        let columns: Vec<usize> = (0..self.needs.fields.len()).collect();
        batch.fields = self.decoder.decode(&batch.values);
        match admit(&batch, &self.needs.fields, &columns, discards) {
            Some(kept) => batch.select(&kept),
            None => batch,
        }
    }

    fn call(&mut self, batch: &Batch) -> Result<Transformed> {
        let columns: Vec<usize> = (0..self.needs.fields.len()).collect();
        self.logic.transform(&View::of(batch, &self.needs, &columns))
    }
}

fn marker_field(name: &str, kind: FieldType) -> FieldSpec {
    FieldSpec { pointers: vec![vec![name.to_owned()]], kind, optional: true }
}
