//! The far side of a connection: a socket, plain or with TLS, and frames.

use crate::bench::DEADLINE;
use memchr::memmem;
use msrp_engine::contract::ConnectionId;
use rustls::Connection;
use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// URI of a peer without a session.
pub const BOB: &str = "msrp://bob.example:1/b;tcp";

/// A peer of the engine.
pub struct Peer {
    pub id: ConnectionId,
    pub socket: TcpStream,
    /// Of a peer that speaks TLS.
    pub tls: Option<RefCell<Connection>>,
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
        Self { id: 0, socket, tls: None, bytes: Vec::new() }
    }

    /// A peer that speaks TLS, once its side of the handshake is done.
    pub fn secure(socket: TcpStream, tls: Connection) -> io::Result<Self> {
        let mut peer = Self::new(socket);
        let mut tls = tls;
        while tls.is_handshaking() {
            tls.complete_io(&mut peer.socket)?;
        }
        peer.tls = Some(RefCell::new(tls));
        Ok(peer)
    }

    pub fn local(&self) -> SocketAddr {
        self.socket.local_addr().expect("a connected socket")
    }

    /// A second handle, for a thread that writes.
    pub fn writer(&self) -> TcpStream {
        self.socket.try_clone().expect("a socket")
    }

    pub fn write(&self, text: impl AsRef<[u8]>) {
        match &self.tls {
            None => (&self.socket).write_all(text.as_ref()).expect("the relay reads"),
            Some(tls) => {
                // A piece at a time: the connection has no room for more.
                for piece in text.as_ref().chunks(16_384) {
                    tls.borrow_mut().writer().write_all(piece).expect("memory");
                    self.flush();
                }
            }
        }
    }

    /// Says that it ends, as TLS has it; the socket stays open.
    pub fn notify(&self) {
        self.tls.as_ref().expect("a peer with TLS").borrow_mut().send_close_notify();
        self.flush();
    }

    fn flush(&self) {
        let Some(tls) = &self.tls else { return };
        while tls.borrow().wants_write() {
            tls.borrow_mut().write_tls(&mut &self.socket).expect("the relay reads");
        }
    }

    /// Reads what has come; 0 at the end.
    pub fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &self.tls else { return self.socket.read(piece) };
        loop {
            match tls.borrow_mut().reader().read(piece) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // The end of the stream alone.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                outcome => return outcome,
            }
            let mut tls = tls.borrow_mut();
            tls.read_tls(&mut self.socket)?;
            tls.process_new_packets().map_err(io::Error::other)?;
        }
    }

    /// The relay has said that it ends, as TLS has it.
    pub fn was_notified(&self) -> bool {
        let mut tls = self.tls.as_ref().expect("a peer with TLS").borrow_mut();
        let state = tls.process_new_packets().expect("no error");
        state.peer_has_closed()
    }

    /// The next frame; none at the end of the connection.
    pub fn next(&mut self) -> Option<Got> {
        loop {
            if let Some(got) = self.parse() {
                return Some(got);
            }
            let mut piece = vec![0; 65_536];
            match self.read(&mut piece) {
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
