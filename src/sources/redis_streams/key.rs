//! Keys are bytes. Here they are text: a byte that is not UTF-8 has a character of its own, so that no two keys are the same text and
//! each can be sent as it is.

use std::fmt::Write;

/// The stand-ins of the bytes 0x00 to 0xff: characters of a private plane. A key that holds one itself has its bytes replaced, too.
const FIRST: u32 = 0x0010_ff00;

/// The text of a key.
pub fn held(key: &[u8]) -> String {
    let mut held = String::with_capacity(key.len());
    for chunk in key.utf8_chunks() {
        for c in chunk.valid().chars() {
            match byte_of(c) {
                None => held.push(c),
                Some(_) => held.extend(c.encode_utf8(&mut [0; 4]).bytes().map(stand_in)),
            }
        }
        held.extend(chunk.invalid().iter().copied().map(stand_in));
    }
    held
}

/// The bytes that a text stands for.
pub fn sent(key: &str) -> Vec<u8> {
    let mut sent = Vec::with_capacity(key.len());
    for c in key.chars() {
        match byte_of(c) {
            Some(byte) => sent.push(byte),
            None => sent.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    sent
}

/// For people: `%ff` for a byte that is not text.
pub fn shown(key: &str) -> String {
    written(key, |c| byte_of(c).is_some())
}

/// As [`shown`], and as good as any other key's name: `%25` for a percent sign.
pub fn shown_apart(key: &str) -> String {
    written(key, |c| c == '%' || byte_of(c).is_some())
}

fn written(key: &str, is_escaped: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(key.len());
    for c in key.chars() {
        if is_escaped(c) {
            let byte = byte_of(c).unwrap_or(b'%');
            // Writing to a text does not fail.
            let _ = write!(shown, "%{byte:02x}");
        } else {
            shown.push(c);
        }
    }
    shown
}

fn stand_in(byte: u8) -> char {
    char::from_u32(FIRST + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn byte_of(c: char) -> Option<u8> {
    u8::try_from(u32::from(c).checked_sub(FIRST)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_text_is_shown_by_its_bytes() {
        assert_eq!(shown(&held(b"caf\xe9:1")), "caf%e9:1");
        assert_eq!(shown(&held("café:50%".as_bytes())), "café:50%");
        assert_eq!(shown_apart(&held(b"50%\xe9")), "50%25%e9");
        assert_eq!(shown(&held("\u{10ff41}".as_bytes())), "%f4%8f%bd%81");
    }

    proptest! {
        #[test]
        fn every_key_is_sent_as_it_was_found(key in prop::collection::vec(any::<u8>(), 0..40), text in ".*") {
            prop_assert_eq!(sent(&held(&key)), key);
            prop_assert_eq!(sent(&held(text.as_bytes())), text.as_bytes());
        }
    }
}
