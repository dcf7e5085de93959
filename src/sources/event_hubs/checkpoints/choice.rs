//! Which of several checkpoints says where a consumer group is. Applications move from one layout to another and leave the old
//! blobs behind; those never move again.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::assemble::CheckpointFound;
use super::checkpoint::CheckpointState;
use super::layout::Site;
use crate::model::time::Timestamp;

/// Consumers commit every few minutes at least, while there is something to commit.
const MOVES_WITHIN: Duration = Duration::from_secs(600);

/// Dates of blobs are whole seconds, and a copied container has all of them within moments.
const CLEARLY_LATER: Duration = Duration::from_secs(120);

/// One checkpoint of a partition.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// Where it is.
    pub site: &'a Site,
    /// What it says.
    pub found: &'a CheckpointFound,
    /// Whether it was seen to move of late.
    pub moves: bool,
    /// Whether it may belong to another consumer group: its name does not say, and the container serves several.
    pub is_doubtful: bool,
}

/// What makes one checkpoint go before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Its name says whose it is.
    Name,
    /// It was seen to move, the other was not.
    Moves,
    /// It was written clearly later.
    Later,
    /// It can be read, the other cannot.
    Readable,
    /// It is further on.
    Further,
}

impl Candidate<'_> {
    /// Which of two goes first (`Greater`: this one), and by what.
    pub fn compare(&self, other: &Self) -> (Ordering, Edge) {
        let by = |edge, one: bool, two: bool| (one.cmp(&two), edge);
        let readable = |c: &Self| !matches!(c.found.state, CheckpointState::Unreadable(_));
        let edges = [
            by(Edge::Name, !self.is_doubtful, !other.is_doubtful),
            by(Edge::Moves, self.moves, other.moves),
            by(Edge::Later, self.is_later(other), other.is_later(self)),
            by(Edge::Readable, readable(self), readable(other)),
        ];
        let decided = edges.into_iter().find(|(order, _)| order.is_ne());
        decided.unwrap_or_else(|| (distance(self, other), Edge::Further))
    }

    fn is_later(&self, other: &Self) -> bool {
        let (one, two) = (self.found.written_at, other.found.written_at);
        one.zip(two)
            .is_some_and(|(one, two)| one > two && one.since(two) >= CLEARLY_LATER)
    }

    /// Where it stands, for texts.
    pub fn shown(&self) -> String {
        let at = match &self.found.state {
            CheckpointState::Present(checkpoint) => checkpoint.sequence_number.to_string(),
            CheckpointState::AtOffset { offset, .. } => format!("offset {offset}"),
            CheckpointState::Missing | CheckpointState::Unreadable(_) => "unreadable".to_owned(),
        };
        format!("{} {at}", self.site.layout.word())
    }
}

/// By sequence numbers where both have one, else by offsets.
fn distance(one: &Candidate<'_>, other: &Candidate<'_>) -> Ordering {
    use CheckpointState as S;
    match (&one.found.state, &other.found.state) {
        (S::Present(one), S::Present(other)) => one.sequence_number.cmp(&other.sequence_number),
        (one, other) => offset(one).cmp(&offset(other)),
    }
}

fn offset(state: &CheckpointState) -> Option<u64> {
    let text = match state {
        CheckpointState::Present(checkpoint) => &checkpoint.offset,
        CheckpointState::AtOffset { offset, .. } => offset,
        CheckpointState::Missing | CheckpointState::Unreadable(_) => return None,
    };
    let parts: Vec<&str> = text.split(':').collect();
    parts.get(usize::from(parts.len() > 1))?.parse().ok()
}

/// The first of all; `None` if there is none.
pub fn first<'c, 'a>(
    candidates: impl IntoIterator<Item = &'c Candidate<'a>>,
) -> Option<&'c Candidate<'a>>
where
    'a: 'c,
{
    candidates
        .into_iter()
        .reduce(|best, next| match next.compare(best).0 {
            Ordering::Greater => next,
            Ordering::Equal | Ordering::Less => best,
        })
}

/// When each checkpoint was last seen to move.
#[derive(Debug, Default)]
pub struct Moves(BTreeMap<(Site, String), SeenCheckpoint>);

#[derive(Debug)]
struct SeenCheckpoint {
    state: CheckpointState,
    moved_at: Option<Instant>,
}

impl Moves {
    /// Takes in what a reading found.
    pub fn note(&mut self, site: &Site, partition: &str, found: &CheckpointFound, now: Instant) {
        if matches!(found.state, CheckpointState::Unreadable(_)) {
            return;
        }
        let place = (site.clone(), partition.to_owned());
        let seen = self.0.entry(place).or_insert_with(|| SeenCheckpoint {
            state: found.state.clone(),
            moved_at: None,
        });
        if !is_same_place(&seen.state, &found.state) {
            seen.moved_at = Some(now);
        }
        seen.state = found.state.clone();
    }

