//! A table `[step.NAME]`: a plugin, and the windows that make it an aggregation.

use super::draft::{DraftNode, PluginUse, Role, Settings, WindowSettings, read_inputs};
use super::{JobFile, Origin};
use serde::Deserialize;
use wasmill_engine::Tolerance;
use wasmill_plugin::{Grants, Limits};
use wasmill_stream::config::{ForeignSettings, Place, Problems, Section};
use wasmill_stream::process::Order;
use wasmill_stream::units::Period;
use wasmill_stream::window::WindowSpec;

/// Reads it.
pub fn read(file: &JobFile, name: String, mut table: Section<'_>, problems: &mut Problems) -> DraftNode {
    let place = table.place();
    let inputs = read_inputs(&mut table, problems);
    let plugin = read_plugin(file, &mut table, problems);
    // A window with problems is a window all the same.
    let before = problems.len();
    let window = table.table("window", problems).map(|table| read_window(table, problems));
    let windowed = window.is_some() || problems.len() > before;
    let order = table.located::<Order>("order", problems);
    if let (Some((_, place)), true) = (&order, windowed) {
        let message = format!("{}: `order` is for processes; windows take rows in any order", table.title());
        problems.push(place.clone(), message);
    }
    let lateness = table.located::<Period>("allowed_lateness", problems);
    if let (Some((_, place)), false) = (&lateness, windowed) {
        problems.push(place.clone(), format!("{}: `allowed_lateness` needs a `window`", table.title()));
    }
    table.finish(problems);
    let allowed_lateness = lateness.map(|(period, _)| period).unwrap_or_default();
    let (role, settings) = if windowed {
        // The plugin is looked at even if its windows are wrong: all problems at once.
        let windows = window.flatten().map(|spec| WindowSettings { spec, allowed_lateness });
        (Role::Aggregation, plugin.map(|plugin| Settings::Aggregate(plugin, windows)))
    } else {
        (Role::Step, plugin.map(|plugin| Settings::Step { plugin, order }))
    };
    DraftNode { name, place, role, inputs, settings }
}

/// Reads the keys with which a table names a plugin: `plugin`, `settings`, `wasi`, `limits`,
/// `failures`.
pub fn read_plugin(file: &JobFile, table: &mut Section<'_>, problems: &mut Problems) -> Option<PluginUse> {
    let before = problems.len();
    let path = table.required_located::<String>("plugin", problems);
    let settings = table.table("settings", problems).map(|table| (table.place(), table.into_foreign(problems)));
    let limits = table.table("limits", problems).map(|table| Limits::read(table, &Limits::CEILING, problems));
    let tolerance = table.table("failures", problems).map(|table| read_tolerance(table, problems));
    let wasi = table.optional::<Wasi>("wasi", problems).is_some();
    let sha256 =
        table.located::<Digests>("sha256", problems).map(|(digests, place)| digests.checked(table, place, problems));
    let (text, place) = path?;
    let origin = match Origin::read(file, &text) {
        Ok(origin) => origin,
        Err(reason) => {
            problems.push(place, format!("{}: `plugin`: {reason}", table.title()));
            return None;
        }
    };
    let (settings_place, settings) = settings.unwrap_or_else(|| (place.clone(), ForeignSettings::default()));
    let title = table.title().to_owned();
    let plugin = PluginUse {
        title,
        origin,
        place,
        settings,
        settings_place,
        grants: Grants { wasi },
        approved: Grants::default(),
        limits: limits.unwrap_or_default(),
        tolerance: tolerance.unwrap_or_default(),
        sha256,
        locked: false,
    };
    (problems.len() == before).then_some(plugin)
}

fn read_tolerance(mut table: Section<'_>, problems: &mut Problems) -> Tolerance {
    let mut tolerance = Tolerance::default();
    if let Some((share, place)) = table.located::<f64>("share", problems) {
        if !(0.0..=1.0).contains(&share) {
            problems.push(place, format!("{}: `share` is {share}, expected 0.0 to 1.0", table.title()));
        }
        tolerance.share = share;
    }
    if let Some(give_up) = table.optional::<Period>("give_up", problems) {
        tolerance.give_up = give_up.duration();
    }
    table.finish(problems);
    tolerance
}

/// `sha256` as it is written: one digest or several.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a SHA-256 in hex, or a list of them")]
enum Digests {
    One(String),
    Several(Vec<String>),
}

impl Digests {
    fn checked(self, table: &Section<'_>, place: Place, problems: &mut Problems) -> Vec<String> {
        let digests = match self {
            Self::One(digest) => vec![digest],
            Self::Several(digests) => digests,
        };
        let is_one = |digest: &&String| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        if let Some(wrong) = digests.iter().find(|digest| !is_one(digest)) {
            problems.push(place, format!("{}: `sha256`: \"{wrong}\" is not 64 hexadecimal digits", table.title()));
        }
        digests
    }
}

/// The grant of WASI as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Wasi {
    /// Nothing happens in it.
    Inert,
}

const WINDOW_HINT: &str = "{ tumbling = \"10m\" }, { sliding = \"1h\", every = \"5m\" } or { session = \"15m\" }";

fn read_window(mut table: Section<'_>, problems: &mut Problems) -> Option<WindowSpec> {
    let before = problems.len();
    let tumbling = table.optional::<Period>("tumbling", problems);
    let sliding = table.optional::<Period>("sliding", problems);
    let every = table.located::<Period>("every", problems);
    let session = table.optional::<Period>("session", problems);
    let offset = table.located::<Period>("offset", problems);
    let (title, place) = (table.title().to_owned(), table.place());
    table.finish(problems);
    if problems.len() > before {
        return None;
    }
    let shift = offset.as_ref().map(|(period, _)| *period).unwrap_or_default();
    let spec = match (tumbling, sliding, session) {
        (Some(size), None, None) => WindowSpec::Tumbling { size, offset: shift },
        (None, Some(size), None) => {
            let Some((slide, _)) = every else {
                problems.push_hint(
                    place,
                    format!("{title}: `sliding` needs `every`"),
                    format!("such as {WINDOW_HINT}"),
                );
                return None;
            };
            WindowSpec::Sliding { size, slide, offset: shift }
        }
        (None, None, Some(gap)) => WindowSpec::Session { gap },
        _ => {
            let message = format!("{title}: exactly one of `tumbling`, `sliding` and `session` must be there");
            problems.push_hint(place, message, format!("such as {WINDOW_HINT}"));
            return None;
        }
    };
    if let (Some((_, place)), true) = (every, sliding.is_none()) {
        problems.push(place, format!("{title}: `every` belongs to `sliding`"));
    }
    if let (Some((_, place)), true) = (offset, session.is_some()) {
        problems.push(place, format!("{title}: sessions have no `offset`"));
    }
    if let Err(message) = spec.check() {
        let names =
            "the size of a window is `tumbling` or `sliding`, its slide is `every`, the gap of sessions is `session`";
        problems.push_hint(place, format!("{title}: {message}"), names);
    }
    (problems.len() == before).then_some(spec)
}
