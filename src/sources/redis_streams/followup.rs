//! The few further questions that single partitions need: which entry is the first undelivered one, and which pending
//! entries are stuck. All partitions' questions go into shared requests.

use std::time::Duration;

use redis::{Pipeline, Value};
use tokio::time::Instant;

use super::pending::Stuck;
use super::poll::PollConnection;
use super::range::REQUEST_BYTES;
use super::reply::{self, PendingEntry};
use super::{failure, id, key, lean};
use crate::model::sample::{Failure, Position};

/// The page that the oldest pending entry that is not stuck is looked for in.
pub const PENDING_PAGE: usize = 10;

/// Stuck entries per page and partition.
const STUCK_PAGE: usize = 1000;

/// Further pages of stuck entries per poll, over all partitions; what lies beyond is looked at by the next polls.
const STUCK_PAGES: usize = 60;

const QUESTIONS_PER_REQUEST: usize = 1000;

/// A question about one partition.
#[derive(Clone, Debug)]
pub enum FollowUp {
    /// The first entry after one id, up to another.
    FirstBetween {
        /// The id before.
        after: Position,
        /// The last id that counts.
        until: Position,
        /// What an entry costs, as far as seen.
        entry_bytes: usize,
    },
    /// The pending entries with the lowest ids.
    PendingPage,
    /// Which pending entries were delivered so long ago that they are stuck: a search that may take several polls.
    Stuck {
        /// How long that is.
        stuck_after: Duration,
        /// Looked at up to here.
        after: Option<Position>,
        /// The server's clock.
        now_millis: Option<u64>,
    },
}

/// What came of a question.
#[derive(Clone, Debug)]
pub enum FollowUpResult {
    /// The first entry in the interval, if there is one.
    First(Option<Position>),
    /// Pending entries by id.
    Pending(Vec<PendingEntry>),
    /// Stuck entries found, and up to where that went if there are more to look at.
    Stuck(Stuck, Option<Position>),
    /// The group went away since it was seen.
    GroupGone,
    /// It was not answered in time, or cannot be read: what was asked stays unknown.
    Unread,
    /// The server refused to answer.
    Refused(Failure),
}

/// Asks all questions, each about a key; the answers come in their order. What is not answered in time stays unknown.
pub async fn ask(
    line: &PollConnection<'_>,
    group: &str,
    questions: &[(String, FollowUp)],
) -> Vec<FollowUpResult> {
    let mut answers = Vec::with_capacity(questions.len());
    let mut rest = questions;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(fitting(rest));
        rest = later;
        let mut commands = redis::pipe();
        for (key, question) in now {
            write(line, &mut commands, (key, group), question);
        }
        let Ok(replies) = line.request(commands).await else {
            answers.resize(questions.len(), FollowUpResult::Unread);
            return answers;
        };
        for ((key, question), reply) in now.iter().zip(&replies) {
            answers.push(understand(line, key, question, reply));
        }
    }
    more_stuck(line, group, questions, &mut answers).await;
    answers
}

/// How many of the questions go into one request.
fn fitting(questions: &[(String, FollowUp)]) -> usize {
    let mut bytes = 0;
    let cost = |question: &FollowUp| match question {
        FollowUp::FirstBetween { entry_bytes, .. } => *entry_bytes,
        _ => 0,
    };
    let fit = questions
        .iter()
        .take(QUESTIONS_PER_REQUEST)
        .take_while(|(_, question)| {
            let fits = bytes < REQUEST_BYTES;
            bytes += cost(question);
            fits
        })
        .count();
    fit.max(1)
}

fn write(
    line: &PollConnection<'_>,
    commands: &mut Pipeline,
    (key, group): (&str, &str),
    question: &FollowUp,
) {
    match question {
        FollowUp::FirstBetween {
            after,
            until,
            entry_bytes,
        } => {
            let way = line.scripting(*entry_bytes);
            lean::range(commands, way, key, (*after, *until), 1);
        }
        FollowUp::PendingPage => {
            commands
                .cmd("XPENDING")
                .arg(key::sent(key))
                .arg(group)
                .arg("-")
                .arg("+")
                .arg(PENDING_PAGE);
        }
        FollowUp::Stuck {
            stuck_after, after, ..
        } => write_stuck(commands, key, group, *stuck_after, *after),
    }
}

fn write_stuck(
    commands: &mut Pipeline,
    key: &str,
    group: &str,
    idle: Duration,
    after: Option<Position>,
) {
    let from = after.map_or_else(|| "-".to_owned(), |id| format!("({}", id::text(id)));
    let millis = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
    commands
        .cmd("XPENDING")
        .arg(key::sent(key))
        .arg(group)
        .arg("IDLE")
        .arg(millis);
    commands.arg(from).arg("+").arg(STUCK_PAGE);
}

fn understand(
    line: &PollConnection<'_>,
    key: &str,
    question: &FollowUp,
    reply: &Value,
) -> FollowUpResult {
    if let Value::ServerError(error) = reply {
        if error.code() == "NOGROUP" {
            return FollowUpResult::GroupGone;
        }
        return FollowUpResult::Refused(failure::of_reply(&line.subject().key(key), error));
    }
    let answer = match question {
        FollowUp::FirstBetween { .. } => {
            reply::range_page(reply).map(|(ids, _)| FollowUpResult::First(ids.first().copied()))
        }
        FollowUp::PendingPage => reply::pending_entries(reply).map(FollowUpResult::Pending),
        FollowUp::Stuck {
            stuck_after,
            now_millis,
            ..
        } => reply::pending_entries(reply).map(|entries| {
            let full = entries.len() >= STUCK_PAGE;
            let last = entries.last().and_then(|entry| entry.id);
            let stuck = Stuck::among(&entries, *now_millis, *stuck_after);
            FollowUpResult::Stuck(stuck, last.filter(|_| full))
        }),
    };
    answer.unwrap_or(FollowUpResult::Unread)
}

/// Goes on with the partitions whose stuck entries filled their page, within a part of the poll's time.
async fn more_stuck(
    line: &PollConnection<'_>,
    group: &str,
    questions: &[(String, FollowUp)],
    answers: &mut [FollowUpResult],
) {
    let until = line
        .until()
        .min(Instant::now() + line.response_timeout() / 4);
    let mut pages = 0;
    for ((key, question), answer) in questions.iter().zip(answers) {
        while let (
            FollowUp::Stuck {
                stuck_after,
                now_millis,
                ..
            },
            FollowUpResult::Stuck(found, Some(after)),
        ) = (question, &mut *answer)
        {
            if pages == STUCK_PAGES || Instant::now() >= until {
                return;
            }
            pages += 1;
            let next = FollowUp::Stuck {
                stuck_after: *stuck_after,
                after: Some(*after),
                now_millis: *now_millis,
            };
            let mut commands = redis::pipe();
            write(line, &mut commands, (key, group), &next);
            let Ok(replies) = line.request(commands).await else {
                return;
            };
            let reply = replies.first().unwrap_or(&Value::Nil);
            let FollowUpResult::Stuck(more, after) = understand(line, key, &next, reply) else {
                break;
            };
            found.merge(&more);
            *answer = FollowUpResult::Stuck(std::mem::take(found), after);
        }
    }
}
