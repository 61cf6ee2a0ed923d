//! Values of To-Path, From-Path and Use-Path: URIs with spaces between them.

use crate::syntax::uri::First;

/// What a good path begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathStart {
    /// Offsets of the session-id of the first URI in the value; both 0 when it has none.
    pub session: [u32; 2],
}

/// Checks every URI of a path; `None` when one of them is no MSRP URI, when there is none, or when there are more than
/// `max_uris` (core D-04; 0 is no limit). Tolerant mode takes several spaces for one (D-03 b).
#[must_use]
pub fn check_path(value: &[u8], max_uris: usize, strict: bool) -> Option<PathStart> {
    let mut session = [0, 0];
    let mut uris = 0;
    let mut rest = value;
    loop {
        let first = First::parse(rest)?;
        if uris == 0
            && let Some(id) = first.uri.session_id
        {
            let ends = [first.session_end - id.len(), first.session_end];
            session = ends.map(|offset| u32::try_from(offset).unwrap_or(u32::MAX));
        }
        uris += 1;
        rest = match first.rest {
            [] => break,
            [_, next @ ..] if strict => next,
            spaces => without_spaces(spaces),
        };
    }
    (max_uris == 0 || uris <= max_uris).then_some(PathStart { session })
}

/// The URI texts of a path that has been checked.
#[must_use]
pub fn uris(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|&byte| byte == b' ').filter(|uri| !uri.is_empty())
}

#[inline]
fn without_spaces(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = text.strip_prefix(b" ") {
        text = rest;
    }
    text
}
