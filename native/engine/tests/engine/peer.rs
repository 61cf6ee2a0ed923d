//! The far side of a connection: a plain socket, and frames.

use crate::bench::DEADLINE;
use memchr::memmem;
use msrp_engine::contract::ConnectionId;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A peer of the engine.
pub struct Peer {
    pub id: ConnectionId,
    pub socket: TcpStream,
    bytes: Vec<u8>,
}

/// A frame as it was received.
#[derive(Debug)]
pub struct Got {
    pub tid: String,
    /// Method, or status code with its comment.
    pub word: String,
    pub head: String,
    pub body: Vec<u8>,
    pub flag: char,
    /// Bytes of the frame.
    pub whole: usize,
}

impl Peer {
    pub fn new(socket: TcpStream) -> Self {
        socket.set_nodelay(true).expect("a socket");
        socket.set_read_timeout(Some(DEADLINE)).expect("a socket");
        socket.set_write_timeout(Some(DEADLINE)).expect("a socket");
        Self { id: 0, socket, bytes: Vec::new() }
    }

    pub fn local(&self) -> SocketAddr {
        self.socket.local_addr().expect("a connected socket")
    }

    /// A second handle, for a thread that writes.
    pub fn writer(&self) -> TcpStream {
        self.socket.try_clone().expect("a socket")
    }

    pub fn write(&self, text: impl AsRef<[u8]>) {
        (&self.socket).write_all(text.as_ref()).expect("the relay reads");
    }

    /// The next frame; none at the end of the connection.
    pub fn next(&mut self) -> Option<Got> {
        loop {
            if let Some(got) = self.parse() {
                return Some(got);
            }
            let mut piece = vec![0; 65_536];
            match self.socket.read(&mut piece) {
                Ok(0) => return None,
                Ok(count) => self.bytes.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => {
                    let start = String::from_utf8_lossy(&self.bytes[..self.bytes.len().min(1000)]).into_owned();
                    panic!("waited in vain for a frame: {error}; {} bytes of one: {start:?}", self.bytes.len());
                }
            }
        }
    }

    /// The next frame, which begins with that word.
    pub fn expect(&mut self, word: &str) -> Got {
        let got = self.next().expect("a frame");
        assert!(got.word.starts_with(word), "{word} was expected, not {got:?}");
        got
    }

    /// Proves that nothing (more) was sent: the answer to a request for nobody is the next thing that comes.
    pub fn quiet(&mut self, port: u16) {
        let nobody = format!("msrp://127.0.0.1:{port}/none;tcp msrp://nobody.example:9/x;tcp");
        self.write(request("quiet0", "FROB", &nobody, "msrp://127.0.0.1:9/me;tcp", "", None, '$'));
        assert_eq!(self.expect("481").tid, "quiet0");
    }

    fn parse(&mut self) -> Option<Got> {
        let line_end = memmem::find(&self.bytes, b"\r\n")?;
        let line = String::from_utf8(self.bytes[..line_end].to_vec()).expect("text");
        let mut words = line.splitn(3, ' ');
        assert_eq!(words.next(), Some("MSRP"), "{line}");
        let (tid, word) = (words.next()?.to_owned(), words.next()?.to_owned());
        let end_line = format!("\r\n-------{tid}");
        let end = memmem::find_iter(&self.bytes, end_line.as_bytes())
            .find(|at| self.bytes.get(at + end_line.len()).is_some_and(|flag| b"$+#".contains(flag)))?;
        let whole = end + end_line.len() + 3;
        if self.bytes.len() < whole {
            return None;
        }
        let headers_end = memmem::find(&self.bytes[..end], b"\r\n\r\n");
        let head = String::from_utf8(self.bytes[line_end + 2..headers_end.unwrap_or(end).max(line_end + 2)].to_vec());
        let body = headers_end.map_or(&[][..], |at| self.bytes.get(at + 4..end).unwrap_or_default()).to_vec();
        let flag = char::from(self.bytes[whole - 3]);
        self.bytes.drain(..whole);
        Some(Got { tid, word, head: head.expect("text"), body, flag, whole })
    }
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
    }

    /// The text of the response to it.
    pub fn response(&self, status: u16) -> String {
        let first = |path: &str| path.split(' ').next().unwrap_or_default().to_owned();
        let whole = self.header("From-Path");
        let to = if self.word == "SEND" { first(whole) } else { whole.to_owned() };
        request(&self.tid, &format!("{status} any"), &to, &first(self.header("To-Path")), "", None, '$')
    }
}

/// Text of a frame; `headers` are whole lines with their CRLF.
pub fn request(tid: &str, word: &str, to: &str, from: &str, headers: &str, body: Option<&str>, flag: char) -> String {
    let body = body.map(|body| format!("\r\n{body}\r\n")).unwrap_or_default();
    format!("MSRP {tid} {word}\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n{headers}{body}-------{tid}{flag}\r\n")
}

/// A SEND with a text body.
pub fn send(tid: &str, to: &str, from: &str, body: &str) -> String {
    send_with(tid, to, from, "", body)
}

/// A SEND with more header lines.
pub fn send_with(tid: &str, to: &str, from: &str, more: &str, body: &str) -> String {
    let headers = format!("Message-ID: m{tid}\r\n{more}Byte-Range: 1-{0}/{0}\r\nContent-Type: text/plain\r\n", body.len());
    request(tid, "SEND", to, from, &headers, Some(body), '$')
}
