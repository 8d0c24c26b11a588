//! The plugins that a job file names: built if they are source folders, loaded once, checked against the table that uses
//! them.

use super::draft::PluginUse;
use super::typed::Typed;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmill_plugin::{Component, Grants, Host, Kind, SettingProblem};
use wasmill_stream::config::{Place, Problems};
use wasmill_stream::plugin::{SharedAggregate, SharedProcess, SharedTransform};
use wasmill_stream::{Error, ErrorKind, Result};

/// Makes a component of a plugin's source folder and says where it is.
pub type Builder = Box<dyn FnMut(&Path) -> Result<PathBuf>>;

/// Builds and loads plugins, each once.
pub struct Plugins {
    host: Host,
    builder: Option<Builder>,
    seen: HashMap<(PathBuf, Grants), Found>,
    /// Bytes that were read before, by the path that they were read from.
    supplied: HashMap<PathBuf, Arc<[u8]>>,
    /// The bytes of every component that was loaded, by digest.
    components: BTreeMap<String, Arc<[u8]>>,
}

/// The settings as the plugin gets them, if they fit the schema that it declares. What is wrong is reported, key by key.
fn fitting(plugin: &PluginUse, component: &Component, problems: &mut Problems) -> Option<String> {
    let Typed { json, misfits } = Typed::new(&plugin.settings, component.describe().settings.as_deref());
    let before = problems.len();
    match component.check_settings(&json) {
        Ok(mut found) => {
            let mut report = |place: &Place, problem: &SettingProblem| {
                problems.push(place.clone(), format!("{}: settings: {problem}", plugin.title));
            };
            // A parameter that is no number is a text, which the schema does not want either.
            found.retain(|problem| misfits.iter().all(|(_, misfit)| misfit.path != problem.path));
            misfits.iter().for_each(|(place, misfit)| report(place, misfit));
            found.iter().for_each(|problem| report(&plugin.settings_place, problem));
        }
        Err(error) => problems.push(plugin.place.clone(), format!("{}: {}", plugin.title, error.report())),
    }
    (problems.len() == before).then(|| json.to_string())
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
        Self { host, builder, seen: HashMap::new(), supplied: HashMap::new(), components: BTreeMap::new() }
    }

    /// Takes these bytes for what is at a path, which is not looked at.
    pub fn supply(&mut self, path: &Path, bytes: Arc<[u8]>) {
        self.supplied.insert(path.to_owned(), bytes);
    }

    /// The bytes of every component that was loaded, by digest.
    pub fn components(&self) -> &BTreeMap<String, Arc<[u8]>> {
        &self.components
    }

    /// Builds a source folder. Returns where its component is.
    pub fn build(&mut self, folder: &Path) -> Result<PathBuf> {
        match &mut self.builder {
            Some(build) => build(folder),
            None => Err(Error::internal("there is no builder")),
        }
    }

    /// A line about the plugin, and the plugin unless there are problems. `node` is whose plugin it is.
    pub(super) fn transform(
        &mut self,
        node: &str,
        plugin: &PluginUse,
        problems: &mut Problems,
    ) -> (String, Option<SharedTransform>) {
        self.find(plugin, &[Kind::Transform], problems, |host, component, settings| {
            host.transform(component, node, settings, plugin.limits)
        })
    }

    /// Like [`Plugins::transform`], for steps with a window.
    pub(super) fn aggregate(
        &mut self,
        node: &str,
        plugin: &PluginUse,
        problems: &mut Problems,
    ) -> (String, Option<SharedAggregate>) {
        self.find(plugin, &[Kind::Aggregator], problems, |host, component, settings| {
            host.aggregate(component, node, settings, plugin.limits)
        })
    }

    /// Like [`Plugins::transform`], for steps without a window: what they are is for their plugin to say.
    pub(super) fn step(
        &mut self,
        node: &str,
        plugin: &PluginUse,
        problems: &mut Problems,
    ) -> (String, Option<StepPlugin>) {
        let kinds = [Kind::Transform, Kind::Process];
        self.find(plugin, &kinds, problems, |host, component, settings| match component.kind() {
            Kind::Process => host.process(component, node, settings, plugin.limits).map(StepPlugin::Process),
            _ => host.transform(component, node, settings, plugin.limits).map(StepPlugin::Transform),
        })
    }

    fn find<P>(
        &mut self,
        plugin: &PluginUse,
        kinds: &[Kind],
        problems: &mut Problems,
        configure: impl FnOnce(&Host, &Component, &str) -> Result<P>,
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
        if let Some((message, hint)) = unnamed(plugin, component.digest()) {
            problems.push_hint(plugin.place.clone(), message, hint);
            return (about, None);
        }
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
        let Some(settings) = fitting(plugin, &component, problems) else { return (about, None) };
        match configure(&self.host, &component, &settings) {
            Ok(plugin) => (about, Some(plugin)),
            Err(error) => {
                // What the settings are refused for already names the step, what the guest did does not.
                let title = match error.kind() {
                    ErrorKind::Guest(_) => format!("{}: ", plugin.title),
                    _ => String::new(),
                };
                problems.push(plugin.settings_place.clone(), format!("{title}{}", error.report()));
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
        let path = plugin.path.as_path();
        let bytes = match self.supplied.get(path) {
            Some(bytes) => bytes.clone(),
            None => {
                let built;
                let mut file = path;
                if path.is_dir() {
                    let Some(build) = &mut self.builder else { return Ok(Found::Unbuilt) };
                    built = build(path)?;
                    file = &built;
                }
                let unread = |error| Error::invalid(format!("read plugin {}", path.display())).with_source(error);
                std::fs::read(file).map_err(unread)?.into()
            }
        };
        let origin = path.display().to_string();
        let component = self.host.load_with(&origin, &bytes, plugin.grants, &plugin.limits)?;
        self.components.insert(component.digest().to_string(), bytes);
        Ok(Found::Component(component))
    }
}

/// Why a component may not run that the job file does not name by its digest.
fn unnamed(plugin: &PluginUse, digest: &str) -> Option<(String, String)> {
    let title = &plugin.title;
    match &plugin.sha256 {
        Some(named) if named.iter().any(|named| named.eq_ignore_ascii_case(digest)) => None,
        Some(_) => Some((
            format!("{title}: the component has sha256 {digest}, which `sha256` does not name"),
            "if that is the one you want, put its digest there".to_owned(),
        )),
        None if plugin.locked => Some((
            format!("{title}: the job is `locked`, and `sha256` does not say which component may run"),
            format!("sha256 = \"{digest}\" names the one that is there"),
        )),
        None => None,
    }
}
