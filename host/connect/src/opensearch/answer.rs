//! Reads answers of `_bulk` and decides, item by item, what becomes of a document.

use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use wasmill_stream::{Error, Result};

/// Longest reason that is kept: servers quote whole documents.
const LONGEST_REASON: usize = 300;

/// What a server said about a request that arrived.
#[derive(Debug)]
pub enum Answer {
    /// Something about each document, in order.
    Items(Vec<Fate>),
    /// The request as a whole is too large: smaller ones may pass.
    TooLarge(String),
    /// The request as a whole cannot be read; without the document that is to blame it may pass.
    Malformed(String),
}

/// What becomes of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is in the index.
    Written,
    /// There is one with its id, in this index and under this id if the server says so.
    There(Option<(String, String)>),
    /// The server had no room or no shard for it: send it again.
    Again(String),
    /// The server failed over it, which may be its own fault or the document's: send it again a few times.
    Failed(String),
    /// It can never be written.
    Refused(String),
    /// It may not be written now, whatever it is: a right or the index is missing.
    Barred(String),
}

#[derive(Deserialize)]
struct BulkAnswer<'a> {
    #[serde(borrow)]
    items: Vec<Item<'a>>,
}

/// Called by what was asked for.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Item<'a> {
    #[serde(borrow)]
    Index(Outcome<'a>),
    #[serde(borrow)]
    Create(Outcome<'a>),
    #[serde(borrow)]
    Update(Outcome<'a>),
    #[serde(borrow)]
    Delete(Outcome<'a>),
}

#[derive(Deserialize)]
struct Outcome<'a> {
    status: u16,
    error: Option<Cause>,
    #[serde(rename = "_id", borrow)]
    id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Failure {
    error: Cause,
}

/// OpenSearch writes errors as objects, proxies in front of it as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Cause {
    Typed {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        reason: Option<String>,
        /// The index itself, not the data stream or alias that it stands behind.
        #[serde(default)]
        index: Option<String>,
    },
    Text(String),
}

/// Reads the items of an answer. Anything else than one item per document leaves open what was written.
pub fn items(body: &str, documents: usize) -> Result<Answer> {
    let answer: BulkAnswer = serde_json::from_str(body).map_err(|error| {
        Error::unavailable(format!("not an answer of _bulk: \"{}\"", shorten(body, 80))).with_source(error)
    })?;
    if answer.items.len() != documents {
        return Err(Error::unavailable(format!("{} items", answer.items.len())));
    }
    let fate = |item| match item {
        Item::Create(it) if it.status == 409 => Fate::There(it.place()),
        Item::Index(it) | Item::Create(it) => fate(it),
        // It was changed by others while the server changed it.
        Item::Update(it) if it.status == 409 => Fate::Again(it.error.as_ref().map_or_else(String::new, Cause::text)),
        Item::Update(it) => fate(it),
        // There is no such document, or not even its index.
        Item::Delete(it) if it.status == 404 => Fate::Written,
        Item::Delete(it) => fate(it),
    };
    Ok(Answer::Items(answer.items.into_iter().map(fate).collect()))
}

/// Reads an answer of `_mget`: the documents in the order in which they were asked for, `None` where there is none.
pub fn documents(body: &str, wanted: usize) -> Result<Vec<Option<Value>>> {
    #[derive(Deserialize)]
    struct Documents {
        docs: Vec<Document>,
    }
    #[derive(Deserialize)]
    struct Document {
        #[serde(rename = "_source")]
        source: Option<Value>,
        error: Option<Cause>,
    }
    let answer: Documents = serde_json::from_str(body).map_err(|error| {
        Error::unavailable(format!("not an answer of _mget: \"{}\"", shorten(body, 80))).with_source(error)
    })?;
    if answer.docs.len() != wanted {
        return Err(Error::unavailable(format!("{} documents", answer.docs.len())));
    }
    let document = |Document { source, error }| match error {
        Some(cause) if cause.kind() != "index_not_found_exception" => Err(Error::unavailable(cause.text())),
        _ => Ok(source),
    };
    answer.docs.into_iter().map(document).collect()
}

/// Reads an answer of `_delete_by_query`: whether it got all that it found.
pub fn removed(body: &str) -> bool {
    #[derive(Deserialize)]
    struct Removed {
        version_conflicts: u64,
        failures: Vec<Value>,
    }
    serde_json::from_str(body)
        .is_ok_and(|Removed { version_conflicts, failures }| version_conflicts == 0 && failures.is_empty())
}

/// The reason in the body of a refused request, or as much of the body as says something.
pub fn reason(status: u16, body: &str) -> String {
    match serde_json::from_str::<Failure>(body) {
        Ok(Failure { error }) => format!("HTTP {status}: {}", error.text()),
        Err(_) if body.trim().is_empty() => format!("HTTP {status}"),
        Err(_) => format!("HTTP {status}: \"{}\"", shorten(body.trim(), 80)),
    }
}

impl Outcome<'_> {
    fn place(self) -> Option<(String, String)> {
        let Some(Cause::Typed { index: Some(index), .. }) = self.error else { return None };
        Some((index, self.id?.into_owned()))
    }
}

fn fate(outcome: Outcome<'_>) -> Fate {
    let Outcome { status, error, .. } = outcome;
    let kind = error.as_ref().map_or("", Cause::kind);
    let passing = kind.ends_with("rejected_execution_exception")
        || matches!(kind, "cluster_block_exception" | "unavailable_shards_exception");
    let text = || error.as_ref().map_or_else(|| format!("HTTP {status}"), Cause::text);
    match status {
        // A conflict of versions: there is a newer one.
        200..=299 | 409 => Fate::Written,
        _ if passing => Fate::Again(text()),
        429 | 502..=504 => Fate::Again(text()),
        500.. => Fate::Failed(text()),
        401 | 403 => Fate::Barred(text()),
        404 if kind == "index_not_found_exception" => Fate::Barred(text()),
        _ => Fate::Refused(text()),
    }
}

impl Cause {
    fn kind(&self) -> &str {
        match self {
            Self::Typed { kind, .. } => kind,
            Self::Text(_) => "",
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Typed { kind, reason: Some(reason), .. } => {
                // Reasons that differ only in the document would not add up.
                let reason = reason.split(" in document with id").next().unwrap_or_default();
                format!("{kind}: {}", shorten(reason, LONGEST_REASON))
            }
            Self::Typed { kind, reason: None, .. } => kind.clone(),
            Self::Text(text) => shorten(text, LONGEST_REASON).to_owned(),
        }
    }
}

fn shorten(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(status: u16, kind: &str) -> Fate {
        let error = Cause::Typed { kind: kind.to_owned(), reason: Some("why".to_owned()), index: None };
        fate(Outcome { status, error: (status >= 300).then_some(error), id: None })
    }

    /// Each status and error type leads to the one right consequence.
    #[test]
    fn fates() {
        let why = |kind: &str| format!("{kind}: why");
        let cases = [
            (201, "", Fate::Written),
            (409, "version_conflict_engine_exception", Fate::Written),
            (429, "rejected_execution_exception", Fate::Again(why("rejected_execution_exception"))),
            (403, "cluster_block_exception", Fate::Again(why("cluster_block_exception"))),
            (503, "unavailable_shards_exception", Fate::Again(why("unavailable_shards_exception"))),
            (500, "null_pointer_exception", Fate::Failed(why("null_pointer_exception"))),
            (400, "mapper_parsing_exception", Fate::Refused(why("mapper_parsing_exception"))),
            (403, "security_exception", Fate::Barred(why("security_exception"))),
            (404, "index_not_found_exception", Fate::Barred(why("index_not_found_exception"))),
        ];
        for (status, kind, expected) in cases {
            assert_eq!(item(status, kind), expected, "{status} {kind}");
        }
    }

    /// Removing what is not there, or not in an index that is not there, is done; anything else is judged as usual.
    #[test]
    fn removing_what_is_gone() {
        let body = r#"{"items":[{"delete":{"status":404,"result":"not_found"}},
            {"delete":{"status":404,"error":{"type":"index_not_found_exception","reason":"no such index"}}},
            {"delete":{"status":429,"error":{"type":"rejected_execution_exception","reason":"why"}}}]}"#;
        let Ok(Answer::Items(fates)) = items(body, 3) else { panic!("an answer") };
        let later = Fate::Again("rejected_execution_exception: why".into());
        assert_eq!(fates, [Fate::Written, Fate::Written, later]);
    }

    /// A document that is there already says where, unless the server does not.
    #[test]
    fn what_is_there() {
        let body = r#"{"items":[{"create":{"_index":"s","_id":"a","status":409,"error":{"type":"version_conflict_engine_exception",
            "reason":"why","index":".ds-s-000001"}}},{"create":{"_id":"b","status":409,"error":"conflict"}},{"create":{"status":201}}]}"#;
        let Ok(Answer::Items(fates)) = items(body, 3) else { panic!("an answer") };
        let place = Some((".ds-s-000001".to_owned(), "a".to_owned()));
        assert_eq!(fates, [Fate::There(place), Fate::There(None), Fate::Written]);
    }

    /// Documents that are there, are not, or whose index is not → as it is; a shard that does not answer → another try.
    #[test]
    fn documents_as_they_are() {
        let found = r#"{"docs":[{"_id":"a","found":true,"_source":{"n":1}},{"_id":"b","found":false},
            {"_id":"c","error":{"type":"index_not_found_exception","reason":"no such index"}}]}"#;
        let expected = vec![Some(serde_json::json!({"n": 1})), None, None];
        assert_eq!(documents(found, 3).expect("an answer"), expected);
        let shard = found.replace("index_not_found_exception", "no_shard_available_action_exception");
        for (body, wanted) in [(found, 2), (shard.as_str(), 3), ("{}", 0)] {
            let error = documents(body, wanted).expect_err("no answer");
            assert_eq!(error.kind(), wasmill_stream::ErrorKind::Unavailable, "{body}");
        }
    }

    /// A cut answer, a page of HTML and an answer about other documents are no answers: everything is sent again.
    #[test]
    fn unreadable_answers_are_worth_another_try() {
        let whole = r#"{"errors":false,"items":[{"index":{"status":201}},{"index":{"status":200}}]}"#;
        assert!(items(whole, 2).is_ok());
        for (body, documents) in [(&whole[..40], 2), ("<html>502</html>", 2), (whole, 3), ("", 1)] {
            let error = items(body, documents).expect_err("not an answer");
            assert_eq!(error.kind(), wasmill_stream::ErrorKind::Unavailable, "{body}");
        }
    }

    /// The reason of a refusal is that of the server, whoever wrote the page.
    #[test]
    fn reasons() {
        let typed = r#"{"error":{"type":"security_exception","reason":"no permissions"},"status":403}"#;
        assert_eq!(reason(403, typed), "HTTP 403: security_exception: no permissions");
        assert_eq!(reason(401, "Unauthorized"), "HTTP 401: \"Unauthorized\"");
        assert_eq!(reason(413, ""), "HTTP 413");
    }
}
