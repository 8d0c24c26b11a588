//! Which plugins a job file names, without loading them.

use super::draft::{self, PluginUse, Settings, SourceSettings};
use super::{JobFile, Origin, Parameters};
use std::collections::BTreeMap;
use std::path::PathBuf;
use wasmill_stream::config::Problems;

impl Settings {
    /// The plugin of the table, if it has one.
    pub(super) fn plugin_mut(&mut self) -> Option<&mut PluginUse> {
        match self {
            Self::Step { plugin, .. } | Self::Aggregate(plugin, _) => Some(plugin),
            Self::Source(SourceSettings { decoder, .. }) => decoder.as_mut(),
            Self::Sink { .. } => None,
        }
    }
}

/// What of a job lies on paths, which can be followed.
#[derive(Debug, Default)]
pub struct Followed {
    /// The paths of plugins, each with the steps, and sources with a decoder, that use it.
    pub plugins: BTreeMap<PathBuf, Vec<String>>,
    /// Whether each component needs a signature beside it.
    pub are_signed: bool,
}

impl Followed {
    /// Reads a job file that was read before: what is wrong with it was said then.
    pub fn of(file: &JobFile, parameters: &Parameters) -> Self {
        let Some(draft) = draft::read(file, parameters, &mut Problems::default()) else { return Self::default() };
        let mut followed = Self { are_signed: draft.sourcing.trust.is_some(), ..Self::default() };
        for mut node in draft.nodes {
            let plugin = node.settings.as_mut().and_then(Settings::plugin_mut);
            if let Some(Origin::Path(path)) = plugin.map(|plugin| plugin.origin.clone()) {
                followed.plugins.entry(path).or_default().push(node.name);
            }
        }
        followed
    }
}
