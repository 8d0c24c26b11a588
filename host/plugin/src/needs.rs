//! What a plugin declares when it is configured, checked: fields that can be parsed, side outputs that can be named.

use crate::bindings::exports::wasmill::plugin::lifecycle;
use crate::kind::Kind;
use crate::log::printable;
use wasmill_stream::plugin::{Needs, Side};

/// More fields than this are a mistake or an attack: each costs a scan of every record.
const MAX_FIELDS: usize = 256;
/// Each side output costs a stream of the engine.
const MAX_SIDES: usize = 64;
const MAX_NAME: usize = 64;
/// What a step already calls its other outputs.
const TAKEN: [&str; 2] = ["late", "main"];

/// Checks what a plugin of this kind said; the error is a fragment that follows its name.
pub(crate) fn check(told: lifecycle::Needs, kind: Kind) -> Result<Needs, String> {
    if told.fields.len() > MAX_FIELDS {
        return Err(format!("asks for {} fields, at most {MAX_FIELDS} are possible", told.fields.len()));
    }
    let fields = told.fields.iter().map(|text| text.parse()).collect::<Result<_, String>>();
    let fields = fields.map_err(|problem| format!("asks for a {}", printable(&problem)))?;
    let sides = sides(told.side_outputs, kind)?;
    Ok(Needs { fields, reads_values: told.reads_values, writes_values: told.writes_values, sides })
}

fn sides(told: Vec<lifecycle::SideOutput>, kind: Kind) -> Result<Vec<Side>, String> {
    if kind == Kind::Aggregator && !told.is_empty() {
        return Err("declares side outputs, which aggregators cannot have".to_owned());
    }
    if told.len() > MAX_SIDES {
        return Err(format!("declares {} side outputs, at most {MAX_SIDES} are possible", told.len()));
    }
    let mut sides: Vec<Side> = Vec::with_capacity(told.len());
    for lifecycle::SideOutput { name, writes_values } in told {
        let quoted = printable(&name);
        if !is_name(&name) {
            return Err(format!(
                "declares the side output \"{quoted}\", expected 1 to {MAX_NAME} letters, digits, `_` and `-`"
            ));
        }
        if TAKEN.contains(&name.as_str()) {
            return Err(format!("declares the side output `{quoted}`, but that name is taken; choose another"));
        }
        if sides.iter().any(|side| side.name == name) {
            return Err(format!("declares the side output `{quoted}` twice"));
        }
        sides.push(Side { name, writes_values });
    }
    Ok(sides)
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(sides: &[&str]) -> lifecycle::Needs {
        let side = |name: &&str| lifecycle::SideOutput { name: (*name).to_owned(), writes_values: true };
        let side_outputs = sides.iter().map(side).collect();
        lifecycle::Needs { fields: vec!["/x: s64".to_owned()], reads_values: true, writes_values: false, side_outputs }
    }

    /// Good names are kept in the order declared.
    #[test]
    fn side_outputs() {
        let needs = check(told(&["big-fares", "lost_2"]), Kind::Process).expect("good names");
        assert_eq!(needs.sides.iter().map(|side| &*side.name).collect::<Vec<_>>(), ["big-fares", "lost_2"]);
        assert!(needs.sides[0].writes_values && needs.reads_values && !needs.writes_values);
        assert_eq!(needs.fields.len(), 1);
    }

    /// Names that a job file could not use, that are taken or that are declared twice are refused.
    #[test]
    fn bad_side_outputs() {
        for (sides, expected) in [
            (&["a.b"][..], "\"a.b\", expected 1 to 64 letters"),
            (&[""], "\"\", expected 1 to 64 letters"),
            (&["x\u{1b}[2J"], "\"x\\u{1b}[2J\""),
            (&[&*"x".repeat(65)], "expected 1 to 64 letters"),
            (&["late"], "`late`, but that name is taken"),
            (&["main"], "`main`, but that name is taken"),
            (&["a", "b", "a"], "the side output `a` twice"),
            (&["a"; 65], "declares 65 side outputs, at most 64"),
        ] {
            let words = check(told(sides), Kind::Transform).expect_err(expected);
            assert!(words.contains(expected), "{words:?} should say {expected:?}");
        }
        assert!(check(told(&["a"]), Kind::Aggregator).is_err());
        assert!(check(told(&[]), Kind::Aggregator).is_ok());
    }
}
