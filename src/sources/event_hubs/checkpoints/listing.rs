//! Blobs as the store describes them: in a listing's XML, or in the headers of one answer.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use crate::model::time::Timestamp;

/// What is known of one blob without its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob {
    /// Changes with every write; without quotes.
    pub etag: String,
    /// When it was last written.
    pub modified: Option<Timestamp>,
    /// Whether somebody holds a lease on it now.
    pub leased: bool,
    /// Metadata; keys in lower case.
    pub metadata: BTreeMap<String, String>,
}

/// One page of a listing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ListingPage {
    /// Blobs by name.
    pub blobs: Vec<(String, Blob)>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename = "EnumerationResults", rename_all = "PascalCase")]
struct Results {
    blobs: Blobs,
    next_marker: Option<String>,
}

#[derive(Deserialize)]
struct Blobs {
    #[serde(default, rename = "Blob")]
    blobs: Vec<ListingEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListingEntry {
    name: Name,
    #[serde(default)]
    properties: Properties,
    metadata: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Deserialize)]
struct Name {
    #[serde(default, rename = "@Encoded")]
    encoded: bool,
    #[serde(default, rename = "$text")]
    text: String,
}

#[derive(Default, Deserialize)]
struct Properties {
    #[serde(rename = "Last-Modified")]
    modified: Option<String>,
    #[serde(default, rename = "Etag")]
    etag: String,
    #[serde(rename = "LeaseState")]
    lease: Option<String>,
}

/// Reads one page.
///
/// # Errors
/// It is no listing; says what is wrong with it.
pub fn parse(body: &[u8]) -> Result<ListingPage, String> {
    let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8".to_owned())?;
    // Azure begins with a byte order mark.
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if !text.contains("<EnumerationResults") {
        return Err("it is not a blob listing".to_owned());
    }
    let results: Results = quick_xml::de::from_str(text).map_err(|error| error.to_string())?;
    let blobs = results.blobs.blobs.into_iter().map(ListingEntry::into_blob);
    Ok(ListingPage {
        blobs: blobs.collect::<Result<_, _>>()?,
        next: results.next_marker.filter(|marker| !marker.is_empty()),
    })
}

impl ListingEntry {
    fn into_blob(self) -> Result<(String, Blob), String> {
        let name = self.name.decode()?;
        let metadata = self.metadata.unwrap_or_default();
        let blob = Blob {
            etag: unquoted(&self.properties.etag),
            modified: self.properties.modified.as_deref().and_then(parse_date),
            leased: is_leased(self.properties.lease.as_deref()),
            metadata: metadata
                .into_iter()
                .map(|(key, value)| (key.to_ascii_lowercase(), value.unwrap_or_default()))
                .collect(),
        };
        Ok((name, blob))
    }
}

impl Name {
    /// The store percent-encodes names that XML cannot hold, and says so.
    fn decode(self) -> Result<String, String> {
        if !self.encoded {
            return Ok(self.text);
        }
        let decoded = percent_decode_str(&self.text).decode_utf8();
        decoded
            .map(|name| name.into_owned())
            .map_err(|_| "a blob's name is not UTF-8".to_owned())
    }
}

impl Blob {
    /// What the headers of an answer about one blob say.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let metadata = headers.iter().filter_map(|(name, value)| {
            let key = name.as_str().strip_prefix("x-ms-meta-")?;
            Some((key.to_ascii_lowercase(), value.to_str().ok()?.to_owned()))
        });
        Self {
            etag: unquoted(text("etag").unwrap_or_default()),
            modified: text("last-modified").and_then(parse_date),
            leased: is_leased(text("x-ms-lease-state")),
            metadata: metadata.collect(),
        }
    }
}

fn unquoted(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}

fn is_leased(state: Option<&str>) -> bool {
    state.is_some_and(|state| state.eq_ignore_ascii_case("leased"))
}

/// A date as HTTP headers carry it.
pub fn parse_date(text: &str) -> Option<Timestamp> {
    let time = httpdate::parse_http_date(text).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(since.as_millis() as u64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AZURE: &str = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults \
ServiceEndpoint=\"https://a.blob.core.windows.net/\" ContainerName=\"c\"><Prefix>n/h/$default/</Prefix><Blobs>\
<Blob><Name>n/h/$default/checkpoint/0</Name><Properties><Creation-Time>Mon, 23 Nov 2026 16:00:00 GMT</Creation-Time>\
<Last-Modified>Mon, 23 Nov 2026 16:00:05 GMT</Last-Modified><Etag>0x8DE</Etag><Content-Length>0</Content-Length>\
<LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState></Properties><Metadata>\
<Sequencenumber>42</Sequencenumber><offset /></Metadata><OrMetadata /></Blob>\
<Blob><Name Encoded=\"true\">n/h/%EF%BF%BE&amp;/0</Name><Properties><Etag>\"0x1\"</Etag><LeaseState>leased</LeaseState>\
</Properties><Metadata /></Blob>\
<Blob><Name>a&amp;b &lt;1&gt;</Name><Properties /></Blob></Blobs><NextMarker>2!76!x--</NextMarker></EnumerationResults>";

    #[test]
    fn a_listing_of_the_real_service_is_understood() {
        let page = parse(AZURE.as_bytes()).expect("a page");
        assert_eq!(page.next.as_deref(), Some("2!76!x--"));
        let (name, blob) = &page.blobs[0];
        assert_eq!(name, "n/h/$default/checkpoint/0");
        assert_eq!(blob.etag, "0x8DE");
        assert_eq!(
            blob.modified,
            Some(Timestamp::from_millis(1_795_449_605_000))
        );
        assert_eq!(blob.metadata["sequencenumber"], "42");
        assert_eq!(blob.metadata["offset"], "");
        assert!(!blob.leased);
        let (name, blob) = &page.blobs[1];
        assert_eq!(name, "n/h/\u{fffe}&/0");
        assert!(blob.leased && blob.metadata.is_empty());
        assert_eq!(blob.etag, "0x1");
        assert_eq!(page.blobs[2].0, "a&b <1>");
    }

    #[test]
    fn an_empty_listing_is_empty() {
        for blobs in ["<Blobs/>", "<Blobs></Blobs>"] {
            let text = format!("<EnumerationResults>{blobs}<NextMarker/></EnumerationResults>");
            assert_eq!(
                parse(text.as_bytes()).expect("a page"),
                ListingPage::default()
            );
        }
    }

    #[test]
    fn what_is_no_listing_is_refused() {
        for text in [
            "",
            "<html></html>",
            "<EnumerationResults>",
            "{}",
            "<EnumerationResults></EnumerationResults>",
            "<EnumerationResults><Blobs><Blob><Name>a",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn a_damaged_listing_never_panics(at in 0_usize..1000, with in any::<u8>(), cut in 0_usize..2000) {
            let mut bytes = AZURE.as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = with;
            bytes.truncate(cut);
            let _ = parse(&bytes);
        }
    }
}
