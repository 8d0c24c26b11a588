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

#[cfg(test)]
mod tests {
    use super::*;

    fn series(owners: &[&str]) -> (Labels, u64) {
        (owners.iter().map(|owner| (TENANT.into(), (*owner).to_owned())).collect(), 1)
    }

    /// Series that are the tenant's, another's, both's and nobody's, of a family that is known, of one that is not, and of one that
    /// is of another kind → those of the tenant are there, and nothing else.
    #[test]
    fn only_its_own() {
        let mut page = Page::default();
        page.counter(("known", "A counter"), [series(&["other"])]);
        page.gauge(("gauge", "A gauge"), None, []);
        let all = || Numbers::Counts([&["acme"][..], &["other"], &["acme", "other"], &[]].map(series).to_vec());
        let portions = ["known", "unknown", "gauge"].map(|name| Portion { name: name.to_owned(), numbers: all() });
        let json = serde_json::to_string(&portions).expect("JSON");
        page.take_in("acme", serde_json::from_str(&json).expect("the same"));
        assert_eq!(page.0.len(), 2);
        for (family, expected) in page.0.iter().zip([vec![series(&["other"]), series(&["acme"])], vec![]]) {
            match &family.numbers {
                Numbers::Counts(found) => assert_eq!(*found, expected),
                Numbers::Gauges(found) => assert!(found.is_empty()),
                _ => panic!("{} is of another kind", family.name),
            }
        }
    }
}
