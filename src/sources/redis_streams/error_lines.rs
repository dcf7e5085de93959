//! Servers quote keys in errors as they are, and the Redis library gives a connection up for an error that is not UTF-8. So what is not
//! ASCII in one is read as a question mark: the key itself is known anyway.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection to a server, whose errors are read in ASCII.
pub struct AsciiErrors<S> {
    stream: S,
    place: ReplyPlace,
}

/// Where in the server's replies the next byte is.
#[derive(Clone, Copy)]
enum ReplyPlace {
    /// The first byte of a reply, or of one within it.
    Kind,
    /// In the line of an error.
    Error,
    /// In another line.
    Line,
    /// In the line that says how many bytes follow; so many as far as read, none if there are to be none.
    Length(Option<u64>),
    /// Before so many bytes of any kind.
    Bytes(u64),
}

impl<S> AsciiErrors<S> {
    /// From the first reply on.
    pub const fn new(stream: S) -> Self {
        let place = ReplyPlace::Kind;
        Self { stream, place }
    }
}

impl ReplyPlace {
    fn pass(mut self, mut read: &mut [u8]) -> Self {
        while let Some(byte) = read.first_mut() {
            let mut passed = 1;
            self = match (self, *byte) {
                (Self::Kind, b'-') => Self::Error,
                (Self::Kind, b'$' | b'=' | b'!') => Self::Length(Some(0)),
                (Self::Kind, _) => Self::Line,
                // The end of the line is behind these bytes, too.
                (Self::Length(Some(bytes)), b'\n') => Self::Bytes(bytes.saturating_add(2)),
                (Self::Error | Self::Line | Self::Length(None), b'\n') => Self::Kind,
                (Self::Error, _) => {
                    if !byte.is_ascii() {
                        *byte = b'?';
                    }
                    self
                }
                (Self::Length(Some(bytes)), b'0'..=b'9') => {
                    let digit = u64::from(*byte - b'0');
                    Self::Length(bytes.checked_mul(10).and_then(|n| n.checked_add(digit)))
                }
                (Self::Length(_), b'-') => Self::Length(None),
                (Self::Line | Self::Length(_), _) => self,
                (Self::Bytes(left), _) => {
                    passed = usize::try_from(left).map_or(read.len(), |left| left.min(read.len()));
                    match left - passed as u64 {
                        0 => Self::Kind,
                        left => Self::Bytes(left),
                    }
                }
            };
            read = &mut read[passed..];
        }
        self
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for AsciiErrors<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.place = self.place.pass(&mut buffer.filled_mut()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for AsciiErrors<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A reply as sent, and as read.
    fn reply() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..30);
        let same = |reply: Vec<u8>| (reply.clone(), reply);
        let bulk = (prop::sample::select(b"$=!".to_vec()), bytes()).prop_map(|(kind, bytes)| {
            let head = [&[kind], format!("{}\r\n", bytes.len()).as_bytes()].concat();
            [&head[..], &bytes, b"\r\n"].concat()
        });
        let line = prop::sample::select(vec!["+OK\r\n", ":-1\r\n", "*2\r\n", "$-1\r\n", "_\r\n"]);
        let error = bytes().prop_map(|bytes| {
            let line = |byte: &u8| !matches!(byte, b'\r' | b'\n');
            let sent: Vec<_> = bytes.into_iter().filter(line).collect();
            let ascii = |byte: &u8| if byte.is_ascii() { *byte } else { b'?' };
            let read: Vec<_> = sent.iter().map(ascii).collect();
            let framed = |text: &[u8]| [b"-", text, b"\r\n"].concat();
            (framed(&sent), framed(&read))
        });
        prop_oneof![
            bulk.prop_map(same),
            line.prop_map(move |line| same(line.into())),
            error
        ]
    }

    proptest! {
        #[test]
        fn only_errors_are_changed_wherever_the_replies_are_cut(replies in prop::collection::vec(reply(), 0..8), cuts in prop::collection::vec(1_usize..20, 1..20)) {
            let (sent, expect): (Vec<_>, Vec<_>) = replies.into_iter().unzip();
            let mut read = sent.concat();
            let (mut place, mut rest) = (ReplyPlace::Kind, &mut read[..]);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at_mut((*cut).min(rest.len()));
                place = place.pass(now);
                rest = later;
            }
            prop_assert_eq!(read, expect.concat());
        }
    }
}
