//! Signatures of requests, checked from the definition of Signature Version 4 and not with the client's own library.

use super::super::loopback::Request;
use super::call::Refusal;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// How far the time of a request may be from the server's, in milliseconds.
const WINDOW: i64 = 300_000;

/// Who may call.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The access key id.
    pub id: String,
    /// The secret key.
    pub secret: String,
    /// The session token, if the keys are lent.
    pub token: Option<String>,
}

impl Keys {
    /// Whether a request is signed with these keys, about now.
    pub fn check(&self, request: &Request, now: i64) -> Result<(), Refusal> {
        let refused = |code, message: &str| Refusal::new(code, message);
        let header = request.header("authorization").unwrap_or_default();
        let part = |name: &str| {
            let rest = header.split_once(&format!("{name}="))?.1;
            Some(rest.split(',').next().unwrap_or_default().trim())
        };
        let (Some(credential), Some(signed), Some(signature)) =
            (part("Credential"), part("SignedHeaders"), part("Signature"))
        else {
            return Err(refused("MissingAuthenticationTokenException", "the request is not signed"));
        };
        let (id, scope) = credential.split_once('/').unwrap_or_default();
        if id != self.id {
            return Err(refused(
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            ));
        }
        if request.header("x-amz-security-token") != self.token.as_deref() {
            return Err(refused("ExpiredTokenException", "The security token included in the request is expired"));
        }
        if self.token.is_some() && !signed.split(';').any(|name| name == "x-amz-security-token") {
            return Err(refused("InvalidSignatureException", "the token is not signed"));
        }
        let time = request.header("x-amz-date").unwrap_or_default();
        let made = millis(time).ok_or_else(|| refused("IncompleteSignatureException", "no X-Amz-Date"))?;
        if made > now + WINDOW {
            return Err(refused("InvalidSignatureException", "Signature not yet current"));
        }
        if made < now - WINDOW {
            return Err(refused("InvalidSignatureException", "Signature expired"));
        }
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical(request, signed))));
        if hex(&mac(&self.signing_key(scope), &text)) == signature {
            Ok(())
        } else {
            Err(refused("InvalidSignatureException", "The request signature we calculated does not match"))
        }
    }

    /// The key of a scope: date, region, service, `aws4_request`.
    fn signing_key(&self, scope: &str) -> Vec<u8> {
        let first = format!("AWS4{}", self.secret).into_bytes();
        scope.split('/').fold(first, |key, part| mac(&key, part))
    }
}

/// The request as it is signed.
fn canonical(request: &Request, signed: &str) -> String {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let lines: String =
        signed.split(';').map(|name| format!("{name}:{}\n", request.header(name).unwrap_or_default())).collect();
    format!("{}\n{path}\n{query}\n{lines}\n{signed}\n{}", request.method, hex(&Sha256::digest(&request.body)))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `20130101T000000Z` in milliseconds since 1970.
fn millis(time: &str) -> Option<i64> {
    let (date, clock) = time.strip_suffix('Z')?.split_once('T')?;
    let number = |text: &str, from, to| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(date, 0, 4)?, number(date, 4, 6)?, number(date, 6, 8)?);
    let (hour, minute, second) = (number(clock, 0, 2)?, number(clock, 2, 4)?, number(clock, 4, 6)?);
    // Days since 1970 by the rule of the Gregorian calendar, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000)
}
