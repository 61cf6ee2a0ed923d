//! Where frames go.

use crate::wire::head::{Head, Kind, first_uri};
use std::collections::HashMap;
use std::net::SocketAddr;

/// What becomes of requests with the same method and paths. All is ready to be copied.
pub struct Route {
    /// What stands behind the transaction id, up to the CRLF of From-Path.
    pub key: Vec<u8>,
    /// Connection of the next hop.
    pub target: Option<usize>,
    /// What stands there in the forwarded request, without the last CRLF.
    pub forward: Vec<u8>,
    /// What stands behind the transaction id in the response, up to the hyphens of the end-line. Empty when there is none.
    pub answer: Vec<u8>,
}

/// Which connection belongs to which URI.
pub struct Routes {
    /// How URIs of this relay begin.
    own: Vec<u8>,
    connections: HashMap<Vec<u8>, usize>,
    uris: HashMap<usize, Vec<Vec<u8>>>,
}

impl Routes {
    /// Of the relay at `address`.
    pub fn new(address: SocketAddr, tls: bool) -> Self {
        Self {
            own: format!("{}://{address}/", if tls { "msrps" } else { "msrp" }).into_bytes(),
            connections: HashMap::new(),
            uris: HashMap::new(),
        }
    }

    /// How URIs of this relay begin.
    pub fn own(&self) -> &[u8] {
        &self.own
    }

    /// `uri` is reached over `connection` from now on.
    pub fn learn(&mut self, uri: &[u8], connection: usize) {
        if uri.starts_with(&self.own) || self.connections.get(uri) == Some(&connection) {
            return;
        }
        self.connections.insert(uri.to_vec(), connection);
        self.uris.entry(connection).or_default().push(uri.to_vec());
    }

    /// A connection is gone.
    pub fn forget(&mut self, connection: usize) {
        for uri in self.uris.remove(&connection).unwrap_or_default() {
            if self.connections.get(&uri) == Some(&connection) {
                self.connections.remove(&uri);
            }
        }
    }

    /// The route of a SEND, REPORT or other request that is not for this relay itself.
    pub fn decide(&self, head: &Head<'_>, method: &[u8]) -> Route {
        let key = [b" ", method, b"\r\nTo-Path: ", head.to, b"\r\nFrom-Path: ", head.from, b"\r\n"].concat();
        let (mut to, mut from) = (head.to, head.from.to_vec());
        while to.starts_with(&self.own) {
            let uri = first_uri(to);
            from = [uri, b" ", &from].concat();
            to = to.get(uri.len()..).unwrap_or_default().trim_ascii_start();
        }
        let target = self.connections.get(first_uri(to)).copied();
        let forward = [b" ", method, b"\r\nTo-Path: ", to, b"\r\nFrom-Path: ", &from].concat();
        let status: &[u8] = if target.is_some() { b" 200 OK" } else { b" 481 No Such Session" };
        let back = first_uri(head.from);
        let answer = [status, b"\r\nTo-Path: ", back, b"\r\nFrom-Path: ", first_uri(head.to), b"\r\n-------"].concat();
        let answer = if head.kind == Kind::Request(b"SEND") { answer } else { Vec::new() };
        Route { key, target, forward, answer }
    }
}

#[cfg(test)]
mod tests {
    use super::Routes;
    use crate::wire::head::{Read, read_head};

    fn route(routes: &Routes, to: &str, from: &str) -> (Option<usize>, String, String) {
        let text = format!("MSRP abcd SEND\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n-------abcd$\r\n");
        let Read::Head(head, ..) = read_head(text.as_bytes()) else { panic!("no head") };
        let route = routes.decide(&head, b"SEND");
        assert!(text.as_bytes()[9..].starts_with(&route.key));
        (route.target, String::from_utf8(route.forward).unwrap(), String::from_utf8(route.answer).unwrap())
    }

    #[test]
    fn paths_are_moved_uri_by_uri() {
        let mut routes = Routes::new("127.0.0.1:2855".parse().unwrap(), false);
        routes.learn(b"msrp://a/t;tcp", 7);
        let (u1, u2) = ("msrp://127.0.0.1:2855/1;tcp", "msrp://127.0.0.1:2855/2;tcp");
        let (target, forward, answer) = route(&routes, &format!("{u1} {u2} msrp://a/t;tcp"), "msrp://b/u;tcp");
        assert_eq!(target, Some(7));
        assert_eq!(forward, format!(" SEND\r\nTo-Path: msrp://a/t;tcp\r\nFrom-Path: {u2} {u1} msrp://b/u;tcp"));
        assert_eq!(answer, format!(" 200 OK\r\nTo-Path: msrp://b/u;tcp\r\nFrom-Path: {u1}\r\n-------"));
    }

    #[test]
    fn a_connection_that_is_gone_gets_nothing() {
        let mut routes = Routes::new("127.0.0.1:2855".parse().unwrap(), false);
        routes.learn(b"msrp://a/t;tcp", 7);
        routes.learn(b"msrp://a/t;tcp", 8);
        routes.forget(7);
        assert_eq!(route(&routes, "msrp://127.0.0.1:2855/1;tcp msrp://a/t;tcp", "msrp://b/u;tcp").0, Some(8));
        routes.forget(8);
        let (target, _, answer) = route(&routes, "msrp://127.0.0.1:2855/1;tcp msrp://a/t;tcp", "msrp://b/u;tcp");
        assert_eq!(target, None);
        assert!(answer.starts_with(" 481 "));
    }
}
