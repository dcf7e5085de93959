//! Connection strings and signatures, taken apart; nothing of a secret in any text.

use super::*;
use crate::config::types::Secret;

const KEY: &str = "c2VjcmV0LWtleQ==";

fn of_string(url: Option<&str>, text: &str) -> Result<Account, Failure> {
    let auth = BlobAuth::ConnectionString(Secret::Env("X".into()));
    Account::new(url, &auth, Some(text))
}

fn of_signature(text: &str) -> Result<Account, Failure> {
    let auth = BlobAuth::Sas(Secret::Env("X".into()));
    Account::new(
        Some("https://acc.blob.core.windows.net/"),
        &auth,
        Some(text),
    )
}

#[test]
fn connection_strings_say_where_and_who() {
    let check = |url: Option<&str>, text: &str, name: &str, endpoint: &str| {
        let account = of_string(url, text).expect(text);
        assert_eq!(
            (account.name.as_str(), account.endpoint.as_str()),
            (name, endpoint),
            "{text}"
        );
    };
    let key = format!("AccountKey={KEY}");
    check(
        None,
        &format!(
            "DefaultEndpointsProtocol=https;AccountName=acc;{key};EndpointSuffix=core.windows.net"
        ),
        "acc",
        "https://acc.blob.core.windows.net",
    );
    check(
        None,
        &format!("accountname=acc;{key};endpointsuffix=core.chinacloudapi.cn;"),
        "acc",
        "https://acc.blob.core.chinacloudapi.cn",
    );
    check(
        None,
        &format!("BlobEndpoint=http://127.0.0.1:11000/dev/;AccountName=dev;{key}"),
        "dev",
        "http://127.0.0.1:11000/dev",
    );
    check(
        None,
        "BlobEndpoint=https://acc.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=a%3D",
        "acc",
        "https://acc.blob.core.windows.net",
    );
    check(
        None,
        "UseDevelopmentStorage=true",
        "devstoreaccount1",
        "http://127.0.0.1:10000/devstoreaccount1",
    );
    check(
        Some("https://private.example/"),
        &format!("AccountName=acc;{key}"),
        "acc",
        "https://private.example",
    );
    check(
        None,
        &format!("BlobEndpoint=https://acc-secondary.blob.core.windows.net;{key}"),
        "acc",
        "https://acc-secondary.blob.core.windows.net",
    );
}

#[test]
fn signatures_are_taken_apart_and_keep_their_plus() {
    for text in ["?sv=1&sig=a%2Bb%2F%3D&sp=rl", "sv=1&sig=a+b/=&sp=rl"] {
        let account = of_signature(text).expect(text);
        let Some(AzureCredential::SASToken(pairs)) = account.credential else {
            panic!("no signature: {text}");
        };
        assert!(pairs.contains(&("sig".into(), "a+b/=".into())), "{pairs:?}");
        assert!(account.secrets.contains(&"a+b/=".to_owned()));
    }
}

#[test]
fn what_cannot_be_used_is_told_without_the_secret() {
    let told = |outcome: Result<Account, Failure>, kind, part: &str| {
        let failure = outcome.err().expect(part);
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.text.contains(part), "{failure}");
        assert!(!failure.text.contains("hush"), "{failure}");
    };
    told(
        of_string(None, "hush"),
        FailureKind::Auth,
        "not a list of key=value",
    );
    told(
        of_string(None, "AccountName=hush"),
        FailureKind::Auth,
        "neither AccountKey nor",
    );
    told(
        of_string(None, "AccountName=a;AccountKey=hush!"),
        FailureKind::Auth,
        "not base64",
    );
    told(
        of_string(None, &format!("AccountKey={KEY}")),
        FailureKind::Misconfigured,
        "account_url",
    );
    told(
        of_string(None, &format!("BlobEndpoint=hush;AccountKey={KEY}")),
        FailureKind::Misconfigured,
        "not an http://",
    );
    told(
        of_string(
            None,
            &format!("BlobEndpoint=http://127.0.0.1:1;AccountKey={KEY}"),
        ),
        FailureKind::Misconfigured,
        "name is missing",
    );
    told(of_string(None, " \n"), FailureKind::Auth, "empty");
    told(of_signature("hush"), FailureKind::Auth, "no sig=");
}
