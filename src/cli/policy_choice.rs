//! What `--policy` takes: a policy with its setting, or the best of some.

use std::collections::HashMap;
use std::str::FromStr;

use crate::config::metadata::TriggerRequest;
use crate::policy::spec::PolicySettings;
use crate::simulation::policies::PolicyName;

/// What `keda-lag` without a number chooses from.
pub const THRESHOLDS: [u64; 5] = [64, 128, 250, 500, 1000];

/// Keys of trigger metadata that mean something to the plant.
const SIMULATED: [&str; 8] = [
    "targetDelay",
    "capacityPerReplica",
    "minReplicas",
    "maxReplicas",
    "activationBacklog",
    "activationWindow",
    "scaleInHold",
    "forecast",
];

/// It has seen the workload once before.
const LEARNED: &str = "learned";

/// One value of `--policy`.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyChoice {
    /// This one.
    One(PolicyName),
    /// The best of [`THRESHOLDS`] for all cells together, known afterwards.
    BestKedaLag,
}

impl FromStr for PolicyChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "keda-lag" => Ok(Self::BestKedaLag),
            Some(("streamgauge", settings)) => {
                let (learned, settings) = match settings.strip_prefix(LEARNED) {
                    Some("") => (true, ""),
                    Some(rest) => rest
                        .strip_prefix(',')
                        .map_or((false, settings), |rest| (true, rest)),
                    None => (false, settings),
                };
                let target = parse_settings(settings)?.resolve();
                let name = PolicyName::streamgauge(text.to_owned(), target);
                Ok(Self::One(if learned {
                    name.having_learned()
                } else {
                    name
                }))
            }
            _ => text.parse().map(Self::One),
        }
    }
}

/// `key=value,…` with the keys of trigger metadata, read as a trigger's.
pub(super) fn parse_settings(text: &str) -> Result<PolicySettings, String> {
    let mut metadata = HashMap::new();
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let (key, value) = part.split_once('=').ok_or_else(|| {
            format!("`{part}` is not key=value, as in `targetDelay=60s,maxReplicas=20`")
        })?;
        if metadata.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(format!("{key} is set twice: remove one of them"));
        }
    }
    let keys: Vec<String> = metadata.keys().cloned().collect();
    // A trigger names what it is about; here that is the workload.
    metadata
        .entry("group".into())
        .or_insert_with(|| "simulated".into());
    let request = TriggerRequest::parse(&metadata).map_err(|errors| errors.to_string())?;
    match keys.iter().find(|key| !SIMULATED.contains(&key.as_str())) {
        None => Ok(request.settings),
        Some(key) => Err(format!(
            "{key} has no effect in a simulation: {}",
            match key.as_str() {
                "assignment" => "use --assignment",
                "mode" | "backlogThreshold" | "lagCount" | "unprocessedEventThreshold" =>
                    "`keda-lag:N` is the fixed threshold",
                _ => "remove it",
            }
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn settings_of_a_variation_are_those_of_a_trigger() {
        let text = "streamgauge:targetDelay=60s,maxReplicas=20";
        let Ok(PolicyChoice::One(PolicyName::Streamgauge {
            label,
            target,
            learned: false,
        })) = text.parse()
        else {
            panic!("streamgauge");
        };
        assert_eq!(label, text);
        assert_eq!(target.target_delay, Duration::from_secs(60));
        assert_eq!(target.max_replicas, 20);
        for (text, settings) in [
            ("streamgauge:learned", ""),
            ("streamgauge:learned,maxReplicas=20", "maxReplicas=20"),
        ] {
            let target = parse_settings(settings).unwrap().resolve();
            let name = PolicyName::streamgauge(text.into(), target).having_learned();
            assert_eq!(text.parse(), Ok(PolicyChoice::One(name)));
        }
        assert_eq!("keda-lag".parse(), Ok(PolicyChoice::BestKedaLag));
        let plain = PolicyChoice::One(PolicyName::KedaLag(64));
        assert_eq!("keda-lag:64".parse(), Ok(plain));
    }

    #[test]
    fn what_is_no_setting_is_refused_as_a_trigger_would() {
        let check = |text: &str, expect: &str| {
            let error = text.parse::<PolicyChoice>().unwrap_err();
            assert!(error.starts_with(expect), "{text}: {error}");
        };
        check(
            "streamgauge:targetdelay=60s",
            "trigger metadata: targetdelay: unknown key: did you mean targetDelay?",
        );
        check(
            "streamgauge:targetDelay=soon",
            "trigger metadata: targetDelay: must be a number of seconds or a duration, such as 30, 500ms or 1m30s",
        );
        check(
            "streamgauge:targetDelay",
            "`targetDelay` is not key=value, as in `targetDelay=60s,maxReplicas=20`",
        );
        check(
            "streamgauge:assignment=shared",
            "assignment has no effect in a simulation: use --assignment",
        );
        check(
            "streamgauge:maxReplicas=2,maxReplicas=3",
            "maxReplicas is set twice: remove one of them",
        );
        check(
            "hpa",
            "unknown policy `hpa`; must be one of: streamgauge, streamgauge:KEY=VALUE,…, keda-lag:MESSAGES, keda-lag, flink, flink-default, numaflow, static:REPLICAS, cpu:PERCENT, clairvoyant",
        );
    }
}
