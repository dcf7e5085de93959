//! From what a look showed to where a consumer group is: by the layout that was asked for, or by whichever goes first.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::assemble::{Assembly, CheckpointFound, Findings};
use super::choice::{Candidate, Edge, first, written};
use super::layout::{Layout, Site};
use super::look::{Looker, StoreView};
use super::{CheckpointState, Committed, GroupMemory, failure};
use crate::config::types::{CheckpointStrategy, CheckpointsConfig};
use crate::model::sample::{Failure, FailureKind};

/// One reading of one group.
pub struct CheckpointReading<'a> {
    /// How checkpoints are to be read.
    pub config: &'a CheckpointsConfig,
    /// Finds the blobs.
    pub looker: Looker<'a>,
}

/// The sites that count, each with what it says.
type Sites = BTreeMap<Site, Findings>;

impl CheckpointReading<'_> {
    /// What the group has committed, and what is remembered for the next time.
    ///
    /// # Errors
    /// The store could not be read, or holds the group's checkpoints in another layout than the one asked for.
    pub async fn read(&self, memory: &mut GroupMemory) -> Result<Committed, Failure> {
        let Some(mut view) = self.looker.look(memory).await? else {
            return self.no_container();
        };
        let considered = self.considered(&view);
        let partitions = self.looker.partitions;
        self.looker
            .gatherer
            .read_contents(
                &considered,
                partitions,
                &mut view.gathered,
                &mut memory.kept,
            )
            .await?;
        memory
            .kept
            .retain(|name, _| view.gathered.blobs.contains_key(name));
        let sites: Sites = considered
            .into_iter()
            .map(|site| {
                let findings = self.findings(&site, &view);
                (site, findings)
            })
            .collect();
        self.refuse_another_layout(&sites, &view, memory)?;
        let now = Instant::now();
        memory.moves.retain(|site| view.sites.contains(site));
        for (site, findings) in &sites {
            for (partition, found) in &findings.checkpoints {
                memory.moves.note(site, partition, found, now);
            }
        }
        let committed = Committed {
            now: view.gathered.now,
            ..self.choose(&sites, memory, now)
        };
        if memory.logged != committed.layouts {
            memory.logged.clone_from(&committed.layouts);
            let names = self.looker.names;
            tracing::info!(
                event_hub = names.event_hub,
                consumer_group = names.group,
                "checkpoints: {}",
                committed.layouts
            );
        }
        Ok(committed)
    }

    /// A container that comes into being with the first commit may be missing; any other may not.
    fn no_container(&self) -> Result<Committed, Failure> {
        let is_functions = self.config.strategy == CheckpointStrategy::AzureFunction;
        if is_functions || self.config.container.is_none() {
            return Ok(Committed::default());
        }
        let place = self.looker.gatherer.place;
        Err(failure::of_answer(place, 404, "ContainerNotFound"))
    }

    /// The sites whose checkpoints matter: with a layout asked for, those of others only as far as they are surely this
    /// group's, so that a stale one is noticed.
    fn considered(&self, view: &StoreView) -> Vec<Site> {
        let Some(wanted) = self.looker.wanted else {
            return view.sites.iter().cloned().collect();
        };
        let is_there = view.sites.iter().any(|site| site.layout == wanted);
        let counts =
            |site: &&Site| site.layout == wanted || is_there && site.layout.names_its_group();
        view.sites.iter().filter(counts).cloned().collect()
    }

    fn findings(&self, site: &Site, view: &StoreView) -> Findings {
        let assembly = Assembly {
            site,
            partitions: self.looker.partitions,
            expiry: self.config.ownership_expiry,
            place: self.looker.gatherer.place,
        };
        assembly.findings(&view.gathered)
    }

    /// Whether the blobs of a site may be those of another group.
    fn is_doubtful(site: &Site, memory: &GroupMemory) -> bool {
        !site.layout.names_its_group() && !memory.others.is_empty()
    }

    /// A layout that finds nothing while another is there is a mistake in the config, and no new consumer group.
    fn refuse_another_layout(
        &self,
        sites: &Sites,
        view: &StoreView,
        memory: &GroupMemory,
    ) -> Result<(), Failure> {
        let Some(wanted) = self.looker.wanted else {
            return Ok(());
        };
        let finds = |(site, findings): (&Site, &Findings)| {
            site.layout == wanted && !findings.checkpoints.is_empty()
        };
        if sites.iter().any(finds) {
            return Ok(());
        }
        let mut rivals = view
            .sites
            .iter()
            .filter(|site| site.layout != wanted && !Self::is_doubtful(site, memory));
        let words: BTreeSet<&str> = rivals.clone().map(|site| site.layout.word()).collect();
        let Some(rival) = rivals.next() else {
            return Ok(());
        };
        let names = self.looker.names;
        let words: Vec<&str> = words.into_iter().collect();
        let text = format!(
            "{}: strategy {} finds no checkpoint of event hub {}, consumer group {}, but there are blobs of layout {} \
             ({}…): set checkpoints.strategy to auto, or to what the consumers write today",
            self.looker.gatherer.place,
            wanted.word(),
            names.event_hub,
            names.group,
            words.join(" and "),
            rival.checkpoint(""),
        );
        Err(Failure::new(FailureKind::Misconfigured, text))
    }

    fn choose(&self, sites: &Sites, memory: &GroupMemory, now: Instant) -> Committed {
        let mut committed = Committed::default();
        let mut used: BTreeMap<&Site, usize> = BTreeMap::new();
        let mut left: BTreeSet<Layout> = BTreeSet::new();
        for partition in self.looker.partitions {
            let wanted = self.looker.wanted;
            let candidates = candidates(sites, partition, wanted, memory, now);
            let Some(choice) = self.choice(&candidates) else {
                continue;
            };
            let others = candidates.iter().map(|candidate| candidate.site);
            left.extend(others.filter(|site| *site != choice.site).map(|s| s.layout));
            if choice.site.layout == self.looker.wanted.unwrap_or(choice.site.layout) {
                *used.entry(choice.site).or_default() += 1;
                committed
                    .partitions
                    .insert(partition.clone(), choice.found.state.clone());
            }
            let best = first(&candidates).filter(|best| best.site != choice.site);
            if let Some(state) = self.contradicted(choice, best) {
                committed.partitions.insert(partition.clone(), state);
            } else if let Some(remark) = self.remark(choice, best) {
                committed.remarks.insert(partition.clone(), remark);
            }
        }
        committed.owners = owners(sites, &used);
        committed.layouts = self.in_words(&used, left, memory);
        committed
    }

    /// The checkpoint that counts: of the layout asked for, or for want of one there the best of all, which is only told of.
    fn choice<'c, 'a>(&self, candidates: &'c [Candidate<'a>]) -> Option<&'c Candidate<'a>> {
        let wanted = self.looker.wanted;
        let is_wanted = |c: &&Candidate<'_>| wanted.is_none_or(|layout| c.site.layout == layout);
        first(candidates.iter().filter(is_wanted)).or_else(|| first(candidates))
    }

    /// With a layout asked for: what becomes of a checkpoint that stands still while another one moves.
    fn contradicted(
        &self,
        choice: &Candidate<'_>,
        best: Option<&Candidate<'_>>,
    ) -> Option<CheckpointState> {
        let (wanted, best) = (self.looker.wanted?, best?);
        let (_, edge) = best.compare(choice);
        if !matches!(edge, Edge::Moves | Edge::Later) {
            return None;
        }
        let text = format!(
            "{}: strategy {} reads {}, written {}, but {} was written {}: the consumers now write another layout: set \
             checkpoints.strategy to auto",
            self.looker.gatherer.place,
            wanted.word(),
            choice.shown(),
            written(choice.found),
            best.shown(),
            written(best.found),
        );
        let failure = Failure::new(FailureKind::Misconfigured, text);
        Some(CheckpointState::Unreadable(failure))
    }

    fn remark(&self, choice: &Candidate<'_>, best: Option<&Candidate<'_>>) -> Option<String> {
        let advice = "set checkpoints.strategy to auto if the consumers changed";
        match (self.looker.wanted, best) {
            (Some(wanted), _) if choice.site.layout != wanted => Some(format!(
                "no checkpoint with layout {}, but found {}: {advice}",
                wanted.word(),
                choice.shown()
            )),
            (Some(_), Some(best)) if best.compare(choice).1 == Edge::Further => Some(format!(
                "{} is ahead of {}: {advice}",
                best.shown(),
                choice.shown()
            )),
            (None, _) if choice.is_doubtful => Some(format!(
                "the checkpoint has layout {}, whose blob names do not include the event hub or group, and other groups use the \
                 container, too: use a separate container",
                choice.site.layout.word()
            )),
            _ => None,
        }
    }

    /// What was found, for people.
    fn in_words(
        &self,
        used: &BTreeMap<&Site, usize>,
        left: BTreeSet<Layout>,
        memory: &GroupMemory,
    ) -> String {
        let mut by_layout: BTreeMap<Layout, usize> = BTreeMap::new();
        for (site, count) in used {
            *by_layout.entry(site.layout).or_default() += count;
        }
        let all = self.looker.partitions.len();
        let parts: Vec<String> = by_layout
            .iter()
            .map(|(layout, count)| format!("{} on {count} of {all} partitions", layout.word()))
            .collect();
        let old: Vec<&str> = left
            .into_iter()
            .filter(|layout| !by_layout.contains_key(layout) || by_layout.len() > 1)
            .map(Layout::word)
            .collect();
        match (parts.is_empty(), old.is_empty()) {
            (false, true) => parts.join(", "),
            (false, false) => format!(
                "{}; ignored layouts that are not moving or are further behind: {}",
                parts.join(", "),
                old.join(", ")
            ),
            (true, _) => self.nothing(memory),
        }
    }

    fn nothing(&self, memory: &GroupMemory) -> String {
        let names = self.looker.names;
        let said = format!(
            "none for {}/{}/{} in {}",
            names.namespace, names.event_hub, names.group, self.looker.gatherer.place
        );
        let others: Vec<&str> = memory.others.iter().take(3).map(String::as_str).collect();
        match memory.others.len() {
            0 => said,
            n if n > 3 => format!(
                "{said}; found checkpoints of {} and {} more",
                others.join(", "),
                n - 3
            ),
            _ => format!("{said}; found checkpoints of {}", others.join(", ")),
        }
    }
}

