//! Settings: the JSON object of a step in the job file becomes the plugin itself. The same declaration makes the JSON Schema
//! that the host checks job files against. Settings that a plugin does not know are errors, so that a typing mistake cannot
//! silently leave a default in place.

mod problem;
mod schema;
#[cfg(test)]
mod tests;
mod value;

#[doc(hidden)]
pub use problem::Problem;
#[doc(hidden)]
pub use schema::Schema;
pub use value::{Number, Pointer, Setting};
#[doc(hidden)]
pub use {
    serde_json::Value,
    value::{choice, choice_schema},
};

use serde_json::Map;

/// A struct that is read from the settings of a step: `#[derive(Settings)]`.
///
/// Each field is a setting of its name. Its type is a [`Setting`]: a number, `bool`, `String`, `Duration` (`"90s"`, `"1h"`),
/// [`Time`](crate::Time), [`Pointer`], an enum without contents or another struct with `#[derive(Settings)]`, or an `Option`
/// or `Vec` of these. `#[setting(…)]` gives a `default`, as it would be written in JSON, and bounds: `minimum`, `maximum`.
/// What has no default and is no `Option` must be set. Doc comments describe the settings to users of the plugin.
///
/// ```
/// use std::time::Duration;
/// use wasmill::Settings;
///
/// #[derive(Settings)]
/// struct Alerts {
///     /// What makes an alert.
///     #[setting(default = 3.0, minimum = 0)]
///     sigmas: f64,
///     /// How long a sensor may be silent.
///     #[setting(default = "1h")]
///     idle: Duration,
///     level: Level,
///     unit: Option<String>,
/// }
///
/// #[derive(Settings)]
/// enum Level {
///     Warning,
///     OutOfRange,
/// }
///
/// let alerts: Alerts = wasmill::settings::parse(r#"{"level": "out-of-range", "sigmas": 2}"#)?;
/// assert_eq!((alerts.sigmas, alerts.idle.as_secs()), (2.0, 3600));
/// let error = wasmill::settings::parse::<Alerts>(r#"{"level": "warning", "sigmas": -1}"#).err();
/// assert_eq!(error.as_deref(), Some(r#"setting "sigmas": expected a number of at least 0, found -1"#));
/// # Ok::<(), String>(())
/// ```
#[diagnostic::on_unimplemented(message = "`{Self}` has no settings", note = "write #[derive(Settings)] on it")]
pub trait Settings: Sized + 'static {
    /// What can be set.
    #[doc(hidden)]
    const MEMBERS: &'static [Member];
    /// Reads all members, in their order.
    #[doc(hidden)]
    fn read(members: &Members<'_>) -> Result<Self, Problem>;
}

/// One setting of a struct.
#[doc(hidden)]
pub struct Member {
    pub name: &'static str,
    pub description: &'static str,
    /// Writes the schema of its type.
    pub schema: fn(&mut Schema, &Bounds),
    pub bounds: Bounds,
    /// As JSON.
    pub default: Option<&'static str>,
    pub required: bool,
}

/// What a number may be.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bounds {
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
}

/// The settings of a plugin that has none.
pub struct NoSettings {}

impl Settings for NoSettings {
    const MEMBERS: &'static [Member] = &[];

    fn read(_members: &Members<'_>) -> Result<Self, Problem> {
        Ok(Self {})
    }
}

/// The plugin with these settings, a JSON object. The error names the setting and says what was expected.
pub fn parse<T: Settings>(settings: &str) -> Result<T, String> {
    let value = serde_json::from_str(settings).map_err(|error| format!("settings are no JSON: {error}"))?;
    read_object(&value).map_err(|problem| problem.to_string())
}

/// The JSON Schema of its settings.
pub fn schema<T: Settings>() -> String {
    schema::of_plugin(T::MEMBERS)
}

fn read_object<T: Settings>(value: &Value) -> Result<T, Problem> {
    let Value::Object(found) = value else { return Err(Problem::expected("an object of settings", value)) };
    match found.keys().find(|name| T::MEMBERS.iter().all(|member| member.name != *name)) {
        Some(unknown) => Err(Problem::unknown(unknown, T::MEMBERS.iter().map(|member| member.name))),
        None => T::read(&Members { found, known: T::MEMBERS }),
    }
}

/// The members of an object, while it is read.
#[doc(hidden)]
pub struct Members<'a> {
    found: &'a Map<String, Value>,
    known: &'static [Member],
}

impl Members<'_> {
    /// Reads member number `at`.
    pub fn read<T: Setting>(&self, at: usize) -> Result<T, Problem> {
        let Member { name, bounds, default, .. } = &self.known[at];
        let read = match (self.found.get(*name), default) {
            (Some(value), _) => T::read(value, bounds),
            (None, Some(default)) => match serde_json::from_str(default) {
                Ok(default) => T::read(&default, bounds),
                Err(error) => Err(Problem::new(format!("its default {default} is no JSON: {error}"))),
            },
            (None, None) => T::absent().ok_or_else(Problem::missing),
        };
        read.map_err(|problem| problem.within(name))
    }
}
