//! The frame record: what a framer says about the bytes it was shown, as numbers that the caller owns.
//!
//! Layout and meaning are those of `src/frame/record.ts`, which has the picture; a test holds both against each other.

/// Words of one record.
pub const RECORD_WORDS: usize = 52;

/// One record.
pub type Record = [u32; RECORD_WORDS];

/// Word indices of a record. A pair `X_START`, `X_END` delimits a value; both are 0 when the header is absent.
pub mod word {
    /// One of [`super::kind`].
    pub const KIND: usize = 0;
    /// Bits of [`super::bit`].
    pub const BITS: usize = 1;
    /// First byte of the frame, or of the piece; of an error the offending byte.
    pub const START: usize = 2;
    /// First byte behind the frame (whole, end), or behind the piece of the body (head, body).
    pub const END: usize = 3;
    /// Transaction id.
    pub const TID_START: usize = 4;
    /// End of the transaction id.
    pub const TID_END: usize = 5;
    /// Third word of the start line: method or status code.
    pub const WORD_START: usize = 6;
    /// End of the third word.
    pub const WORD_END: usize = 7;
    /// Offset of the CRLF of the start line.
    pub const LINE_END: usize = 8;
    /// One of [`super::method`] of a request, the status code of a response.
    pub const METHOD: usize = 9;
    /// Value of To-Path.
    pub const TO_START: usize = 10;
    /// End of To-Path.
    pub const TO_END: usize = 11;
    /// Value of From-Path.
    pub const FROM_START: usize = 12;
    /// End of From-Path.
    pub const FROM_END: usize = 13;
    /// First header line behind To-Path and From-Path (behind whichever comes last, when they are misplaced).
    pub const HEADERS_START: usize = 14;
    /// Empty line, or end-line of a frame without a body.
    pub const HEADERS_END: usize = 15;
    /// First octet of the body.
    pub const BODY_START: usize = 16;
    /// End of the body, or of the piece.
    pub const BODY_END: usize = 17;
    /// Continuation flag, as a byte: `$` `+` `#`; 0 while unknown (head, body).
    pub const FLAG: usize = 18;
    /// First objection: a number of [`crate::error::FrameError`], 0 for none. Fatal in an error record only.
    pub const ISSUE: usize = 19;
    /// Value of Message-ID.
    pub const MESSAGE_ID_START: usize = 20;
    /// End of Message-ID.
    pub const MESSAGE_ID_END: usize = 21;
    /// Value of Success-Report.
    pub const SUCCESS_REPORT_START: usize = 22;
    /// End of Success-Report.
    pub const SUCCESS_REPORT_END: usize = 23;
    /// Value of Failure-Report.
    pub const FAILURE_REPORT_START: usize = 24;
    /// End of Failure-Report.
    pub const FAILURE_REPORT_END: usize = 25;
    /// Value of Byte-Range.
    pub const BYTE_RANGE_START: usize = 26;
    /// End of Byte-Range.
    pub const BYTE_RANGE_END: usize = 27;
    /// Value of Status.
    pub const STATUS_START: usize = 28;
    /// End of Status.
    pub const STATUS_END: usize = 29;
    /// Value of Content-Type.
    pub const CONTENT_TYPE_START: usize = 30;
    /// End of Content-Type.
    pub const CONTENT_TYPE_END: usize = 31;
    /// Value of Expires.
    pub const EXPIRES_START: usize = 32;
    /// End of Expires.
    pub const EXPIRES_END: usize = 33;
    /// Value of Min-Expires.
    pub const MIN_EXPIRES_START: usize = 34;
    /// End of Min-Expires.
    pub const MIN_EXPIRES_END: usize = 35;
    /// Value of Max-Expires.
    pub const MAX_EXPIRES_START: usize = 36;
    /// End of Max-Expires.
    pub const MAX_EXPIRES_END: usize = 37;
    /// Value of Use-Path.
    pub const USE_PATH_START: usize = 38;
    /// End of Use-Path.
    pub const USE_PATH_END: usize = 39;
    /// First byte of the Byte-Range header line (not only its value), to replace it when re-chunking. 0: absent.
    pub const BYTE_RANGE_LINE: usize = 40;
    // From here on: what a decoder adds to WHOLE and HEAD. A framer alone leaves zeros.
    /// Session-id of the first URI of To-Path; both 0 when it has none, or when a path is bad.
    pub const SESSION_START: usize = 41;
    /// End of the session-id.
    pub const SESSION_END: usize = 42;
    /// Success-Report and, from bit 8 on, Failure-Report: numbers of `REPORT`, with their defaults; 0 for none of them.
    pub const REPORTS: usize = 43;
    /// Byte-Range as numbers of two words, the lower 32 bits first; upper word [`super::STAR`]: `*`. When it is absent, and in a
    /// frame with an ISSUE: `1-*`/`*`.
    pub const RANGE_START: usize = 44;
    /// Number of the last octet.
    pub const RANGE_END: usize = 46;
    /// Size of the message.
    pub const RANGE_TOTAL: usize = 48;
}

/// Upper word of a number that stands for `*`.
pub const STAR: u32 = 0xffff_ffff;

/// Kinds of records.
pub mod kind {
    /// A frame that lies whole in the scanned bytes.
    pub const WHOLE: u32 = 1;
    /// The header section of a SEND whose body is passed on as it arrives, with its first piece.
    pub const HEAD: u32 = 2;
    /// A piece of the body of the open SEND.
    pub const BODY: u32 = 3;
    /// The last piece of the body of the open SEND (maybe empty), and its end.
    pub const END: u32 = 4;
    /// The boundary of frames is lost. Nothing follows.
    pub const ERROR: u32 = 5;
}

/// Bits of a record.
pub mod bit {
    /// The frame is a response.
    pub const RESPONSE: u32 = 1;
    /// An empty line follows the headers: there is a body, maybe of no octets.
    pub const HAS_BODY: u32 = 2;
    /// To-Path and From-Path lines are byte for byte those of the last frame of the same kind that had `NEW_PATHS`.
    pub const SAME_PATHS: u32 = 4;
    /// The body holds CRLF and seven hyphens somewhere: another transaction id might collide with it.
    pub const DASHES: u32 = 8;
    /// A header stands behind Content-Type.
    pub const CONTENT_TYPE_NOT_LAST: u32 = 16;
    /// A MIME header (`Content-*`, `MIME-*`) other than Content-Type occurs.
    pub const MIME_HEADER: u32 = 32;
    /// A space follows the status code, so there is a comment, maybe empty.
    pub const COMMENT: u32 = 64;
    /// The paths are in their place, and others than before: later frames of the same kind are compared with these.
    pub const NEW_PATHS: u32 = 128;
}

/// Methods known by number; any other is OTHER.
pub mod method {
    /// Any method without a number.
    pub const OTHER: u32 = 0;
    /// SEND (RFC 4975).
    pub const SEND: u32 = 1;
    /// REPORT (RFC 4975).
    pub const REPORT: u32 = 2;
    /// AUTH (RFC 4976).
    pub const AUTH: u32 = 3;
    /// NICKNAME (RFC 7701).
    pub const NICKNAME: u32 = 4;
}

/// An offset as a word. INVARIANT: a framer looks at no byte beyond the 32 bits.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "see the invariant")]
pub(crate) const fn offset(offset: usize) -> u32 {
    offset as u32
}

/// Writes a pair of offsets.
#[inline]
pub(crate) fn put(record: &mut Record, word: usize, start: usize, end: usize) {
    if let Some([first, second, ..]) = record.get_mut(word..) {
        *first = offset(start);
        *second = offset(end);
    }
}
