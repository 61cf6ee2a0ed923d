//! MSRP (RFC 4975) without I/O: no sockets, no clock, no allocation where a frame passes.
//!
//! The numbers of errors and the rules of values are those of the TypeScript side; tests hold both against each other.

pub mod encode;
pub mod error;
pub mod frame;
pub mod rewrite;
pub mod syntax;
pub mod tid;
