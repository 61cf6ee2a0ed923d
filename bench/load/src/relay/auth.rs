//! AUTH: everybody is challenged, and every answer to a challenge is right.

use super::Relay;
use crate::wire::encode::end_line;
use crate::wire::head::{Head, first_uri};
use crate::wire::tid::{base32, mix};
use std::io::Write;

/// Lifetime of a session in seconds: told, not enforced.
const EXPIRES: u32 = 1800;

impl Relay {
    /// Answers an AUTH.
    pub fn authenticate(&mut self, id: usize, head: &Head<'_>) {
        self.random = mix(self.random);
        let token = base32(self.random);
        let granted = !head.authorization.is_empty();
        if granted {
            self.routes.learn(first_uri(head.from), id);
        }
        let own = self.routes.own();
        let Some(conn) = self.conns.get_mut(id).and_then(Option::as_mut) else { return };
        let out = &mut conn.out;
        let status: &[u8] = if granted { b" 200 OK" } else { b" 401 Unauthorized" };
        for part in [b"MSRP ", head.tid, status, b"\r\nTo-Path: ", head.from, b"\r\nFrom-Path: ", head.to, b"\r\n"] {
            out.extend_from_slice(part);
        }
        // Writing into a Vec cannot fail.
        let _ = if granted {
            let parts: [&[u8]; 4] = [b"Use-Path: ", own, &token, b";tcp\r\n"];
            for part in parts {
                out.extend_from_slice(part);
            }
            write!(out, "Expires: {EXPIRES}\r\n")
        } else {
            out.extend_from_slice(b"WWW-Authenticate: Digest realm=\"bare\", nonce=\"");
            out.extend_from_slice(&token);
            out.write_all(b"\", qop=\"auth\"\r\n")
        };
        end_line(out, head.tid, b'$', false);
        self.mark(id);
    }
}
