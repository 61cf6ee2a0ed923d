//! The cryptography behind rustls (docs/adr/0006).

use rustls::Error;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::ProducesTickets;
use std::sync::Arc;

/// Everything that the provider has; a domain takes a part of it.
pub fn all() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

/// Keys of session tickets, which change by themselves every six hours.
pub fn ticketer() -> Result<Arc<dyn ProducesTickets>, Error> {
    aws_lc_rs::Ticketer::new()
}
