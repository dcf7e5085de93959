//! The sources of streamgauge's config that the triggers' servers become.

use serde_yaml::{Mapping, Value};

use super::emit;
use super::origin::ValueOrigin;

/// A Redis server, cluster or sentinel set as a trigger names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RedisDraft {
    /// `standalone`, `cluster` or `sentinel`.
    pub mode: &'static str,
    /// `host:port` each, at least one.
    pub addresses: Vec<String>,
    pub database: i64,
    pub master: Option<String>,
    pub username: Option<String>,
    pub password: Option<ValueOrigin>,
    pub sentinel_username: Option<String>,
    pub sentinel_password: Option<ValueOrigin>,
    /// Of TLS, if the connection is secured.
    pub tls: Option<TlsDraft>,
}

/// The files that a TLS connection needs, each with where its contents are today.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TlsDraft {
    pub ca: Option<ValueOrigin>,
    pub certificate: Option<ValueOrigin>,
    pub key: Option<ValueOrigin>,
}

/// What triggers of a namespace may name of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AllowDraft {
    pub namespace: String,
    pub stream: String,
    /// `*` where the trigger has no consumer group.
    pub consumer_group: String,
}

/// A source with its name, and what names it.
struct NamedSource {
    name: String,
    redis: RedisDraft,
    allow: Vec<AllowDraft>,
}

/// All of them; triggers of the same server share one.
#[derive(Default)]
pub(super) struct Sources(Vec<NamedSource>);

impl Sources {
    /// The name of the source of these servers, which is added if there is none yet.
    pub fn add(&mut self, redis: RedisDraft, allow: AllowDraft) -> String {
        let known = self.0.iter_mut().find(|source| source.redis == redis);
        if let Some(source) = known {
            if !source.allow.contains(&allow) {
                source.allow.push(allow);
            }
            return source.name.clone();
        }
        let name = self.free_name(&redis);
        self.0.push(NamedSource {
            name: name.clone(),
            redis,
            allow: vec![allow],
        });
        name
    }

    /// After the primary, else the first host: `redis` for `redis.shop.svc:6379`; numbered where that is taken.
    fn free_name(&self, redis: &RedisDraft) -> String {
        let host = redis.addresses.first().map_or("", String::as_str);
        let is_ip = host.starts_with('[') || host.starts_with(|c: char| c.is_ascii_digit());
        let host = match is_ip {
            true => "redis",
            false => host.split(['.', ':']).next().unwrap_or_default(),
        };
        let name = redis.master.as_deref().unwrap_or(host);
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let name: String = name.chars().filter(|c| fits(*c)).take(64).collect();
        let name = if name.is_empty() { "redis" } else { &name };
        let is_free = |name: &String| self.0.iter().all(|source| source.name != *name);
        let numbered = (2..).map(|n| format!("{name}-{n}"));
        let mut names = std::iter::once(name.to_owned()).chain(numbered);
        names.find(is_free).unwrap_or_default()
    }

    /// What is to be done by hand for them.
    pub fn steps(&self) -> Vec<String> {
        let mut steps = Vec::new();
        for source in &self.0 {
            let passwords = [
                (source.variable("PASSWORD"), &source.redis.password),
                (
                    source.variable("SENTINEL_PASSWORD"),
                    &source.redis.sentinel_password,
                ),
            ];
            for (variable, origin) in passwords {
                steps.extend(origin.as_ref().map(|origin| match origin {
                    ValueOrigin::Here(_) => format!(
                        "set the variable {variable} in streamgauge's Deployment, from a Secret: the password stands in the \
                         manifest in plain text"
                    ),
                    ValueOrigin::Elsewhere(place) => {
                        format!("set the variable {variable} in streamgauge's Deployment: it is {place}")
                    }
                }));
            }
            for (file, origin) in source.files() {
                let place = match origin {
                    ValueOrigin::Here(_) => "in the manifest",
                    ValueOrigin::Elsewhere(place) => place,
                };
                steps.push(format!(
                    "mount {file} in streamgauge's Deployment: it is {place}"
                ));
            }
        }
        steps
    }

