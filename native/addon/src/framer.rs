use crate::scan::bind;
use msrp_core::frame::{FrameLimits, Framer as CoreFramer, FramerOptions};
use msrp_core::syntax::decode::{DecodeOptions, Decoder};
use napi::bindgen_prelude::{Env, Result, Unknown};
use napi_derive::napi;
use std::cell::RefCell;
use std::rc::Rc;

/// What a framer is made with; numbers as in `FramerOptions` of `src/frame/framer.ts`. Limits: 0 is no limit.
#[napi(object, object_to_js = false)]
pub struct FramerSettings {
    /// Strict grammar instead of the tolerant profile.
    pub strict: bool,
    /// Content of one line, in bytes.
    pub line_bytes: f64,
    /// Header lines of one frame.
    pub header_lines: f64,
    /// Header section, in bytes.
    pub header_bytes: f64,
    /// Body of any frame but SEND, in bytes.
    pub non_send_body_bytes: f64,
    /// Body octets from which a SEND is streamed; `Infinity`: never.
    pub stream_after_bytes: f64,
    /// URIs in one path. With it the framer decodes, too: all words of a record, and all checks.
    pub path_uris: Option<f64>,
}

/// Either scanner of msrp-core.
pub(crate) enum Scanner {
    Framer(CoreFramer),
    Decoder(Decoder),
}

impl Scanner {
    pub(crate) fn scan(&mut self, bytes: &[u8], from: usize, to: usize, records: &mut [u32]) -> Scanned {
        match self {
            Self::Framer(framer) => {
                let count = framer.scan(bytes, from, to, records);
                Scanned { count, consumed: framer.consumed(), pending: framer.pending(), streaming: framer.streaming() }
            }
            Self::Decoder(decoder) => {
                let count = decoder.scan(bytes, from, to, records);
                Scanned { count, consumed: decoder.consumed(), pending: decoder.pending(), streaming: decoder.streaming() }
            }
        }
    }
}

/// What a scan has come to.
pub(crate) struct Scanned {
    pub(crate) count: usize,
    pub(crate) consumed: usize,
    pub(crate) pending: bool,
    pub(crate) streaming: bool,
}

/// The framer of one byte stream.
#[napi]
pub struct Framer {
    scanner: Rc<RefCell<Scanner>>,
}

#[napi]
impl Framer {
    /// A framer at the start of a stream.
    #[napi(constructor)]
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "napi hands objects over by value")]
    pub fn new(settings: FramerSettings) -> Self {
        let framing = FramerOptions {
            strict: settings.strict,
            limits: FrameLimits {
                line_bytes: size(settings.line_bytes),
                header_lines: size(settings.header_lines),
                header_bytes: size(settings.header_bytes),
                non_send_body_bytes: size(settings.non_send_body_bytes),
            },
            stream_after_bytes: size(settings.stream_after_bytes),
        };
        let scanner = match settings.path_uris {
            None => Scanner::Framer(CoreFramer::new(framing)),
            Some(uris) => {
                let checks = DecodeOptions { strict: settings.strict, path_uris: size(uris) };
                Scanner::Decoder(Decoder::new(framing, checks))
            }
        };
        Self { scanner: Rc::new(RefCell::new(scanner)) }
    }

    /// Makes the function that scans `bytes[from..to)` and writes records into `records`, which it keeps alive.
    ///
    /// It returns `consumed + 2^32 × (pending + 2 × streaming + 4 × count)`, or a negative code when it has done nothing:
    /// −1 an argument is not of its type, or `bytes` lies in shared memory; −2 not `from ≤ to ≤ bytes.length`; −3 `records` is
    /// gone or shares memory with `bytes`; −4 a scan is under way; −5 a fault of the addon. At most 65,536 records a call.
    #[napi(ts_args_type = "records: Uint32Array", ts_return_type = "(bytes: Uint8Array, from: number, to: number) => number")]
    pub fn scan_into(&self, env: Env, records: Unknown) -> Result<Unknown<'static>> {
        bind(env, &records, Rc::clone(&self.scanner))
    }

    /// Drops the paths remembered of earlier frames.
    #[napi]
    pub fn forget(&self) {
        // Nothing of a scan calls back into JavaScript, so that none can be under way.
        if let Ok(mut scanner) = self.scanner.try_borrow_mut() {
            match &mut *scanner {
                Scanner::Framer(framer) => framer.forget_paths(),
                Scanner::Decoder(decoder) => decoder.forget_paths(),
            }
        }
    }
}

/// A number of JavaScript as a size: not a number is 0, infinity the largest.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, which is what is wanted")]
fn size(number: f64) -> usize {
    number as usize
}
