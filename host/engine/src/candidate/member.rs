//! One of two plugins that are one to everybody else: what it sees of the rows of both, and its answers as both would give
//! them.

use std::sync::Arc;
use wasmill_stream::Binary;
use wasmill_stream::field::FieldSpec;
use wasmill_stream::plugin::{Identity, Needs, Plugin, Reject, Rows, Side, Transformed, View};

/// What two plugins need together.
pub fn union(incumbent: &Needs, candidate: &Needs) -> Needs {
    let mut fields = incumbent.fields.clone();
    fields.extend(candidate.fields.iter().filter(|field| !incumbent.fields.contains(field)).cloned());
    let (more, fewer) = match incumbent.sides.len() < candidate.sides.len() {
        true => (&candidate.sides, &incumbent.sides),
        false => (&incumbent.sides, &candidate.sides),
    };
    let both = |(at, side): (usize, &Side)| match fewer.get(at) {
        // Whoever reads an output knows it by its number, under one name in both.
        Some(other) => Side { name: side.name.clone(), writes_values: side.writes_values || other.writes_values },
        None => side.clone(),
    };
    let sides: Vec<Side> = more.iter().enumerate().map(both).collect();
    let writes_values = incumbent.writes_values || candidate.writes_values;
    // The values of rows that one leaves as they are, and the other does not, have to be written for it.
    let copies = |needs: &Needs| {
        (writes_values && !needs.writes_values)
            || needs.sides.iter().zip(&sides).any(|(own, both)| both.writes_values && !own.writes_values)
    };
    let reads_values = incumbent.reads_values || candidate.reads_values || copies(incumbent) || copies(candidate);
    Needs { fields, reads_values, writes_values, sides }
}

/// One of both.
pub struct Member<L> {
    /// What is called.
    pub logic: L,
    identity: Arc<Identity>,
    reads_values: bool,
    /// The places of its fields among those of both.
    columns: Vec<usize>,
    /// Whether it leaves values as they are that both write, by output: the main one, then its sides.
    copies: Vec<bool>,
}

impl<L> Member<L> {
    /// An instance of a plugin, which is given what both need.
    pub fn new(logic: L, plugin: &dyn Plugin, both: &Needs) -> Self {
        let own = plugin.needs();
        let place = |field: &FieldSpec| both.fields.iter().position(|other| other == field);
        let sides = own.sides.iter().zip(&both.sides).map(|(own, both)| both.writes_values && !own.writes_values);
        Self {
            logic,
            identity: Arc::new(plugin.identity().clone()),
            reads_values: own.reads_values,
            columns: own.fields.iter().filter_map(place).collect(),
            copies: std::iter::once(both.writes_values && !own.writes_values).chain(sides).collect(),
        }
    }

    /// What it sees of rows.
    pub fn view<'a>(&self, both: &View<'a>) -> View<'a> {
        View {
            times: both.times,
            keys: both.keys,
            values: both.values.filter(|_| self.reads_values),
            fields: self.columns.iter().map(|&at| both.fields[at]).collect(),
        }
    }

    /// Its main output rows with the values that they had, if both write values and it does not.
    pub fn main(&self, rows: Rows, values: Option<&Binary>) -> Rows {
        written(rows, values.filter(|_| self.copies.first() == Some(&true)))
    }

    /// The same for side outputs.
    pub fn sides(&self, sides: Vec<(u32, Rows)>, values: Option<&Binary>) -> Vec<(u32, Rows)> {
        let copies = |side: u32| self.copies.get(side as usize + 1) == Some(&true);
        sides.into_iter().map(|(side, rows)| (side, written(rows, values.filter(|_| copies(side))))).collect()
    }

    /// Its refusals, which tell that they are its own.
    pub fn signed(&self, mut rejects: Vec<Reject>) -> Vec<Reject> {
        rejects.iter_mut().for_each(|reject| reject.by = Some(self.identity.clone()));
        rejects
    }

    /// An answer of a transform.
    pub fn transformed(&self, answer: Transformed, values: Option<&Binary>) -> Transformed {
        let Transformed { main, sides, rejects } = answer;
        Transformed { main: self.main(main, values), sides: self.sides(sides, values), rejects: self.signed(rejects) }
    }
}

/// Rows with the values that their origins have. Rows that no row led to have none.
fn written(mut rows: Rows, values: Option<&Binary>) -> Rows {
    if let (Some(values), None) = (values, &rows.values) {
        rows.values = Some(match &rows.origins {
            None => values.clone(),
            Some(origins) => {
                let value = |&origin: &u32| match (origin as usize) < values.len() {
                    true => values.get(origin as usize),
                    false => &[],
                };
                origins.iter().map(value).collect()
            }
        });
    }
    rows
}
