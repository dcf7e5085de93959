//! Signatures as Standard Webhooks lays down: HMAC-SHA256 over id, time and body.
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::web::hmac_sha256;

/// Stands before a secret that is base64; any other is taken as it is.
const PREFIX: &str = "whsec_";

/// The value of `webhook-signature`. `seconds` is that of `webhook-timestamp`, since 1970.
///
/// # Errors
/// The secret says that it is base64 and is not.
pub(super) fn sign(secret: &str, id: &str, seconds: u64, body: &str) -> Result<String, String> {
    let key = match secret.strip_prefix(PREFIX) {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| {
            format!("the secret begins with {PREFIX} but is not valid base64: copy it again")
        })?,
        None => secret.as_bytes().to_vec(),
    };
    let signature = hmac_sha256(&key, format!("{id}.{seconds}.{body}").as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(signature)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by Python's `hmac` and `base64`.
    #[test]
    fn a_signature_is_what_another_implementation_makes() {
        let check = |secret: &str, expect: &str| {
            let signed = sign(secret, "msg_1", 1_700_000_000, "{\"a\":1}");
            assert_eq!(signed.as_deref(), Ok(expect));
        };
        check(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "v1,hVsFLpmw4Ib/Xm0eZLt3KqYBZdt0U8gdGeuz0EsGv78=",
        );
        check(
            "plain secret",
            "v1,y9TGvDGoR7W6ntS0RmkAASk2giF5oj97nAvbIClPuC8=",
        );
        let fault = sign("whsec_hunter2!", "msg_1", 0, "").expect_err("no base64");
        assert!(!fault.contains("hunter2"), "{fault}");
    }
}
