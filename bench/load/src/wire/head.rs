//! The head of a frame: start line and headers, as slices of what was read.

use memchr::memchr;

/// Request or response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'b> {
    /// A request and its method.
    Request(&'b [u8]),
    /// A response and its code.
    Response(u16),
}

/// Start line and headers. A header that is not there is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'b> {
    /// Request or response.
    pub kind: Kind<'b>,
    /// Transaction id.
    pub tid: &'b [u8],
    /// To-Path, URIs separated by spaces.
    pub to: &'b [u8],
    /// From-Path.
    pub from: &'b [u8],
    /// Message-ID.
    pub message_id: &'b [u8],
    /// First octet of Byte-Range; 1 without the header.
    pub range_start: u64,
    /// Failure-Report.
    pub failure_report: &'b [u8],
    /// Success-Report.
    pub success_report: &'b [u8],
    /// Status.
    pub status: &'b [u8],
    /// Use-Path.
    pub use_path: &'b [u8],
    /// WWW-Authenticate.
    pub challenge: &'b [u8],
    /// Authorization.
    pub authorization: &'b [u8],
}

/// How a head ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadEnd {
    /// With an empty line: a body follows.
    Body,
    /// With an end-line of this flag.
    Flag(u8),
}

/// What [`read_head`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read<'b> {
    /// A head, how it ends, and the offset behind it.
    Head(Head<'b>, HeadEnd, usize),
    /// Not whole yet.
    Short,
    /// Not a frame; why.
    Bad(&'static str),
}

/// Longest head that is waited for, in octets.
pub const MAX_HEAD: usize = 65536;

/// Reads the head at the beginning of `octets`.
pub fn read_head(octets: &[u8]) -> Read<'_> {
    let Some((start, mut at)) = line(octets, 0) else { return unfinished(octets) };
    let Some((tid, kind)) = start_line(start) else { return Read::Bad("start line") };
    let mut head = Head {
        kind,
        tid,
        to: b"",
        from: b"",
        message_id: b"",
        range_start: 1,
        failure_report: b"",
        success_report: b"",
        status: b"",
        use_path: b"",
        challenge: b"",
        authorization: b"",
    };
    loop {
        let Some((text, next)) = line(octets, at) else { return unfinished(octets) };
        at = next;
        if text.is_empty() {
            return finished(head, HeadEnd::Body, at);
        }
        if let Some(behind) = text.strip_prefix(b"-------") {
            return match behind.strip_prefix(tid) {
                Some([flag @ (b'$' | b'+' | b'#')]) => finished(head, HeadEnd::Flag(*flag), at),
                _ => Read::Bad("end-line of another frame among the headers"),
            };
        }
        let Some((name, value)) = header(text) else { return Read::Bad("header without a colon") };
        match name {
            b"To-Path" => head.to = value,
            b"From-Path" => head.from = value,
            b"Message-ID" => head.message_id = value,
            b"Byte-Range" => match range_start(value) {
                Some(first) => head.range_start = first,
                None => return Read::Bad("Byte-Range"),
            },
            b"Failure-Report" => head.failure_report = value,
            b"Success-Report" => head.success_report = value,
            b"Status" => head.status = value,
            b"Use-Path" => head.use_path = value,
            b"WWW-Authenticate" => head.challenge = value,
            b"Authorization" => head.authorization = value,
            _ => {}
        }
    }
}

/// Name and value of a header. A name is short, so a plain loop finds its end soonest.
fn header(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = text.split_at(text.iter().position(|octet| *octet == b':')?);
    let value = rest.get(1..)?;
    Some((name, value.strip_prefix(b" ").unwrap_or(value)))
}

fn finished(head: Head<'_>, end: HeadEnd, at: usize) -> Read<'_> {
    if head.to.is_empty() || head.from.is_empty() { Read::Bad("path missing") } else { Read::Head(head, end, at) }
}

fn unfinished(octets: &[u8]) -> Read<'_> {
    let expected = b"MSRP ";
    let known = octets.len().min(expected.len());
    if octets.get(..known) != expected.get(..known) {
        return Read::Bad("start line");
    }
    if octets.len() > MAX_HEAD { Read::Bad("head too long") } else { Read::Short }
}

