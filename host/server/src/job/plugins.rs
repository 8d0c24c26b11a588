//! The plugins that a job file names: built if they are source folders, loaded once, checked against the table that uses
//! them.

use super::draft::PluginUse;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use wasmill_plugin::{Component, Grants, Host, Kind};
use wasmill_stream::config::Problems;
use wasmill_stream::plugin::{SharedAggregate, SharedProcess, SharedTransform};
use wasmill_stream::{Error, Result};

/// Makes a component of a plugin's source folder and says where it is.
pub type Builder = Box<dyn FnMut(&Path) -> Result<PathBuf>>;

/// Builds and loads plugins, each once.
pub struct Plugins {
    host: Host,
    builder: Option<Builder>,
    seen: HashMap<(PathBuf, Grants), Found>,
}

/// Holds settings against the schema that the plugin declares. What is wrong is reported, key by key.
fn fits_schema(plugin: &PluginUse, component: &Component, problems: &mut Problems) -> bool {
    let checked = serde_json::from_str(&plugin.settings)
        .map_err(|error| Error::invalid("settings are no JSON").with_source(error))
        .and_then(|settings| component.check_settings(&settings));
    let before = problems.len();
    match checked {
        Ok(found) => found.into_iter().for_each(|problem| {
            problems.push(plugin.settings_place.clone(), format!("{}: settings: {problem}", plugin.title));
        }),
        Err(error) => problems.push(plugin.place.clone(), format!("{}: {}", plugin.title, error.report())),
    }
    problems.len() == before
}

/// The plugin of a step without a window.
pub(super) enum StepPlugin {
    Transform(SharedTransform),
    Process(SharedProcess),
}

#[derive(Clone)]
enum Found {
    Component(Component),
    /// A source folder, and there is no builder.
    Unbuilt,
    /// What is wrong with it.
    Broken(String),
}

impl Plugins {
    /// Builds source folders with `builder`; without one they stay unchecked, and jobs that use them cannot run.
    pub fn new(host: Host, builder: Option<Builder>) -> Self {
        Self { host, builder, seen: HashMap::new() }
    }

    /// A line about the plugin, and the plugin unless there are problems. `node` is whose plugin it is.
    pub(super) fn transform(
        &mut self,
        node: &str,
        plugin: &PluginUse,
        problems: &mut Problems,
    ) -> (String, Option<SharedTransform>) {
        self.find(plugin, &[Kind::Transform], problems, |host, component| {
            host.transform(component, node, &plugin.settings, plugin.limits)
        })
    }

    /// Like [`Plugins::transform`], for steps with a window.
    pub(super) fn aggregate(
        &mut self,
        node: &str,
        plugin: &PluginUse,
        problems: &mut Problems,
    ) -> (String, Option<SharedAggregate>) {
        self.find(plugin, &[Kind::Aggregator], problems, |host, component| {
            host.aggregate(component, node, &plugin.settings, plugin.limits)
        })
    }

    /// Like [`Plugins::transform`], for steps without a window: what they are is for their plugin to say.
    pub(super) fn step(
        &mut self,
        node: &str,
        plugin: &PluginUse,
        problems: &mut Problems,
    ) -> (String, Option<StepPlugin>) {
        self.find(plugin, &[Kind::Transform, Kind::Process], problems, |host, component| match component.kind() {
            Kind::Process => host.process(component, node, &plugin.settings, plugin.limits).map(StepPlugin::Process),
            _ => host.transform(component, node, &plugin.settings, plugin.limits).map(StepPlugin::Transform),
        })
    }

    fn find<P>(
        &mut self,
        plugin: &PluginUse,
        kinds: &[Kind],
        problems: &mut Problems,
        configure: impl FnOnce(&Host, &Component) -> Result<P>,
    ) -> (String, Option<P>) {
        let path = plugin.path.display();
        let component = match self.component(plugin) {
            Found::Component(component) => component,
            Found::Unbuilt => return (format!("{path}, not built"), None),
            Found::Broken(message) => {
                problems.push(plugin.place.clone(), format!("{}: {message}", plugin.title));
                return (String::new(), None);
            }
        };
        let about = format!("{}, sha256 {:.8}", component.describe(), component.digest());
        if !kinds.contains(&component.kind()) {
            let (found, hint) = match (component.kind(), kinds) {
                (Kind::Aggregator, [Kind::Transform]) => {
                    ("a decoder is a transform", "aggregators go into a step with a `window`")
                }
                (Kind::Process, [Kind::Transform]) => ("a decoder is a transform", "processes go into a step"),
                (Kind::Aggregator, _) => ("there is no `window`", "add one, such as window = { tumbling = \"10m\" }"),
                (Kind::Transform | Kind::Process, _) => {
                    ("`window` is given", "leave `window` out, or use a plugin of world `aggregator`")
                }
            };
            let message = format!("{}: {found}, but {path} exports world `{}`", plugin.title, component.kind());
            problems.push_hint(plugin.place.clone(), message, hint);
            return (about, None);
        }
        if !fits_schema(plugin, &component, problems) {
            return (about, None);
        }
        match configure(&self.host, &component) {
            Ok(plugin) => (about, Some(plugin)),
            Err(error) => {
                problems.push(plugin.settings_place.clone(), error.report());
                (about, None)
            }
        }
    }

    fn component(&mut self, plugin: &PluginUse) -> Found {
        let key = (plugin.path.clone(), plugin.grants);
        if let Some(found) = self.seen.get(&key) {
            return found.clone();
        }
        let found = self.open(plugin).unwrap_or_else(|error| Found::Broken(error.report()));
        self.seen.insert(key, found.clone());
        found
    }

    fn open(&mut self, plugin: &PluginUse) -> Result<Found> {
        let built;
        let path = plugin.path.as_path();
        let mut file = path;
        if path.is_dir() {
            let Some(build) = &mut self.builder else { return Ok(Found::Unbuilt) };
            built = build(path)?;
            file = &built;
        }
        let bytes = std::fs::read(file)
            .map_err(|error| Error::invalid(format!("read plugin {}", path.display())).with_source(error))?;
        let origin = path.display().to_string();
        self.host.load_with(&origin, &bytes, plugin.grants, &plugin.limits).map(Found::Component)
    }
}
