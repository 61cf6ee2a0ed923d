//! A framer with the checks of delimited frames in the same call.

use crate::frame::record::{kind, word};
use crate::frame::{Framer, FramerOptions};
use crate::syntax::check::Checker;

/// What the checks of a decoder go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Strict grammar (core D-03). Default false.
    pub strict: bool,
    /// URIs in one path; 0 is no limit. Default 16 (core D-04).
    pub path_uris: usize,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { strict: false, path_uris: 16 }
    }
}

/// A [`Framer`] that also checks what does not decide the boundary of a frame (core D-05).
///
/// In the records of whole frames and heads, ISSUE is the objection that comes first in the order of all checks, and the words
/// from `SESSION_START` on are filled: the session when the paths are in their place and good, reports as far as these themselves
/// are good, the Byte-Range when there is no objection at all.
#[derive(Debug)]
pub struct Decoder {
    framer: Framer,
    checker: Checker,
}

impl Decoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub fn new(framing: FramerOptions, checks: DecodeOptions) -> Self {
        Self { framer: Framer::new(framing), checker: Checker::new(checks) }
    }

    /// As [`Framer::scan`].
    pub fn scan(&mut self, bytes: &[u8], from: usize, to: usize, records: &mut [u32]) -> usize {
        let Self { framer, checker } = self;
        framer.scan_with(bytes, from, to, records, |bytes, record| {
            if matches!(record[word::KIND], kind::WHOLE | kind::HEAD) {
                checker.check(bytes, record);
            }
        })
    }

    /// As [`Framer::consumed`].
    #[must_use]
    pub fn consumed(&self) -> usize {
        self.framer.consumed()
    }

    /// As [`Framer::pending`].
    #[must_use]
    pub fn pending(&self) -> bool {
        self.framer.pending()
    }

    /// As [`Framer::streaming`].
    #[must_use]
    pub fn streaming(&self) -> bool {
        self.framer.streaming()
    }

    /// As [`Framer::forget_paths`].
    pub fn forget_paths(&mut self) {
        self.framer.forget_paths();
    }
}
