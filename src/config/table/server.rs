//! Where streamgauge listens, and to whom.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::config::keys::{
    Flag, ListOf, Parsed, Sub, Text, file, keys, optional, preset, required, secret,
};
use crate::config::secret::Secret;

keys! {
    /// Where streamgauge listens. Needs a restart to change.
    pub struct ServerConfig {
        /// The address that KEDA calls (gRPC).
        grpc: SocketAddr = preset(listen(), (Ipv4Addr::UNSPECIFIED, 9090).into()),
        /// The address of metrics, page, API and probes (HTTP).
        http: SocketAddr = preset(listen(), (Ipv4Addr::UNSPECIFIED, 8080).into()),
        /// An address for `/metrics` alone, which is then not at `http` any more. It needs no login.
        metrics: Option<SocketAddr> = optional(listen()).else_words("`/metrics` is at `http`"),
        /// Names that browsers may find page, API and metrics by, without a port; `*.` stands for any start. IP addresses, `localhost`,
        /// names without a dot and names that end in `.svc`, `.local`, `.localhost` or `.internal` are always right. Guards against
        /// DNS rebinding.
        hosts: Option<Vec<String>> = optional(ListOf::of(host(), "remove it if no other names are used")).else_words("no others"),
        /// Who may see page, API and metrics at `http`. Probes are open to all.
        login: Option<LoginKeys> = optional(Sub::<LoginKeys>::new()).else_words("everyone"),
        /// Whether gRPC server reflection is on.
        reflection: bool = preset(Flag, false),
        /// TLS for those who call.
        tls: Option<ServerTlsKeys> = optional(Sub::<ServerTlsKeys>::new()).else_words("plain text"),
    }
}

keys! {
    /// Who may see page, API and metrics at `http`: whoever has the token, and whoever shows the certificate. At least one of the two.
    pub struct LoginKeys {
        /// What clients send as a bearer token, and browsers as the password for any user name. Read at every request.
        token: Option<Secret> = optional(secret()).else_words("no token is right"),
        /// Authorities of client certificates, PEM. Needs `server.tls.http`.
        client_ca_file: Option<PathBuf> = optional(file()).else_words("no certificate is right"),
        /// Names, of which a client certificate must contain one (DNS names and URIs of its SAN). Needs `client_ca_file`.
        client_names: Option<Vec<String>> = optional(client_names()).else_words("every certificate of `client_ca_file`"),
    }
}

keys! {
    /// TLS for those who call. The files are PEM; changed ones are picked up within seconds, and a pair that cannot be used changes nothing.
    pub struct ServerTlsKeys {
        /// The certificate of this service, with those that lead to its authority.
        cert_file: Option<PathBuf> = required(file(), "set it to the service's certificate"),
        /// The key of `cert_file`.
        key_file: Option<PathBuf> = required(file(), "set it to the key of cert_file"),
        /// Authorities of client certificates. With it, whoever calls gRPC must show one.
        client_ca_file: Option<PathBuf> = optional(file()).else_words("no client certificates"),
        /// Names, of which a client certificate must contain one (DNS names and URIs of its SAN). Needs `client_ca_file`.
        client_names: Option<Vec<String>> = optional(client_names()).else_words("every certificate of `client_ca_file`"),
        /// Whether the HTTP addresses speak TLS, too; they ask for client certificates only where `server.login` wants them.
        http: bool = preset(Flag, false),
    }
}

const fn client_names() -> ListOf<Text> {
    ListOf::of(
        Text::ANY,
        "remove it to accept every certificate of client_ca_file",
    )
}

pub(super) const fn listen() -> Parsed<SocketAddr> {
    let parse = |text: &str| {
        text.parse()
            .map_err(|_| "must be an IP address and a port, such as 0.0.0.0:9090")
    };
    Parsed::new(
        parse,
        ToString::to_string,
        r"^[0-9a-fA-F.:\[\]]+:[0-9]{1,5}$",
    )
}

/// A host name, in small letters, or `*.` and the end of some.
const fn host() -> Parsed<String> {
    let parse = |text: &str| {
        let name = text.strip_prefix("*.").unwrap_or(text);
        let is_label = |label: &str| {
            let mut bytes = label.bytes();
            !label.is_empty() && bytes.all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        let is_name = name.split('.').all(is_label);
        let expected =
            "must be a host name without a port, such as gauge.example.com or *.example.com";
        is_name.then(|| text.to_ascii_lowercase()).ok_or(expected)
    };
    Parsed::new(
        parse,
        String::clone,
        r"^(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$",
    )
}
