//! Dials: what follows when the transport is connected.

use super::handshake::Handshake;
use super::record::{Side, Tls};
use crate::connection::State;
use crate::contract::TlsClient;
use crate::plane::Plane;
use crate::table::Key;
use rustls::Error;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use std::sync::Arc;

/// Begins the handshake of a connection that was dialled.
///
/// # Errors
/// When the name is none that a certificate could have.
pub fn begin(plane: &mut Plane, key: Key, client: &TlsClient) -> Result<(), Error> {
    let name = ServerName::try_from(client.server_name.clone())
        .map_err(|_| Error::General(format!("{} is neither a host name nor an address", client.server_name)))?;
    let connection = UnbufferedClientConnection::new(Arc::clone(&client.domain.client), name.clone())?;
    let mut handshake = Handshake::new(plane.handshake_deadline_ms());
    handshake.domain = Some(Arc::clone(&client.domain));
    handshake.name = Some(name);
    let mut tls = Tls::new(Side::Client(Box::new(connection)), handshake);
    tls.speak(&mut plane.spare);
    plane.handshaking.push(key);
    if let Some(connection) = plane.connections.get_mut(key) {
        connection.state = State::Handshake;
        connection.tls = Some(Box::new(tls));
    }
    plane.touch(key);
    Ok(())
}
