//! The vectors; that splitting the input anywhere changes nothing (architecture I1); values; rewriting.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod collect;
mod decode;
mod generate;
mod random;
mod rewrite;
mod split;
mod values;
mod vectors;
