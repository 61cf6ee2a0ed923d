//! Loads: what is done to a relay.

mod due;
mod flow;
mod idle;
mod pairs;
mod session;
mod storm;
mod traffic;

use crate::cli::Target;
use crate::net::tls;
use crate::wire::digest::Credentials;
use crate::wire::tid::mix;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::time::Duration;

pub use idle::run as idle;
pub use storm::run as storm;
pub use traffic::run as traffic;

/// Ports of one address that a run may take before it takes another address.
const PORTS: usize = 20_000;

/// Longest wait for events: how late the end of a phase is noticed.
const TICK: Duration = Duration::from_millis(20);

/// The relay of a run, with a key that no other run has.
fn relay(target: &Target) -> session::Relay {
    session::Relay {
        uri: uri_of(target.target, target.tls),
        credentials: Credentials { user: target.user.clone(), password: target.password.clone() },
        key: mix(RandomState::new().build_hasher().finish()),
    }
}

/// How a relay is addressed.
fn uri_of(address: SocketAddr, tls: bool) -> String {
    format!("{}://{address};tcp", if tls { "msrps" } else { "msrp" })
}

/// How connections are made.
fn tls_of(target: &Target) -> Result<Option<tls::Client>, String> {
    target.tls.then(tls::client).transpose()
}

/// Addresses to connect from.
fn sources(target: &Target, connections: usize) -> usize {
    if target.sources > 0 { target.sources } else { connections / PORTS + 1 }
}

/// Seconds of an option; nonsense is none.
fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or_default()
}
