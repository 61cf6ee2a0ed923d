//! Values of headers, and the checks of a frame.

pub mod byte_range;
mod check;
pub mod decode;
pub mod header_value;
pub mod path;
pub mod status;
pub mod uri;
