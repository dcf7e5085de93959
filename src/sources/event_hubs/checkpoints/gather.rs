//! Asks the store for a consumer group's blobs: by a listing, or one by one where listing is not allowed.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream;
use reqwest::Method;
use tokio::time::Instant;

use super::assemble::GatheredBlobs;
use super::document::{Document, of_json};
use super::failure;
use super::http::{BlobRequest, BlobResponse, Sender, encode, encode_path};
use super::layout::{Layout, OwnerPlace, Site};
use super::listing::{self, Blob, parse_date};
use crate::model::sample::Failure;
use crate::model::time::Timestamp;

/// Requests under way at once.
const CONCURRENT: usize = 16;

/// Pages of a listing that are read; what has more holds so much else that another way costs less.
const MAX_PAGES: u32 = 4;

/// Contents by blob name, each with the blob as it was when the content was read.
pub type KeptDocuments = BTreeMap<String, (Blob, Result<Document, String>)>;

/// What a listing came to.
pub enum Listing {
    /// It was read to its end.
    Read {
        /// Requests that it took.
        pages: u32,
        /// The store's own clock.
        now: Option<Timestamp>,
    },
    /// There is no container.
    NoContainer,
    /// It is refused.
    Denied(Failure),
    /// It has more pages than are read.
    Endless,
}

/// Asks on behalf of one reading.
pub struct Gatherer<'a> {
    /// Sends.
    pub sender: &'a Sender,
    /// In which container.
    pub container: &'a str,
    /// Account and container, for texts.
    pub place: &'a str,
    /// The end of the reading's time.
    pub until: Instant,
}

/// A blob to ask for.
struct Wanted<'a> {
    name: String,
    layout: Layout,
    /// The partition whose content it has; `None` if only headers matter.
    content_of: Option<&'a str>,
}

enum One {
    Blob(Blob, Option<Result<Document, String>>),
    Unchanged,
    Absent,
    NoContainer,
}

