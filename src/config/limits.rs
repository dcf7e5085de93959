//! How much ScaledObjects may ask for.

use super::keys;

pub use super::table::LimitsConfig;

impl Default for LimitsConfig {
    fn default() -> Self {
        keys::standard()
    }
}
