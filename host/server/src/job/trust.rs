//! Whose components a job takes: the table `[trust]`. With public keys in it, every component needs a signature of one of
//! them, made with minisign over exactly its bytes; without the table none is looked for.

use minisign_verify::{PublicKey, Signature};
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::{Error, ErrorKind, Result};

/// The keys of those who are trusted.
#[derive(Debug, Clone)]
pub struct Trust {
    keys: Vec<PublicKey>,
}

impl Trust {
    /// Reads `public_keys`, a list of what the second line of a file `minisign.pub` is.
    pub fn read(mut table: Section<'_>, problems: &mut Problems) -> Option<Self> {
        let title = table.title().to_owned();
        let texts = table.required_located::<Vec<String>>("public_keys", problems);
        table.finish(problems);
        let (texts, place) = texts?;
        if texts.is_empty() {
            let message = format!("{title}: `public_keys` is empty: nothing would ever be signed by one of them");
            problems.push_hint(place.clone(), message, "leave the table out to take components without signatures");
        }
        let before = problems.len();
        let mut keys = Vec::new();
        for text in &texts {
            match PublicKey::from_base64(text.trim()) {
                Ok(key) => keys.push(key),
                Err(error) => {
                    let message = format!("{title}: `public_keys`: \"{text}\" is no public key of minisign: {error}");
                    let hint = "it is the second line of a file minisign.pub, such as RWQ…, of 56 letters";
                    problems.push_hint(place.clone(), message, hint);
                }
            }
        }
        (problems.len() == before).then_some(Self { keys })
    }

    /// Checks that one of the keys has signed these bytes. `place`: where the signature would be, for people.
    pub fn verify(&self, component: &[u8], signature: Option<&[u8]>, place: &str) -> Result<()> {
        let denied = |reason: String| Err(Error::new(ErrorKind::Denied, reason));
        let Some(signature) = signature else {
            return denied(format!("it is not signed: there is no {place}, and the job trusts signed components only"));
        };
        let text = String::from_utf8_lossy(signature);
        let signature = match Signature::decode(text.trim_end()) {
            Ok(signature) => signature,
            Err(error) => return denied(format!("{place} is no signature of minisign: {error}")),
        };
        // The old way to sign, without a hash of the file, is not taken.
        let refusals = self.keys.iter().map(|key| key.verify(component, &signature, false));
        let refusals: Vec<_> = refusals.map_while(std::result::Result::err).collect();
        if refusals.len() < self.keys.len() {
            return Ok(());
        }
        use minisign_verify::Error as E;
        if refusals.iter().all(|refusal| matches!(refusal, E::UnexpectedKeyId)) {
            return denied(format!("{place} is a signature by none of the keys in [trust]"));
        }
        let why = refusals.into_iter().find(|refusal| !matches!(refusal, E::UnexpectedKeyId));
        let why = why.map(|why| why.to_string()).unwrap_or_default();
        denied(format!(
            "{place} is not a signature of these bytes: {why}; the component was changed, or another one was signed"
        ))
    }
}
