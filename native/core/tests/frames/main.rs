//! Framer and decoder: the vectors, and that splitting the input anywhere changes nothing (architecture I1).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod collect;
mod generate;
mod split;
mod vectors;
