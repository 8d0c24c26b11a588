//! The plugins that a job file names: built if they are source folders, loaded once, checked against the table that uses
//! them.

use super::approval;
use super::draft::{PluginUse, Sourcing};
use super::typed::Typed;
use super::{Given, Origin};
use crate::pins::Kept;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmill_connect::component_store::{FetchSettings, Fetched, Reference, Wanted};
use wasmill_plugin::{Component, Grants, Host, Kind, Limits, SettingProblem};
use wasmill_stream::access::Barred;
use wasmill_stream::config::{Place, Problems};
use wasmill_stream::plugin::{SharedAggregate, SharedProcess, SharedTransform};
use wasmill_stream::{Error, ErrorKind, Result};

/// Makes a component of a plugin's source folder and says where it is.
pub type Builder = Box<dyn FnMut(&Path) -> Result<PathBuf>>;

/// Fetches a component as the job file says.
pub type Fetcher = Box<dyn FnMut(&FetchSettings, &Reference, Wanted) -> Result<Fetched>>;

/// Builds or fetches plugins and loads them, each once.
pub struct Plugins {
    host: Host,
    builder: Option<Builder>,
    fetcher: Option<Fetcher>,
    /// What the job file says of where plugins come from.
    sourcing: Sourcing,
    /// Whether they are to take the place of plugins that run.
    is_replacement: bool,
    seen: HashMap<(Origin, Grants), Found>,
    /// Components that were read before.
    supplied: HashMap<Origin, Given>,
    /// What is to be kept of every component that was loaded, see [`Kept::objects`].
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
    /// A source folder, and there is no builder; or an address, and nobody fetches.
    Unbuilt,
    /// What is wrong with it.
    Broken(String),
}

impl Plugins {
    /// Builds source folders with `builder`; without one they stay unchecked, and jobs that use them cannot run.
    pub fn new(host: Host, builder: Option<Builder>) -> Self {
        let (seen, supplied, sourcing) = (HashMap::new(), HashMap::new(), Sourcing::default());
        let (fetcher, is_replacement, components) = (None, false, BTreeMap::new());
        Self { host, builder, fetcher, sourcing, is_replacement, seen, supplied, components }
    }

    /// Fetches with `fetcher`; without one jobs whose plugins have to be fetched cannot run.
    pub fn fetching(self, fetcher: Fetcher) -> Self {
        Self { fetcher: Some(fetcher), ..self }
    }

    /// Takes plugins as a job file says, to start with or, if `is_replacement`, while the job runs.
    pub(super) fn obey(&mut self, sourcing: &Sourcing, is_replacement: bool) {
        (self.sourcing, self.is_replacement) = (sourcing.clone(), is_replacement);
        self.host = self.host.within(sourcing.access.quota());
    }

    /// Takes this for what is at an origin, which is not looked at.
    pub fn supply(&mut self, origin: Origin, given: Given) {
        self.supplied.insert(origin, given);
    }

    /// What is to be kept of every component that was loaded, see [`Kept::objects`].
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
        let origin = &plugin.origin;
        let component = match self.component(plugin) {
            Found::Component(component) => component,
            Found::Unbuilt => return (format!("{origin}, not built"), None),
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
            let message = format!("{}: {found}, but {origin} exports world `{}`", plugin.title, component.kind());
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
        let key = (plugin.origin.clone(), plugin.grants.and(plugin.approved));
        if let Some(found) = self.seen.get(&key) {
            return found.clone();
        }
        let found = self.open(plugin).unwrap_or_else(|error| Found::Broken(error.report()));
        self.seen.insert(key, found.clone());
        found
    }

    fn open(&mut self, plugin: &PluginUse) -> Result<Found> {
        let origin = plugin.origin.to_string();
        let Some(given) = self.given(&plugin.origin)? else { return Ok(Found::Unbuilt) };
        if let Some(trust) = &self.sourcing.trust {
            let signed = trust.verify(&given.component, given.signature.as_deref(), &plugin.origin.signature());
            signed.map_err(|error| error.context(&origin))?;
        }
        let compiled = self.host.compile(&origin, &given.component)?;
        let granted = plugin.grants.and(plugin.approved);
        if self.is_replacement {
            approval::check(compiled.requests(), granted).map_err(|error| error.context(&origin))?;
        }
        let component = compiled.load(granted, &plugin.limits)?;
        let approved = component.requests().beyond(plugin.grants).map(|(grant, _)| *grant).collect();
        self.components.extend(Kept { given, grants: approved }.objects(component.digest()));
        Ok(Found::Component(component))
    }

    /// The component that is there. `None`: it is not built or fetched here.
    fn given(&mut self, origin: &Origin) -> Result<Option<Given>> {
        if let Some(given) = self.supplied.get(origin) {
            return Ok(Some(given.clone()));
        }
        let resolved;
        let origin = match origin {
            Origin::Path(path) => {
                resolved = Origin::Path(self.sourcing.access.path(path.clone()).map_err(barred)?);
                &resolved
            }
            remote => remote,
        };
        match origin {
            Origin::Remote(reference) => {
                reference.is_allowed(&*self.sourcing.access).map_err(barred)?;
                let Some(fetch) = &mut self.fetcher else { return Ok(None) };
                let wanted =
                    Wanted { most: Limits::LARGEST_COMPONENT.bytes(), signature: self.sourcing.trust.is_some() };
                fetch(&self.sourcing.fetch, reference, wanted).map(|fetched| Some(fetched.into()))
            }
            Origin::Path(path) if path.is_dir() => {
                if !self.sourcing.access.builds() {
                    let message =
                        format!("{} is a folder of sources, and building runs programs on the host", path.display());
                    return Err(Error::new(ErrorKind::Denied, message)
                        .hint("build the component with `wasmill build`, and name that"));
                }
                if self.sourcing.trust.is_some() {
                    let message = format!("{} is a folder of sources, which nobody can sign", path.display());
                    return Err(Error::new(ErrorKind::Denied, message)
                        .hint("the job trusts signed components only: build it, sign the component, and name that"));
                }
                let Some(build) = &mut self.builder else { return Ok(None) };
                let component = read(&build(path)?)?;
                Ok(Some(Given { component, signature: None }))
            }
            Origin::Path(path) => {
                let component = read(path)?;
                let signature = match self.sourcing.trust {
                    Some(_) => std::fs::read(origin.signature()).ok().map(Arc::from),
                    None => None,
                };
                Ok(Some(Given { component, signature }))
            }
        }
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

fn barred(Barred { message, hint }: Barred) -> Error {
    Error::new(ErrorKind::Denied, message).hint(hint)
}

fn read(file: &Path) -> Result<Arc<[u8]>> {
    let bytes = std::fs::read(file);
    bytes.map(Arc::from).map_err(|error| Error::invalid(format!("read plugin {}", file.display())).with_source(error))
}
