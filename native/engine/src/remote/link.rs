//! The connection in memory between two workers, for paths that lead through sessions of both.

use crate::connection::{Connection, Link, State};
use crate::contract::ConnectionId;
use crate::plane::{Plane, decoder};
use crate::table::Key;
use msrp_core::frame::FrameLimits;
use msrp_core::syntax::uri::Uri;

/// Number of a link: it stands for no connection of the contract.
pub const LINK: ConnectionId = u64::MAX;

impl Plane {
    /// The worker of another one's session, when the URI is that of one.
    pub fn foreign_worker(&self, uri: &Uri<'_>) -> Option<usize> {
        if self.others.links.len() == 1 {
            return None;
        }
        self.shared.directory.worker_of(uri.session_id?, LINK).filter(|&worker| worker != self.worker)
    }

    /// The connection in memory to another worker, for paths through sessions of both.
    pub fn link_to(&mut self, worker: usize) -> Key {
        if let Some(link) = self.others.links[worker] {
            return link;
        }
        // What comes over it was within the limits when it came in, and has grown since: a lost link would take every session of
        // the two workers with it.
        let decoder = decoder(FrameLimits { line_bytes: 0, header_lines: 0, header_bytes: 0, non_send_body_bytes: 0 }, 0);
        let mut link = Connection::new(LINK, false, State::Open, decoder, self.now_ms);
        link.link = Link::Remote { worker };
        let key = self.connections.insert_with(|_| link);
        self.others.links[worker] = Some(key);
        key
    }
}
