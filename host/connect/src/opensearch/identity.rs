//! Under which id and version a row is written: those that it brings along in its fields, if the job file says where. Those that
//! follow from where a row came from are found in `bulk`.

use crate::row_field;
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::field::{Decoder, FieldSpec};
use wasmill_stream::{Batch, Column};
use xxhash_rust::xxh3::xxh3_128;

/// OpenSearch refuses ids above 512 bytes.
const LONGEST_ID: usize = 480;

/// Where rows have their ids and versions.
#[derive(Debug, Clone, Default)]
pub struct IdentityFields {
    /// As a text and as a number.
    pub id: Option<[FieldSpec; 2]>,
    /// The same.
    pub version: Option<[FieldSpec; 2]>,
}

/// Reads ids and versions.
pub struct Identities {
    decoder: Option<Decoder>,
    has_versions: bool,
}

/// Under which id and version a document is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The id, if it has one.
    pub id: Option<String>,
    /// The external version, if it has one.
    pub version: Option<i64>,
}

impl IdentityFields {
    /// Reads `id` and `version`.
    pub fn check(section: &mut Section<'_>, problems: &mut Problems) -> Self {
        let id = row_field::check("id", section, problems);
        Self { version: row_field::check("version", section, problems), id }
    }
}

impl Identities {
    /// Of rows that have them in these fields, or none.
    pub fn new(fields: &IdentityFields) -> Self {
        let specs: Vec<_> = fields.id.iter().chain(&fields.version).flatten().cloned().collect();
        let decoder = fields.id.is_some().then(|| Decoder::new(&specs));
        Self { decoder, has_versions: fields.version.is_some() }
    }

    /// Whether the server can tell which of two rows with one id is newer.
    pub fn has_versions(&self) -> bool {
        self.has_versions
    }

    /// Those of the rows of a batch, or why a row has none; `None` if no row brings any along.
    pub fn of(&mut self, batch: &Batch) -> Option<Vec<Result<Identity, &'static str>>> {
        let columns = self.decoder.as_mut()?.decode(&batch.values);
        let (ids, versions) = columns.split_at_checked(2).unwrap_or_default();
        let versions = self.has_versions.then_some(versions);
        Some((0..batch.len()).map(|row| identity(ids, versions, row)).collect())
    }
}

fn identity(ids: &[Column], versions: Option<&[Column]>, row: usize) -> Result<Identity, &'static str> {
    let id = row_field::text(ids, row).ok_or("the id is no text and no whole number")?;
    let id = match id.len() {
        0 => return Err("the id is empty"),
        1..=LONGEST_ID => id,
        _ => format!("{:032x}", xxh3_128(id.as_bytes())),
    };
    let version = match versions.map(|columns| row_field::text(columns, row)) {
        None => None,
        Some(text) => {
            let version = text.and_then(|text| text.parse().ok()).filter(|version: &i64| *version >= 0);
            Some(version.ok_or("the version is no whole number from 0 on")?)
        }
    };
    Ok(Identity { id: Some(id), version })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids are texts or whole numbers, versions whole numbers that are not negative; long ids become short ones.
    #[test]
    fn read_from_rows() {
        let spec =
            |pointer: &str| Some(["string", "s64"].map(|kind| format!("{pointer}: {kind}").parse().expect(kind)));
        let long = format!("{{\"id\":\"{}\",\"v\":1}}", "x".repeat(600));
        let values = ["{\"id\":\"a\",\"v\":3}", "{\"id\":7,\"v\":\"4\"}", "{\"v\":1}", "{\"id\":\"\",\"v\":1}", &long];
        let bad = ["{\"id\":\"a\"}", "{\"id\":\"a\",\"v\":-1}", "{\"id\":\"a\",\"v\":0.5}"];
        let values: Vec<_> = values.into_iter().chain(bad).collect();
        let batch = Batch { times: vec![0; values.len()], values: values.iter().collect(), ..Batch::default() };
        let mut with_both = Identities::new(&IdentityFields { id: spec("/id"), version: spec("/v") });
        let found = with_both.of(&batch).expect("rows have ids");
        let identity = |id: &str, version| Ok(Identity { id: Some(id.to_owned()), version: Some(version) });
        assert_eq!(found[..2], [identity("a", 3), identity("7", 4)]);
        assert!(found[2].is_err() && found[3].is_err());
        assert!(found[4].as_ref().is_ok_and(|long| long.id.as_ref().is_some_and(|id| id.len() == 32)));
        assert!(found[5..].iter().all(|version| version == &Err("the version is no whole number from 0 on")));
        let mut with_ids = Identities::new(&IdentityFields { id: spec("/id"), version: None });
        assert_eq!(
            with_ids.of(&batch).expect("rows have ids")[5],
            Ok(Identity { id: Some("a".into()), version: None })
        );
        assert!(Identities::new(&IdentityFields::default()).of(&batch).is_none());
    }
}
