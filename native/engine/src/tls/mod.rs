//! TLS between a socket and the stages: records in and out of the worker's buffers, domains, certificates, handshakes.
//!
//! ```text
//! socket ─▶ record::read ─▶ plaintext in the worker's read buffer ─▶ receive
//!             │ handshake: accept (ClientHello → domain) or dial ─▶ info ─▶ `Opened`
//! socket ◀─ record::write ◀─ outbox, sealed in batches of whole records ◀─ write
//! ```
//! rustls does the protocol, by its unbuffered interface: what is read is decrypted where it lies, and what is sealed goes from
//! one buffer of the worker to the kernel. A connection holds bytes of its own only while a record is incomplete, or while the
//! kernel takes no more.

mod accept;
mod dial;
mod domain;
mod failure;
mod handshake;
mod info;
mod provider;
mod record;
mod suite;
mod verify;

pub(crate) use accept::{begin as begin_accept, end_of_listener};
pub(crate) use dial::begin as begin_dial;
pub(crate) use domain::Tickets;
pub use domain::{Domain, DomainError, DomainSpec, Identity, Server, Version};
pub use failure::HandshakeFailure;
pub(crate) use handshake::{fail, fail_with, finish_if_done, reason_of, say_last, step_allowed, sweep};
pub(crate) use record::{Got, Lost, Sealing, Tls};
