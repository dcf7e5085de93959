//! What a kind of value is, what a mapping of keys is, and what docs and JSON Schema are told of each.

use serde_json::Value as Json;
use serde_yaml::{Mapping, Value};

use super::place::Place;

/// How one value is written.
pub trait Kind {
    /// What it becomes.
    type Value;

    /// Reads a value of the config file; `None` after a fault was noted.
    fn read(&self, value: Value, at: &mut Place<'_>) -> Option<Self::Value>;

    /// Reads a value of trigger metadata, where everything is text. A fault never repeats the value.
    ///
    /// # Errors
    /// What it must be.
    fn read_text(&self, text: &str) -> Result<Self::Value, String>;

    /// As it would be written in the file.
    fn print(&self, value: &Self::Value) -> Value;

    /// Its JSON Schema.
    fn schema(&self) -> Json;

    /// What a description of the key should add: its bounds, its words.
    fn limits(&self) -> Option<String> {
        None
    }

    /// The keys within it, if it is a mapping or a list of mappings.
    fn inner(&self) -> Option<InnerKeys> {
        None
    }
}

/// A mapping with known keys, made by `keys!`.
pub trait Keys: Sized {
    /// The keys, those of flattened parts not included.
    const NAMES: &'static [&'static str];
    /// Keys that the interface names and the program does not support yet.
    const LATER: &'static [&'static str];
    /// Keys of which exactly one has to be there.
    const EXACTLY_ONE: &'static [&'static str];

    /// Reads every key; faults are noted by the reader.
    fn read<R: KeyReader>(reader: &mut R) -> Self;

    /// Writes every key that says something.
    fn print(&self, out: &mut Mapping);

    /// Describes every key.
    fn describe() -> Vec<KeyInfo>;
}

/// Where keys are read from: a section of the file, or trigger metadata.
pub trait KeyReader {
    /// Whether a key is there and says something.
    fn has(&self, name: &str) -> bool;

    /// Reads a key; `None` if it is not there, or after a fault was noted.
    fn value<K: Kind>(&mut self, name: &'static str, kind: &K) -> Option<K::Value>;

    /// Notes that a key has to be there.
    fn missing(&mut self, name: &'static str, advice: &str);
}

/// One key, for docs and JSON Schema.
#[derive(Clone, Debug)]
pub struct KeyInfo {
    /// In snake_case.
    pub name: &'static str,
    /// What it says, in plain English; Markdown.
    pub about: String,
    /// What holds where it is not there.
    pub standard: Standard,
    /// Its bounds or words; Markdown.
    pub limits: Option<String>,
    /// Its JSON Schema, without description and default.
    pub schema: Json,
    /// The keys within it.
    pub inner: Option<InnerKeys>,
}

/// What holds where a key is not there.
#[derive(Clone, Debug, PartialEq)]
pub enum Standard {
    /// It has to be there.
    Required,
    /// This value.
    Value(Value),
    /// What the words say.
    Words(&'static str),
    /// Nothing.
    Nothing,
}

/// The keys within a key.
#[derive(Clone, Debug)]
pub struct InnerKeys {
    /// What is added to the path: `[]` for a list.
    pub suffix: &'static str,
    /// Its keys.
    pub keys: Vec<KeyInfo>,
}

impl InnerKeys {
    /// The keys of a mapping, or of each mapping of a list.
    pub fn of<S: Keys>(suffix: &'static str) -> Self {
        Self {
            suffix,
            keys: S::describe(),
        }
    }
}

/// What all keys of a mapping have for a default, as a mapping that is left out gets them.
pub fn standard<S: Keys>() -> S {
    S::read(&mut Nothing)
}

/// A reader that has no key.
struct Nothing;

impl KeyReader for Nothing {
    fn has(&self, _: &str) -> bool {
        false
    }

    fn value<K: Kind>(&mut self, _: &'static str, _: &K) -> Option<K::Value> {
        None
    }

    fn missing(&mut self, _: &'static str, _: &str) {}
}

/// The keys that say something, as a mapping of the file.
pub fn print<S: Keys>(keys: &S) -> Value {
    let mut out = Mapping::new();
    keys.print(&mut out);
    Value::Mapping(out)
}
