//! AMQP frames as bytes: where one ends, what it is, and its performative written at full length.
//!
//! Microsoft's Python client looks into a performative by position, and the service writes every field; fe2o3-amqp leaves
//! trailing nulls out, as the specification allows. So they are put back here.

/// The code of a disposition.
pub const DISPOSITION: u8 = 0x15;

const NULL: u8 = 0x40;
const LIST_32: u8 = 0xd0;

/// Takes the first whole frame, or protocol header, off the bytes.
pub fn take_frame(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = match bytes.first_chunk::<4>()? {
        b"AMQP" => 8,
        size => u32::from_be_bytes(*size) as usize,
    };
    if bytes.len() < length.max(8) {
        return None;
    }
    let rest = bytes.split_off(length.max(8));
    Some(std::mem::replace(bytes, rest))
}

/// The code of the frame's performative; none for a protocol header or an empty frame.
pub fn performative(frame: &[u8]) -> Option<u8> {
    if frame.starts_with(b"AMQP") {
        return None;
    }
    let start = usize::from(*frame.get(4)?) * 4;
    match frame.get(start..start + 3)? {
        [0x00, 0x53, code] => Some(*code),
        _ => None,
    }
}

/// The same frame with all fields of its performative.
pub fn at_full_length(frame: Vec<u8>) -> Vec<u8> {
    let Some(fields) = performative(&frame).and_then(fields_of) else {
        return frame;
    };
    let list = usize::from(frame[4]) * 4 + 3;
    let Some((count, content)) = list_at(&frame, list) else {
        return frame;
    };
    let missing = fields.saturating_sub(count);
    let mut whole = frame[..list].to_vec();
    whole.push(LIST_32);
    whole.extend(length(4 + content.len() + missing));
    whole.extend(length(count + missing));
    whole.extend(&frame[content.clone()]);
    whole.extend(std::iter::repeat_n(NULL, missing));
    whole.extend(&frame[content.end..]);
    let size = length(whole.len());
    whole[..4].copy_from_slice(&size);
    whole
}

fn length(of: usize) -> [u8; 4] {
    u32::try_from(of)
        .expect("a frame below 4 GiB")
        .to_be_bytes()
}

fn fields_of(performative: u8) -> Option<usize> {
    Some(match performative {
        0x10 => 10,
        0x11 => 8,
        0x12 => 14,
        0x13 | 0x14 => 11,
        DISPOSITION => 6,
        0x16 => 3,
        0x17 | 0x18 => 1,
        0x44 => 2,
        _ => return None,
    })
}

/// How many elements the list there has, and where they lie.
fn list_at(frame: &[u8], at: usize) -> Option<(usize, std::ops::Range<usize>)> {
    let number = |at: usize| {
        let bytes = frame.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes) as usize)
    };
    let (count, start, end) = match frame.get(at)? {
        0x45 => (0, at + 1, at + 1),
        0xc0 => {
            let size = usize::from(*frame.get(at + 1)?);
            (usize::from(*frame.get(at + 2)?), at + 3, at + 2 + size)
        }
        0xd0 => (number(at + 5)?, at + 9, at + 5 + number(at + 1)?),
        _ => return None,
    };
    (start <= end && end <= frame.len()).then_some((count, start..end))
}
