//! Makes refusals of an authority readable for `azure_identity`.
//!
//! Version 1.1.0-beta.1 takes `error_description` as a borrowed string, which JSON with an escape in it (Entra's line breaks
//! and quotes) cannot give: the refusal then looks like an answer that makes no sense, without its status.

use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use serde_json::{Value, json};

/// A client whose answers of failure carry a description without escapes.
#[derive(Debug)]
pub struct Readable(pub reqwest::Client);

#[async_trait::async_trait]
impl HttpClient for Readable {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let response = self.0.execute_request(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers, body) = response.deconstruct();
        let body = readable(&body.collect().await?);
        Ok(AsyncRawResponse::from_bytes(status, headers, body))
    }
}

/// The same refusal, in one line and without what JSON escapes.
fn readable(body: &[u8]) -> String {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let description = answer["error_description"].as_str();
    let description = description.or(answer["error"].as_str());
    let line = description.and_then(|text| text.lines().next());
    let line: String = line
        .unwrap_or("no reason given")
        .chars()
        .filter(|c| !c.is_control())
        .map(|c| match c {
            '"' => '\'',
            '\\' => '/',
            other => other,
        })
        .collect();
    let codes = answer["error_codes"].as_array().into_iter().flatten();
    let codes: Vec<i32> = codes
        .filter_map(|code| i32::try_from(code.as_i64()?).ok())
        .collect();
    json!({ "error_description": line, "error_codes": codes }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_lose_their_escapes_and_keep_their_sense() {
        let check = |body: &str, description: &str, codes: &str| {
            let expected =
                format!(r#"{{"error_codes":{codes},"error_description":"{description}"}}"#);
            assert_eq!(readable(body.as_bytes()), expected, "{body}");
        };
        check(
            r#"{"error":"x","error_description":"AADSTS7: \"No\" \\ \u0027tenant\u0027.\r\nTrace","error_codes":[7]}"#,
            "AADSTS7: 'No' / 'tenant'.",
            "[7]",
        );
        check(r#"{"error":"invalid_request"}"#, "invalid_request", "[]");
        check(
            r#"{"error_codes":["a",99999999999]}"#,
            "no reason given",
            "[]",
        );
        check("<html>502</html>", "no reason given", "[]");
        check("", "no reason given", "[]");
    }
}
