//! Sessions: what a successful AUTH has opened (relay section 1, "Binding").

use crate::contract::SessionId;
use crate::table::{Key, Table};
use ahash::AHashMap;
use msrp_core::syntax::uri::{Uri, is_same_uri};
use std::rc::Rc;

/// A session; ended ones are out of the table.
#[derive(Debug)]
pub struct Session {
    pub id: SessionId,
    /// Handed out in Use-Path.
    pub uri: Box<[u8]>,
    pub client_path: Vec<Box<[u8]>>,
    pub exclusive_peer: bool,
    /// Set when the client is behind another relay, which any connection of that name stands for.
    pub relay: Option<Rc<str>>,
    /// The connection of the client, or the latest one of its relay.
    pub connection: Key,
    pub expires_at_ms: f64,
    /// Grows whenever a route through this session may have become another one.
    pub version: u32,
    /// The connection that the other side was last heard on, for this session only.
    pub peer: Option<Key>,
    pub peer_uri: Vec<u8>,
    /// Connections to next hops that the control plane has allowed, by URI text.
    pub hops: Vec<(Box<[u8]>, Key)>,
    pub frames_out: u64,
    pub bytes_out: u64,
    pub frames_in: u64,
    pub bytes_in: u64,
}

impl Session {
    /// True when a From-Path is that of the client.
    pub fn is_client_path(&self, from_path: &[Box<[u8]>]) -> bool {
        from_path.len() == self.client_path.len() && from_path.iter().zip(&self.client_path).all(|(a, b)| is_same_uri(a, b))
    }
}

/// Sessions of a worker by key, by number, and by the random part of their URI.
#[derive(Debug, Default)]
pub struct SessionTable {
    sessions: Table<Session>,
    by_id: AHashMap<SessionId, Key>,
    by_secret: AHashMap<Box<[u8]>, Key>,
}

impl SessionTable {
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Enters a session; none when its session-id is taken, or missing.
    pub fn add(&mut self, session: Session) -> Option<Key> {
        let secret: Box<[u8]> = Uri::parse(&session.uri)?.session_id?.into();
        if self.by_secret.contains_key(&secret) {
            return None;
        }
        let id = session.id;
        let key = self.sessions.insert_with(|_| session);
        self.by_id.insert(id, key);
        self.by_secret.insert(secret, key);
        Some(key)
    }

    pub fn get(&self, key: Key) -> Option<&Session> {
        self.sessions.get(key)
    }

    pub fn get_mut(&mut self, key: Key) -> Option<&mut Session> {
        self.sessions.get_mut(key)
    }

    pub fn key_of(&self, id: SessionId) -> Option<Key> {
        self.by_id.get(&id).copied()
    }

    pub fn remove(&mut self, key: Key) -> Option<Session> {
        let session = self.sessions.remove(key)?;
        self.by_id.remove(&session.id);
        if let Some(secret) = Uri::parse(&session.uri).and_then(|uri| uri.session_id) {
            self.by_secret.remove(secret);
        }
        Some(session)
    }

    /// The session whose URI this is, by full comparison (R-050, core section 7).
    pub fn find(&self, uri: &[u8]) -> Option<Key> {
        let key = *self.by_secret.get(Uri::parse(uri)?.session_id?)?;
        is_same_uri(&self.sessions.get(key)?.uri, uri).then_some(key)
    }

    pub fn iter(&self) -> impl Iterator<Item = (Key, &Session)> {
        self.sessions.iter()
    }

    pub fn keys(&self, from: usize, count: usize) -> impl Iterator<Item = Key> {
        self.sessions.keys(from, count)
    }

    pub fn slots(&self) -> usize {
        self.sessions.slots()
    }
}
