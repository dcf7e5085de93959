//! The `replication` section: whether there are other replicas, and where.

use super::choices::Enabled;
use super::keys::{self, Place};
use super::types::ServerConfig;

pub use super::table::ReplicationConfig;

impl Default for ReplicationConfig {
    fn default() -> Self {
        keys::standard()
    }
}

impl ReplicationConfig {
    /// Whether there are others, for a process that can, or cannot, tell them in Kubernetes where it is.
    pub const fn is_on(&self, is_pod: bool) -> bool {
        match self.enabled {
            Enabled::Yes => true,
            Enabled::No => false,
            Enabled::Auto => is_pod || self.peers.is_some(),
        }
    }
}

/// Notes keys that contradict others.
pub(super) fn check(config: &ReplicationConfig, server: &ServerConfig, place: &mut Place<'_>) {
    let others = [
        ("grpc", Some(server.grpc)),
        ("http", Some(server.http)),
        ("metrics", server.metrics),
    ];
    let same = others
        .iter()
        .find(|(_, other)| *other == Some(config.listen));
    if let Some((other, _)) = same
        && config.listen.port() != 0
        && config.is_on(true)
    {
        let text = format!("must not be the same address as server.{other}: use another port");
        place.fault_at("listen", text);
    }
}

#[cfg(test)]
mod tests {
    use crate::config::types::Config;

    use super::*;

    fn parse(section: &str) -> Result<ReplicationConfig, String> {
        let source = "sources: [ { name: main, redis: { url: \"redis://localhost\" } } ]";
        Config::parse(&format!("{source}\nreplication: {section}\n"), "c.yaml")
            .map(|config| config.replication)
            .map_err(|errors| errors.to_string())
    }

    #[test]
    fn it_is_on_where_peers_are_named_or_a_pod_can_find_others() {
        let is_on = |section: &str, is_pod| parse(section).map(|config| config.is_on(is_pod));
        assert_eq!(is_on("{ enabled: true }", false), Ok(true));
        assert_eq!(
            is_on("{ enabled: false, peers: [ \"a:1\" ] }", true),
            Ok(false)
        );
        assert_eq!(is_on("{ enabled: auto }", false), Ok(false));
        assert_eq!(is_on("{ enabled: auto }", true), Ok(true));
        assert_eq!(is_on("{ peers: [ \"a:1\" ] }", false), Ok(true));
    }

    #[test]
    fn peers_are_hosts_with_a_port_and_its_own_address_is_no_other() {
        for peer in ["a:9091", "10.0.0.7:9091", "[::1]:9091", "s-0.s.ns.svc:9091"] {
            assert!(
                parse(&format!("{{ peers: [ \"{peer}\" ] }}")).is_ok(),
                "{peer}"
            );
        }
        for peer in ["a", "a:0", "a:x", ":9091", "http://a:9091", "a b:1"] {
            let said = parse(&format!("{{ peers: [ \"{peer}\" ] }}")).unwrap_err();
            assert!(
                said.contains(
                    "replication.peers[0]: must be a host and a port, such as streamgauge-1:9091"
                ),
                "{peer}: {said}"
            );
        }
        assert_eq!(
            parse("{ listen: 0.0.0.0:8080 }").unwrap_err(),
            "c.yaml: replication.listen: must not be the same address as server.http: use another port"
        );
    }
}