/// The line that begins at `at` without its CRLF, and the offset of the next.
fn line(octets: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = octets.get(at..)?;
    let end = memchr(b'\n', rest)?;
    let text = rest.get(..end)?;
    Some((text.strip_suffix(b"\r").unwrap_or(text), at + end + 1))
}

fn start_line(text: &[u8]) -> Option<(&[u8], Kind<'_>)> {
    let rest = text.strip_prefix(b"MSRP ")?;
    let (tid, behind) = rest.split_at(memchr(b' ', rest)?);
    let word = behind.get(1..)?;
    if !(4..=32).contains(&tid.len()) {
        return None;
    }
    if word.first()?.is_ascii_digit() {
        let code = word
            .get(..3)?
            .iter()
            .try_fold(0, |code: u16, digit| digit.is_ascii_digit().then(|| code * 10 + u16::from(digit - b'0')))?;
        return matches!(word.get(3), None | Some(b' ')).then_some((tid, Kind::Response(code)));
    }
    word.iter().all(u8::is_ascii_uppercase).then_some((tid, Kind::Request(word)))
}

fn range_start(value: &[u8]) -> Option<u64> {
    let digits = value.get(..memchr(b'-', value)?).filter(|digits| (1..=18).contains(&digits.len()))?;
    digits.iter().try_fold(0, |sum: u64, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
}

/// The first URI of a path.
pub fn first_uri(path: &[u8]) -> &[u8] {
    path.get(..memchr(b' ', path).unwrap_or(path.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{HeadEnd, Kind, Read, first_uri, read_head};

    const SEND: &[u8] = b"MSRP abcd1234 SEND\r\nTo-Path: msrp://r:1/s;tcp msrp://a:2/t;tcp\r\nFrom-Path: msrp://b:3/u;tcp\r\n\
        Message-ID: m123\r\nFailure-Report: no\r\nByte-Range: 11-*/20\r\nContent-Type: text/plain\r\n\r\nhello";

    #[test]
    fn a_send_is_taken_apart() {
        let Read::Head(head, end, at) = read_head(SEND) else { panic!("no head") };
        assert_eq!((head.kind, head.tid), (Kind::Request(b"SEND"), b"abcd1234".as_slice()));
        assert_eq!(head.to, b"msrp://r:1/s;tcp msrp://a:2/t;tcp");
        assert_eq!(first_uri(head.to), b"msrp://r:1/s;tcp");
        assert_eq!((head.message_id, head.range_start), (b"m123".as_slice(), 11));
        assert_eq!(head.failure_report, b"no");
        assert_eq!((end, &SEND[at..]), (HeadEnd::Body, b"hello".as_slice()));
    }

    #[test]
    fn a_response_ends_with_its_end_line() {
        let octets =
            b"MSRP abcd 481 No Such Session\r\nTo-Path: msrp://a:1/s;tcp\r\nFrom-Path: msrp://b:1/t;tcp\r\n-------abcd$\r\n";
        let Read::Head(head, end, at) = read_head(octets) else { panic!("no head") };
        assert_eq!((head.kind, end, at), (Kind::Response(481), HeadEnd::Flag(b'$'), octets.len()));
    }

    #[test]
    fn a_head_is_short_at_every_cut() {
        let whole = SEND.len() - b"hello".len();
        for cut in 0..whole {
            assert_eq!(read_head(&SEND[..cut]), Read::Short, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for octets in [
            b"HTTP".as_slice(),
            b"MSRP abc SEND\r\n",
            b"MSRP abcd send\r\n",
            b"MSRP abcd 2000\r\n",
            b"MSRP abcd SEND\r\nTo-Path\r\n",
            b"MSRP abcd SEND\r\n-------abcd$\r\n",
            b"MSRP abcd SEND\r\nTo-Path: a\r\nFrom-Path: b\r\n-------abce$\r\n",
            b"MSRP abcd SEND\r\nTo-Path: a\r\nFrom-Path: b\r\nByte-Range: x-1/1\r\n\r\n",
        ] {
            assert!(matches!(read_head(octets), Read::Bad(_)), "{}", String::from_utf8_lossy(octets));
        }
    }
}
