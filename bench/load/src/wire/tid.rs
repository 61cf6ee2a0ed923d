//! Transaction ids and message ids of the generator: derived, so that whoever knows the run can make them again.

/// Length of a transaction id: 65 bits of the run and the flow as 13 characters, then the number of the chunk as 8 hex digits.
pub const TID_LEN: usize = 21;

/// A transaction id. Its first character is lower-case or a digit; ids in made-up end-lines begin with an upper-case letter.
pub type Tid = [u8; TID_LEN];

/// A well-mixed number from another (splitmix64).
pub fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The transaction id of chunk `number` of the flow with the key `key`.
pub fn tid(key: u64, number: u64) -> Tid {
    let mut tid = [0; TID_LEN];
    let (name, digits) = tid.split_at_mut(13);
    name.copy_from_slice(&base32(mix(key ^ number)));
    digits.copy_from_slice(&hex32(number));
    tid
}

/// The number of the chunk that a transaction id of [`tid`] names.
pub fn number_of(tid: &[u8]) -> Option<u64> {
    parse_hex(tid.get(13..).filter(|digits| digits.len() == 8)?)
}

/// 64 bits as 13 characters out of `0-9a-v`.
pub fn base32(value: u64) -> [u8; 13] {
    let mut text = [0; 13];
    let mut rest = value;
    for place in &mut text {
        let digit = u8::try_from(rest & 31).unwrap_or_default();
        *place = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
        rest >>= 5;
    }
    text
}

/// The low 32 bits as 8 hex digits.
pub fn hex32(value: u64) -> [u8; 8] {
    let mut text = [0; 8];
    let mut rest = value;
    for place in text.iter_mut().rev() {
        let digit = u8::try_from(rest & 15).unwrap_or_default();
        *place = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
        rest >>= 4;
    }
    text
}

/// A number out of up to 16 lower-case hex digits.
pub fn parse_hex(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    digits.iter().try_fold(0, |value: u64, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::{number_of, parse_hex, tid};

    #[test]
    fn a_tid_is_an_ident_that_carries_its_number() {
        for number in [0, 1, 9, 10, 255, 0xdead_beef] {
            let id = tid(77, number);
            assert!(id.iter().all(u8::is_ascii_alphanumeric));
            assert!(!id[0].is_ascii_uppercase());
            assert_eq!(number_of(&id), Some(number));
            assert_ne!(id, tid(78, number));
        }
        assert_eq!(number_of(b"short"), None);
        assert_eq!(number_of(b"0123456789abc0000000G"), None);
    }

    #[test]
    fn hex_is_lower_case_and_bounded() {
        assert_eq!(parse_hex(b"ff"), Some(255));
        assert_eq!(parse_hex(b"FF"), None);
        assert_eq!(parse_hex(b""), None);
        assert_eq!(parse_hex(b"00000000000000001"), None);
    }
}
