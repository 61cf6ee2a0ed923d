//! The engine without Node: plain sockets as peers, a clock that the tests move.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod bench;
mod peer;
mod pki;

mod accept;
mod apart;
mod dial;
mod forward;
mod life;
mod link;
mod moving;
mod mutual;
mod pressure;
mod remote;
mod ring;
mod timers;
mod tls;
mod tls_traffic;
mod tls_trust;
mod together;
mod trace;
