//! Which plugins a job file names, without loading them.

use super::draft::{self, PluginUse, Settings, SourceSettings};
use super::{JobFile, Parameters};
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

/// The steps, and the sources with a decoder, each with the path of its plugin.
pub fn plugin_paths(file: &JobFile, parameters: &Parameters) -> Vec<(String, PathBuf)> {
    // The job has been read before: what is wrong with it was said then.
    let draft = draft::read(file, parameters, &mut Problems::default());
    let nodes = draft.map(|draft| draft.nodes).unwrap_or_default();
    let path = |settings: &Settings| settings.plugin().map(|plugin| plugin.path.clone());
    nodes.into_iter().filter_map(|node| Some((node.name, path(node.settings.as_ref()?)?))).collect()
}
