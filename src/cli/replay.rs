//! Arguments of `replay`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use clap::Args;

use super::policy_choice::parse_settings;
use crate::model::time::Timestamp;
use crate::policy::spec::PolicySettings;

/// Arguments of `replay`.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// The `state.dir` of the config, or the folder of one group in its `journal` folder.
    #[arg(value_name = "JOURNAL")]
    pub path: PathBuf,
    /// Only this group, by the name that the page shows.
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// Explain what was answered at this time: HH:MM or HH:MM:SS (the last one, UTC), or as in 2026-11-30T03:14:00Z.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["from", "to", "verify", "policy"])]
    pub at: Option<PointInTime>,
    /// Nothing before this time.
    #[arg(long, value_name = "TIME")]
    pub from: Option<PointInTime>,
    /// Nothing after this time.
    #[arg(long, value_name = "TIME")]
    pub to: Option<PointInTime>,
    /// Compute every decision again and compare it, and every saved state, to the bit.
    #[arg(long, conflicts_with = "policy")]
    pub verify: bool,
    /// What would have been answered with other settings, such as targetDelay=60s,maxReplicas=20.
    #[arg(long, value_name = "KEY=VALUE,…", value_parser = parse_settings)]
    pub policy: Option<PolicySettings>,
}

/// A point in time, or a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointInTime {
    /// That point, by the wall clock.
    Exactly(Timestamp),
    /// The last time that a clock showed this since midnight, UTC.
    OfDay(Duration),
}

const DAY: u64 = 86_400_000;

impl PointInTime {
    /// By the wall clock, which shows `now`.
    pub fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Exactly(at) => at,
            Self::OfDay(since_midnight) => {
                let midnight = Timestamp::from_millis(now.as_millis() / DAY * DAY);
                let today = midnight.plus(since_midnight);
                match today <= now {
                    true => today,
                    false => today.minus(Duration::from_millis(DAY)),
                }
            }
        }
    }
}

impl FromStr for PointInTime {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        of_day(text)
            .map(Self::OfDay)
            .or_else(|| {
                let at = humantime::parse_rfc3339_weak(text).ok()?;
                let at = at.duration_since(UNIX_EPOCH).ok()?.as_millis();
                Some(Self::Exactly(Timestamp::from_millis(at.try_into().ok()?)))
            })
            .ok_or("must be a time of day, such as 03:14 or 03:14:30, or a time such as 2026-11-30T03:14:00Z (UTC)")
    }
}

fn of_day(text: &str) -> Option<Duration> {
    let parts: Option<Vec<u64>> = text
        .split(':')
        .map(|digits| digits.parse().ok().filter(|_| digits.len() == 2))
        .collect();
    let (hours, minutes, seconds) = match parts?[..] {
        [hours, minutes] => (hours, minutes, 0),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => return None,
    };
    let is_one = hours < 24 && minutes < 60 && seconds < 60;
    is_one.then(|| Duration::from_secs(hours * 3_600 + minutes * 60 + seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_the_last_one_and_a_time_is_itself() {
        let read = |text: &str| text.parse::<PointInTime>();
        let at = |text: &str| match read(text) {
            Ok(PointInTime::Exactly(at)) => at,
            other => panic!("{text}: {other:?}"),
        };
        let now = at("2026-11-30T12:00:00Z");
        for (text, expect) in [
            ("03:14", "2026-11-30T03:14:00Z"),
            ("12:00:00", "2026-11-30T12:00:00Z"),
            ("12:00:01", "2026-11-29T12:00:01Z"),
            ("2026-11-28 03:14:00", "2026-11-28T03:14:00Z"),
        ] {
            let point = read(text).expect(text);
            assert_eq!(point.before(now), at(expect), "{text}");
        }
        for wrong in ["", "3:14", "24:00", "03:60", "noon", "03", "-1:00"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
