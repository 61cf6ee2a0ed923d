//! MSRP URIs: `msrp(s)://[userinfo@]host[:port][/session-id];transport*(;param)` (RFC 4975 section 6, core C-110…C-117).

use core::net::Ipv6Addr;
use core::str::FromStr;

/// An MSRP URI, taken apart. Everything is as written.
#[derive(Clone, Copy, Debug)]
pub struct Uri<'a> {
    /// The scheme is `msrps`: the connection is TLS.
    pub secure: bool,
    /// What stands before the `@`, if there is one.
    pub userinfo: Option<&'a [u8]>,
    /// Who is meant.
    pub host: Host<'a>,
    /// 1…65535.
    pub port: Option<u16>,
    /// Byte for byte. Never empty.
    pub session_id: Option<&'a [u8]>,
    /// `tcp`, `ws` … in any case.
    pub transport: &'a [u8],
}

/// The host of a URI.
#[derive(Clone, Copy, Debug)]
pub enum Host<'a> {
    /// A name, or an IPv4 address, which is compared as text.
    Name(&'a [u8]),
    /// A literal in brackets.
    Ipv6(Ipv6Addr),
}

impl<'a> Uri<'a> {
    /// Takes a URI apart; `None` when it is none.
    ///
    /// Rules: scheme without case; optional userinfo; host a bracketed IPv6 literal, or unreserved, sub-delims without `;`, and
    /// escapes; port 1…65535; session-id non-empty; transport mandatory; then `;token[=token]`.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let first = First::parse(text)?;
        first.rest.is_empty().then_some(first.uri)
    }

    /// Compares as RFC 4975 section 6.1 does: scheme, host (IPv6 by value), port (an absent one equals only an absent one),
    /// session-id by byte, transport. Userinfo and further parameters do not count (C-114, D-19).
    #[must_use]
    pub fn is_same(&self, other: &Uri<'_>) -> bool {
        self.secure == other.secure
            && self.port == other.port
            && self.session_id == other.session_id
            && self.transport.eq_ignore_ascii_case(other.transport)
            && self.host.is_same(&other.host)
    }
}

/// Compares two URI texts; texts that are equal byte for byte need no parsing.
#[must_use]
pub fn is_same_uri(a: &[u8], b: &[u8]) -> bool {
    a == b || Uri::parse(a).is_some_and(|a| Uri::parse(b).is_some_and(|b| a.is_same(&b)))
}

impl Host<'_> {
    /// Names without case and with needless escapes decoded, IPv6 addresses by value.
    #[must_use]
    pub fn is_same(&self, other: &Host<'_>) -> bool {
        match (self, other) {
            (Host::Name(a), Host::Name(b)) => a.eq_ignore_ascii_case(b) || Canonical(a).eq(Canonical(b)),
            (Host::Ipv6(a), Host::Ipv6(b)) => a == b,
            _ => false,
        }
    }
}

/// Bytes of a name in lower case; an escape of an unreserved character is that character, any other stays (RFC 3986 section
/// 6.2.2).
struct Canonical<'a>(&'a [u8]);

impl Iterator for Canonical<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        if let (b'%', Some((digits, behind))) = (first, rest.split_first_chunk::<2>())
            && let Some(char) = escaped(*digits)
            && is(char, UNRESERVED)
        {
            self.0 = behind;
            return Some(char.to_ascii_lowercase());
        }
        Some(first.to_ascii_lowercase())
    }
}

/// The first URI of a text, and what stands behind it.
pub(crate) struct First<'a> {
    pub(crate) uri: Uri<'a>,
    /// Offset behind the session-id, when there is one.
    pub(crate) session_end: usize,
    /// Empty, or from a space on.
    pub(crate) rest: &'a [u8],
}

impl<'a> First<'a> {
    /// Parses up to a space or the end.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "measured: a path that is only checked needs no more than a few of its parts")]
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        let (secure, authority) = scheme(text)?;
        // No part but userinfo may hold an `@`: without one there is none, and the first try decides.
        let first = Self::behind_userinfo(text.len(), secure, None, authority);
        if first.is_some() { first } else { Self::with_userinfo(text.len(), secure, authority) }
    }

    #[cold]
    #[inline(never)]
    fn with_userinfo(length: usize, secure: bool, authority: &'a [u8]) -> Option<Self> {
        let (userinfo, rest) = userinfo(authority)?;
        Self::behind_userinfo(length, secure, Some(userinfo), rest)
    }

    /// `length` is that of the whole text.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see above")]
    fn behind_userinfo(length: usize, secure: bool, userinfo: Option<&'a [u8]>, text: &'a [u8]) -> Option<Self> {
        let (host, rest) = host(text)?;
        let (port, rest) = match rest.strip_prefix(b":") {
            Some(rest) => port(rest).map(|(port, rest)| (Some(port), rest))?,
            None => (None, rest),
        };
        let (session_id, rest) = match rest.strip_prefix(b"/") {
            Some(rest) => split(rest, SESSION).map(|(session, rest)| (Some(session), rest))?,
            None => (None, rest),
        };
        let session_end = length - rest.len();
        let (transport, mut rest) = split(rest.strip_prefix(b";")?, ALPHANUMERIC)?;
        while let Some(param) = rest.strip_prefix(b";") {
            (_, rest) = split(param, TOKEN)?;
            if let Some(value) = rest.strip_prefix(b"=") {
                (_, rest) = split(value, TOKEN)?;
            }
        }
        let uri = Uri { secure, userinfo, host, port, session_id, transport };
        matches!(rest, [] | [b' ', ..]).then_some(Self { uri, session_end, rest })
    }
}

