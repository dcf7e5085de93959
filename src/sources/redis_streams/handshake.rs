//! The first words on a connection: who asks, and what the server is.

use redis::Value;
use redis::aio::ConnectionLike;
use tokio::time::Instant;

use super::failure::{self, Subject};
use super::login::Login;
use super::reply;
use super::server::{ServerMode, ServerTraits};
use super::transport::OpenConnection;
use crate::model::sample::Failure;

/// The name that `CLIENT LIST` shows.
const CLIENT_NAME: &str = "streamgauge";

/// Shows the server who asks, and learns what it is; also when the connection has to be replaced, if it has to. `is_named`: sentinels
/// say that it is the primary.
///
/// # Errors
/// It refuses, or is none that streams can be read from.
pub async fn introduce(
    database: i64,
    login: &Login,
    connection: &mut OpenConnection,
    is_named: bool,
) -> Result<(ServerTraits, Option<Instant>), Failure> {
    let address = connection.address().to_string();
    let mut commands = redis::pipe();
    let renewed_at = login.add_to(&mut commands).await?;
    if database != 0 {
        commands.cmd("SELECT").arg(database);
    }
    let must_succeed = commands.len();
    commands.cmd("CLIENT").arg("SETNAME").arg(CLIENT_NAME);
    if is_named {
        commands.cmd("ROLE");
    }
    commands.cmd("HELLO");
    let replies = connection
        .req_packed_commands(&commands, 0, commands.len())
        .await
        .map_err(|error| failure::of_error(&address, &error))?;
    let server = ServerTraits::of(replies.last());
    if server.mode == Some(ServerMode::Sentinel) {
        return Err(failure::is_sentinel(&address));
    }
    if is_named && replies.iter().any(reply::is_replica) {
        return Err(failure::is_replica(&address));
    }
    let mut needed = replies.iter().take(must_succeed);
    match needed.find(|reply| **reply != Value::Okay) {
        None => Ok((server, renewed_at)),
        Some(Value::ServerError(error)) => {
            Err(failure::of_reply(&Subject::server(&address, false), error))
        }
        Some(_) => Err(failure::garbled(
            &address,
            "the handshake was not answered with OK",
        )),
    }
}