fn candidates<'a>(
    sites: &'a Sites,
    partition: &str,
    wanted: Option<Layout>,
    memory: &GroupMemory,
    now: Instant,
) -> Vec<Candidate<'a>> {
    let of_site = |(site, findings): (&'a Site, &'a Findings)| {
        let found: &CheckpointFound = findings.checkpoints.get(partition)?;
        Some(Candidate {
            site,
            found,
            moves: memory.moves.moves(site, partition, now),
            // Whoever asks for a layout knows whose it is.
            is_doubtful: wanted.is_none() && CheckpointReading::is_doubtful(site, memory),
        })
    };
    sites.iter().filter_map(of_site).collect()
}

/// Who holds what, by every site with owners: they expire, so those that are told are at work. That there are none is told only
/// by the sites whose checkpoints count, or where there is no checkpoint yet, by any.
fn owners(sites: &Sites, used: &BTreeMap<&Site, usize>) -> Option<BTreeMap<String, String>> {
    let told = sites.iter().filter_map(|(site, findings)| {
        let owners = findings.owners.as_ref()?;
        let counts = !owners.is_empty() || used.is_empty() || used.contains_key(site);
        counts.then(|| owners.clone())
    });
    told.reduce(|mut all, more| {
        for (partition, owner) in more {
            all.entry(partition).or_insert(owner);
        }
        all
    })
}
