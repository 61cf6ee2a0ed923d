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

impl FrameLimits {
    /// With `usize::MAX` in place of 0.
    pub(crate) fn without_zeros(self) -> Self {
        let header_bytes = unless_zero(self.header_bytes, usize::MAX);
        Self {
            // No line is longer than the section that it stands in.
            line_bytes: unless_zero(self.line_bytes, header_bytes),
            header_lines: unless_zero(self.header_lines, usize::MAX),
            header_bytes,
            non_send_body_bytes: unless_zero(self.non_send_body_bytes, usize::MAX),
        }
    }
}

fn unless_zero(limit: usize, otherwise: usize) -> usize {
    if limit == 0 { otherwise } else { limit }
}

/// What a framer is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramerOptions {
    /// Strict grammar instead of the tolerant profile (core D-03). Default false.
    pub strict: bool,
    /// Bounds of what a peer may send.
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
