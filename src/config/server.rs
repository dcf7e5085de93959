//! The `server` section: keys that contradict each other.

use super::keys::{self, Place};
use super::types::{LoginKeys, ServerConfig};

impl Default for ServerConfig {
    fn default() -> Self {
        keys::standard()
    }
}

/// Notes keys that contradict each other.
pub(super) fn check(server: &ServerConfig, place: &mut Place<'_>) {
    let addresses = [
        ("grpc", Some(server.grpc)),
        ("http", Some(server.http)),
        ("metrics", server.metrics),
    ];
    for (n, (key, address)) in addresses.iter().enumerate() {
        let mut others = addresses[..n].iter();
        let same = others.find(|(_, other)| other == address);
        if let Some((other, Some(address))) = same
            && address.port() != 0
        {
            let text = format!("must not be the same address as server.{other}: use another port");
            place.fault_at(key, text);
        }
    }
    let tls = server.tls.as_ref();
    if tls.is_some_and(|tls| tls.client_names.is_some() && tls.client_ca_file.is_none()) {
        place.at("tls").fault_at("client_names", NEEDS_AUTHORITIES);
    }
    if let Some(login) = &server.login {
        let has_tls = tls.is_some_and(|tls| tls.http);
        check_login(login, has_tls, &mut place.at("login"));
    }
}

const NEEDS_AUTHORITIES: &str =
    "needs client_ca_file: set that to the authorities of client certificates, or remove this";

fn check_login(login: &LoginKeys, has_tls: bool, place: &mut Place<'_>) {
    let is_faulty = place.is_faulty("token") || place.is_faulty("client_ca_file");
    if login.token.is_none() && login.client_ca_file.is_none() && !is_faulty {
        place.fault("lets nobody in: set token, client_ca_file or both");
    }
    if login.client_ca_file.is_some() && !has_tls {
        let text = "needs TLS at the HTTP address: set server.tls.http to true, or remove this";
        place.fault_at("client_ca_file", text);
    }
    if login.client_names.is_some() && login.client_ca_file.is_none() {
        place.fault_at("client_names", NEEDS_AUTHORITIES);
    }
}

#[cfg(test)]
mod tests {
    use crate::config::types::Config;

    fn faults(server: &str) -> String {
        let text = format!(
            "server: {server}\nsources: [ {{ name: main, redis: {{ url: \"redis://localhost\" }} }} ]\n"
        );
        match Config::parse(&text, "c.yaml") {
            Ok(_) => String::new(),
            Err(errors) => errors.to_string(),
        }
    }

    #[test]
    fn every_address_is_another_one() {
        assert_eq!(faults("{ metrics: 0.0.0.0:8081 }"), "");
        assert_eq!(
            faults("{ grpc: 0.0.0.0:1, http: 0.0.0.0:1, metrics: 0.0.0.0:1 }"),
            "c.yaml: server.http: must not be the same address as server.grpc: use another port\n\
             c.yaml: server.metrics: must not be the same address as server.grpc: use another port"
        );
    }

    #[test]
    fn a_login_lets_somebody_in_and_certificates_need_tls() {
        assert_eq!(faults("{ login: { token: { env: T } } }"), "");
        let tls = "tls: { cert_file: /c, key_file: /k, http: true }";
        let both = format!("{{ {tls}, login: {{ client_ca_file: /ca, client_names: [a] }} }}");
        assert_eq!(faults(&both), "");
        assert_eq!(
            faults("{ login: {} }"),
            "c.yaml: server.login: lets nobody in: set token, client_ca_file or both"
        );
        assert_eq!(
            faults("{ login: { token: abc } }"),
            "c.yaml: server.login.token: must not contain the secret itself: write { env: NAME } or { file: /path }"
        );
        assert_eq!(
            faults("{ login: { client_ca_file: /ca } }"),
            "c.yaml: server.login.client_ca_file: needs TLS at the HTTP address: set server.tls.http to true, or remove this"
        );
        let names = faults("{ login: { token: { env: T }, client_names: [a] } }");
        assert!(
            names.contains("server.login.client_names: needs client_ca_file"),
            "{names}"
        );
    }

    #[test]
    fn hosts_are_names_without_a_port() {
        assert_eq!(
            faults("{ hosts: [Gauge.example.com, \"*.example.com\"] }"),
            ""
        );
        for wrong in [
            "gauge.example.com:8080",
            "https://gauge",
            "a.*.com",
            "*",
            "a..b",
        ] {
            let said = faults(&format!("{{ hosts: [\"{wrong}\"] }}"));
            assert!(
                said.contains("server.hosts[0]: must be a host name without a port"),
                "{wrong}: {said}"
            );
        }
    }
}
