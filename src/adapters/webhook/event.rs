//! News of an incident as a CloudEvent 1.0 in its structured JSON form.

use serde::Serialize;

use crate::adapters::json_api::incident::IncidentShape;
use crate::adapters::json_api::values::rfc3339;
use crate::publish::notices::Notice;

/// The media type of what is posted.
pub(super) const CONTENT_TYPE: &str = "application/cloudevents+json";

/// <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    #[serde(rename = "type")]
    kind: String,
    /// The group.
    subject: &'a str,
    time: String,
    datacontenttype: &'static str,
    data: IncidentShape,
}

/// The id of the event: the same at every attempt, and never used for another event.
pub(super) fn id(notice: &Notice) -> String {
    let (number, change) = (notice.incident.number, notice.change.as_str());
    let at = notice.at.as_millis();
    // Part of a header: the group's name may hold what must not stand there.
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '_'
        }
    };
    let group: String = notice.group.chars().map(plain).collect();
    format!("{group}-{number}-{at}-{change}")
}

/// The body of the request.
pub(super) fn body(source: &str, id: &str, notice: &Notice) -> String {
    let event = CloudEvent {
        specversion: "1.0",
        id,
        source,
        kind: format!("io.streamgauge.incident.{}", notice.change.as_str()),
        subject: &notice.group,
        time: rfc3339(notice.at),
        datacontenttype: "application/json",
        data: IncidentShape::of(&notice.group, &notice.incident),
    };
    // Text, numbers and lists: nothing of it can fail to be written.
    serde_json::to_string(&event).unwrap_or_default()
}
