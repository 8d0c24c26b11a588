//! Reads a plugin's settings: the JSON object of the job file becomes the plugin itself. Settings that it does not know are
//! errors, so that a typing mistake cannot silently leave a default in place.

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The settings of a plugin that has none.
#[derive(Deserialize)]
pub struct NoSettings {}

/// The plugin with these settings. The error names the setting and says what was expected.
pub fn parse<T: DeserializeOwned>(settings: &str) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_str(settings);
    let mut track = serde_path_to_error::Track::new();
    let mut unknown = None;
    let mut note = |path: serde_ignored::Path<'_>| unknown = Some(path.to_string());
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    let plugin = T::deserialize(serde_ignored::Deserializer::new(tracked, &mut note));
    let plugin = plugin.map_err(|error| describe(&track.path().to_string(), &error))?;
    match unknown {
        Some(setting) => Err(format!("setting `{setting}` is not known to this plugin")),
        None => Ok(plugin),
    }
}

fn describe(path: &str, error: &serde_json::Error) -> String {
    // The position in the JSON text means nothing to the author of a job file.
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    if path == "." { format!("settings: {text}") } else { format!("setting `{path}`: {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Debug, PartialEq)]
    struct Limits {
        minimum: u64,
        #[serde(default)]
        nested: Nested,
    }

    #[derive(Deserialize, Debug, PartialEq, Default)]
    struct Nested {
        factor: f64,
    }

    /// Good settings are read; a wrong, a missing and an unknown setting are each named.
    #[test]
    fn errors_name_the_setting() {
        let good = Limits { minimum: 3, nested: Nested { factor: 0.5 } };
        assert_eq!(parse(r#"{"minimum":3,"nested":{"factor":0.5}}"#), Ok(good));
        let error = |text| parse::<Limits>(text).expect_err("bad settings");
        assert_eq!(error(r#"{"minimum":"3"}"#), "setting `minimum`: invalid type: string \"3\", expected u64");
        assert_eq!(error("{}"), "settings: missing field `minimum`");
        assert_eq!(
            error(r#"{"minimum":3,"nested":{"factor":0.5,"x":1}}"#),
            "setting `nested.x` is not known to this plugin"
        );
        assert!(parse::<NoSettings>("{}").is_ok());
        assert_eq!(parse::<NoSettings>(r#"{"a":1}"#).err(), Some("setting `a` is not known to this plugin".into()));
    }
}
