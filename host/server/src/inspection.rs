//! Everything that is known of a component: what is written in it, what it says about itself, and what applies to it.

use serde_json::{Value, json};
use std::fmt;
use wasmill_plugin::{Component, Grant, Host, Kind, Limits};
use wasmill_stream::plugin::{Needs, Side};
use wasmill_stream::{Error, Result};

/// What is known of a component.
pub struct Inspection {
    file: String,
    name: String,
    version: String,
    kind: Kind,
    digest: String,
    size: u64,
    imports: Vec<String>,
    /// What it asks for beyond what all are given.
    grants: Vec<Grant>,
    exports: Vec<String>,
    state_version: u32,
    /// The JSON Schema of its settings.
    schema: Option<Value>,
    settings: Value,
    /// What it wants and gives with these settings, or why it does not take them.
    needs: Result<Needs, String>,
    limits: Limits,
}

impl Inspection {
    /// Asks a component with some settings. `bytes` are the component's.
    pub fn new(host: &Host, component: &Component, bytes: &[u8], settings: &Value) -> Result<Self> {
        let about = component.describe();
        let (imports, exports) = interfaces(bytes).map_err(|error| error.context(component.origin()))?;
        Ok(Self {
            file: component.origin().to_owned(),
            name: about.name.clone(),
            version: about.version.clone(),
            kind: component.kind(),
            digest: component.digest().to_owned(),
            size: component.size().bytes(),
            imports,
            grants: component.requests().grants.iter().map(|(grant, _)| *grant).collect(),
            exports,
            state_version: about.state_version,
            // A schema that is no JSON is shown as the text that it is.
            schema: about
                .settings
                .as_ref()
                .map(|text| serde_json::from_str(text).unwrap_or(Value::from(text.as_str()))),
            needs: needs(host, component, settings).map_err(|error| error.report()),
            settings: settings.clone(),
            limits: Limits::default().for_component(component.size()),
        })
    }

    /// All of it for scripts.
    pub fn json(&self) -> Value {
        let side = |side: &Side| json!({"name": side.name, "writes_values": side.writes_values});
        let needs = match &self.needs {
            Err(problem) => json!({"settings": self.settings, "problem": problem}),
            Ok(needs) => json!({
                "settings": self.settings,
                "fields": needs.fields.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "reads_values": needs.reads_values,
                "writes_values": needs.writes_values,
                "side_outputs": needs.sides.iter().map(side).collect::<Vec<_>>(),
            }),
        };
        let limits: serde_json::Map<_, _> =
            self.limits.lines().into_iter().map(|(name, value, _)| (name.to_owned(), value.into())).collect();
        json!({
            "file": self.file, "name": self.name, "version": self.version, "kind": self.kind.world(),
            "sha256": self.digest, "size": self.size, "imports": self.imports, "exports": self.exports,
            "grants": self.grants.iter().map(|grant| grant.name()).collect::<Vec<_>>(),
            "state_version": self.state_version, "settings_schema": self.schema, "configured": needs, "limits": limits,
        })
    }
}

/// What the plugin wants and gives. Settings are judged as in a job: by the schema, then by the plugin itself.
fn needs(host: &Host, component: &Component, settings: &Value) -> Result<Needs> {
    component.accept_settings(settings)?;
    let (settings, limits) = (settings.to_string(), Limits::default());
    Ok(match component.kind() {
        Kind::Transform => host.transform(component, "inspect", &settings, limits)?.needs().clone(),
        Kind::Aggregator => host.aggregate(component, "inspect", &settings, limits)?.needs().clone(),
        Kind::Process => host.process(component, "inspect", &settings, limits)?.needs().clone(),
    })
}

/// The names of what a component imports and exports.
fn interfaces(bytes: &[u8]) -> Result<(Vec<String>, Vec<String>)> {
    let unreadable = |error| Error::invalid(format!("read the types of the component: {error:#}"));
    let decoded = wit_component::decode(bytes).map_err(unreadable)?;
    let wit_component::DecodedWasm::Component(resolve, world) = decoded else {
        return Err(Error::invalid("this is a package of interfaces, not a component"));
    };
    let world = &resolve.worlds[world];
    let names = |keys: Vec<_>| keys.into_iter().map(|key| resolve.name_world_key(key)).collect();
    Ok((names(world.imports.keys().collect()), names(world.exports.keys().collect())))
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &[String]| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        let state = match self.state_version {
            0 => "none".to_owned(),
            version => format!("layout version {version}"),
        };
        writeln!(f, "{} {}", self.name, self.version)?;
        writeln!(f, "  file     {}", self.file)?;
        writeln!(f, "  kind     {}", self.kind)?;
        writeln!(f, "  sha256   {}", self.digest)?;
        writeln!(f, "  size     {} bytes", self.size)?;
        writeln!(f, "  state    {state}")?;
        writeln!(f, "  imports  {}", list(&self.imports))?;
        writeln!(f, "  exports  {}", list(&self.exports))?;
        for grant in &self.grants {
            let (meaning, setting) = (grant.meaning(), grant.setting());
            writeln!(f, "  grant    {grant}: {meaning}; a step that uses it says {setting}")?;
        }
        match &self.schema {
            None => writeln!(f, "\nsettings: any object; the plugin describes none")?,
            Some(Value::String(text)) => writeln!(f, "\nsettings: the schema is not JSON: {text}")?,
            Some(schema) => writeln!(f, "\nsettings, as a JSON Schema\n{}", indented(&format!("{schema:#}")))?,
        }
        writeln!(f, "\nwith the settings {}", self.settings)?;
        match &self.needs {
            Err(problem) => writeln!(f, "  {problem}\n  --settings '{{…}}' asks it with others")?,
            Ok(needs) => self.needs(f, needs)?,
        }
        writeln!(f, "\nlimits, unless a step says otherwise")?;
        let lines = self.limits.lines();
        let width = lines.iter().map(|(_, value, _)| value.len()).max().unwrap_or(0);
        lines.iter().try_for_each(|(name, value, meaning)| writeln!(f, "  {name:10} {value:width$}  {meaning}"))
    }
}