impl Gatherer<'_> {
    /// Hands over every blob under the prefix; 5,000 come with one request.
    ///
    /// # Errors
    /// The store did not answer, or refused in another way than by denying the listing.
    pub async fn list(
        &self,
        prefix: &str,
        mut take: impl FnMut(String, Blob),
    ) -> Result<Listing, Failure> {
        let (mut marker, mut now) = (None, None);
        for pages in 1..=MAX_PAGES {
            let answer = self.page(prefix, marker.as_deref()).await?;
            if answer.lacks_container() {
                return Ok(Listing::NoContainer);
            }
            if answer.status != 200 {
                let refusal = answer.refusal(self.place);
                let is_denied = answer.status == 403 && answer.code() != "AuthenticationFailed";
                return if is_denied {
                    Ok(Listing::Denied(refusal))
                } else {
                    Err(refusal)
                };
            }
            now = now.or(date(&answer));
            let page =
                listing::parse(&answer.body).map_err(|what| failure::garbled(self.place, &what))?;
            for (name, blob) in page.blobs {
                take(name, blob);
            }
            marker = page.next;
            if marker.is_none() {
                return Ok(Listing::Read { pages, now });
            }
        }
        Ok(Listing::Endless)
    }

    async fn page(&self, prefix: &str, marker: Option<&str>) -> Result<BlobResponse, Failure> {
        let mut query = "restype=container&comp=list&include=metadata".to_owned();
        if !prefix.is_empty() {
            query.push_str(&format!("&prefix={}", encode(prefix)));
        }
        if let Some(marker) = marker {
            query.push_str(&format!("&marker={}", encode(marker)));
        }
        let request = BlobRequest {
            method: Method::GET,
            path: format!("/{}", encode(self.container)),
            query,
            unless: None,
            subject: self.place,
        };
        self.sender.send(&request, self.until).await
    }

    /// Reads the contents of listed blobs that are not kept as they are now.
    ///
    /// # Errors
    /// None of them could be read.
    pub async fn read_contents(
        &self,
        sites: &[Site],
        partitions: &[String],
        gathered: &mut GatheredBlobs,
        kept: &mut KeptDocuments,
    ) -> Result<(), Failure> {
        let mut changed = Vec::new();
        let wanted = sites.iter().flat_map(|site| checkpoints(site, partitions));
        for wanted in wanted.filter(|wanted| wanted.content_of.is_some()) {
            let Some(listed) = gathered.blobs.get(&wanted.name) else {
                continue;
            };
            match kept.get(&wanted.name) {
                Some((blob, document)) if blob.etag == listed.etag && !blob.etag.is_empty() => {
                    gathered.documents.insert(wanted.name, document.clone());
                }
                _ => changed.push(wanted),
            }
        }
        self.ask(changed, gathered, kept).await.map(|_| ())
    }

    /// Every blob of a site by itself, and whether the container exists. The first one is tried alone: whoever may read nothing
    /// is refused once, not many times.
    ///
    /// # Errors
    /// No blob could be asked.
    pub async fn ask_each(
        &self,
        site: &Site,
        partitions: &[String],
        gathered: &mut GatheredBlobs,
        kept: &mut KeptDocuments,
    ) -> Result<bool, Failure> {
        let mut wanted: Vec<Wanted<'_>> = checkpoints(site, partitions).collect();
        wanted.extend(ownerships(site, partitions));
        let rest = wanted.split_off(wanted.len().min(1));
        for wanted in [wanted, rest] {
            if !self.ask(wanted, gathered, kept).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Asks for these, notes what comes, and says whether the container exists.
    ///
    /// # Errors
    /// None of these could be asked, and nothing is known from before.
    async fn ask(
        &self,
        wanted: Vec<Wanted<'_>>,
        gathered: &mut GatheredBlobs,
        kept: &mut KeptDocuments,
    ) -> Result<bool, Failure> {
        let asked: Vec<_> = wanted.iter().map(|wanted| self.one(wanted, kept)).collect();
        let answers: Vec<_> = stream::iter(asked).buffered(CONCURRENT).collect().await;
        let (count, mut failures) = (wanted.len(), 0);
        for (wanted, answer) in wanted.into_iter().zip(answers) {
            let name = wanted.name;
            let one = match answer {
                Ok((one, now)) => {
                    gathered.now = gathered.now.or(now);
                    one
                }
                Err(failure) => {
                    failures += 1;
                    if failures == count && gathered.documents.is_empty() && gathered.now.is_none()
                    {
                        return Err(failure);
                    }
                    gathered.failures.insert(name, failure);
                    continue;
                }
            };
            match one {
                One::NoContainer => return Ok(false),
                One::Absent => {
                    gathered.blobs.remove(&name);
                }
                One::Unchanged => {
                    if let Some((blob, document)) = kept.get(&name) {
                        gathered.documents.insert(name.clone(), document.clone());
                        gathered.blobs.insert(name, blob.clone());
                    }
                }
                One::Blob(blob, document) => {
                    if let Some(document) = document {
                        kept.insert(name.clone(), (blob.clone(), document.clone()));
                        gathered.documents.insert(name.clone(), document);
                    }
                    gathered.blobs.insert(name, blob);
                }
            }
        }
        Ok(true)
    }

    async fn one(
        &self,
        wanted: &Wanted<'_>,
        kept: &KeptDocuments,
    ) -> Result<(One, Option<Timestamp>), Failure> {
        let subject = format!("{}, blob {}", self.place, wanted.name);
        // An answer of "unchanged" does not tell the lease, which changes without a write.
        let is_conditional = wanted.layout.owner_place() == OwnerPlace::Nowhere;
        let known = kept.get(&wanted.name).filter(|_| is_conditional);
        let container = encode(self.container);
        let request = BlobRequest {
            method: wanted.content_of.map_or(Method::HEAD, |_| Method::GET),
            path: format!("/{container}/{}", encode_path(&wanted.name)),
            query: String::new(),
            unless: known.map(|(blob, _)| blob.etag.as_str()),
            subject: &subject,
        };
        let answer = self.sender.send(&request, self.until).await?;
        let one = match answer.status {
            200 => {
                let blob = Blob::from_headers(&answer.headers);
                let is_nested = wanted.layout.is_nested();
                let document = wanted
                    .content_of
                    .map(|partition| of_json(&answer.body, is_nested, partition));
                One::Blob(blob, document)
            }
            304 if known.is_some() => One::Unchanged,
            _ if answer.lacks_blob() => One::Absent,
            _ if answer.lacks_container() => One::NoContainer,
            _ => return Err(answer.refusal(&subject)),
        };
        Ok((one, date(&answer)))
    }
}

fn checkpoints<'a>(
    site: &'a Site,
    partitions: &'a [String],
) -> impl Iterator<Item = Wanted<'a>> + 'a {
    partitions.iter().map(|partition| Wanted {
        name: site.checkpoint(partition),
        layout: site.layout,
        content_of: site.layout.has_content().then_some(partition.as_str()),
    })
}

fn ownerships<'a>(
    site: &'a Site,
    partitions: &'a [String],
) -> impl Iterator<Item = Wanted<'a>> + 'a {
    partitions.iter().filter_map(|partition| {
        Some(Wanted {
            name: site.ownership(partition)?,
            layout: site.layout,
            content_of: None,
        })
    })
}

fn date(answer: &BlobResponse) -> Option<Timestamp> {
    let text = answer.headers.get("date")?.to_str().ok()?;
    parse_date(text)
}
