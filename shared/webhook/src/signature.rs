//! The signature by which a receiver verifies a message: the symmetric scheme of
//! [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)
//! 1.0.0, which has libraries in most languages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ports::webhook::WebhookError;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use sha2::Sha256;

/// Header with the message's id.
pub(crate) const ID: &str = "webhook-id";
/// Header with the time of the attempt, in seconds since 1970.
pub(crate) const TIMESTAMP: &str = "webhook-timestamp";
/// Header with what [`sign`] makes.
pub(crate) const SIGNATURE: &str = "webhook-signature";

/// The prefix by which receivers' libraries, and scanners for leaked secrets, recognise a secret.
const SECRET_PREFIX: &str = "whsec_";

/// A new webhook's secret as its receiver gets it: `whsec_` and the key in base64. `random` becomes the key, so it must
/// come from the system's source of randomness.
pub fn new_secret(random: [u8; 32]) -> SecretString {
    format!("{SECRET_PREFIX}{}", STANDARD.encode(random)).into()
}

/// The signature header's value for a message with this id and body that is sent at `timestamp`, in seconds since 1970.
///
/// # Errors
/// [`WebhookError::SecretUnusable`] unless the secret is `whsec_` and 24 to 64 bytes in base64.
pub(crate) fn sign(secret: &SecretString, id: &str, timestamp: i64, body: &str) -> Result<String, WebhookError> {
    let key = key(secret).ok_or(WebhookError::SecretUnusable)?;
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.expose_secret()).map_err(|_invalid_length| WebhookError::SecretUnusable)?;
    for part in [id, ".", &timestamp.to_string(), ".", body] {
        mac.update(part.as_bytes());
    }
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

fn key(secret: &SecretString) -> Option<SecretSlice<u8>> {
    let text = secret.expose_secret().strip_prefix(SECRET_PREFIX)?;
    let key = SecretSlice::from(STANDARD.decode(text).ok()?);
    (24..=64).contains(&key.expose_secret().len()).then_some(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::hmac_sha256;

    /// The example in the tests of the scheme's own libraries.
    #[test]
    fn the_published_example_has_the_published_signature() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into();
        let signature = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature.as_deref(), Ok("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn a_secret_of_another_form_is_unusable() {
        let long = format!("whsec_{}", STANDARD.encode([7; 65]));
        let short = format!("whsec_{}", STANDARD.encode([7; 23]));
        let unmarked = STANDARD.encode([7; 32]);
        let unpadded = format!("whsec_{}", unmarked.trim_end_matches('='));
        for secret in ["", "whsec_", "whsec_???", &long, &short, &unmarked, &unpadded] {
            let error = sign(&secret.into(), "id", 0, "{}").expect_err(secret);
            assert_eq!(error, WebhookError::SecretUnusable);
            assert!(secret.is_empty() || !format!("{error} {error:?}").contains(secret));
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let shown = format!("{:?}", new_secret([7; 32]));
        assert!(!shown.contains(&STANDARD.encode([7; 32])), "{shown}");
    }

    proptest! {
        /// The key is the random bytes, and the signature is the HMAC of id, time and body.
        #[test]
        fn a_new_secret_signs_with_its_random_bytes(
            random: [u8; 32], id in "[a-zA-Z0-9_-]{1,40}", timestamp in 0_i64..1 << 40, body: String,
        ) {
            let signature = sign(&new_secret(random), &id, timestamp, &body).expect("a key");
            let expected = hmac_sha256(&random, format!("{id}.{timestamp}.{body}").as_bytes());
            prop_assert_eq!(signature, format!("v1,{}", STANDARD.encode(expected)));
        }

        /// Keys of all lengths that the scheme allows are taken.
        #[test]
        fn keys_of_24_to_64_bytes_are_usable(key in prop::collection::vec(any::<u8>(), 24..=64), body: String) {
            let secret = format!("whsec_{}", STANDARD.encode(&key)).into();
            let expected = hmac_sha256(&key, format!("id.0.{body}").as_bytes());
            prop_assert_eq!(sign(&secret, "id", 0, &body), Ok(format!("v1,{}", STANDARD.encode(expected))));
        }
    }
}
