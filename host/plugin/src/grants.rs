//! What a component may import beyond the log and metrics: nothing, unless its user grants it by name. Which imports need
//! which grant is told here; what stands behind them is for the files of each.

use crate::wasi;
use std::fmt;
use std::str::FromStr;
use wasmtime::component::types::ComponentItem;

/// What the host offers to components: interfaces up to their patch version, and their functions.
const OFFERED: [(&str, &[&str]); 3] = [
    ("wasmill:plugin/log@0.1.", &["log"]),
    ("wasmill:plugin/metrics@0.1.", &["count", "gauge", "observe"]),
    ("wasmill:plugin/types@0.1.", &[]),
];

/// Something that can be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Grant {
    /// A WASI 0.2 in which nothing happens.
    Wasi,
}

impl Grant {
    /// All that there are.
    pub const ALL: [Self; 1] = [Self::Wasi];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wasi => "wasi",
        }
    }

    /// How a table of a job file grants it.
    pub const fn setting(self) -> &'static str {
        match self {
            Self::Wasi => "wasi = \"inert\"",
        }
    }

    /// What a component gets by it.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Wasi => "an empty WASI: no files, network or environment, a clock of event time",
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Grant {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|grant| grant.name() == name);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            format!("there is no grant `{name}`; there is: {known}")
        })
    }
}

/// What a component is granted. By default: nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Grants {
    /// See [`Grant::Wasi`].
    pub wasi: bool,
}

impl Grants {
    /// Everything that can be granted.
    pub const ALL: Self = Self { wasi: true };

    /// Whether this is among them.
    pub const fn has(self, grant: Grant) -> bool {
        match grant {
            Grant::Wasi => self.wasi,
        }
    }

    /// These and those.
    pub const fn and(self, more: Self) -> Self {
        Self { wasi: self.wasi || more.wasi }
    }

    /// These and one more.
    pub const fn with(mut self, grant: Grant) -> Self {
        match grant {
            Grant::Wasi => self.wasi = true,
        }
        self
    }
}

impl FromIterator<Grant> for Grants {
    fn from_iter<I: IntoIterator<Item = Grant>>(grants: I) -> Self {
        grants.into_iter().fold(Self::default(), Self::with)
    }
}

/// What a component asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests {
    /// Each grant that it needs, with the imports for which it does.
    pub grants: Vec<(Grant, Vec<String>)>,
    /// Imports that nobody can be given.
    pub unknown: Vec<String>,
}

impl Requests {
    /// What a component asks for by its imports: whole interfaces, or functions of known ones.
    pub(crate) fn of(component: &wasmtime::component::Component) -> Self {
        let (wasi, unknown): (Vec<_>, Vec<_>) =
            beyond_the_offered(component).into_iter().partition(|import| wasi::interface(import).is_some());
        let grants = if wasi.is_empty() { Vec::new() } else { vec![(Grant::Wasi, wasi)] };
        Self { grants, unknown }
    }

    /// Those that are not among what is granted.
    pub fn beyond(&self, grants: Grants) -> impl Iterator<Item = &(Grant, Vec<String>)> {
        self.grants.iter().filter(move |(grant, _)| !grants.has(*grant))
    }

    /// Refuses whatever is neither offered to all nor granted.
    pub(crate) fn check(&self, grants: Grants) -> Result<(), String> {
        let missing: Vec<_> = self.beyond(grants).collect();
        let mut imports = self.unknown.clone();
        imports.extend(missing.iter().flat_map(|(_, imports)| imports).cloned());
        if imports.is_empty() {
            return Ok(());
        }
        let hint = match (&*self.unknown, &*missing) {
            ([], missing) => {
                let way = |(grant, _): &&(Grant, _)| format!("{}, grant it with {}", grant.meaning(), grant.setting());
                format!("; if this will do: {}", missing.iter().map(way).collect::<Vec<_>>().join("; "))
            }
            _ => "; it may import only wasmill:plugin/log@0.1.0 and wasmill:plugin/metrics@0.1.0".to_owned(),
        };
        Err(format!("the component imports {}, which it is not given{hint}", imports.join(", ")))
    }
}

/// The imports that the host does not offer to all.
fn beyond_the_offered(component: &wasmtime::component::Component) -> Vec<String> {
    let mut found = Vec::new();
    for (name, item) in component.component_type().imports(component.engine()) {
        let offered = OFFERED.iter().find(|(interface, _)| name.starts_with(interface));
        match (offered, item.ty) {
            (Some((_, functions)), ComponentItem::ComponentInstance(instance)) => {
                for (function, item) in instance.exports(component.engine()) {
                    let is_type = matches!(item.ty, ComponentItem::Type(_));
                    if !is_type && !functions.contains(&function) {
                        found.push(format!("{name}#{function}"));
                    }
                }
            }
            _ => found.push(name.to_owned()),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is granted is not refused; what is missing is named with its meaning and the way to grant it; what nobody can be
    /// given has no such way.
    #[test]
    fn requests_are_judged() {
        let wasi =
            Requests { grants: vec![(Grant::Wasi, vec!["wasi:cli/stdout@0.2.3".to_owned()])], ..Requests::default() };
        assert_eq!(wasi.check(Grants::ALL), Ok(()));
        assert_eq!(wasi.beyond(Grants::ALL).count(), 0);
        let refusal = wasi.check(Grants::default()).expect_err("nothing is granted");
        assert!(refusal.starts_with("the component imports wasi:cli/stdout@0.2.3, which"), "{refusal}");
        assert!(refusal.ends_with("a clock of event time, grant it with wasi = \"inert\""), "{refusal}");
        let unknown = Requests { unknown: vec!["a:b/c".to_owned()], ..wasi };
        let refusal = unknown.check(Grants::ALL).expect_err("there is no such grant");
        assert!(refusal.contains("imports a:b/c, which") && !refusal.contains("grant it"), "{refusal}");
    }

    /// Every grant has a name that leads back to it, and a place among the grants.
    #[test]
    fn grants_have_names() {
        for grant in Grant::ALL {
            assert_eq!(grant.name().parse(), Ok(grant));
            assert!(Grants::ALL.has(grant) && !Grants::default().has(grant));
            assert!(Grants::from_iter([grant]).has(grant));
        }
        assert_eq!("clock".parse::<Grant>(), Err("there is no grant `clock`; there is: wasi".to_owned()));
    }
}
