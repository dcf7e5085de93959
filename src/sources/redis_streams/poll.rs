//! Connections within the time of one poll: whatever is asked on them is answered until then, or fails.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use redis::{Pipeline, Value};
use tokio::time::{Instant, timeout_at};

use super::connection::RedisConnection;
use super::failure;
use super::lean::{self, Scripting};
use super::places::{AskedSoFar, Weight};
use super::server_layout::ServerLayout;
use crate::model::sample::Failure;

/// The connection within the time of one poll.
#[derive(Clone, Copy)]
pub struct PollConnection<'c> {
    connection: &'c RedisConnection,
    until: Instant,
    asked: &'c AskedSoFar,
}

impl<'c> PollConnection<'c> {
    /// A request on it is answered until then, or fails. `asked`: what the poll asked for so far.
    pub const fn new(
        connection: &'c RedisConnection,
        until: Instant,
        asked: &'c AskedSoFar,
    ) -> Self {
        Self {
            connection,
            until,
            asked,
        }
    }

    /// Until when.
    pub const fn until(&self) -> Instant {
        self.until
    }

    /// With no more time than until then.
    pub fn at_most(self, until: Instant) -> Self {
        Self {
            until: self.until.min(until),
            ..self
        }
    }

    /// Asks once per connection whether scripts may be run.
    pub async fn look_for_scripting(&self) {
        if !self.connection.knows_scripting() {
            let mut commands = redis::pipe();
            Scripting::ask(&mut commands);
            if let Ok(replies) = self.request(commands).await {
                self.connection.scripting_is(Scripting::found(&replies));
            }
        }
    }

    /// How entries of that size are read without their bodies; `None` if they are not.
    pub fn scripting(&self, entry_bytes: usize) -> Option<Scripting> {
        let way = || self.connection.scripting();
        lean::is_large(entry_bytes).then(way).flatten()
    }

    /// Sends the commands when it is this poll's turn; see [`RedisConnection::request`].
    pub async fn request(&self, commands: Pipeline) -> Result<Vec<Value>, Failure> {
        let weight = Weight::new(commands.len(), 0);
        self.request_of(weight, commands).await
    }

    /// The same, where the replies are more than the commands let expect.
    pub async fn request_of(
        &self,
        weight: Weight,
        commands: Pipeline,
    ) -> Result<Vec<Value>, Failure> {
        let waiting = self.connection.places().take(weight, self.asked);
        let place = timeout_at(self.until, waiting).await;
        let _place = place.map_err(|_| failure::late(self.connection.address()))?;
        self.connection.request(commands, self.until).await
    }
}

impl Deref for PollConnection<'_> {
    type Target = RedisConnection;

    fn deref(&self) -> &RedisConnection {
        self.connection
    }
}

/// The nodes within the time of one poll.
#[derive(Clone, Copy)]
pub struct PollConnections<'l> {
    layout: &'l Arc<ServerLayout>,
    until: Instant,
    asked: &'l AskedSoFar,
}

impl<'l> PollConnections<'l> {
    /// Requests are answered until then, or fail. `asked`: what the poll asked for so far.
    pub const fn new(layout: &'l Arc<ServerLayout>, until: Instant, asked: &'l AskedSoFar) -> Self {
        Self {
            layout,
            until,
            asked,
        }
    }

    /// Which node has which keys.
    pub const fn layout(&self) -> &'l Arc<ServerLayout> {
        self.layout
    }

    /// The time that one request may take.
    pub fn response_timeout(&self) -> Duration {
        self.layout.nodes()[0].response_timeout()
    }

    /// The connection to a node.
    pub fn node(&self, node: usize) -> PollConnection<'l> {
        PollConnection::new(&self.layout.nodes()[node], self.until, self.asked)
    }

    /// The connection to the node that has the key.
    ///
    /// # Errors
    /// No node has it.
    pub fn of(&self, key: &str) -> Result<PollConnection<'l>, Failure> {
        let node = self.layout.node_of(key).map(|node| self.node(node));
        node.ok_or_else(|| failure::is_uncovered(self.layout.nodes()[0].address()))
    }
}
