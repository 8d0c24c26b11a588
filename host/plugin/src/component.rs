//! A component on its way in: whether the bytes are one, what it imports and exports, who it is. It is compiled here,
//! and run only to ask for its name.

use crate::account::{Account, Subject};
use crate::bindings::exports::wasmill::plugin::{aggregation, processing, transformer};
use crate::compile::Compiler;
use crate::grants::{Grants, Requests};
use crate::instance::{Exports, Instance, LIFECYCLE};
use crate::kind::Kind;
use crate::limits::Limits;
use crate::sandbox::State;
use crate::schema::{Request, SettingProblem};
use crate::wasi;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;
use wasmill_stream::quota::Quota;
use wasmill_stream::units::ByteCount;
use wasmill_stream::{Error, Result};
use wasmtime::component::{InstancePre, Linker};

/// Who a plugin says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The JSON Schema of its settings, as it is written in the component. `None`: any object.
    pub settings: Option<String>,
    /// The version of the layout of its accumulators or states; 0 if it has none.
    pub state_version: u32,
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// A component that is compiled. Nothing of it has run yet.
pub struct Compiled {
    /// What messages call it: its path.
    origin: String,
    digest: String,
    size: ByteCount,
    requests: Requests,
    component: Arc<wasmtime::component::Component>,
    linker: Linker<State>,
    compiler: Arc<Compiler>,
    quota: Option<Arc<Quota>>,
}

/// A component that fits one of the worlds, compiled. Cheap to clone.
#[derive(Clone)]
pub struct Component {
    origin: Arc<str>,
    digest: Arc<str>,
    size: ByteCount,
    kind: Kind,
    requests: Arc<Requests>,
    description: Arc<Description>,
    compiler: Arc<Compiler>,
    pre: InstancePre<State>,
    /// Kept, so that whoever loads the same component shares its code.
    _code: Arc<wasmtime::component::Component>,
    quota: Option<Arc<Quota>>,
}

impl Compiled {
    /// Compiles a component.
    pub(crate) fn new(
        linker: &Linker<State>,
        compiler: &Arc<Compiler>,
        quota: Option<Arc<Quota>>,
        origin: &str,
        bytes: &[u8],
    ) -> Result<Self> {
        let fails = |reason: String| Error::invalid(format!("{origin}: {reason}"));
        check_header(bytes).map_err(fails)?;
        let size = ByteCount::new(bytes.len() as u64);
        if size > Limits::LARGEST_COMPONENT {
            let most = Limits::LARGEST_COMPONENT;
            return Err(fails(format!("the component has {size}, at most {most} are possible")));
        }
        let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let component = compiler
            .compile(linker.engine(), &digest, bytes)
            .map_err(|error| error.context(origin))?
            .map_err(|cause| fails(compile_words(&cause, bytes.len())))?;
        let requests = Requests::of(&component);
        let (origin, linker, compiler) = (origin.to_owned(), linker.clone(), compiler.clone());
        Ok(Self { origin, digest, size, requests, component, linker, compiler, quota })
    }

    /// What it asks for.
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// Checks that it fits one of the worlds, gives it what is granted, and asks who it is, with these limits.
    pub fn load(self, grants: Grants, limits: &Limits) -> Result<Component> {
        let Self { origin, digest, size, requests, component: compiled, mut linker, compiler, quota } = self;
        let fails = |reason: String| Error::invalid(format!("{origin}: {reason}"));
        requests.check(grants).map_err(fails)?;
        let kind = find_kind(&compiled).map_err(fails)?;
        if grants.wasi {
            wasi::offer(&mut linker, &compiled)
                .map_err(|error| fails(format!("offer WASI to the component: {error:#}")))?;
        }
        let pre = linker.instantiate_pre(&compiled).map_err(|error| {
            fails(format!("an import has another type than wasmill:plugin@0.1.0 says: {}", error.root_cause()))
        })?;
        let limits = limits.for_component(size);
        let description = match kind {
            Kind::Transform => describe::<transformer::Guest>(&pre, &origin, limits, quota.clone()),
            Kind::Aggregator => describe::<aggregation::Guest>(&pre, &origin, limits, quota.clone()),
            Kind::Process => describe::<processing::Guest>(&pre, &origin, limits, quota.clone()),
        }?;
        let (requests, description) = (Arc::new(requests), Arc::new(description));
        let (origin, digest) = (origin.into(), digest.into());
        Ok(Component { origin, digest, size, kind, requests, description, compiler, pre, _code: compiled, quota })
    }
}

