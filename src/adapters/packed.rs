//! Large answers: made one at a time, kept compressed, sent in pieces. Memory depends neither on how many ask for them nor on how fast
//! they read.

use std::convert::Infallible;
use std::fmt;
use std::io::{self, BufWriter, Cursor, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use futures_util::stream::{self, Stream};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::inbound::Peer;
use crate::inbound::seats::{Seat, Seats};

/// Answers on their way at a time.
const MOST_UNDER_WAY: usize = 16;
/// How long a request waits until its answer can be made.
const PATIENCE: Duration = Duration::from_secs(10);
const PIECE_BYTES: usize = 32 * 1024;
const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// Who makes and sends answers when. Clones share it.
#[derive(Clone, Debug)]
pub struct Answers {
    turns: Arc<Semaphore>,
    under_way: Arc<Seats>,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(1)),
            under_way: Arc::new(Seats::new(MOST_UNDER_WAY)),
        }
    }
}

/// So many ask that there was no turn in time.
#[derive(Debug)]
pub struct TooMany;

impl IntoResponse for TooMany {
    fn into_response(self) -> Response {
        let text = "too many requests at a time: try again later\n";
        let retry = [(header::RETRY_AFTER, "5")];
        (StatusCode::SERVICE_UNAVAILABLE, retry, text).into_response()
    }
}

impl Answers {
    /// A turn to make an answer.
    ///
    /// # Errors
    /// There was none in time.
    pub async fn turn(&self) -> Result<OwnedSemaphorePermit, TooMany> {
        let turn = self.turns.clone().acquire_owned();
        match tokio::time::timeout(PATIENCE, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(TooMany),
        }
    }
}

/// Has answers made one at a time.
pub async fn by_turns(State(answers): State<Answers>, request: Request, next: Next) -> Response {
    match answers.turn().await {
        Ok(_turn) => next.run(request).await,
        Err(too_many) => too_many.into_response(),
    }
}

/// Sends packed answers in pieces, unpacked to those who want them so. For a new one on its way too many, that client loses another
/// which has the most.
pub async fn deliver(State(answers): State<Answers>, request: Request, next: Next) -> Response {
    let client = request.extensions().get::<Peer>().cloned();
    let packs = takes_gzip(request.headers());
    let is_head = request.method() == Method::HEAD;
    let (mut parts, body) = next.run(request).await.into_parts();
    if is_head || parts.headers.get(header::CONTENT_ENCODING) != Some(&GZIP) {
        return Response::from_parts(parts, body);
    }
    let Ok(packed) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let seat = answers.under_way.take(&client.unwrap_or_default());
    let vary = HeaderValue::from_static("accept-encoding");
    parts.headers.append(header::VARY, vary);
    let body = if packs {
        parts
            .headers
            .insert(header::CONTENT_LENGTH, packed.len().into());
        Body::from_stream(pieces(packed, seat))
    } else {
        parts.headers.remove(header::CONTENT_ENCODING);
        parts.headers.remove(header::CONTENT_LENGTH);
        Body::from_stream(unpacked(packed, seat))
    };
    Response::from_parts(parts, body)
}

/// Copies: a piece of the whole would keep the whole while it waits to be sent.
fn pieces(packed: Bytes, seat: Seat) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold((packed, seat), async |(mut rest, seat)| {
        let piece = rest.split_to(PIECE_BYTES.min(rest.len()));
        let piece = Bytes::copy_from_slice(&piece);
        (!piece.is_empty()).then_some((Ok(piece), (rest, seat)))
    })
}

fn unpacked(packed: Bytes, seat: Seat) -> impl Stream<Item = io::Result<Bytes>> {
    let reader = GzDecoder::new(Cursor::new(packed));
    stream::unfold((reader, seat), async |(mut reader, seat)| {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let read = (&mut reader)
            .take(PIECE_BYTES as u64)
            .read_to_end(&mut piece);
        match read {
            Ok(0) => None,
            Ok(_) => Some((Ok(piece.into()), (reader, seat))),
            Err(error) => Some((Err(error), (reader, seat))),
        }
    })
}

/// By the Accept-Encoding header (RFC 9110, 12.5.3): what names gzip says more than `*`.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).into_iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let (mut named, mut any) = (None, None);
    for coding in texts.flat_map(|text| text.split(',')) {
        let mut parts = coding.split(';').map(str::trim);
        let quality = |parameter: &str| {
            let (name, value) = parameter.split_once('=')?;
            let is_quality = name.trim().eq_ignore_ascii_case("q");
            is_quality.then(|| value.trim().parse().unwrap_or(0.0))
        };
        let name = parts.next().unwrap_or_default();
        let wanted = parts.find_map(quality).unwrap_or(1.0) > 0.0;
        match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => named = Some(wanted),
            "*" => any = Some(wanted),
            _ => {}
        }
    }
    named.or(any).unwrap_or(false)
}

/// An answer that is being written.
pub struct Packing(BufWriter<GzEncoder<Vec<u8>>>);

impl Default for Packing {
    fn default() -> Self {
        // The fastest level: names repeat so much that the others hardly gain.
        let packed = GzEncoder::new(Vec::new(), Compression::fast());
        Self(BufWriter::with_capacity(PIECE_BYTES, packed))
    }
}

impl fmt::Debug for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packing").finish_non_exhaustive()
    }
}

impl fmt::Write for Packing {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let bytes = text.as_bytes();
        self.0.write_all(bytes).map_err(|_| fmt::Error)
    }
}

impl Packing {
    /// All that was written, packed.
    ///
    /// # Errors
    /// None in practice: memory takes what is written.
    pub fn finish(self) -> io::Result<Bytes> {
        let packer = self.0.into_inner().map_err(|error| error.into_error())?;
        Ok(packer.finish()?.into())
    }
}

/// The headers of a packed answer.
pub fn response(content_type: &'static str, packed: Bytes) -> Response {
    let of_content = HeaderValue::from_static(content_type);
    let headers = [
        (header::CONTENT_TYPE, of_content),
        (header::CONTENT_ENCODING, GZIP),
    ];
    (headers, packed).into_response()
}

/// As `axum::Json`, packed.
#[derive(Debug)]
pub struct PackedJson<T>(pub T);

impl<T: Serialize> IntoResponse for PackedJson<T> {
    fn into_response(self) -> Response {
        let mut packing = Packing::default();
        let written = serde_json::to_writer(&mut packing.0, &self.0).map_err(io::Error::from);
        match written.and_then(|()| packing.finish()) {
            Ok(packed) => response("application/json", packed),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let check = |value: &'static str, expect| {
            let headers = [(header::ACCEPT_ENCODING, HeaderValue::from_static(value))];
            assert_eq!(
                takes_gzip(&headers.into_iter().collect()),
                expect,
                "{value}"
            );
        };
        check("gzip", true);
        check("br;q=1.0, GZIP;q=0.8", true);
        check("*", true);
        check("gzip;q=0, *", false);
        check("gzip ; Q=0", false);
        check("*;q=0, x-gzip", true);
        check("identity", false);
        check("", false);
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