    /// Whether it moved of late.
    pub fn moves(&self, site: &Site, partition: &str, now: Instant) -> bool {
        let place = (site.clone(), partition.to_owned());
        let moved_at = self.0.get(&place).and_then(|seen| seen.moved_at);
        moved_at.is_some_and(|at| now.duration_since(at) <= MOVES_WITHIN)
    }

    /// Forgets sites that are not there any more.
    pub fn retain(&mut self, is_there: impl Fn(&Site) -> bool) {
        self.0.retain(|(site, _), _| is_there(site));
    }
}

/// Whoever takes over a lease writes the blob again without moving on.
fn is_same_place(one: &CheckpointState, other: &CheckpointState) -> bool {
    use CheckpointState as S;
    match (one, other) {
        (S::Present(one), S::Present(other)) => one.sequence_number == other.sequence_number,
        (S::AtOffset { offset: one, .. }, S::AtOffset { offset: other, .. }) => one == other,
        _ => false,
    }
}

/// A date for texts.
pub fn written(found: &CheckpointFound) -> String {
    let at = found.written_at.map(|at: Timestamp| {
        let since = Duration::from_millis(at.as_millis());
        humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since).to_string()
    });
    at.unwrap_or_else(|| "at an unknown time".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample::{Failure, FailureKind};
    use crate::sources::event_hubs::checkpoints::Checkpoint;
    use crate::sources::event_hubs::checkpoints::layout::Layout;

    fn site(layout: Layout) -> Site {
        let prefix = "p/".to_owned();
        Site { layout, prefix }
    }

    fn at(number: i64, second: u64) -> CheckpointFound {
        let written_at = Some(Timestamp::from_millis(second * 1000));
        CheckpointFound {
            state: CheckpointState::Present(Checkpoint {
                sequence_number: number,
                offset: String::new(),
                written_at,
            }),
            written_at,
        }
    }

    #[test]
    fn the_checkpoint_that_moves_goes_first_then_the_later_one_then_the_further_one() {
        let (new, old) = (site(Layout::BlobMetadata), site(Layout::AzureFunction));
        let check = |one: (CheckpointFound, bool), two: (CheckpointFound, bool), expect: Edge| {
            let candidate = |site, (found, moves)| Candidate {
                site,
                found,
                moves,
                is_doubtful: false,
            };
            let one = candidate(&new, (&one.0, one.1));
            let two = candidate(&old, (&two.0, two.1));
            assert_eq!(
                one.compare(&two),
                (Ordering::Greater, expect),
                "{one:?} {two:?}"
            );
            assert_eq!(
                two.compare(&one),
                (Ordering::Less, expect),
                "{one:?} {two:?}"
            );
        };
        // Moves, although it is less far and older: the hub was recreated.
        check((at(3, 0), true), (at(900, 500), false), Edge::Moves);
        check((at(3, 500), false), (at(900, 0), false), Edge::Later);
        check((at(900, 0), false), (at(3, 60), false), Edge::Further);
        check((at(900, 0), true), (at(3, 0), true), Edge::Further);
        let broken = |second| CheckpointFound {
            state: CheckpointState::Unreadable(Failure::new(FailureKind::Protocol, "x")),
            ..at(0, second)
        };
        check((at(3, 0), false), (broken(5), false), Edge::Readable);
        check((broken(500), false), (at(3, 0), false), Edge::Later);
        let offset = |text: &str| CheckpointFound {
            state: CheckpointState::AtOffset {
                offset: text.to_owned(),
                written_at: None,
            },
            written_at: None,
        };
        check(
            (offset("900"), false),
            (offset("0:77:3"), false),
            Edge::Further,
        );
    }

    #[test]
    fn one_that_may_belong_to_another_group_never_goes_first() {
        let (named, plain) = (site(Layout::BlobMetadata), site(Layout::GoSdk));
        let (ours, theirs) = (at(3, 0), at(900, 500));
        let ours = Candidate {
            site: &named,
            found: &ours,
            moves: false,
            is_doubtful: false,
        };
        let theirs = Candidate {
            site: &plain,
            found: &theirs,
            moves: true,
            is_doubtful: true,
        };
        assert_eq!(first([&theirs, &ours]).map(|c| c.site), Some(&named));
        assert_eq!(
            first([&theirs]).map(|c| c.site),
            Some(&plain),
            "for want of another"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_new_position_is_a_move_and_it_is_forgotten_in_time() {
        let (mut moves, site) = (Moves::default(), site(Layout::Legacy));
        let mut note = |found: CheckpointFound| {
            moves.note(&site, "0", &found, Instant::now());
            moves.moves(&site, "0", Instant::now())
        };
        assert!(!note(at(3, 0)));
        assert!(!note(at(3, 50)), "only written again");
        assert!(note(at(4, 60)));
        tokio::time::advance(MOVES_WITHIN + Duration::from_secs(1)).await;
        assert!(!note(at(4, 60)));
        assert!(note(at(2, 60)), "back is a move, too");
    }
}
