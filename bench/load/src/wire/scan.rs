//! Frames out of a stream, body octets passed on as they arrive.

use super::end_line::{EndLines, Search};
use super::head::{Head, HeadEnd, Read, read_head};

/// Where a stream stands. Octets that a step did not take belong in front of the next read.
#[derive(Default)]
pub struct Scanner {
    state: State,
    /// Transaction id of the frame whose body is being read.
    tid: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Head,
    Body,
    Ended(u8),
}

/// What the next octets are.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'b> {
    /// A frame begins.
    Head(Head<'b>),
    /// Part of its body.
    Body(&'b [u8]),
    /// It ends, with this flag.
    End(u8),
    /// More octets are needed.
    More,
    /// Not MSRP; why.
    Bad(&'static str),
}

impl Scanner {
    /// Takes the next step in `octets` at `at`, and moves `at` behind what it took.
    pub fn step<'b>(&mut self, octets: &'b [u8], at: &mut usize, ends: &EndLines) -> Step<'b> {
        let rest = octets.get(*at..).unwrap_or_default();
        match self.state {
            State::Ended(flag) => {
                self.state = State::Head;
                Step::End(flag)
            }
            State::Head if rest.is_empty() => Step::More,
            State::Head => match read_head(rest) {
                Read::Short => Step::More,
                Read::Bad(why) => Step::Bad(why),
                Read::Head(head, end, next) => {
                    *at += next;
                    self.state = match end {
                        HeadEnd::Flag(flag) => State::Ended(flag),
                        HeadEnd::Body => {
                            self.tid.clear();
                            self.tid.extend_from_slice(head.tid);
                            State::Body
                        }
                    };
                    Step::Head(head)
                }
            },
            State::Body => match ends.search(rest, 0, &self.tid) {
                Search::Found { at: end, flag, next } => {
                    *at += next;
                    self.state = State::Ended(flag);
                    Step::Body(rest.get(..end).unwrap_or_default())
                }
                Search::Open(0) => Step::More,
                Search::Open(end) => {
                    *at += end;
                    Step::Body(rest.get(..end).unwrap_or_default())
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Scanner, Step};
    use crate::wire::end_line::EndLines;

    const STREAM: &[u8] = b"MSRP aaaa SEND\r\nTo-Path: x\r\nFrom-Path: y\r\nMessage-ID: mmmm\r\nContent-Type: text/plain\r\n\r\n\
        one\r\n-------aaa\r\n-------aaaa\r\n-------bbbb$\r\ntwo\r\n-------aaaa+\r\n\
        MSRP bbbb 200 OK\r\nTo-Path: x\r\nFrom-Path: y\r\n-------bbbb$\r\n\
        MSRP cccc SEND\r\nTo-Path: x\r\nFrom-Path: y\r\nContent-Type: text/plain\r\n\r\n\r\n-------cccc$\r\n";

    /// Frames of the stream, read in pieces of the given sizes in turn.
    fn read_in(sizes: &[usize]) -> Vec<(Vec<u8>, Vec<u8>, u8)> {
        let ends = EndLines::new();
        let mut scanner = Scanner::default();
        let mut frames: Vec<(Vec<u8>, Vec<u8>, u8)> = Vec::new();
        let (mut held, mut fed, mut turn) = (Vec::new(), 0, 0);
        while fed < STREAM.len() {
            let size = sizes[turn % sizes.len()].min(STREAM.len() - fed);
            held.extend_from_slice(&STREAM[fed..fed + size]);
            (fed, turn) = (fed + size, turn + 1);
            let mut at = 0;
            loop {
                match scanner.step(&held, &mut at, &ends) {
                    Step::Head(found) => frames.push((found.tid.to_vec(), Vec::new(), 0)),
                    Step::Body(octets) => frames.last_mut().unwrap().1.extend_from_slice(octets),
                    Step::End(flag) => frames.last_mut().unwrap().2 = flag,
                    Step::More => break,
                    Step::Bad(why) => panic!("{why}"),
                }
            }
            held.drain(..at);
        }
        assert!(held.is_empty());
        frames
    }

    #[test]
    fn pieces_of_any_size_give_the_same_frames() {
        let whole = read_in(&[STREAM.len()]);
        assert_eq!(whole.len(), 3);
        assert_eq!(whole[0].1, b"one\r\n-------aaa\r\n-------aaaa\r\n-------bbbb$\r\ntwo");
        assert_eq!(whole.iter().map(|frame| frame.2).collect::<Vec<_>>(), b"+$$");
        assert!(whole[1].1.is_empty() && whole[2].1.is_empty());
        for size in 1..STREAM.len() {
            assert_eq!(read_in(&[size]), whole, "pieces of {size}");
        }
        assert_eq!(read_in(&[1, 7, 3, 64]), whole);
    }
}
