//! The search for the line that ends a frame: CRLF, seven hyphens, the frame's own transaction id, a flag, CRLF.

use memchr::memmem::Finder;

/// What stands in front of the transaction id.
pub const OPENING: &[u8] = b"\r\n-------";

/// What a search has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// The end-line begins at `at` (its CR), and what follows it at `next`.
    Found {
        /// Offset of the CR.
        at: usize,
        /// `$`, `+` or `#`.
        flag: u8,
        /// Offset behind the end-line.
        next: usize,
    },
    /// Not in these octets; with more of them, the search goes on at this offset. What lies before it is body.
    Open(usize),
}

/// A prepared search: made once, since preparing costs as much as searching a short body.
pub struct EndLines {
    opening: Finder<'static>,
}

impl EndLines {
    /// Prepares the search.
    pub fn new() -> Self {
        Self { opening: Finder::new(OPENING) }
    }

    /// Searches the end-line of `tid` in `octets` from the offset `from` on. Any other `\r\n-------` is body (C-019, D-08).
    pub fn search(&self, octets: &[u8], from: usize, tid: &[u8]) -> Search {
        let mut from = from;
        loop {
            let rest = octets.get(from..).unwrap_or_default();
            let Some(found) = self.opening.find(rest) else {
                // The last octets may be the beginning of an opening.
                return Search::Open(from.max(octets.len().saturating_sub(OPENING.len() - 1)));
            };
            let at = from + found;
            let behind = octets.get(at + OPENING.len()..).unwrap_or_default();
            match closing(behind, tid) {
                Closing::Flag(flag) => {
                    return Search::Found { at, flag, next: at + OPENING.len() + tid.len() + 3 };
                }
                Closing::Short => return Search::Open(at),
                Closing::Other => from = at + OPENING.len(),
            }
        }
    }
}

enum Closing {
    Flag(u8),
    Short,
    Other,
}

/// Judges what follows the hyphens.
fn closing(behind: &[u8], tid: &[u8]) -> Closing {
    let Some((name, tail)) = behind.split_at_checked(tid.len()) else {
        return if tid.starts_with(behind) { Closing::Short } else { Closing::Other };
    };
    if name != tid {
        return Closing::Other;
    }
    match *tail {
        [flag @ (b'$' | b'+' | b'#'), b'\r', b'\n', ..] => Closing::Flag(flag),
        [] | [b'$' | b'+' | b'#'] | [b'$' | b'+' | b'#', b'\r'] => Closing::Short,
        _ => Closing::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::{EndLines, Search};

    fn search(octets: &[u8], tid: &[u8]) -> Search {
        EndLines::new().search(octets, 0, tid)
    }

    #[test]
    fn finds_the_end_line_and_its_flag() {
        for flag in [b'$', b'+', b'#'] {
            let mut octets = b"hello\r\n-------abcd".to_vec();
            octets.extend([flag, b'\r', b'\n', b'M']);
            assert_eq!(search(&octets, b"abcd"), Search::Found { at: 5, flag, next: octets.len() - 1 });
        }
    }

    #[test]
    fn what_only_looks_like_one_is_body() {
        let near: [&[u8]; 8] = [
            b"\r\n-------abce$\r\n",
            b"\r\n-------abcde$\r\n",
            b"\r\n------abcd$\r\n",
            b"\r\n--------abcd$\r\n",
            b"\n-------abcd$\r\n",
            b"\r\n-------abcd\r\n",
            b"\r\n-------abcd*\r\n",
            b"\r\n-------abcd$\n\r",
        ];
        for octets in near {
            let long = [octets, b"................................"].concat();
            assert_eq!(search(&long, b"abcd"), Search::Open(long.len() - 8), "{}", String::from_utf8_lossy(octets));
            let ended = [octets, b"\r\n-------abcd$\r\n"].concat();
            let at = octets.len();
            assert_eq!(search(&ended, b"abcd"), Search::Found { at, flag: b'$', next: ended.len() });
        }
    }

    #[test]
    fn an_unfinished_one_is_kept_at_every_cut() {
        let whole = b"body\r\n-------abcd$\r\n";
        for cut in 0..whole.len() {
            let Search::Open(resume) = search(&whole[..cut], b"abcd") else { panic!("ended at {cut}") };
            assert!(resume <= cut);
            let found = EndLines::new().search(whole, resume, b"abcd");
            assert_eq!(found, Search::Found { at: 4, flag: b'$', next: whole.len() }, "cut at {cut}");
        }
    }
}
