//! Which plugins a job file names, without loading them.

use super::draft::{self, PluginUse, Settings, SourceSettings};
use super::{JobFile, Origin, Parameters};
use std::collections::BTreeMap;
use std::path::PathBuf;
use wasmill_stream::config::Problems;

impl Settings {
    /// The same, to be changed.
    pub(super) fn plugin_mut(&mut self) -> Option<&mut PluginUse> {
        match self {
            Self::Step { plugin, .. } | Self::Aggregate(plugin, _) => Some(plugin),
            Self::Source(SourceSettings { decoder, .. }) => decoder.as_mut(),
            Self::Sink { .. } => None,
        }
    }

    /// The plugin of the table, if it has one.
    pub(super) fn plugin(&self) -> Option<&PluginUse> {
        match self {
            Self::Step { plugin, .. } | Self::Aggregate(plugin, _) => Some(plugin),
            Self::Source(SourceSettings { decoder, .. }) => decoder.as_ref(),
            Self::Sink { .. } => None,
        }
    }
}

/// The plugins of a job.
#[derive(Debug, Default)]
pub struct Uses {
    /// The steps, and the sources with a decoder, each with where its plugin is.
    pub origins: BTreeMap<String, Origin>,
    /// Whether each component needs a signature.
    pub are_signed: bool,
}

impl Uses {
    /// Reads a job file that was read before: what is wrong with it was said then.
    pub fn of(file: &JobFile, parameters: &Parameters) -> Self {
        let Some(draft) = draft::read(file, parameters, &mut Problems::default()) else { return Self::default() };
        let are_signed = draft.sourcing.trust.is_some();
        let origin = |settings: &Settings| settings.plugin().map(|plugin| plugin.origin.clone());
        let nodes = draft.nodes.into_iter();
        let origins = nodes.filter_map(|node| Some((node.name, origin(node.settings.as_ref()?)?))).collect();
        Self { origins, are_signed }
    }

    /// Those that are on paths: each path once, with everybody who uses it.
    pub fn paths(self) -> BTreeMap<PathBuf, Vec<String>> {
        let mut paths: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
        for (name, origin) in self.origins {
            if let Origin::Path(path) = origin {
                paths.entry(path).or_default().push(name);
            }
        }
        paths
    }
}
