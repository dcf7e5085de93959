//! What holds where a key is not there: required, a default, nothing; and keys that stand among others.

use std::marker::PhantomData;

use serde_yaml::{Mapping, Value};

use super::kind::{self, KeyInfo, KeyReader, Keys, Kind, Standard};
use super::mapping::Sub;

/// A key within a mapping, or several.
pub trait Entry {
    /// What the field holds.
    type Field;

    /// Reads it.
    fn read<R: KeyReader>(&self, name: &'static str, reader: &mut R) -> Self::Field;

    /// Writes it, if it says something.
    fn print(&self, name: &str, field: &Self::Field, out: &mut Mapping);

    /// Describes it.
    fn describe(&self, name: &'static str, about: &'static str, all: &mut Vec<KeyInfo>);
}

/// A key that may be left out.
pub struct Optional<K> {
    kind: K,
    standard: Standard,
}

/// A key that may be left out and then says nothing.
pub fn optional<K: Kind>(kind: K) -> Optional<K> {
    let standard = Standard::Nothing;
    Optional { kind, standard }
}

impl<K: Kind> Optional<K> {
    /// What holds without it, in words.
    pub fn else_words(self, words: &'static str) -> Self {
        let standard = Standard::Words(words);
        Self { standard, ..self }
    }

    /// What holds without it. Others fill it in: metadata that leaves a key out leaves it to the config.
    pub fn else_value(self, value: &K::Value) -> Self {
        let standard = Standard::Value(self.kind.print(value));
        Self { standard, ..self }
    }
}

impl<K: Kind> Entry for Optional<K> {
    type Field = Option<K::Value>;

    fn read<R: KeyReader>(&self, name: &'static str, reader: &mut R) -> Self::Field {
        reader.value(name, &self.kind)
    }

    fn print(&self, name: &str, field: &Self::Field, out: &mut Mapping) {
        if let Some(value) = field {
            out.insert(name.into(), self.kind.print(value));
        }
    }

    fn describe(&self, name: &'static str, about: &'static str, all: &mut Vec<KeyInfo>) {
        all.push(info(name, about, &self.kind, self.standard.clone()));
    }
}

/// A key that has to be there.
pub struct Required<K> {
    kind: K,
    advice: &'static str,
}

/// A key that has to be there; `advice` says what to write. The field is `None` only after a fault.
pub const fn required<K: Kind>(kind: K, advice: &'static str) -> Required<K> {
    Required { kind, advice }
}

impl<K: Kind> Entry for Required<K> {
    type Field = Option<K::Value>;

    fn read<R: KeyReader>(&self, name: &'static str, reader: &mut R) -> Self::Field {
        if !reader.has(name) {
            reader.missing(name, self.advice);
        }
        reader.value(name, &self.kind)
    }

    fn print(&self, name: &str, field: &Self::Field, out: &mut Mapping) {
        if let Some(value) = field {
            out.insert(name.into(), self.kind.print(value));
        }
    }

    fn describe(&self, name: &'static str, about: &'static str, all: &mut Vec<KeyInfo>) {
        all.push(info(name, about, &self.kind, Standard::Required));
    }
}

/// A key with a default.
pub struct Preset<K: Kind> {
    kind: K,
    value: K::Value,
}

/// A key with a default, which also stands in for a faulty value.
pub const fn preset<K: Kind>(kind: K, value: K::Value) -> Preset<K> {
    Preset { kind, value }
}

impl<K: Kind> Entry for Preset<K>
where
    K::Value: Clone,
{
    type Field = K::Value;

    fn read<R: KeyReader>(&self, name: &'static str, reader: &mut R) -> Self::Field {
        let found = reader.value(name, &self.kind);
        found.unwrap_or_else(|| self.value.clone())
    }

    fn print(&self, name: &str, field: &Self::Field, out: &mut Mapping) {
        out.insert(name.into(), self.kind.print(field));
    }

    fn describe(&self, name: &'static str, about: &'static str, all: &mut Vec<KeyInfo>) {
        let standard = Standard::Value(self.kind.print(&self.value));
        all.push(info(name, about, &self.kind, standard));
    }
}

/// A section whose keys all have defaults.
pub struct Always<S>(PhantomData<S>);

/// A section that, left out, is as if it were there without keys.
pub const fn always<S: Keys>() -> Always<S> {
    Always(PhantomData)
}

impl<S: Keys> Entry for Always<S> {
    type Field = S;

    fn read<R: KeyReader>(&self, name: &'static str, reader: &mut R) -> S {
        let found = reader.value(name, &Sub::<S>::new());
        found.unwrap_or_else(kind::standard)
    }

    fn print(&self, name: &str, field: &S, out: &mut Mapping) {
        out.insert(name.into(), kind::print(field));
    }

    fn describe(&self, name: &'static str, about: &'static str, all: &mut Vec<KeyInfo>) {
        let kind = Sub::<S>::new();
        all.push(info(name, about, &kind, Standard::Nothing));
    }
}

/// Keys that stand among the others.
pub struct Flat<S>(PhantomData<S>);

/// Keys of another list that stand in this mapping.
pub const fn flat<S: Keys>() -> Flat<S> {
    Flat(PhantomData)
}

impl<S: Keys> Entry for Flat<S> {
    type Field = S;

    fn read<R: KeyReader>(&self, _: &'static str, reader: &mut R) -> S {
        S::read(reader)
    }

    fn print(&self, _: &str, field: &S, out: &mut Mapping) {
        field.print(out);
    }

    fn describe(&self, _: &'static str, _: &'static str, all: &mut Vec<KeyInfo>) {
        all.extend(S::describe());
    }
}

fn info<K: Kind>(name: &'static str, about: &str, kind: &K, standard: Standard) -> KeyInfo {
    KeyInfo {
        name,
        about: about.trim().to_owned(),
        standard,
        limits: kind.limits().filter(|limits| !says(about, limits)),
        schema: kind.schema(),
        inner: kind.inner(),
    }
}

/// Whether a description names every word of the limits already.
fn says(about: &str, limits: &str) -> bool {
    let mut words = limits.split('`').skip(1).step_by(2).peekable();
    words.peek().is_some() && words.all(|word| about.contains(&format!("`{word}`")))
}

/// A scalar as docs show it.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_yaml::to_string(other)
            .map_or_else(|_| String::new(), |text| text.trim().to_owned()),
    }
}
