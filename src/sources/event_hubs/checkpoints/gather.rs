//! Asks the store for a consumer group's blobs: by one listing, or one by one where listing is not allowed.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;
use futures_util::stream;
use reqwest::Method;
use tokio::time::Instant;

use super::assemble::Gathered;
use super::document::{Document, of_json};
use super::failure;
use super::http::{Answer, Request, Sender, encode, encode_path};
use super::layout::{Layout, OwnerPlace};
use super::listing::{self, Blob, parse_date};
use crate::model::sample::Failure;

/// Requests under way at once.
const CONCURRENT: usize = 16;

/// Pages of a listing that are read; a container with more holds so much else that asking blob by blob costs less.
const MAX_PAGES: usize = 4;

/// Contents by blob name, each with the blob as it was when the content was read.
pub type Kept = BTreeMap<String, (Blob, Result<Document, String>)>;

/// What asking came to.
pub enum Gathering {
    /// The blobs.
    Found(Gathered),
    /// There is no container.
    NoContainer,
    /// The listing is refused or endless: the blobs have to be asked one by one.
    NotListed(Failure),
}

/// Asks on behalf of one reading.
pub struct Gatherer<'a> {
    /// Sends.
    pub sender: &'a Sender,
    /// Which blobs.
    pub layout: &'a Layout,
    /// Of which partitions.
    pub partitions: &'a [String],
    /// Account and container, for texts.
    pub place: &'a str,
    /// The end of the reading's time.
    pub until: Instant,
}

/// A blob to ask for.
struct Wanted<'a> {
    name: String,
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
    /// Everything under the prefix in one request per 5,000 blobs, and the contents that changed.
    ///
    /// # Errors
    /// The store did not answer, or refused in another way than by denying the listing.
    pub async fn list(&self, prefix: &str, kept: &mut Kept) -> Result<Gathering, Failure> {
        let mut gathered = Gathered::default();
        let wanted = self.wanted(prefix);
        let names: BTreeSet<String> = wanted.iter().map(|wanted| wanted.name.clone()).collect();
        let mut marker = None;
        for _ in 0..MAX_PAGES {
            let answer = self.page(prefix, marker.as_deref()).await?;
            if answer.lacks_container() {
                return Ok(Gathering::NoContainer);
            }
            if answer.status != 200 {
                let refusal = answer.refusal(self.place);
                let is_denied = answer.status == 403 && answer.code() != "AuthenticationFailed";
                return if is_denied {
                    Ok(Gathering::NotListed(refusal))
                } else {
                    Err(refusal)
                };
            }
            gathered.now = gathered.now.or(date(&answer));
            let page =
                listing::parse(&answer.body).map_err(|what| failure::garbled(self.place, &what))?;
            let blobs = page.blobs.into_iter();
            gathered
                .blobs
                .extend(blobs.filter(|(name, _)| names.contains(name)));
            marker = page.next;
            if marker.is_none() {
                self.read_contents(wanted, &mut gathered, kept).await?;
                return Ok(Gathering::Found(gathered));
            }
        }
        let text = "the container holds too many blobs to list";
        Ok(Gathering::NotListed(failure::garbled(self.place, text)))
    }

    async fn page(&self, prefix: &str, marker: Option<&str>) -> Result<Answer, Failure> {
        let mut query = "restype=container&comp=list".to_owned();
        if !prefix.is_empty() {
            query.push_str(&format!("&prefix={}", encode(prefix)));
        }
        if !self.layout.has_content() {
            query.push_str("&include=metadata");
        }
        if let Some(marker) = marker {
            query.push_str(&format!("&marker={}", encode(marker)));
        }
        let request = Request {
            method: Method::GET,
            path: format!("/{}", encode(self.layout.container())),
            query,
            unless: None,
            subject: self.place,
        };
        self.sender.send(&request, self.until).await
    }

    /// Reads the contents of listed blobs that are not kept as they are now.
    async fn read_contents(
        &self,
        wanted: Vec<Wanted<'_>>,
        gathered: &mut Gathered,
        kept: &mut Kept,
    ) -> Result<(), Failure> {
        let mut changed = Vec::new();
        for wanted in wanted
            .into_iter()
            .filter(|wanted| wanted.content_of.is_some())
        {
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

    /// Every blob by itself. The first one is tried alone: whoever may read nothing is refused once, not many times.
    ///
    /// # Errors
    /// No blob could be asked.
    pub async fn ask_each(&self, prefix: &str, kept: &mut Kept) -> Result<Gathering, Failure> {
        let mut gathered = Gathered::default();
        let mut wanted = self.wanted(prefix);
        let rest = wanted.split_off(wanted.len().min(1));
        for wanted in [wanted, rest] {
            if !self.ask(wanted, &mut gathered, kept).await? {
                return Ok(Gathering::NoContainer);
            }
        }
        Ok(Gathering::Found(gathered))
    }

    /// Asks for these, notes what comes, and says whether the container exists.
    ///
    /// # Errors
    /// None of these could be asked, and nothing is known from before.
    async fn ask(
        &self,
        wanted: Vec<Wanted<'_>>,
        gathered: &mut Gathered,
        kept: &mut Kept,
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
        kept: &Kept,
    ) -> Result<(One, Option<crate::model::time::Timestamp>), Failure> {
        let subject = format!("{}, blob {}", self.place, wanted.name);
        // An answer of "unchanged" does not tell the lease, which changes without a write.
        let is_conditional = self.layout.owner_place() == OwnerPlace::Nowhere;
        let known = kept.get(&wanted.name).filter(|_| is_conditional);
        let container = encode(self.layout.container());
        let request = Request {
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
                let is_nested = self.layout.is_nested();
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

    /// The blobs of every partition.
    fn wanted(&self, prefix: &str) -> Vec<Wanted<'_>> {
        let checkpoints = self.partitions.iter().map(|partition| Wanted {
            name: self.layout.checkpoint(prefix, partition),
            content_of: self.layout.has_content().then_some(partition.as_str()),
        });
        let ownerships = self.partitions.iter().filter_map(|partition| {
            let name = self.layout.ownership(prefix, partition)?;
            Some(Wanted {
                name,
                content_of: None,
            })
        });
        checkpoints.chain(ownerships).collect()
    }
}

fn date(answer: &Answer) -> Option<crate::model::time::Timestamp> {
    let text = answer.headers.get("date")?.to_str().ok()?;
    parse_date(text)
}
