//! Byte-Range: octets of a message, counted from 1 (RFC 4975 section 7.1.1).

use core::fmt;

/// Largest number that the TypeScript side holds exactly, and so the largest that either side takes: 2^53 − 1.
pub const MAX_OCTETS: u64 = (1 << 53) - 1;

/// A Byte-Range. `None` stands for `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// Number of the first octet, 1 or more.
    pub start: u64,
    /// Number of the last octet; `start - 1` when there is none.
    pub end: Option<u64>,
    /// Size of the whole message.
    pub total: Option<u64>,
}

impl ByteRange {
    /// What a frame without a Byte-Range has: `1-*/*`.
    pub const ANY: Self = Self { start: 1, end: None, total: None };

    /// Parses `start "-" (end / "*") "/" (total / "*")`; `None` when it is malformed or out of bounds.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (start, rest) = number(value)?;
        let (end, rest) = number_or_star(rest.strip_prefix(b"-")?)?;
        let (total, rest) = number_or_star(rest.strip_prefix(b"/")?)?;
        let range = Self { start, end, total };
        (rest.is_empty() && range.is_consistent()).then_some(range)
    }

    fn is_consistent(self) -> bool {
        if self.start == 0 {
            return false;
        }
        let Some(end) = self.end else { return true };
        end >= self.start - 1 && self.total.is_none_or(|total| end <= total)
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-", self.start)?;
        star(out, self.end)?;
        out.write_str("/")?;
        star(out, self.total)
    }
}

fn star(out: &mut fmt::Formatter<'_>, number: Option<u64>) -> fmt::Result {
    match number {
        Some(number) => write!(out, "{number}"),
        None => out.write_str("*"),
    }
}

/// `1*DIGIT` of at most 16 digits and [`MAX_OCTETS`], and what follows.
#[inline]
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    let mut rest = bytes;
    while let [digit @ b'0'..=b'9', tail @ ..] = rest {
        // What overflows has too many digits.
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        rest = tail;
    }
    (matches!(bytes.len() - rest.len(), 1..=16) && value <= MAX_OCTETS).then_some((value, rest))
}

fn number_or_star(bytes: &[u8]) -> Option<(Option<u64>, &[u8])> {
    match bytes.strip_prefix(b"*") {
        Some(rest) => Some((None, rest)),
        None => number(bytes).map(|(value, rest)| (Some(value), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::ByteRange;

    #[test]
    fn good_values_are_written_as_they_were_read() {
        for text in ["1-5/5", "1-*/5", "1-*/*", "1-5/*", "2049-4096/9000", "1-0/0", "1-*/9007199254740991"] {
            let range = ByteRange::parse(text.as_bytes()).expect(text);
            assert_eq!(range.to_string(), text);
        }
    }

    #[test]
    fn bad_values_are_refused() {
        for text in [
            "",
            "1",
            "1-",
            "1-5",
            "1-5/",
            "/",
            "-1-5/5",
            "0-5/5",
            "*-5/5",
            "10-8/20",
            "1-6/5",
            "1 - 5/5",
            "1-0x5/5",
            "1-5/5 ",
            "1-*/9007199254740992",
            "1-*/99999999999999999999",
            "1-5/5,6-9/9",
        ] {
            assert_eq!(ByteRange::parse(text.as_bytes()), None, "{text}");
        }
    }
}
