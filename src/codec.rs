//! How KEDA's messages are put into bytes: with small buffers. A stream keeps its buffer for as long as it is open, and KEDA keeps one open
//! for each of its triggers.

use std::fmt;
use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::ProstCodec;

/// What a stream sends takes a few bytes. A buffer grows where a message needs more.
const BUFFER_BYTES: usize = 128;

/// What is written at a time while more is to come: the library's own.
const WRITTEN_BYTES: usize = 32 << 10;

/// The library's codec, with buffers of 128 bytes instead of 8 KiB.
pub struct SmallBuffers<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for SmallBuffers<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> fmt::Debug for SmallBuffers<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmallBuffers")
    }
}

fn settings() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, WRITTEN_BYTES)
}

impl<T, U> Codec for SmallBuffers<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = <ProstCodec<T, U> as Codec>::Encoder;
    type Decoder = <ProstCodec<T, U> as Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(settings())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(settings())
    }
}
