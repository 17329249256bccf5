//! Keys as bytes whose order is the keys' order.
//!
//! Numbers are big-endian; a text that something follows is ended by two zero bytes, its own zero bytes escaped; a
//! text that ends a key is its bytes. The encoding is part of the disk format.

use crate::types::{CollectionId, RecordKey, SegmentId, ViewId};

/// A key of a catalog table: encoded bytes compare as the keys do.
pub trait KeyBytes: Sized {
    /// Appends the key's bytes.
    fn encode(&self, bytes: &mut Vec<u8>);

    /// Reads what [`KeyBytes::encode`] wrote, all of it; `None` when the bytes are not such a key.
    fn decode(bytes: &[u8]) -> Option<Self>;

    /// The key's bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16);
        self.encode(&mut bytes);
        bytes
    }
}

/// A part that something may follow: it can tell where it ends.
trait Part: Sized {
    fn encode_part(&self, bytes: &mut Vec<u8>);
    fn decode_part(bytes: &[u8]) -> Option<(Self, &[u8])>;
}

impl Part for u32 {
    fn encode_part(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_be_bytes());
    }

    fn decode_part(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (number, rest) = bytes.split_first_chunk()?;
        Some((u32::from_be_bytes(*number), rest))
    }
}

impl Part for u64 {
    fn encode_part(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_be_bytes());
    }

    fn decode_part(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (number, rest) = bytes.split_first_chunk()?;
        Some((u64::from_be_bytes(*number), rest))
    }
}

impl Part for String {
    fn encode_part(&self, bytes: &mut Vec<u8>) {
        for &byte in self.as_bytes() {
            bytes.push(byte);
            if byte == 0 {
                bytes.push(0xff);
            }
        }
        bytes.extend_from_slice(&[0, 0]);
    }

    fn decode_part(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let mut text = Vec::new();
        let mut rest = bytes;
        loop {
            let (&byte, after) = rest.split_first()?;
            rest = after;
            if byte == 0 {
                let (&next, after) = rest.split_first()?;
                rest = after;
                match next {
                    0 => return Some((String::from_utf8(text).ok()?, rest)),
                    0xff => {}
                    _ => return None,
                }
            }
            text.push(byte);
        }
    }
}

macro_rules! id_parts {
    ($($id:ident),*) => {
        $(impl Part for $id {
            fn encode_part(&self, bytes: &mut Vec<u8>) {
                self.0.encode_part(bytes);
            }

            fn decode_part(bytes: &[u8]) -> Option<(Self, &[u8])> {
                u32::decode_part(bytes).map(|(number, rest)| ($id(number), rest))
            }
        })*
    };
}

id_parts!(CollectionId, ViewId, SegmentId);

impl KeyBytes for RecordKey {
    fn encode(&self, bytes: &mut Vec<u8>) {
        self.0.encode_part(bytes);
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(RecordKey(u64::from_be_bytes(bytes.try_into().ok()?)))
    }
}

impl KeyBytes for u32 {
    fn encode(&self, bytes: &mut Vec<u8>) {
        self.encode_part(bytes);
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }
}

impl KeyBytes for String {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok().map(str::to_string)
    }
}

impl<A: Part, B: KeyBytes> KeyBytes for (A, B) {
    fn encode(&self, bytes: &mut Vec<u8>) {
        self.0.encode_part(bytes);
        self.1.encode(bytes);
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (first, rest) = A::decode_part(bytes)?;
        Some((first, B::decode(rest)?))
    }
}

impl<A: Part, B: Part, C: KeyBytes> KeyBytes for (A, B, C) {
    fn encode(&self, bytes: &mut Vec<u8>) {
        self.0.encode_part(bytes);
        self.1.encode_part(bytes);
        self.2.encode(bytes);
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (first, rest) = A::decode_part(bytes)?;
        let (second, rest) = B::decode_part(rest)?;
        Some((first, second, C::decode(rest)?))
    }
}

macro_rules! id_keys {
    ($($id:ident),*) => {
        $(impl KeyBytes for $id {
            fn encode(&self, bytes: &mut Vec<u8>) {
                self.0.encode(bytes);
            }

            fn decode(bytes: &[u8]) -> Option<Self> {
                u32::decode(bytes).map($id)
            }
        })*
    };
}

id_keys!(CollectionId, ViewId, SegmentId);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order_and_round_trip<K: KeyBytes + Ord + std::fmt::Debug>(a: K, b: K) {
        let (a_bytes, b_bytes) = (a.to_bytes(), b.to_bytes());
        assert_eq!(a.cmp(&b), a_bytes.cmp(&b_bytes), "{a:?} {b:?}");
        assert_eq!(K::decode(&a_bytes), Some(a));
    }

    proptest! {
        #[test]
        fn bytes_order_as_keys_do(a: (u32, String), b: (u32, String)) {
            order_and_round_trip(a, b);
        }

        #[test]
        fn texts_inside_keys_order_too(a in (0_u32..3, "[\u{0}a-b]{0,4}", 0_u32..3), b in (0_u32..3, "[\u{0}a-b]{0,4}", 0_u32..3)) {
            order_and_round_trip(a, b);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = <(u32, String, u32)>::decode(&bytes);
            let _ = <(u32, u32)>::decode(&bytes);
        }
    }

    #[test]
    fn left_over_or_missing_bytes_are_refused() {
        assert_eq!(<(u32, u32)>::decode(&[0; 7]), None);
        assert_eq!(<(u32, u32)>::decode(&[0; 9]), None);
        assert_eq!(<(u32, String, u32)>::decode(&[0, 0, 0, 1, b'a', 0, 7, 0, 0, 0, 1]), None);
    }
}
