//! Looks for a consumer group's blobs: where they were found last, now and then through the whole container, and by name where
//! the container may not be listed.

use std::collections::BTreeSet;

use super::GroupMemory;
use super::assemble::GatheredBlobs;
use super::gather::{Gatherer, KeptDocuments, Listing};
use super::layout::{Layout, Names, Site, Whose};
use super::session::AccountSession;
use crate::model::sample::{Failure, FailureKind};

/// Readings between looks through the whole container for each request that it takes. It takes the place of the usual
/// listing, so where it is one request it costs none.
const READINGS_BETWEEN_LOOKS: u32 = 8;

/// The same where it is not one listing but many requests.
const READINGS_BETWEEN_DEAR_LOOKS: u32 = 40;

/// Partitions that are asked by name to find out whether a layout is there.
const SAMPLE: usize = 16;

/// Other groups that are remembered by name.
const MOST_OTHERS: usize = 100;

/// Looks for one group.
pub struct Looker<'a> {
    /// The account.
    pub session: &'a AccountSession,
    /// Asks the store.
    pub gatherer: Gatherer<'a>,
    /// The group's names.
    pub names: Names<'a>,
    /// Which partitions are wanted.
    pub partitions: &'a [String],
    /// The layout that is asked for; `None`: whichever there is.
    pub wanted: Option<Layout>,
}

/// What a look showed.
#[derive(Debug, Default)]
pub struct StoreView {
    /// The group's blobs.
    pub gathered: GatheredBlobs,
    /// Where they are.
    pub sites: BTreeSet<Site>,
    /// Whose blobs are beside them; of a look through everything.
    pub others: BTreeSet<String>,
    /// Requests that a look through the whole container took; 0 for any other look.
    pages: u32,
    /// Whether everything was looked through that could be.
    is_thorough: bool,
}

enum Looked {
    Saw(StoreView),
    NoContainer,
    Denied(Failure),
    Endless,
}

