//! One end of a pair: its URI, and the AUTH that gives it a session of the relay.

use crate::wire::digest::{Credentials, authorization};
use crate::wire::encode;
use crate::wire::head::{Head, Kind};
use crate::wire::tid::{Tid, base32, mix, tid};
use std::net::SocketAddr;

/// What every AUTH of a run has in common.
#[derive(Clone)]
pub struct Relay {
    /// The To-Path of AUTH.
    pub uri: String,
    /// Who authenticates.
    pub credentials: Credentials,
    /// Makes transaction ids and session-ids of this run differ from those of others.
    pub key: u64,
}

/// How far an AUTH has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The challenge was answered.
    Answered,
    /// Granted: [`Session::use_path`] is known.
    Granted,
    /// Refused, or not understood; what.
    Failed(&'static str),
}

/// One end.
pub struct Session {
    /// Its own URI.
    pub uri: String,
    /// The URI that the relay gave it; empty before and without AUTH.
    pub use_path: String,
    key: u64,
    expected: Tid,
    attempts: u64,
}

impl Session {
    /// The end at `local`, number `number` of the run.
    pub fn new(relay: &Relay, local: SocketAddr, number: u64) -> Self {
        let key = mix(relay.key ^ mix(number));
        let id = String::from_utf8_lossy(&base32(key)).into_owned();
        Self {
            uri: format!("{}://{local}/{id};tcp", if relay.uri.starts_with("msrps:") { "msrps" } else { "msrp" }),
            use_path: String::new(),
            key: mix(key),
            expected: tid(mix(key), 0),
            attempts: 0,
        }
    }

    /// Writes the first AUTH.
    pub fn begin(&mut self, relay: &Relay, out: &mut Vec<u8>) {
        self.request(relay, "", out);
    }

    /// Takes a frame that arrived before the session was granted; writes the second AUTH when it is a challenge.
    pub fn receive(&mut self, relay: &Relay, head: &Head<'_>, out: &mut Vec<u8>) -> Progress {
        if head.tid != self.expected {
            return Progress::Failed("answer to no AUTH");
        }
        match head.kind {
            Kind::Response(401) if self.attempts == 1 => {
                let cnonce = String::from_utf8_lossy(&base32(mix(self.key ^ self.attempts))).into_owned();
                let challenge = String::from_utf8_lossy(head.challenge);
                match authorization(&challenge, &relay.credentials, &relay.uri, &cnonce) {
                    Some(value) => {
                        self.request(relay, &value, out);
                        Progress::Answered
                    }
                    None => Progress::Failed("AUTH: challenge not understood"),
                }
            }
            Kind::Response(200) if !head.use_path.is_empty() => {
                self.use_path = String::from_utf8_lossy(head.use_path).into_owned();
                Progress::Granted
            }
            Kind::Response(200) => Progress::Failed("AUTH: no Use-Path"),
            Kind::Response(401) => Progress::Failed("AUTH: 401 again"),
            Kind::Response(403) => Progress::Failed("AUTH: 403"),
            Kind::Response(_) => Progress::Failed("AUTH: refused"),
            Kind::Request(_) => Progress::Failed("request before the session"),
        }
    }

    fn request(&mut self, relay: &Relay, authorization: &str, out: &mut Vec<u8>) {
        self.expected = tid(self.key, self.attempts);
        self.attempts += 1;
        encode::auth(out, &self.expected, &relay.uri, &self.uri, authorization);
    }
}

#[cfg(test)]
mod tests {
    use super::{Progress, Relay, Session};
    use crate::wire::digest::Credentials;
    use crate::wire::head::{Read, read_head};

    fn answer(session: &mut Session, relay: &Relay, start: &str, headers: &str) -> (Progress, Vec<u8>) {
        let tid = String::from_utf8(session.expected.to_vec()).unwrap();
        let text = format!("MSRP {tid} {start}\r\nTo-Path: x\r\nFrom-Path: y\r\n{headers}-------{tid}$\r\n");
        let Read::Head(head, ..) = read_head(text.as_bytes()) else { panic!("no head") };
        let mut out = Vec::new();
        (session.receive(relay, &head, &mut out), out)
    }

    #[test]
    fn challenge_answer_grant() {
        let relay = Relay {
            uri: "msrp://127.0.0.1:2855;tcp".to_owned(),
            credentials: Credentials { user: "alice".to_owned(), password: "secret".to_owned() },
            key: 1,
        };
        let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n";
        let mut session = Session::new(&relay, "127.0.0.1:4000".parse().unwrap(), 3);
        let mut first = Vec::new();
        session.begin(&relay, &mut first);
        let (progress, second) = answer(&mut session, &relay, "401 Unauthorized", challenge);
        assert_eq!(progress, Progress::Answered);
        assert!(!first.windows(13).any(|window| window == b"Authorization"));
        assert!(second.windows(13).any(|window| window == b"Authorization"));
        assert_ne!(first[5..26], second[5..26], "a new transaction id");
        let (progress, _) = answer(&mut session, &relay, "200 OK", "Use-Path: msrp://r:1/s;tcp\r\n");
        assert_eq!((progress, session.use_path.as_str()), (Progress::Granted, "msrp://r:1/s;tcp"));

        let mut refused = Session::new(&relay, "127.0.0.1:4000".parse().unwrap(), 3);
        refused.begin(&relay, &mut first);
        answer(&mut refused, &relay, "401 Unauthorized", challenge);
        let (progress, _) = answer(&mut refused, &relay, "401 Unauthorized", challenge);
        assert_eq!(progress, Progress::Failed("AUTH: 401 again"));
    }
}
