//! The framer.

/// Limits of a framer in bytes and lines (core D-04); 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// Content of one line, CRLF not counted. Default 8192.
    pub line_bytes: usize,
    /// Header lines with To-Path and From-Path. Default 64.
    pub header_lines: usize,
    /// Header section: start line and header lines with their CRLF. Default 65536.
    pub header_bytes: usize,
    /// Body of any frame but SEND. Default 10240.
    pub non_send_body_bytes: usize,
}

impl Default for FrameLimits {
    fn default() -> Self {
        Self { line_bytes: 8192, header_lines: 64, header_bytes: 65536, non_send_body_bytes: 10240 }
    }
}

/// What a framer is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramerOptions {
    /// Strict grammar instead of the tolerant profile (core D-03). Default false.
    pub strict: bool,
    /// Limits.
    pub limits: FrameLimits,
    /// Body octets of a SEND that must be at hand before it is streamed (HEAD, BODY …, END) instead of reported WHOLE.
    /// Default 2048, the smallest piece that RFC 4975 (section 5.1) lets a sender cut. `usize::MAX`: always WHOLE.
    pub stream_after_bytes: usize,
}

impl Default for FramerOptions {
    fn default() -> Self {
        Self { strict: false, limits: FrameLimits::default(), stream_after_bytes: 2048 }
    }
}

/// Finds the frames of one byte stream.
#[derive(Debug)]
pub struct Framer {
    options: FramerOptions,
}

impl Framer {
    /// A framer at the start of a stream.
    #[must_use]
    pub fn new(options: FramerOptions) -> Self {
        Self { options }
    }

    /// Scans `bytes[from..to]` and writes records; returns how many.
    pub fn scan(&mut self, _bytes: &[u8], _from: usize, _to: usize, _records: &mut [u32]) -> usize {
        0
    }

    /// Offset behind the last byte that need not be shown again.
    #[must_use]
    pub fn consumed(&self) -> usize {
        0
    }

    /// True while a header section (or a frame not yet streamed) is incomplete.
    #[must_use]
    pub fn pending(&self) -> bool {
        self.options.strict
    }

    /// True between the HEAD and the END record of a SEND.
    #[must_use]
    pub fn streaming(&self) -> bool {
        false
    }

    /// Drops the remembered paths.
    pub fn forget_paths(&mut self) {}
}