    /// The `sources` section.
    pub fn yaml(&self) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let sources = self.0.iter().map(NamedSource::value).collect();
        let file = mapping([("sources", Value::Sequence(sources))]);
        Some(emit::yaml(&file))
    }
}

impl NamedSource {
    /// The variable that holds something of it: `SHOP_REDIS_PASSWORD`.
    fn variable(&self, what: &str) -> String {
        let name = self.name.replace('-', "_").to_ascii_uppercase();
        format!("{name}_{what}")
    }

    /// The files of TLS, with where their contents are today.
    fn files(&self) -> Vec<(String, &ValueOrigin)> {
        let Some(tls) = &self.redis.tls else {
            return Vec::new();
        };
        let files = [
            ("ca.crt", &tls.ca),
            ("tls.crt", &tls.certificate),
            ("tls.key", &tls.key),
        ];
        let at = |file: &str| format!("/etc/streamgauge/tls/{}/{file}", self.name);
        let given = files
            .into_iter()
            .filter_map(|(file, origin)| Some((at(file), origin.as_ref()?)));
        given.collect()
    }

    fn value(&self) -> Value {
        let redis = &self.redis;
        let scheme = if redis.tls.is_some() {
            "rediss"
        } else {
            "redis"
        };
        let database = match redis.mode {
            "cluster" => String::new(),
            _ => format!("/{}", redis.database),
        };
        let url = |address: &String| text(&format!("{scheme}://{address}{database}"));
        let mut keys = Mapping::new();
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                keys.insert(text(key), value);
            }
        };
        match redis.addresses.as_slice() {
            [address] => set("url", Some(url(address))),
            addresses => set(
                "urls",
                Some(Value::Sequence(addresses.iter().map(url).collect())),
            ),
        }
        let is_alone = redis.mode == "standalone";
        set("mode", (!is_alone).then(|| text(redis.mode)));
        set("username", redis.username.as_deref().map(text));
        let env = |what: &str| mapping([("env", text(&self.variable(what)))]);
        set("password", redis.password.as_ref().map(|_| env("PASSWORD")));
        let sentinel = redis.master.as_ref().map(|master| {
            let username = redis.sentinel_username.as_deref().map(text);
            let password = redis.sentinel_password.as_ref();
            let keys = [
                ("master", Some(text(master))),
                ("username", username),
                ("password", password.map(|_| env("SENTINEL_PASSWORD"))),
            ];
            mapping(
                keys.into_iter()
                    .filter_map(|(key, value)| Some((key, value?))),
            )
        });
        set("sentinel", sentinel);
        let files = self.files().into_iter().map(|(file, _)| {
            let key = match file.rsplit('/').next() {
                Some("ca.crt") => "ca_file",
                Some("tls.crt") => "cert_file",
                _ => "key_file",
            };
            (key, text(&file))
        });
        let files = mapping(files);
        let has_files = files.as_mapping().is_some_and(|files| !files.is_empty());
        set("tls", has_files.then_some(files));
        let one = |name: &str| Value::Sequence(vec![text(name)]);
        let allow = self.allow.iter().map(|allow| {
            mapping([
                ("namespaces", one(&allow.namespace)),
                ("streams", one(&allow.stream)),
                ("consumer_groups", one(&allow.consumer_group)),
            ])
        });
        mapping([
            ("name", text(&self.name)),
            ("redis", Value::Mapping(keys)),
            ("allow", Value::Sequence(allow.collect())),
        ])
    }
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn mapping<'k>(pairs: impl IntoIterator<Item = (&'k str, Value)>) -> Value {
    let pairs = pairs.into_iter().map(|(key, value)| (text(key), value));
    Value::Mapping(pairs.collect())
}