#[inline]
fn scheme(text: &[u8]) -> Option<(bool, &[u8])> {
    let (name, rest) = text.split_at_checked(4)?;
    if name != b"msrp" && !name.eq_ignore_ascii_case(b"msrp") {
        return None;
    }
    match rest {
        [b':', b'/', b'/', rest @ ..] => Some((false, rest)),
        [b's' | b'S', b':', b'/', b'/', rest @ ..] => Some((true, rest)),
        _ => None,
    }
}

/// What stands before the `@`, maybe nothing, and behind it.
#[cold]
fn userinfo(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = escaped_span(text, USERINFO)?;
    let (userinfo, rest) = text.split_at_checked(length)?;
    Some((userinfo, rest.strip_prefix(b"@")?))
}

#[inline]
fn host(text: &[u8]) -> Option<(Host<'_>, &[u8])> {
    if let Some(literal) = text.strip_prefix(b"[") {
        return ipv6(literal);
    }
    let length = escaped_span(text, NAME)?;
    let (name, rest) = text.split_at_checked(length)?;
    (length != 0).then_some((Host::Name(name), rest))
}

fn ipv6(literal: &[u8]) -> Option<(Host<'_>, &[u8])> {
    let length = literal.iter().take(46).position(|&byte| byte == b']')?;
    let (address, rest) = literal.split_at_checked(length)?;
    let address = Ipv6Addr::from_str(core::str::from_utf8(address).ok()?).ok()?;
    Some((Host::Ipv6(address), rest.get(1..)?))
}

#[inline]
fn port(text: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, rest) = split(text, DIGIT)?;
    if digits.len() > 5 {
        return None;
    }
    let port = digits.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    let port = u16::try_from(port).ok().filter(|&port| port != 0)?;
    Some((port, rest))
}

/// The longest beginning of that class, which must not be empty, and the rest.
#[inline]
fn split(text: &[u8], class: u8) -> Option<(&[u8], &[u8])> {
    let length = span(text, class);
    if length == 0 { None } else { text.split_at_checked(length) }
}

/// Length of the longest beginning of that class. Four bytes are looked at in one step.
#[inline]
fn span(text: &[u8], class: u8) -> usize {
    let mut rest = text;
    while let Some((chunk, tail)) = rest.split_first_chunk::<4>()
        && chunk.iter().fold(class, |common, &byte| common & class_of(byte)) != 0
    {
        rest = tail;
    }
    text.len() - rest.len() + rest.iter().take_while(|&&byte| is(byte, class)).count()
}

/// Length of the longest beginning of that class and of escapes; `None` when an escape is broken.
#[inline]
fn escaped_span(text: &[u8], class: u8) -> Option<usize> {
    let mut length = span(text, class);
    while text.get(length) == Some(&b'%') {
        let (digits, rest) = text.get(length + 1..)?.split_first_chunk::<2>()?;
        escaped(*digits)?;
        length += 3 + span(rest, class);
    }
    Some(length)
}

/// The byte that two hex digits stand for.
fn escaped([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// Character of a host name, but for escapes: unreserved, or a sub-delim other than `;`.
const NAME: u8 = 1;
const UNRESERVED: u8 = 2;
const SESSION: u8 = 4;
const TOKEN: u8 = 8;
const ALPHANUMERIC: u8 = 16;
const DIGIT: u8 = 32;
/// Character of userinfo, but for escapes.
const USERINFO: u8 = 64;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        let mut class = 0;
        if byte.is_ascii_digit() {
            class |= DIGIT;
        }
        if byte.is_ascii_alphanumeric() {
            class |= ALPHANUMERIC;
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            class |= UNRESERVED | NAME | USERINFO | SESSION;
        }
        if matches!(byte, b'!' | b'$' | b'&'..=b',' | b'=') {
            class |= NAME | USERINFO;
        }
        if matches!(byte, b':' | b';') {
            class |= USERINFO;
        }
        if matches!(byte, b'+' | b'=' | b'/') {
            class |= SESSION;
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'~') {
            class |= TOKEN;
        }
        #[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            classes[byte as usize] = class;
        }
        byte += 1;
    }
    classes
}

#[inline]
#[allow(clippy::indexing_slicing, reason = "256 classes for 256 bytes")]
fn class_of(byte: u8) -> u8 {
    CLASS[byte as usize]
}

#[inline]
fn is(byte: u8, class: u8) -> bool {
    class_of(byte) & class != 0
}