impl Component {
    /// Where it came from, for messages.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The SHA-256 of its bytes, in hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// How large it is.
    pub fn size(&self) -> ByteCount {
        self.size
    }

    /// Which world it fits.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What it asks for, all of which it was granted.
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// Who it says it is.
    pub fn describe(&self) -> &Description {
        &self.description
    }

    /// Judges settings by the schema that the component describes them with. The error is about the schema: it cannot be
    /// used, or judging by it took too long.
    pub fn check_settings(&self, settings: &serde_json::Value) -> Result<Vec<SettingProblem>> {
        let Some(schema) = &self.description.settings else { return Ok(Vec::new()) };
        self.compiler.check(&Request::new(schema, settings)).map_err(|error| error.context(&self.origin))?.map_err(
            |reason| {
                Error::invalid(format!("{}: the schema of the plugin's settings is unusable: {reason}", self.origin))
            },
        )
    }

    /// Like [`Component::check_settings`], with everything that is wrong in one error.
    pub fn accept_settings(&self, settings: &serde_json::Value) -> Result<()> {
        let problems = self.check_settings(settings)?;
        if problems.is_empty() {
            return Ok(());
        }
        let lines: Vec<_> = problems.iter().map(|problem| format!("settings: {problem}")).collect();
        Err(Error::invalid(lines.join("; ")))
    }

    pub(crate) fn pre(&self) -> &InstancePre<State> {
        &self.pre
    }

    pub(crate) fn quota(&self) -> Option<Arc<Quota>> {
        self.quota.clone()
    }
}

/// Tells components from everything else by the first eight bytes, for which wasmtime has no words of its own.
fn check_header(bytes: &[u8]) -> Result<(), String> {
    match bytes {
        [] => Err("the file is empty".to_owned()),
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            Err("this is a core module, not a component; make a component of its source with `wasmill build`"
                .to_owned())
        }
        [0, b'a', b's', b'm', ..] => {
            Err("this is WebAssembly, but neither a component nor a core module of a known version".to_owned())
        }
        _ => Err("this is not WebAssembly: it does not start with the bytes 00 61 73 6d".to_owned()),
    }
}

fn compile_words(cause: &str, size: usize) -> String {
    // The end is missed in the middle of something, or by a section that announces more than there is.
    if cause.contains("unexpected end") || cause.contains("is out of bounds (bound") {
        format!("the component is cut off after {size} bytes: {cause}; build or copy it again")
    } else {
        format!("the component cannot be compiled: {cause}")
    }
}

fn find_kind(component: &wasmtime::component::Component) -> Result<Kind, String> {
    let exports = |interface: &str| component.get_export_index(None, interface).is_some();
    let fitting: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| exports(kind.interface())).collect();
    match (exports(LIFECYCLE), fitting.as_slice()) {
        (true, [kind]) => Ok(*kind),
        (true, [_, _, ..]) => Err(format!(
            "the component fits the worlds {} at once; it must fit one",
            fitting.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(" and ")
        )),
        _ => {
            let ty = component.component_type();
            let found: Vec<_> = ty.exports(component.engine()).map(|(name, _)| name).collect();
            let wanted: Vec<_> =
                Kind::ALL.iter().map(|kind| format!("{} (world `{kind}`)", kind.interface())).collect();
            Err(format!(
                "the component fits none of our worlds: it exports {}; a plugin exports {LIFECYCLE} and {}",
                if found.is_empty() { "nothing".to_owned() } else { found.join(", ") },
                wanted.join(" or ")
            ))
        }
    }
}

/// Runs the component once. This also checks the types of all its exports.
fn describe<E: Exports>(
    pre: &InstancePre<State>,
    origin: &str,
    limits: Limits,
    quota: Option<Arc<Quota>>,
) -> Result<Description> {
    let account = Account::new(Subject { step: None, plugin: origin.into(), sha256: None }, &limits, quota);
    Instance::<E>::new(pre, Arc::new(account), limits)?.describe()
}
