//! Values of headers.

pub mod byte_range;
