//! What a config key is: a name, a kind of value, a default and a sentence about it. `keys!` turns a list of them into a struct that
//! reads itself, prints itself and describes itself, so that reader, printed config, docs and JSON Schema cannot drift apart.

mod compound;
pub(super) mod entry;
mod kind;
mod mapping;
mod numbers;
mod place;
mod scalar;
mod section;
mod words;

pub(super) use compound::{ListOf, StreamNames, UrlOrSecret, secret};
pub use entry::shown;
pub(super) use entry::{always, flat, optional, preset, required};
pub use kind::{InnerKeys, KeyInfo, KeyReader, Keys, Kind, Standard, print, standard};
pub(super) use mapping::{SectionList, Sub, schema};
pub(super) use numbers::{DurationRange, Number, Whole};
pub(super) use place::Place;
pub(super) use scalar::{GroupName, Parsed, Text, file, name};
pub(super) use words::{Flag, Switch, Words};

/// Declares a mapping: a struct with one field per key. The doc comment of a field is its description in docs and schema, its
/// initializer says how it is read and what holds without it. `later` names keys to come, `exactly_one` keys that exclude each other.
macro_rules! keys {
    (
        $(#[doc = $about:literal])+
        $vis:vis struct $Name:ident {
            $( $(#[doc = $doc:literal])+ $field:ident: $Type:ty = $entry:expr, )+
        }
        $(later [$($later:literal),+])?
        $(exactly_one [$($one:literal),+])?
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        $vis struct $Name {
            $( $(#[doc = $doc])+ pub $field: $Type, )+
        }

        impl $crate::config::keys::Keys for $Name {
            const NAMES: &'static [&'static str] = &[$(stringify!($field)),+];
            const LATER: &'static [&'static str] = &[$($($later),+)?];
            const EXACTLY_ONE: &'static [&'static str] = &[$($($one),+)?];

            fn read<R: $crate::config::keys::KeyReader>(reader: &mut R) -> Self {
                use $crate::config::keys::entry::Entry;
                Self { $( $field: $entry.read(stringify!($field), reader), )+ }
            }

            fn print(&self, out: &mut ::serde_yaml::Mapping) {
                use $crate::config::keys::entry::Entry;
                $( $entry.print(stringify!($field), &self.$field, out); )+
            }

            fn describe() -> Vec<$crate::config::keys::KeyInfo> {
                use $crate::config::keys::entry::Entry;
                let mut all = Vec::new();
                $( $entry.describe(stringify!($field), concat!($($doc),+), &mut all); )+
                all
            }
        }
    };
}

pub(super) use keys;
