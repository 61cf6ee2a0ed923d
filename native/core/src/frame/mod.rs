//! Finds the frames of one byte stream (RFC 4975 section 9).

mod framer;
pub mod record;

pub use framer::{FrameLimits, Framer, FramerOptions};
