//! One attempt to deliver.

use std::time::Duration;

use crate::config::addresses::{WebhookUrl, webhook_url};
use crate::config::incidents::WebhookConfig;
use crate::model::time::Timestamp;
use crate::web::{self, root_cause};

use super::{event, signature};

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PostResult {
    /// The receiver has it.
    Taken,
    /// It would not take it at the next attempt either, and why.
    Refused(String),
    /// It may take it later, and after what time it asks for another attempt.
    Later(String, Option<Duration>),
}

/// Posts the body. Address, secret and authorities are read at every attempt, so that rotation works; no text contains them.
pub(super) async fn post(
    config: &WebhookConfig,
    id: &str,
    now: Timestamp,
    body: String,
) -> PostResult {
    // What cannot be read now may be there later: files are replaced.
    let request = match request(config, id, now, body) {
        Ok(request) => request,
        Err(why) => return PostResult::Later(format!("incidents.webhook: {why}"), None),
    };
    match tokio::time::timeout(config.timeout, request.send()).await {
        Ok(Ok(response)) => {
            let asked = response.headers().get("retry-after");
            let asked = asked.and_then(|value| value.to_str().ok()?.parse().ok());
            of_status(response.status().as_u16(), asked.map(Duration::from_secs))
        }
        Ok(Err(error)) => {
            // The address may carry a token.
            let error = error.without_url();
            let why = format!("the webhook cannot be reached: {}", root_cause(&error));
            PostResult::Later(why, None)
        }
        Err(_) => {
            let limit = humantime::format_duration(config.timeout);
            PostResult::Later(format!("the webhook did not answer within {limit}"), None)
        }
    }
}

fn request(
    config: &WebhookConfig,
    id: &str,
    now: Timestamp,
    body: String,
) -> Result<reqwest::RequestBuilder, String> {
    let url = match &config.url {
        WebhookUrl::Plain(url) => url.clone(),
        WebhookUrl::Secret(secret) => {
            let text = secret.read().map_err(|error| format!("url: {error}"))?;
            webhook_url(&text).map_err(|fault| format!("url: {secret} {fault}"))?
        }
    };
    let secret = config.secret.read();
    let secret = secret.map_err(|error| format!("secret: {error}"))?;
    let seconds = now.as_millis() / 1000;
    let signature = signature::sign(&secret, id, seconds, &body)?;
    let authorities = config.ca_file.as_deref().map(web::read_ca).transpose();
    let authorities = authorities.map_err(|failure| failure.text)?;
    let ca = config.ca_file.as_deref().zip(authorities.as_deref());
    let client = web::client(ca, config.timeout).map_err(|failure| failure.text)?;
    Ok(client
        .post(url)
        .header("content-type", event::CONTENT_TYPE)
        .header("webhook-id", id)
        .header("webhook-timestamp", seconds.to_string())
        .header("webhook-signature", signature)
        .body(body))
}

fn of_status(status: u16, asked: Option<Duration>) -> PostResult {
    let said = format!("the webhook returned status {status}");
    match status {
        200..=299 => PostResult::Taken,
        300..=399 => PostResult::Refused(format!(
            "{said}: the server redirects elsewhere: correct incidents.webhook.url"
        )),
        408 | 425 | 429 | 500..=599 => PostResult::Later(said, asked),
        _ => PostResult::Refused(format!(
            "{said}: check the url and secret of incidents.webhook"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again_and_what_would_not_is_refused() {
        let later = [408, 425, 429, 500, 502, 503, 504];
        for status in 100..=599 {
            let answer = of_status(status, Some(Duration::from_secs(7)));
            match answer {
                PostResult::Taken => assert!((200..300).contains(&status)),
                PostResult::Later(_, asked) => {
                    assert!(later.contains(&status) || status >= 500, "{status}");
                    assert_eq!(asked, Some(Duration::from_secs(7)));
                }
                PostResult::Refused(why) => {
                    assert!(!later.contains(&status) && why.contains(&status.to_string()));
                }
            }
        }
    }
}