impl Looker<'_> {
    /// The group's blobs; `None` if there is no container.
    ///
    /// # Errors
    /// The store could not be asked.
    pub async fn look(&self, memory: &mut GroupMemory) -> Result<Option<StoreView>, Failure> {
        let between = match memory.pages {
            0 => READINGS_BETWEEN_DEAR_LOOKS,
            pages => READINGS_BETWEEN_LOOKS * pages,
        };
        let is_due = memory.sites.is_empty() || memory.readings >= between;
        let view = if self.session.skips_listing() {
            self.by_name(memory, is_due).await?
        } else {
            self.by_listing(memory, is_due).await?
        };
        if let Some(view) = &view {
            memory.readings += 1;
            if view.is_thorough {
                memory.readings = 0;
                memory.pages = view.pages;
                memory.others.clone_from(&view.others);
            }
            memory.sites.clone_from(&view.sites);
        }
        Ok(view)
    }

    async fn by_listing(
        &self,
        memory: &mut GroupMemory,
        is_due: bool,
    ) -> Result<Option<StoreView>, Failure> {
        if !is_due {
            let prefixes = prefixes(&memory.sites);
            if prefixes.contains("") && memory.pages == 0 {
                return self.among_too_many(&mut memory.kept).await;
            }
            // Where everything takes no more requests, it shows more.
            let is_cheap = prefixes.len() as u32 > memory.pages && memory.pages > 0;
            if !is_cheap
                && let Looked::Saw(view) = self.list(&prefixes).await?
                && !view.sites.is_empty()
            {
                return Ok(Some(view));
            }
        }
        let everything = BTreeSet::from([String::new()]);
        match self.list(&everything).await? {
            Looked::Saw(view) => Ok(Some(view)),
            Looked::NoContainer => Ok(None),
            Looked::Endless => self.among_too_many(&mut memory.kept).await,
            Looked::Denied(refusal) => self.unlisted(memory, refusal).await,
        }
    }

    /// Lists what is under any of the prefixes, of which none begins with another.
    async fn list(&self, prefixes: &BTreeSet<String>) -> Result<Looked, Failure> {
        let ids: BTreeSet<&str> = self.partitions.iter().map(String::as_str).collect();
        let mut view = StoreView {
            is_thorough: prefixes.contains(""),
            ..StoreView::default()
        };
        for prefix in prefixes {
            let take = |name: String, blob| match self.names.recognize(&name, &ids) {
                Whose::Ours(site) => {
                    view.sites.insert(site);
                    view.gathered.blobs.insert(name, blob);
                }
                Whose::Others(path) if view.others.len() < MOST_OTHERS => {
                    view.others.insert(path);
                }
                Whose::Others(_) | Whose::Unknown => {}
            };
            match self.gatherer.list(prefix, take).await? {
                Listing::Read { pages, now } => {
                    view.gathered.now = view.gathered.now.or(now);
                    view.pages += pages;
                }
                Listing::NoContainer => return Ok(Looked::NoContainer),
                Listing::Denied(refusal) => return Ok(Looked::Denied(refusal)),
                Listing::Endless => return Ok(Looked::Endless),
            }
        }
        Ok(Looked::Saw(view))
    }

    /// In a container with too much else: lists under every prefix that the group's blobs may have. What is named by the
    /// partition alone is asked by name.
    async fn among_too_many(&self, kept: &mut KeptDocuments) -> Result<Option<StoreView>, Failure> {
        let layouts = Layout::ALL.into_iter();
        let sites: BTreeSet<Site> = layouts
            .flat_map(|layout| self.names.candidates(layout))
            .collect();
        let (plain, named): (BTreeSet<_>, BTreeSet<_>) =
            sites.into_iter().partition(|site| site.prefix.is_empty());
        let Looked::Saw(mut view) = self.list(&prefixes(&named)).await? else {
            let text = format!(
                "{}: too many blobs to list: use a separate container for checkpoints",
                self.gatherer.place
            );
            return Err(Failure::new(FailureKind::Misconfigured, text));
        };
        if view.sites.is_empty() || self.wanted == Some(Layout::GoSdk) {
            for site in plain {
                self.ask(&site, self.partitions, &mut view, kept).await?;
            }
        }
        view.pages = 0;
        view.is_thorough = true;
        Ok(Some(view))
    }

    /// Whoever may not list may still read.
    async fn unlisted(
        &self,
        memory: &mut GroupMemory,
        refusal: Failure,
    ) -> Result<Option<StoreView>, Failure> {
        // Whoever may not read either hears of the refusal that names both rights.
        let view = self
            .by_name(memory, true)
            .await
            .map_err(|failure| match failure.kind {
                FailureKind::Auth => refusal.clone(),
                _ => failure,
            })?;
        tracing::info!(%refusal, "the store refused a batch; reading checkpoints one blob at a time");
        self.session.forgo_listing();
        Ok(view)
    }

    /// Asks blob by blob: where some were found last, or for every layout and spelling until one is there.
    async fn by_name(
        &self,
        memory: &mut GroupMemory,
        is_due: bool,
    ) -> Result<Option<StoreView>, Failure> {
        let mut view = StoreView::default();
        if !is_due {
            for site in &memory.sites {
                if !self
                    .ask(site, self.partitions, &mut view, &mut memory.kept)
                    .await?
                {
                    return Ok(None);
                }
            }
            if !view.sites.is_empty() {
                return Ok(Some(view));
            }
        }
        let mut layouts = Layout::ALL;
        layouts.sort_by_key(|layout| Some(*layout) != self.wanted);
        for layout in layouts {
            let is_wanted = self.wanted == Some(layout);
            for site in self.names.candidates(layout) {
                let sample = if is_wanted { usize::MAX } else { SAMPLE };
                let (first, rest) = self.partitions.split_at(sample.min(self.partitions.len()));
                if !self.ask(&site, first, &mut view, &mut memory.kept).await? {
                    return Ok(None);
                }
                if view.sites.contains(&site) {
                    if !rest.is_empty() {
                        self.ask(&site, rest, &mut view, &mut memory.kept).await?;
                    }
                    break;
                }
            }
            if is_wanted && !view.sites.is_empty() {
                break;
            }
        }
        view.is_thorough = true;
        Ok(Some(view))
    }

    /// Asks for the blobs of a site, and says whether the container exists.
    async fn ask(
        &self,
        site: &Site,
        partitions: &[String],
        view: &mut StoreView,
        kept: &mut KeptDocuments,
    ) -> Result<bool, Failure> {
        let gathered = &mut view.gathered;
        let exists = self
            .gatherer
            .ask_each(site, partitions, gathered, kept)
            .await?;
        let is_there = |name: &String| {
            gathered.blobs.contains_key(name) || gathered.failures.contains_key(name)
        };
        let checkpoint = |p: &String| is_there(&site.checkpoint(p));
        let ownership = |p: &String| site.ownership(p).is_some_and(|name| is_there(&name));
        if partitions.iter().any(|p| checkpoint(p) || ownership(p)) {
            view.sites.insert(site.clone());
        }
        Ok(exists)
    }
}

/// What to list so as to see all of these; none begins with another.
fn prefixes(sites: &BTreeSet<Site>) -> BTreeSet<String> {
    let all: BTreeSet<&str> = sites.iter().map(|site| site.prefix.as_str()).collect();
    let mut found: BTreeSet<String> = BTreeSet::new();
    // In order, so a prefix comes before what begins with it.
    for prefix in all {
        let is_covered = found.iter().any(|other| prefix.starts_with(other.as_str()));
        if !is_covered {
            found.insert(prefix.to_owned());
        }
    }
    found
}
