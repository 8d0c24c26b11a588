//! The JSON Schema (draft 2020-12) of settings, written as text: it is small, and a plugin carries no more code than it needs.

use super::{Bounds, Member};
use std::fmt::Write;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A schema object while it is written: members with commas between them.
pub struct Schema(String);

/// The schema of a plugin's settings.
pub(super) fn of_plugin(members: &[Member]) -> String {
    let mut schema = Schema(String::from("{"));
    schema.text("$schema", DRAFT);
    schema.settings(members);
    schema.0.push('}');
    schema.0
}

impl Schema {
    /// A member whose value is a text.
    pub fn text(&mut self, name: &str, value: &str) {
        let value = serde_json::Value::from(value).to_string();
        self.raw(name, value);
    }

    /// A member whose value is JSON as it stands.
    pub fn raw(&mut self, name: &str, json: impl std::fmt::Display) {
        self.name(name);
        // Writing to a text does not fail.
        let _ = write!(self.0, "{json}");
    }

    /// A member that is a schema.
    pub fn nested(&mut self, name: &str, write: impl FnOnce(&mut Self)) {
        self.name(name);
        self.0.push('{');
        write(self);
        self.0.push('}');
    }

    pub(super) fn bounds(&mut self, bounds: &Bounds) {
        if let Some(minimum) = bounds.minimum {
            self.raw("minimum", minimum);
        }
        if let Some(maximum) = bounds.maximum {
            self.raw("maximum", maximum);
        }
    }

    /// What describes an object with these members and no others.
    pub(super) fn settings(&mut self, members: &[Member]) {
        self.text("type", "object");
        self.nested("properties", |properties| {
            members.iter().for_each(|member| properties.nested(member.name, |schema| schema.member(member)));
        });
        let required: Vec<_> = members.iter().filter(|member| member.required).map(|member| member.name).collect();
        self.raw("required", serde_json::Value::from(required));
        self.raw("additionalProperties", false);
    }

    fn member(&mut self, member: &Member) {
        (member.schema)(self, &member.bounds);
        if !member.description.is_empty() {
            self.text("description", member.description);
        }
        if let Some(default) = member.default {
            self.raw("default", default);
        }
    }

    fn name(&mut self, name: &str) {
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        let _ = write!(self.0, "\"{name}\":");
    }
}
