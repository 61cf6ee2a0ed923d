//! What is measured, and how it is told.

pub mod process;
pub mod report;
pub mod tally;
