//! The few further questions that single partitions need: which entry is the first undelivered one, and which pending
//! entries are stuck. All partitions' questions go into shared requests.

use std::time::Duration;

use redis::{Pipeline, Value};

use super::connection::Connection;
use super::range::REQUEST_BYTES;
use super::reply::{self, PendingEntry};
use super::{failure, id};
use crate::model::sample::{Failure, Position};

/// The page that the oldest pending entry that is not stuck is looked for in.
pub const PENDING_PAGE: usize = 10;

/// Stuck entries per page and partition.
const STUCK_PAGE: usize = 1000;

/// Further pages of stuck entries per poll, over all partitions; what lies beyond counts as not stuck.
const STUCK_PAGES: usize = 10;

/// Questions per request.
const QUESTIONS_PER_REQUEST: usize = 1000;

/// A question about one partition.
#[derive(Clone, Debug)]
pub enum Question {
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
    /// How many pending entries have been idle for so long.
    StuckCount(Duration),
}

/// What came of a question.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The first entry in the interval, if there is one.
    First(Option<Position>),
    /// Pending entries by id.
    Pending(Vec<PendingEntry>),
    /// A number of entries.
    Stuck(u64),
    /// The group went away since it was seen.
    GroupGone,
    /// The server refused to answer.
    Refused(Failure),
}

/// Asks all questions, each about a key; the answers come in their order.
///
/// # Errors
/// If the connection failed or the reply makes no sense.
pub async fn ask(
    connection: &Connection,
    group: &str,
    questions: &[(String, Question)],
) -> Result<Vec<Answer>, Failure> {
    let mut answers = Vec::with_capacity(questions.len());
    let mut rest = questions;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(fitting(rest));
        rest = later;
        let mut commands = redis::pipe();
        for (key, question) in now {
            write(&mut commands, key, group, question);
        }
        let replies = connection.request(commands).await?;
        for ((key, question), reply) in now.iter().zip(&replies) {
            answers.push(understand(connection, key, question, reply)?);
        }
    }
    more_stuck(connection, group, questions, &mut answers).await?;
    Ok(answers)
}

/// How many of the questions go into one request.
fn fitting(questions: &[(String, Question)]) -> usize {
    let mut bytes = 0;
    let cost = |question: &Question| match question {
        Question::FirstBetween { entry_bytes, .. } => *entry_bytes,
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

fn write(commands: &mut Pipeline, key: &str, group: &str, question: &Question) {
    match question {
        Question::FirstBetween { after, until, .. } => {
            commands
                .cmd("XRANGE")
                .arg(key)
                .arg(format!("({}", id::text(*after)));
            commands.arg(id::text(*until)).arg("COUNT").arg(1);
        }
        Question::PendingPage => {
            commands
                .cmd("XPENDING")
                .arg(key)
                .arg(group)
                .arg("-")
                .arg("+")
                .arg(PENDING_PAGE);
        }
        Question::StuckCount(idle) => write_stuck(commands, key, group, *idle, "-"),
    }
}

fn write_stuck(commands: &mut Pipeline, key: &str, group: &str, idle: Duration, from: &str) {
    let millis = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
    commands
        .cmd("XPENDING")
        .arg(key)
        .arg(group)
        .arg("IDLE")
        .arg(millis);
    commands.arg(from).arg("+").arg(STUCK_PAGE);
}

fn understand(
    connection: &Connection,
    key: &str,
    question: &Question,
    reply: &Value,
) -> Result<Answer, Failure> {
    if let Value::ServerError(error) = reply {
        if error.code() == "NOGROUP" {
            return Ok(Answer::GroupGone);
        }
        let subject = format!("{}, key {key:?}", connection.address());
        return Ok(Answer::Refused(failure::of_reply(&subject, error)));
    }
    let answer = match question {
        Question::FirstBetween { .. } => {
            reply::range_page(reply).map(|(ids, _)| Answer::First(ids.first().copied()))
        }
        Question::PendingPage => reply::pending_entries(reply).map(Answer::Pending),
        Question::StuckCount(_) => {
            reply::pending_entries(reply).map(|entries| Answer::Stuck(entries.len() as u64))
        }
    };
    answer.ok_or_else(|| {
        connection.distrust();
        failure::garbled(
            connection.address(),
            &format!("an answer about key {key:?}"),
        )
    })
}

/// Goes on with the partitions whose stuck entries filled their page.
async fn more_stuck(
    connection: &Connection,
    group: &str,
    questions: &[(String, Question)],
    answers: &mut [Answer],
) -> Result<(), Failure> {
    let mut pages = 0;
    for ((key, question), answer) in questions.iter().zip(answers) {
        let (Question::StuckCount(idle), Answer::Stuck(count)) = (question, answer) else {
            continue;
        };
        let mut full = *count == STUCK_PAGE as u64;
        let mut from = String::from("-");
        // The first page told only its size, so it is read again: this happens for thousands of stuck entries, rarely.
        let mut total = 0;
        while full && pages < STUCK_PAGES {
            pages += 1;
            let mut commands = redis::pipe();
            write_stuck(&mut commands, key, group, *idle, &from);
            let replies = connection.request(commands).await?;
            let entries = replies
                .first()
                .and_then(reply::pending_entries)
                .unwrap_or_default();
            total += entries.len() as u64;
            full = entries.len() == STUCK_PAGE;
            if let Some(last) = entries.last() {
                from = format!("({}", id::text(last.id));
            }
        }
        *count = total.max(*count);
    }
    Ok(())
}
