//! Values of single headers.

use crate::frame::line::{is_ident, is_token};

/// Numbers of the values of Success-Report and Failure-Report (RFC 4975 section 7.1.1).
pub mod report {
    /// `yes`
    pub const YES: u32 = 1;
    /// `no`
    pub const NO: u32 = 2;
    /// `partial`
    pub const PARTIAL: u32 = 3;
}

/// Success-Report or Failure-Report value as a number of [`report`], 0 when it is none; case does not matter (core C-010).
#[must_use]
pub fn report_value(value: &[u8]) -> u32 {
    match value.len() {
        2 if value.eq_ignore_ascii_case(b"no") => report::NO,
        3 if value.eq_ignore_ascii_case(b"yes") => report::YES,
        7 if value.eq_ignore_ascii_case(b"partial") => report::PARTIAL,
        _ => 0,
    }
}

/// True for a Message-ID that is accepted: 1…255 printable ASCII without space (core D-02), strict: ident (core C-023).
#[must_use]
pub fn is_message_id(value: &[u8], strict: bool) -> bool {
    if strict {
        return is_ident(value);
    }
    matches!(value.len(), 1..=255) && value.iter().fold(true, |good, byte| good & matches!(byte, 0x21..=0x7e))
}

/// True for Expires, Min-Expires and Max-Expires: whole seconds (relay R-002).
#[must_use]
pub fn is_seconds(value: &[u8]) -> bool {
    matches!(value.len(), 1..=10) && value.iter().all(u8::is_ascii_digit)
}

/// True for `type/subtype *(;name[=token or quoted-string])` (core C-021) in valid UTF-8; tolerant: white space round the
/// semicolons.
#[must_use]
pub fn is_content_type(value: &[u8], strict: bool) -> bool {
    content_type(value, strict).is_some()
}

fn content_type(value: &[u8], strict: bool) -> Option<()> {
    let subtype = token(value)?.strip_prefix(b"/")?;
    let mut rest = token(subtype)?;
    while !rest.is_empty() {
        let param = blanks(rest, strict).strip_prefix(b";")?;
        rest = token(blanks(param, strict))?;
        if let Some(argument) = rest.strip_prefix(b"=") {
            rest = match argument.strip_prefix(b"\"") {
                Some(quoted) => behind_quoted(quoted)?,
                None => token(argument)?,
            };
        }
    }
    Some(())
}

/// What follows a token.
fn token(text: &[u8]) -> Option<&[u8]> {
    let length = text.iter().position(|&byte| !is_token(byte)).unwrap_or(text.len());
    if length == 0 { None } else { text.get(length..) }
}

fn blanks(mut text: &[u8], strict: bool) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text
        && !strict
    {
        text = rest;
    }
    text
}

/// What follows the closing quote (core C-014).
fn behind_quoted(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        text = match text {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', b'"' | b'\\', rest @ ..] => rest,
            [b'\\', ..] => return None,
            [b'\t' | b' '..=b'~' | 0x80..=0xff, rest @ ..] => rest,
            _ => return None,
        };
    }
}
