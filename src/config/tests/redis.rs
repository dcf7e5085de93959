//! How Redis servers are found, and their certificates.

use std::path::Path;

use super::*;

#[test]
fn a_client_certificate_needs_its_key_and_the_key_its_certificate() {
    let check = |tls: &str, expect: &str| {
        let source = format!("{{ name: m, redis: {{ url: 'rediss://r', tls: {{ {tls} }} }} }}");
        check(&format!("sources: [{source}]"), expect);
    };
    check(
        "cert_file: /c",
        "sources[0].redis.tls.key_file: is missing: set it to the key of cert_file",
    );
    check(
        "key_file: /k",
        "sources[0].redis.tls.cert_file: is missing: set it to the certificate of key_file",
    );
    check(
        "ca_fil: /c",
        "sources[0].redis.tls.ca_fil: unknown key: did you mean ca_file? Known keys: ca_file, cert_file, key_file, server_name",
    );
}

#[test]
fn a_cluster_and_sentinels_are_told_by_several_urls_and_what_does_not_fit_is_named() {
    let servers = |redis: &str| {
        let config = parse(&format!("sources: [{{ name: m, redis: {{ {redis} }} }}]"));
        let SourceKind::Redis(redis) = &config.sources[0].kind else {
            panic!("a Redis source");
        };
        // As the printed config says it.
        let printed = serde_yaml::to_string(&config.to_yaml()).expect("YAML");
        assert_eq!(parse(&printed), config);
        let addresses = redis.servers.addresses().iter().map(ToString::to_string);
        let addresses = addresses.collect::<Vec<_>>().join(" ");
        (
            addresses,
            redis.servers.master().map(str::to_owned),
            redis.database,
        )
    };
    let of = |addresses: &str, master: Option<&str>, database| {
        (addresses.to_owned(), master.map(str::to_owned), database)
    };
    assert_eq!(
        servers("mode: cluster, urls: ['redis://a', 'redis://b:7000']"),
        of("a:6379 b:7000", None, 0)
    );
    assert_eq!(
        servers("mode: cluster, url: 'redis://a'"),
        of("a:6379", None, 0)
    );
    assert_eq!(servers("urls: ['redis://a/2']"), of("a:6379", None, 2));
    assert_eq!(
        servers("mode: sentinel, urls: ['redis://a/2', 'redis://b:1/2'], sentinel: { master: x }"),
        of("a:26379 b:1", Some("x"), 2)
    );
    let check = |redis: &str, expect: &str| {
        let text = format!("sources: [{{ name: m, redis: {{ {redis} }} }}]");
        check(&text, &format!("sources[0].redis.{expect}"));
    };
    check(
        "mode: cluster",
        "url: is missing: set it to the URL of a node, or urls to those of several",
    );
    check(
        "mode: cluster, urls: []",
        "urls: is empty: list the URLs of nodes or sentinels",
    );
    check(
        "url: 'redis://a', urls: ['redis://a']",
        "urls: cannot be combined with url: remove one of them",
    );
    check(
        "urls: ['redis://a', 'redis://b']",
        "urls: lists several servers: set mode to cluster or sentinel, or list one server",
    );
    check(
        "mode: cluster, urls: ['redis://a', 'rediss://b']",
        "urls: mixes redis:// with rediss://, or different databases: use the same in all",
    );
    check(
        "mode: cluster, url: 'redis://a/1'",
        "mode: cluster has no databases: remove the database number from the URLs",
    );
    check(
        "mode: sentinel, url: 'redis://a'",
        "sentinel: is missing: set sentinel.master to the name of the primary in the sentinels' configuration",
    );
    check(
        "mode: sentinel, url: 'redis://a', sentinel: {}",
        "sentinel.master: is missing: set it to the name of the primary in the sentinels' configuration",
    );
    check(
        "url: 'redis://a', sentinel: { master: x }",
        "sentinel: needs mode: sentinel: set it, or remove this section",
    );
}

#[test]
fn an_identity_stands_in_for_the_password_over_tls_only() {
    let redis = |keys: &str| format!("sources: [{{ name: m, redis: {{ {keys} }} }}]");
    let config = parse(&redis(
        "url: 'rediss://r', identity: client_secret, tenant_id: t, client_id: c, client_secret: { file: /s }, tls: { ca_file: /ca }",
    ));
    let SourceKind::Redis(server) = &config.sources[0].kind else {
        panic!("a Redis source");
    };
    let identity = server.identity.as_ref().expect("an identity");
    assert_eq!(identity.ca_file.as_deref(), Some(Path::new("/ca")));
    let secrets = config.sources[0].kind.secrets();
    assert!(matches!(secrets.as_slice(), [("client_secret", _)]));
    // As the printed config says it.
    let printed = serde_yaml::to_string(&config.to_yaml()).expect("YAML");
    assert_eq!(parse(&printed), config);
    check(
        &redis("url: 'redis://r', identity: workload"),
        "sources[0].redis.identity: needs TLS: write rediss:// in the URL",
    );
    check(
        &redis("url: 'rediss://r', identity: managed, password: { env: P }"),
        "sources[0].redis.identity: cannot be combined with password: remove one of them",
    );
    check(
        &redis("url: 'rediss://r', client_id: c"),
        "sources[0].redis.client_id: requires an identity: add identity: workload, managed or client_secret",
    );
}
