//! Series on their way from one process to another, which puts them to its own of the same name.

use super::page::{Family, Labels, Numbers, Page};
use serde::{Deserialize, Serialize};

/// The label that says whose a series is.
pub const TENANT: &str = "tenant";

/// The series of one family in one process.
#[derive(Serialize, Deserialize)]
pub struct Portion {
    name: String,
    numbers: Numbers,
}

impl Portion {
    /// Those of a family.
    pub fn of(Family { name, mut numbers, .. }: Family) -> Self {
        // There is no way to write others as JSON.
        if let Numbers::Sums(series) | Numbers::Gauges(series) = &mut numbers {
            series.retain(|(_, number)| number.is_finite());
        }
        Self { name: name.to_owned(), numbers }
    }
}

impl Page {
    /// Puts the series of a tenant to those that are there. What is not the tenant's, or of no family that is known, is left out.
    pub(super) fn take_in(&mut self, tenant: &str, portions: Vec<Portion>) {
        for Portion { name, numbers } in portions {
            let Some(family) = self.0.iter_mut().find(|family| family.name == name) else { continue };
            match (&mut family.numbers, numbers) {
                (Numbers::Counts(here), Numbers::Counts(there)) => take(tenant, here, there),
                (Numbers::Sums(here), Numbers::Sums(there)) | (Numbers::Gauges(here), Numbers::Gauges(there)) => {
                    take(tenant, here, there);
                }
                (Numbers::Latencies(here), Numbers::Latencies(there)) => take(tenant, here, there),
                _ => {}
            }
        }
    }
}

fn take<T>(tenant: &str, here: &mut Vec<(Labels, T)>, there: Vec<(Labels, T)>) {
    here.extend(there.into_iter().filter(|(labels, _)| {
        let mut owners = labels.iter().filter(|(name, _)| name == TENANT).map(|(_, owner)| owner);
        owners.next().is_some_and(|owner| owner == tenant) && owners.next().is_none()
    }));
}