impl Inspection {
    fn needs(&self, f: &mut fmt::Formatter<'_>, needs: &Needs) -> fmt::Result {
        let fields: Vec<_> = needs.fields.iter().map(ToString::to_string).collect();
        let fields = if fields.is_empty() { "none".to_owned() } else { fields.join("\n                 ") };
        let yes = |yes: bool| if yes { "yes" } else { "no" };
        // Aggregators always return values, whatever they say.
        let writes = self.kind == Kind::Aggregator || needs.writes_values;
        writeln!(f, "  fields         {fields}")?;
        writeln!(f, "  reads values   {}", yes(needs.reads_values))?;
        writeln!(f, "  writes values  {}", yes(writes))?;
        for side in &needs.sides {
            let values = if side.writes_values { "values of its own" } else { "rows keep their bytes" };
            writeln!(f, "  side output    {} ({values})", side.name)?;
        }
        Ok(())
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspection(needs: Result<Needs, String>) -> Inspection {
        Inspection {
            file: "p.wasm".to_owned(),
            name: "p".to_owned(),
            version: "1.2.0".to_owned(),
            kind: Kind::Process,
            digest: "ab".to_owned(),
            size: 7,
            imports: Vec::new(),
            grants: Vec::new(),
            exports: vec!["a".to_owned(), "b".to_owned()],
            state_version: 3,
            schema: Some(json!({"type": "object"})),
            settings: json!({"n": 1}),
            needs,
            limits: Limits::default(),
        }
    }

    /// What a plugin wants and gives is there for people and for scripts, with the settings that it was asked with.
    #[test]
    fn needs_are_shown() {
        let sides = vec![Side { name: "late_night".to_owned(), writes_values: false }];
        let fields = vec!["/a: s64".parse().expect("a field"), "/b|/c: time?".parse().expect("a field")];
        let inspection = inspection(Ok(Needs { fields, reads_values: true, writes_values: false, sides }));
        let text = inspection.to_string();
        let middle = "with the settings {\"n\":1}
  fields         /a: s64
                 /b|/c: time?
  reads values   yes
  writes values  no
  side output    late_night (rows keep their bytes)

limits, unless a step says otherwise
";
        assert!(text.contains(middle), "{text}");
        let start = "p 1.2.0\n  file     p.wasm\n  kind     process\n  sha256   ab\n  size     7 bytes\n";
        assert!(text.starts_with(start) && text.contains("  imports  nothing\n  exports  a, b\n"), "{text}");
        let json = inspection.json();
        assert_eq!(json["configured"]["fields"], json!(["/a: s64", "/b|/c: time?"]));
        assert_eq!(json["configured"]["side_outputs"], json!([{"name": "late_night", "writes_values": false}]));
        assert_eq!((&json["state_version"], &json["limits"]["call"]), (&json!(3), &json!("1s")));
        assert_eq!(json["grants"], json!([]));
        let with_wasi = Inspection { grants: vec![Grant::Wasi], ..inspection };
        let line = "  grant    wasi: an empty WASI: no files, network or environment, a clock of event time; \
            a step that uses it says wasi = \"inert\"\n";
        assert!(with_wasi.to_string().contains(line), "{with_wasi}");
        assert_eq!(with_wasi.json()["grants"], json!(["wasi"]));
    }

    /// A plugin that does not take the settings → everything else, and why.
    #[test]
    fn refused_settings_are_no_failure() {
        let inspection = inspection(Err("settings: `n`: must be >=2".to_owned()));
        assert!(
            inspection
                .to_string()
                .contains("{\"n\":1}\n  settings: `n`: must be >=2\n  --settings '{…}' asks it with others\n")
        );
        assert_eq!(inspection.json()["configured"]["problem"], json!("settings: `n`: must be >=2"));
    }
}
