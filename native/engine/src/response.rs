//! Responses: matched by transaction id and connection (relay R-071, D-45), then used up or sent on.

use crate::connection::State;
use crate::contract::Event;
use crate::counters::RESPONSE_KIND;
use crate::fail::fail_transaction;
use crate::flow::{hold_if_full, release_if_drained};
use crate::frame::{Frame, read_headers};
use crate::plane::Plane;
use crate::reply::begin_frame;
use crate::route::Route;
use crate::send_stream;
use crate::table::Key;
use crate::transaction::Slot;
use msrp_core::frame::record::word;
use msrp_core::syntax::path::uris;
use msrp_core::syntax::uri::is_same_uri;
use std::rc::Rc;

/// A response on `connection`. `issue`: the objection to it, 0 for none.
pub fn on_response(plane: &mut Plane, connection: Key, frame: Frame<'_>, issue: u32) {
    let slot = if issue == 0 { plane.transactions.find(frame.tid(), connection) } else { None };
    let is_that = |slot: &Slot| plane.transactions.at(*slot).route.as_ref().is_some_and(|route| is_ours(route, frame));
    let Some(slot) = slot.filter(is_that) else {
        let status = u16::try_from(frame.method()).unwrap_or(0);
        let is_that = |route: &Route| issue == 0 && is_ours(route, frame);
        if !send_stream::answered(plane, connection, frame.tid(), status, is_that) {
            plane.counters.dropped += 1;
        }
        return;
    };
    let started_ms = plane.transactions.at(slot).started_ms;
    plane.counters.answered(plane.now_ms.saturating_sub(started_ms));
    let status = frame.method();
    if !plane.transactions.at(slot).is_send {
        pass_back(plane, slot, frame);
        plane.transactions.close(slot, &mut plane.connections);
    } else if (200..=299).contains(&status) {
        // A 200 has done its duty here: it goes from hop to hop (relay R-064).
        plane.transactions.close(slot, &mut plane.connections);
    } else {
        fail_transaction(plane, slot, u16::try_from(status).unwrap_or(0));
        return;
    }
    release_if_drained(plane, connection);
}

/// The first URI of To-Path must be the one that the request went out under (relay R-070).
#[inline]
fn is_ours(route: &Route, frame: Frame<'_>) -> bool {
    let Some(own) = route.sessions.len().checked_sub(1).and_then(|last| route.to_path.get(last)) else { return false };
    let value = frame.span(word::TO_START, word::TO_END);
    let first = value.split(|&byte| byte == b' ').next().unwrap_or_default();
    *first == **own || is_same_uri(first, own)
}

/// The response to anything but a SEND travels the whole path back (relay R-072): own URIs move from To-Path to From-Path, the
/// transaction id becomes the incoming one again. Nobody is told when the way back is gone.
fn pass_back(plane: &mut Plane, slot: Slot, frame: Frame<'_>) {
    let transaction = plane.transactions.at(slot);
    let source = transaction.source;
    let own = transaction.route.as_ref().map_or(0, |route| route.sessions.len());
    let to_path: Vec<&[u8]> = uris(frame.span(word::TO_START, word::TO_END)).collect();
    let open = plane.connections.get(source).is_some_and(|source| source.state == State::Open);
    if !open || to_path.len() <= own {
        plane.counters.dropped += 1;
        return;
    }
    let (passed, left) = to_path.split_at(own);
    let tid = transaction.source_tid.clone();
    let (has_credentials, _route) = (transaction.has_credentials, transaction.route.as_ref().map(Rc::clone));
    let Some(out) = begin_frame(plane, source) else { return };
    out.extend_from_slice(b"MSRP ");
    out.extend_from_slice(&tid);
    out.push(b' ');
    out.extend_from_slice(frame.span(word::WORD_START, word::LINE_END));
    out.extend_from_slice(b"\r\nTo-Path:");
    for uri in left {
        out.push(b' ');
        out.extend_from_slice(uri);
    }
    out.extend_from_slice(b"\r\nFrom-Path:");
    for uri in passed.iter().rev() {
        out.push(b' ');
        out.extend_from_slice(uri);
    }
    out.push(b' ');
    out.extend_from_slice(frame.span(word::FROM_START, word::FROM_END));
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(frame.headers());
    out.extend_from_slice(b"-------");
    out.extend_from_slice(&tid);
    out.extend_from_slice(b"$\r\n");
    plane.touch(source);
    plane.counters.frames_out[RESPONSE_KIND] += 1;
    hold_if_full(plane, source, source);
    if has_credentials
        && frame.method() == 401
        && !is_stale(frame.headers())
        && let Some(rejected) = plane.connections.get(source)
        // The worker at its other end tells.
        && !rejected.is_link()
    {
        let event = Event::AuthRejected { connection: rejected.id };
        plane.emit_from(source, event);
    }
}

/// `stale=true` says that the credentials were right and only the nonce too old (relay R-037).
fn is_stale(lines: &[u8]) -> bool {
    let headers = read_headers(lines);
    let Some((_, challenge)) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("www-authenticate")) else {
        return false;
    };
    // `stale` as a word, white space round the sign, the value quoted or not.
    let challenge = challenge.to_ascii_lowercase();
    challenge.match_indices("stale").any(|(at, word)| {
        let before = challenge[..at].chars().next_back();
        let value = challenge[at + word.len()..].trim_start().strip_prefix('=').map(str::trim_start);
        let value = value.map(|value| value.strip_prefix('"').unwrap_or(value));
        !before.is_some_and(is_word)
            && value.and_then(|value| value.strip_prefix("true")).is_some_and(|rest| !rest.chars().next().is_some_and(is_word))
    })
}

fn is_word(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_'
}

#[cfg(test)]
mod tests {
    use super::is_stale;

    #[test]
    fn stale_is_a_word_with_a_value() {
        for (challenge, stale) in [
            ("Digest realm=\"x\", stale=true", true),
            ("Digest STALE = \"TRUE\", x=y", true),
            ("Digest stale=false", false),
            ("Digest notstale=true", false),
            ("Digest stale=trueish", false),
        ] {
            assert_eq!(is_stale(format!("WWW-Authenticate: {challenge}\r\n").as_bytes()), stale, "{challenge}");
        }
        assert!(!is_stale(b"X: stale=true\r\n"));
    }
}
