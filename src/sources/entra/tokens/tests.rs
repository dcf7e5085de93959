//! Authorities that are slow or hang.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::config::types::{Cloud, IdentityKind};

/// Takes its time, and counts how often it is asked.
#[derive(Debug)]
struct Authority {
    takes: Duration,
    asked: Arc<AtomicU32>,
}

#[async_trait::async_trait]
impl TokenCredential for Authority {
    async fn get_token(
        &self,
        _scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.takes).await;
        Ok(lasting("new", 3_600))
    }
}

fn lasting(token: &str, seconds: u64) -> AccessToken {
    let end = OffsetDateTime::now_utc() + Duration::from_secs(seconds);
    AccessToken::new(token.to_owned(), end)
}

fn tokens(takes: Duration, last: Option<AccessToken>) -> (Tokens, Arc<AtomicU32>) {
    let asked = Arc::<AtomicU32>::default();
    let identity = Identity {
        kind: IdentityKind::Managed { client_id: None },
        cloud: Cloud::Public,
        authority_host: None,
        ca_file: None,
    };
    let tokens = Tokens::new(identity, "scope");
    let authority = Authority {
        takes,
        asked: Arc::clone(&asked),
    };
    *locked(&tokens.slot) = TokenSlot {
        credential: Some(Arc::new(authority)),
        last,
        ..TokenSlot::default()
    };
    (tokens, asked)
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_slow_authority_is_heard_though_whoever_asked_it_has_gone() {
    let (tokens, asked) = tokens(5 * SECOND, None);
    let mut calls = 0;
    let token = loop {
        calls += 1;
        if let Ok(token) = timeout(2 * SECOND, tokens.token()).await {
            break token;
        }
    };
    assert_eq!((token.as_deref(), calls), (Ok("new"), 3));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hung_authority_takes_no_token_away_that_is_still_good() {
    let (tokens, asked) = tokens(3_600 * SECOND, Some(lasting("old", 200)));
    let started = Instant::now();
    for _ in 0..100 {
        let token = timeout(2 * SECOND, tokens.token()).await;
        assert_eq!(token.expect("in time").as_deref(), Ok("old"));
    }
    assert_eq!(
        started.elapsed(),
        PATIENCE,
        "one request is waited for once"
    );
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_never_answers_is_a_timeout_and_asked_anew() {
    let (tokens, asked) = tokens(3_600 * SECOND, Some(lasting("over", 10)));
    for times in 1..3 {
        let failure = tokens.token().await.expect_err("no token is left");
        assert_eq!(failure.kind, FailureKind::Timeout, "{failure}");
        assert_eq!(asked.load(Ordering::Relaxed), times);
    }
}
