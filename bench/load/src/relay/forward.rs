//! One frame, from a connection to another.

use super::route::Route;
use super::{Relay, WRITE_THROUGH};
use crate::wire::end_line::{OPENING, Search};
use crate::wire::head::{Kind, Read, read_head};
use memchr::memchr;
use std::rc::Rc;

/// What became of octets at the beginning of a frame.
pub enum Outcome {
    /// So many of them were a frame.
    Done(usize),
    /// More are needed; the end-line is searched from this offset on.
    Short(usize),
    /// No frame.
    Bad,
}

/// Routes that a connection keeps at hand: one each for SENDs and REPORTs of a few sessions.
const RECENT: usize = 4;

/// Longest start of a frame up to the space behind its transaction id.
const START: usize = 38;

impl Relay {
    /// Handles the frame at the beginning of `octets`, whose end-line is not before `searched`.
    pub fn frame(&mut self, id: usize, octets: &[u8], searched: usize) -> Outcome {
        let Some(name) = octets.get(5..octets.len().min(START)) else { return Outcome::Short(0) };
        let Some(len) = memchr(b' ', name) else {
            return if octets.len() < START { Outcome::Short(0) } else { Outcome::Bad };
        };
        let (Some(tid), Some(tail)) = (name.get(..len), octets.get(5 + len..)) else { return Outcome::Bad };
        if !octets.starts_with(b"MSRP ") {
            return Outcome::Bad;
        }
        // A response: the relay has answered itself, so nobody waits for it.
        if tail.get(1).is_some_and(u8::is_ascii_digit) {
            return match self.ends.search(octets, searched.max(5 + len), tid) {
                Search::Found { next, .. } => Outcome::Done(next),
                Search::Open(resume) => Outcome::Short(resume),
            };
        }
        match self.recent(id, tail) {
            Some(route) => self.forward(id, octets, searched, tid, &route),
            None => self.unknown(id, octets, searched, tid, tail),
        }
    }

    fn recent(&mut self, id: usize, tail: &[u8]) -> Option<Rc<Route>> {
        let epoch = self.epoch;
        let conn = self.conn(id)?;
        if conn.epoch != epoch {
            conn.epoch = epoch;
            conn.recent.clear();
        }
        conn.recent.iter().find(|route| tail.starts_with(&route.key)).cloned()
    }

    /// A request with paths that were not seen lately.
    fn unknown(&mut self, id: usize, octets: &[u8], searched: usize, tid: &[u8], tail: &[u8]) -> Outcome {
        let head = match read_head(octets) {
            Read::Short => return Outcome::Short(0),
            Read::Bad(_) => return Outcome::Bad,
            Read::Head(head, ..) => head,
        };
        let Kind::Request(method) = head.kind else { return Outcome::Bad };
        if method == b"AUTH" {
            return match self.ends.search(octets, searched.max(5), tid) {
                Search::Found { next, .. } => {
                    self.authenticate(id, &head);
                    Outcome::Done(next)
                }
                Search::Open(resume) => Outcome::Short(resume),
            };
        }
        self.routes.learn(crate::wire::head::first_uri(head.from), id);
        let route = Rc::new(self.routes.decide(&head, method));
        // Paths that are not written in the usual way.
        if !tail.starts_with(&route.key) {
            return Outcome::Bad;
        }
        if let Some(conn) = self.conn(id) {
            if conn.recent.len() == RECENT {
                conn.recent.remove(0);
            }
            conn.recent.push(Rc::clone(&route));
        }
        self.forward(id, octets, searched, tid, &route)
    }

    fn forward(&mut self, id: usize, octets: &[u8], searched: usize, tid: &[u8], route: &Route) -> Outcome {
        // An end-line may follow the paths directly: its CRLF is that of From-Path.
        let behind = 5 + tid.len() + route.key.len() - 2;
        let (at, flag, next) = match self.ends.search(octets, searched.max(behind), tid) {
            Search::Found { at, flag, next } => (at, flag, next),
            Search::Open(resume) => return Outcome::Short(resume),
        };
        let rest = octets.get(behind..at).unwrap_or_default();
        let new = self.next_tid();
        if let Some((target, conn)) = route.target.and_then(|target| Some((target, self.conns.get_mut(target)?.as_mut()?))) {
            let out = &mut conn.out;
            out.reserve(octets.len().min(next) + 64);
            out.extend_from_slice(b"MSRP ");
            out.extend_from_slice(&new);
            out.extend_from_slice(&route.forward);
            let mut tail = [0; OPENING.len() + 16 + 3];
            let (opening, name) = tail.split_at_mut(OPENING.len());
            opening.copy_from_slice(OPENING);
            let (name, end) = name.split_at_mut(new.len());
            name.copy_from_slice(&new);
            end.copy_from_slice(&[flag, b'\r', b'\n']);
            if rest.len() < WRITE_THROUGH {
                out.extend_from_slice(rest);
                out.extend_from_slice(&tail);
            } else {
                conn.write_through(rest, &tail);
            }
            self.mark(target);
        }
        if !route.answer.is_empty()
            && wants_answer(rest)
            && let Some(conn) = self.conn(id)
        {
            for part in [b"MSRP ", tid, &route.answer, tid, b"$\r\n"] {
                conn.out.extend_from_slice(part);
            }
            self.mark(id);
        }
        Outcome::Done(next)
    }
}

/// False with `Failure-Report: no` or `partial`. `rest` begins with the CRLF of From-Path.
fn wants_answer(rest: &[u8]) -> bool {
    const NAME: &[u8] = b"Failure-Report: ";
    let mut lines = rest.get(2..).unwrap_or_default();
    loop {
        match lines.first() {
            None | Some(b'\r') => return true,
            Some(b'F') if lines.starts_with(NAME) => {
                return lines.get(NAME.len()..).is_some_and(|value| value.starts_with(b"yes"));
            }
            _ => {}
        }
        let Some(end) = memchr(b'\n', lines) else { return true };
        lines = lines.get(end + 1..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::wants_answer;

    #[test]
    fn failure_report_decides_on_the_answer() {
        assert!(wants_answer(b""));
        assert!(wants_answer(b"\r\nMessage-ID: m\r\nContent-Type: x\r\n\r\nFailure-Report: no\r\n"));
        assert!(wants_answer(b"\r\nMessage-ID: m\r\nFailure-Report: yes"));
        assert!(!wants_answer(b"\r\nMessage-ID: m\r\nFailure-Report: no\r\nContent-Type: x\r\n\r\n"));
        assert!(!wants_answer(b"\r\nFailure-Report: partial"));
    }
}
