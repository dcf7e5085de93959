//! Mappings with known keys, and lists of them; their JSON Schema.

use std::marker::PhantomData;

use serde_json::{Value as Json, json};
use serde_yaml::Value;

use super::kind::{InnerKeys, KeyInfo, Keys, Kind, Standard, print};
use super::place::Place;
use super::section::OpenSection;

/// What is said of a value that metadata cannot hold.
pub(super) const NOT_TEXT: &str =
    "is not allowed in trigger metadata: set it in streamgauge's config";

/// A mapping.
pub struct Sub<S>(PhantomData<S>);

impl<S: Keys> Sub<S> {
    /// One with these keys.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<S: Keys> Kind for Sub<S> {
    type Value = S;

    fn read(&self, value: Value, at: &mut Place<'_>) -> Option<S> {
        let mut section = OpenSection::open(value, at.at(""))?;
        let found = S::read(&mut section);
        section.finish(S::LATER);
        Some(found)
    }

    fn read_text(&self, _: &str) -> Result<S, String> {
        Err(NOT_TEXT.into())
    }

    fn print(&self, value: &S) -> Value {
        print(value)
    }

    fn schema(&self) -> Json {
        schema::<S>()
    }

    fn inner(&self) -> Option<InnerKeys> {
        Some(InnerKeys::of::<S>(""))
    }
}

/// A list of mappings. One that is no mapping is kept as `None`: the others keep their places.
pub struct SectionList<S>(PhantomData<S>);

impl<S: Keys> SectionList<S> {
    /// One of mappings with these keys.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<S: Keys> Kind for SectionList<S> {
    type Value = Vec<Option<S>>;

    fn read(&self, value: Value, at: &mut Place<'_>) -> Option<Self::Value> {
        let Value::Sequence(items) = value else {
            at.fault("must be a list, with each item on a line that starts with `- `");
            return None;
        };
        let read = |(n, item)| Sub::<S>::new().read(item, &mut at.item(n));
        Some(items.into_iter().enumerate().map(read).collect())
    }

    fn read_text(&self, _: &str) -> Result<Self::Value, String> {
        Err(NOT_TEXT.into())
    }

    fn print(&self, value: &Self::Value) -> Value {
        value.iter().flatten().map(print).collect()
    }

    fn schema(&self) -> Json {
        json!({ "type": "array", "items": schema::<S>() })
    }

    fn inner(&self) -> Option<InnerKeys> {
        Some(InnerKeys::of::<S>("[]"))
    }
}

/// The JSON Schema of a mapping.
pub fn schema<S: Keys>() -> Json {
    let InnerKeys { keys, .. } = InnerKeys::of::<S>("");
    let required: Vec<&str> = keys
        .iter()
        .filter(|key| key.standard == Standard::Required)
        .map(|key| key.name)
        .collect();
    let properties = keys.iter().map(|key| (key.name.to_owned(), property(key)));
    let mut schema = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties.collect::<serde_json::Map<_, _>>(),
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !S::EXACTLY_ONE.is_empty() {
        let one = S::EXACTLY_ONE
            .iter()
            .map(|key| json!({ "required": [key] }));
        schema["oneOf"] = one.collect();
    }
    schema
}

fn property(key: &KeyInfo) -> Json {
    let mut schema = key.schema.clone();
    let limits = key.limits.as_ref().map(|limits| format!(" {limits}"));
    let text = format!("{}{}", key.about, limits.unwrap_or_default());
    schema["description"] = without_links(&text).into();
    if let Standard::Value(value) = &key.standard
        && let Ok(value) = serde_json::to_value(value)
    {
        schema["default"] = value;
    }
    schema
}

/// Editors show descriptions as they stand: of a link its text.
fn without_links(markdown: &str) -> String {
    let mut parts = markdown.split("](");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if let Some(at) = text.rfind('[') {
            text.remove(at);
        }
        text.push_str(part.split_once(')').map_or(part, |(_, rest)| rest));
    }
    text
}
