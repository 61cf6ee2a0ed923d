//! Finds the frames of one byte stream (RFC 4975 section 9).

mod end_line;
mod framer;
mod head;
pub(crate) mod line;
mod options;
mod paths;
pub mod record;
mod start_line;

pub use end_line::END_MARK;
pub use framer::Framer;
pub use options::{FrameLimits, FramerOptions};
