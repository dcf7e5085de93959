//! What a baseline knows, as it is kept over a restart.

use serde::{Deserialize, Serialize};

use super::{Baseline, BaselineRules, SeriesMemory, State};

/// Of the layout and the meaning of the state. A change of either counts it up.
pub const VERSION: u32 = 1;

/// A baseline's state in a form that can be read whatever its version: what is inside is only looked at if it is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    version: u32,
    state: serde_json::Value,
}

/// Why a baseline learns from scratch; never a reason to stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LearnsAnew {
    /// Written by another version of the program.
    #[error(
        "the saved baseline has format {found}, this version reads {VERSION}: learning starts over"
    )]
    Version {
        /// What was found.
        found: u32,
    },
    /// The right version, but not what it should be.
    #[error("the saved baseline cannot be read ({reason}): learning starts over")]
    Unreadable {
        /// What is wrong.
        reason: String,
    },
    /// With or without a weekly season, other than the rules say now.
    #[error("the weekly season was switched on or off: learning starts over")]
    Season,
}

impl Baseline {
    /// All that is needed to continue after a restart.
    ///
    /// # Errors
    /// None that is known: numbers are finite by construction.
    pub fn save(&self) -> Result<Saved, serde_json::Error> {
        Ok(Saved {
            version: VERSION,
            state: match &self.series {
                SeriesMemory::Still(still) => serde_json::to_value(still.whole()),
                SeriesMemory::Varied(state) => serde_json::to_value(state),
            }?,
        })
    }

    /// Continues where the saved one was. What cannot be used is said, and learning starts over.
    pub fn restore(rules: BaselineRules, saved: Saved) -> (Self, Option<LearnsAnew>) {
        match State::read(rules, saved) {
            Ok(state) => {
                let series = SeriesMemory::of(state);
                (Self { rules, series }, None)
            }
            Err(warning) => (Self::new(rules), Some(warning)),
        }
    }
}

/// As a part of something larger that is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    rules: BaselineRules,
    saved: Saved,
}

/// As it is in formats that are read by the code that wrote them alone; else in the form that can be read whatever its version.
impl Serialize for Baseline {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return (self.rules, &self.series).serialize(serializer);
        }
        let kept = Kept {
            rules: self.rules,
            saved: self.save().map_err(serde::ser::Error::custom)?,
        };
        kept.serialize(serializer)
    }
}

/// What is of another version, or damaged, learns from scratch: that is no reason to lose what stands beside it.
impl<'de> Deserialize<'de> for Baseline {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            let (rules, series) = Deserialize::deserialize(deserializer)?;
            return Ok(Self { rules, series });
        }
        let kept = Kept::deserialize(deserializer)?;
        Ok(Self::restore(kept.rules, kept.saved).0)
    }
}

impl State {
    fn read(rules: BaselineRules, saved: Saved) -> Result<Self, LearnsAnew> {
        if saved.version != VERSION {
            return Err(LearnsAnew::Version {
                found: saved.version,
            });
        }
        let state: Self =
            serde_json::from_value(saved.state).map_err(|error| LearnsAnew::Unreadable {
                reason: error.to_string(),
            })?;
        if !state.seasons.are_whole() {
            return Err(LearnsAnew::Unreadable {
                reason: "a season has the wrong number of hours".to_owned(),
            });
        }
        if state.seasons.weekly() != rules.weekly_season {
            return Err(LearnsAnew::Season);
        }
        Ok(state)
    }
}
