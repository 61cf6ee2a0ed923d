//! Values of headers.

pub mod byte_range;
pub mod decode;
