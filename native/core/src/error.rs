//! Why a frame is refused.

/// An objection to a frame, with the number that it has in a frame record (`FRAME_ERROR` on the TypeScript side).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameError {
    /// The bytes cannot begin a frame.
    StartLine = 1,
    /// The transaction id is not 4 to 32 ident characters (RFC 4975 section 9).
    Tid = 2,
    /// The method is not made of upper-case letters.
    Method = 3,
    /// The status code is not three digits.
    Status = 4,
    /// A line does not end in CRLF.
    LineEnding = 5,
    /// A control character or invalid UTF-8 stands in a line.
    HeaderChar = 6,
    /// A header line has no colon, a bad name, or is folded.
    HeaderSyntax = 7,
    /// A limit is exceeded.
    Limit = 8,
    /// An end-line that is not that of its frame stands among the headers.
    EndLine = 9,
    /// A response has a body.
    ResponseBody = 10,
    /// To-Path or From-Path is missing.
    PathMissing = 11,
    /// To-Path and From-Path are not the first two headers.
    PathOrder = 12,
    /// A header occurs twice that may occur once.
    DuplicateHeader = 13,
    /// A URI of a path is none.
    Uri = 14,
    /// A header has a bad value.
    HeaderValue = 15,
    /// Body and Content-Type do not agree.
    Content = 16,
}

impl FrameError {
    /// All objections, in the order of their numbers.
    pub const ALL: [Self; 16] = [
        Self::StartLine,
        Self::Tid,
        Self::Method,
        Self::Status,
        Self::LineEnding,
        Self::HeaderChar,
        Self::HeaderSyntax,
        Self::Limit,
        Self::EndLine,
        Self::ResponseBody,
        Self::PathMissing,
        Self::PathOrder,
        Self::DuplicateHeader,
        Self::Uri,
        Self::HeaderValue,
        Self::Content,
    ];

    /// Number in a frame record.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Name in the table of errors.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StartLine => "E_START_LINE",
            Self::Tid => "E_TID",
            Self::Method => "E_METHOD",
            Self::Status => "E_STATUS",
            Self::LineEnding => "E_LINE_ENDING",
            Self::HeaderChar => "E_HEADER_CHAR",
            Self::HeaderSyntax => "E_HEADER_SYNTAX",
            Self::Limit => "E_LIMIT",
            Self::EndLine => "E_END_LINE",
            Self::ResponseBody => "E_RESPONSE_BODY",
            Self::PathMissing => "E_PATH_MISSING",
            Self::PathOrder => "E_PATH_ORDER",
            Self::DuplicateHeader => "E_DUPLICATE_HEADER",
            Self::Uri => "E_URI",
            Self::HeaderValue => "E_HEADER_VALUE",
            Self::Content => "E_CONTENT",
        }
    }

    /// True when the boundary of frames is lost, so that the connection must be closed.
    #[must_use]
    pub const fn is_fatal(self) -> bool {
        self.code() <= Self::EndLine.code()
    }
}
