//! The native data plane of msrpd: worker threads that own sockets, framing, forwarding, transactions and queues.
//!
//! The same contract, stages and limits as the TypeScript engine; one suite runs on both. In the order of a byte: `listener`,
//! `dial` → `receive` → `route` → `forward`, `send_stream`, `response` → `outbox` → `write`; `remote` between workers.
#![allow(clippy::must_use_candidate, clippy::missing_panics_doc, reason = "the modules are the crate's own")]

mod close;
mod connection;
pub mod contract;
mod counters;
mod dial;
mod directory;
mod engine;
mod errno;
mod external;
mod fail;
mod flow;
mod forward;
mod frame;
mod inbox;
mod info;
mod listener;
mod merge;
mod open;
mod outbox;
mod plane;
mod receive;
mod remote;
mod reply;
mod response;
mod ring;
mod route;
mod send_stream;
mod session;
mod sweep;
mod table;
mod tap;
mod tid;
pub mod tls;
mod transaction;
mod worker;
mod write;

pub use engine::{Engine, Options};
pub use errno::name as errno_name;
pub use worker::Clock;
