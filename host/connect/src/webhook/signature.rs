//! Signatures as Standard Webhooks has them: HMAC-SHA256 of id, time and body.

use crate::secret::Secret;
use base64_simd::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What secrets begin with that are written in Base64.
const PREFIX: &str = "whsec_";

/// The key of signatures, which is never printed.
#[derive(Clone)]
pub struct SigningKey(Vec<u8>);

impl SigningKey {
    /// Of a secret: Base64 behind `whsec_`, or else the bytes of its text. `None`: it is neither.
    pub fn of(secret: &Secret) -> Option<Self> {
        let bytes = match secret.reveal().strip_prefix(PREFIX) {
            Some(text) => STANDARD.decode_to_vec(text).ok()?,
            None => secret.reveal().as_bytes().to_vec(),
        };
        (!bytes.is_empty()).then_some(Self(bytes))
    }

    /// The header of a request with this id, sent at this time (seconds).
    pub fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(format!("{id}.{seconds}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode_to_string(mac.finalize().into_bytes()))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification → its signature.
    #[test]
    fn as_the_specification_has_it() {
        let key = SigningKey(STANDARD.decode_to_vec("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("Base64"));
        let body = b"{\"test\": 2432232314}";
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(format!("{key:?}"), "(secret)");
    }
}
