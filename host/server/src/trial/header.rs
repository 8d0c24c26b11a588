//! The first line of a case: how the step is set up. The names are those of a table `[step.NAME]` in a job file.

use serde::Deserialize;
use serde_json::Value;
use wasmill_stream::process::Order;
use wasmill_stream::units::Period;
use wasmill_stream::window::WindowSpec;

/// The names of its members.
pub const NAMES: [&str; 4] = ["settings", "window", "allowed_lateness", "order"];

/// How the step is set up.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// The settings of the plugin, a JSON object.
    pub settings: Value,
    /// The windows of an aggregator.
    pub window: Option<WindowSpec>,
    /// How long a fired window still takes late rows.
    pub allowed_lateness: Period,
    /// In which order rows reach a process, if it is said.
    pub order: Option<Order>,
}

impl Default for Header {
    fn default() -> Self {
        let settings = Value::Object(serde_json::Map::new());
        Self { settings, window: None, allowed_lateness: Period::default(), order: None }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    settings: Option<Value>,
    window: Option<Window>,
    allowed_lateness: Option<Period>,
    order: Option<Order>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Window {
    tumbling: Option<Period>,
    sliding: Option<Period>,
    every: Option<Period>,
    session: Option<Period>,
    offset: Option<Period>,
}

const WINDOWS: &str = "{\"tumbling\": \"10m\"}, {\"sliding\": \"1h\", \"every\": \"5m\"} or {\"session\": \"15m\"}";

impl Header {
    /// Reads the line.
    pub fn read(line: &str) -> Result<Self, String> {
        let written: Written = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let mut header = Self::default();
        if let Some(settings) = written.settings {
            if !settings.is_object() {
                return Err(format!("`settings`: expected an object, found {settings}"));
            }
            header.settings = settings;
        }
        header.window = written.window.map(|window| window.spec()).transpose()?;
        if written.allowed_lateness.is_some() && header.window.is_none() {
            return Err("`allowed_lateness` needs a `window`".to_owned());
        }
        header.allowed_lateness = written.allowed_lateness.unwrap_or_default();
        header.order = written.order;
        Ok(header)
    }
}

impl Window {
    fn spec(self) -> Result<WindowSpec, String> {
        let offset = self.offset.unwrap_or_default();
        let spec = match (self.tumbling, self.sliding, self.every, self.session, self.offset) {
            (Some(size), None, None, None, _) => WindowSpec::Tumbling { size, offset },
            (None, Some(size), Some(slide), None, _) => WindowSpec::Sliding { size, slide, offset },
            (None, None, None, Some(gap), None) => WindowSpec::Session { gap },
            _ => return Err(format!("`window`: expected {WINDOWS}")),
        };
        spec.check().map_err(|problem| format!("`window`: {problem}"))?;
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows are written as in a job file, and what makes no sense is refused with what would.
    #[test]
    fn windows() {
        let read = |window: &str| Header::read(&format!("{{\"window\": {window}}}")).map(|header| header.window);
        let minutes = |minutes: i64| Period::from_millis(minutes * 60_000);
        let offset = Period::default();
        let sliding = WindowSpec::Sliding { size: minutes(60), slide: minutes(5), offset };
        assert_eq!(read(r#"{"tumbling": "10m"}"#), Ok(Some(WindowSpec::Tumbling { size: minutes(10), offset })));
        assert_eq!(read(r#"{"sliding": "1h", "every": "5m"}"#), Ok(Some(sliding)));
        assert_eq!(read(r#"{"session": "15m"}"#), Ok(Some(WindowSpec::Session { gap: minutes(15) })));
        for bad in [r#"{"sliding": "1h"}"#, r#"{"session": "1m", "offset": "1s"}"#, r#"{"tumbling": "0s"}"#, "{}"] {
            let error = read(bad).expect_err(bad);
            assert!(error.starts_with("`window`: "), "{error}");
        }
    }

    /// Orders have their names from the job file, and what belongs to windows needs one.
    #[test]
    fn order() {
        let order = |line: &str| Header::read(line).map(|header| header.order);
        assert_eq!(order("{}"), Ok(None));
        assert_eq!(order(r#"{"order": "arrival"}"#), Ok(Some(Order::Arrival)));
        assert_eq!(order(r#"{"order": "event-time"}"#), Ok(Some(Order::EventTime)));
        assert!(order(r#"{"order": "random"}"#).is_err());
        assert_eq!(order(r#"{"allowed_lateness": "1s"}"#), Err("`allowed_lateness` needs a `window`".to_owned()));
        assert!(Header::read(r#"{"setings": {}}"#).expect_err("a typing mistake").contains("setings"));
    }
}
