//! What the job file says about an index, data stream or alias that is not there yet.

use crate::time_pattern::TimePattern;
use serde_json::Value;
use wasmill_stream::config::{Problems, Section};

/// Checked settings.
#[derive(Debug, Clone, Default)]
pub struct Creation {
    /// The `mappings`: also held against what is there.
    pub mappings: Option<Value>,
    /// The `settings`.
    pub settings: Option<Value>,
    /// Names under which readers find it, too.
    pub aliases: Vec<String>,
    /// Whether `index` is an alias, behind which indexes are rolled over.
    pub rollover: bool,
    /// A policy of index state management.
    pub policy: Option<Value>,
    /// Whether the first document may decide the types.
    pub is_dynamic: bool,
}

impl Creation {
    /// Reads the settings about what is created.
    pub fn check(
        index: &TimePattern,
        data_stream: Option<bool>,
        section: &mut Section<'_>,
        problems: &mut Problems,
    ) -> Self {
        let rollover = section.located::<bool>("rollover", problems);
        if let Some((true, place)) = &rollover
            && (data_stream == Some(true) || !index.is_literal())
        {
            let message = format!(
                "{}: `rollover` needs an `index` without a time pattern that is no data stream",
                section.title()
            );
            problems.push_hint(place.clone(), message, "the server rolls a data stream over by itself");
        }
        let mut table = |key| Some(section.table(key, problems)?.into_foreign(problems).json);
        let (mappings, settings, policy) = (table("mappings"), table("settings"), table("ism_policy"));
        let is_dynamic = section.located::<bool>("dynamic_mappings", problems);
        if let (Some((true, place)), Some(_)) = (&is_dynamic, &mappings) {
            let message = format!("{}: `dynamic_mappings` is for a job without `mappings`", section.title());
            problems.push_hint(
                place.clone(),
                message,
                "fields that `mappings` does not name are found dynamically anyway",
            );
        }
        Self {
            mappings,
            settings,
            aliases: section.optional("aliases", problems).unwrap_or_default(),
            rollover: rollover.is_some_and(|(rollover, _)| rollover),
            policy,
            is_dynamic: is_dynamic.is_some_and(|(is_dynamic, _)| is_dynamic),
        }
    }

    /// Whether the job file says what an index is like.
    pub fn says_something(&self) -> bool {
        self.mappings.is_some() || self.settings.is_some() || !self.aliases.is_empty()
    }
}
