//! One thread, one epoll: connections, big reads, one vectored write per connection and turn.

pub mod outbox;
pub mod socket;
pub mod stream;
pub mod tls;

use crate::wire::end_line::EndLines;
use crate::wire::head::Head;
use crate::wire::scan::{Scanner, Step};
use mio::{Events, Interest, Poll, Token};
use outbox::Outbox;
use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use stream::Stream;

/// Octets that one read takes at most.
const READ_BYTES: usize = 1 << 20;

/// Events of one turn.
const EVENTS: usize = 1024;

/// What a load does with its connections. A connection is named by its number.
pub trait Handler {
    /// The connection stands.
    fn connected(&mut self, net: &mut Net, id: usize);
    /// A frame begins.
    fn head(&mut self, net: &mut Net, id: usize, head: &Head<'_>);
    /// Part of its body.
    fn body(&mut self, net: &mut Net, id: usize, octets: &[u8]);
    /// It ends with this flag.
    fn end(&mut self, net: &mut Net, id: usize, flag: u8);
    /// The connection is gone, not by [`Net::close`]; why.
    fn closed(&mut self, net: &mut Net, id: usize, why: &'static str);
}

struct Conn {
    stream: Stream,
    /// No other connection of the run has it.
    serial: u64,
    local: SocketAddr,
    connecting: bool,
    /// The transport stands, TLS does not yet.
    shaking: bool,
    outbox: Outbox,
    scanner: Scanner,
    /// What was read of a frame that is not whole.
    rest: Vec<u8>,
}

/// All connections of a load.
pub struct Net {
    poll: Poll,
    conns: Vec<Option<Conn>>,
    serial: u64,
    free: Vec<usize>,
    dirty: Vec<usize>,
    /// Connections whose last read filled the buffer: epoll will not name them again.
    unread: Vec<usize>,
    buffer: Vec<u8>,
    ends: EndLines,
    /// Octets that outboxes refer to.
    shared: Vec<u8>,
    /// Connections are made with TLS.
    tls: Option<tls::Client>,
    /// Time of the read that is being handled.
    pub now: Instant,
}

impl Net {
    /// `shared` is what outboxes may refer to by range.
    pub fn new(shared: &[u8], tls: Option<tls::Client>) -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            conns: Vec::new(),
            serial: 0,
            free: Vec::new(),
            dirty: Vec::new(),
            unread: Vec::new(),
            buffer: vec![0; READ_BYTES],
            ends: EndLines::new(),
            shared: shared.to_vec(),
            tls,
            now: Instant::now(),
        })
    }

    /// Begins a connection from `source` to `target`; returns its number.
    pub fn connect(&mut self, source: IpAddr, target: SocketAddr) -> io::Result<usize> {
        let mut stream = socket::connect(source, target)?;
        let id = self.free.pop().unwrap_or(self.conns.len());
        self.poll.registry().register(&mut stream, Token(id), Interest::READABLE | Interest::WRITABLE)?;
        let local = stream.local_addr()?;
        let stream = match &self.tls {
            None => Stream::plain(stream),
            Some((config, name)) => Stream::client(stream, config, name)?,
        };
        let shaking = stream.is_shaking();
        self.serial += 1;
        let conn = Conn {
            stream,
            serial: self.serial,
            local,
            connecting: true,
            shaking,
            outbox: Outbox::default(),
            scanner: Scanner::default(),
            rest: Vec::new(),
        };
        if let Some(place) = self.conns.get_mut(id) {
            *place = Some(conn);
        } else {
            self.conns.push(Some(conn));
        }
        Ok(id)
    }

    /// The local address of a connection.
    pub fn local(&self, id: usize) -> Option<SocketAddr> {
        Some(self.conns.get(id)?.as_ref()?.local)
    }

    /// The outbox of a connection; it is written at the end of the turn.
    pub fn send(&mut self, id: usize) -> Option<&mut Outbox> {
        let outbox = &mut self.conns.get_mut(id)?.as_mut()?.outbox;
        if !outbox.dirty {
            outbox.dirty = true;
            self.dirty.push(id);
        }
        Some(outbox)
    }

    /// Closes a connection; its number may be given to another from then on.
    pub fn close(&mut self, id: usize) {
        if let Some(mut conn) = self.conns.get_mut(id).and_then(Option::take) {
            let _ = self.poll.registry().deregister(&mut conn.stream.tcp);
            self.free.push(id);
        }
    }

    /// Waits for at most `wait`, handles what has happened, and writes what there is to write.
    pub fn turn<H: Handler>(&mut self, handler: &mut H, events: &mut Events, wait: Duration) -> io::Result<()> {
        self.flush(handler);
        let wait = if self.unread.is_empty() { wait } else { Duration::ZERO };
        match self.poll.poll(events, Some(wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        self.now = Instant::now();
        for id in std::mem::take(&mut self.unread) {
            self.read(handler, id, false);
        }
        for event in &*events {
            let Token(id) = event.token();
            if event.is_writable() {
                self.writable(handler, id);
            }
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                self.read(handler, id, event.is_read_closed() || event.is_error());
            }
        }
        self.flush(handler);
        Ok(())
    }

    /// Room for the events of a turn.
    pub fn events() -> Events {
        Events::with_capacity(EVENTS)
    }

    fn writable<H: Handler>(&mut self, handler: &mut H, id: usize) {
        let Some(conn) = self.conns.get_mut(id).and_then(Option::as_mut) else { return };
        if conn.connecting {
            if let Ok(Some(_)) | Err(_) = conn.stream.tcp.take_error() {
                return self.lost(handler, id, "connection refused");
            }
            if conn.stream.tcp.peer_addr().is_ok() {
                conn.connecting = false;
                if !conn.shaking {
                    handler.connected(self, id);
                } else if conn.stream.flush_sealed().is_err() {
                    self.lost(handler, id, "connection lost");
                }
            }
        } else if conn.outbox.blocked {
            conn.outbox.blocked = false;
            if !conn.outbox.dirty {
                conn.outbox.dirty = true;
                self.dirty.push(id);
            }
        }
    }

    /// Reads once, or to the end when the peer has closed.
    fn read<H: Handler>(&mut self, handler: &mut H, id: usize, to_end: bool) {
        // The buffer leaves `self`, so that handlers may have both.
        let mut buffer = std::mem::take(&mut self.buffer);
        let lost = loop {
            let Some(conn) = self.conns.get_mut(id).and_then(Option::as_mut) else { break None };
            if conn.connecting {
                break None;
            }
            let held = conn.rest.len();
            if buffer.len() < held + READ_BYTES / 2 {
                buffer.resize(held + READ_BYTES, 0);
            }
            let Some((front, room)) = buffer.split_at_mut_checked(held) else { break None };
            front.copy_from_slice(&conn.rest);
            let outcome = conn.stream.read(room);
            if conn.shaking && !conn.stream.is_shaking() {
                conn.shaking = false;
                handler.connected(self, id);
            }
            let Some(conn) = self.conns.get_mut(id).and_then(Option::as_mut) else { break None };
            match outcome {
                Ok(0) => break Some("closed by the relay"),
                Ok(count) => {
                    let full = conn.stream.more;
                    conn.rest.clear();
                    if let Err(why) = self.take(handler, id, buffer.get(..held + count).unwrap_or_default()) {
                        break Some(why);
                    }
                    if !to_end {
                        if full {
                            self.unread.push(id);
                        }
                        break None;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break None,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break Some("connection lost"),
            }
        };
        self.buffer = buffer;
        if let Some(why) = lost {
            self.lost(handler, id, why);
        }
    }

    /// Hands the frames in `octets` to the handler, and keeps what is not whole.
    fn take<H: Handler>(&mut self, handler: &mut H, id: usize, octets: &[u8]) -> Result<(), &'static str> {
        let (mut at, mut serial) = (0, None);
        loop {
            // A handler may close the connection, and open another one in its place.
            let Some(conn) = self.conns.get_mut(id).and_then(Option::as_mut) else { return Ok(()) };
            if *serial.get_or_insert(conn.serial) != conn.serial {
                return Ok(());
            }
            match conn.scanner.step(octets, &mut at, &self.ends) {
                Step::Head(head) => handler.head(self, id, &head),
                Step::Body(body) => handler.body(self, id, body),
                Step::End(flag) => handler.end(self, id, flag),
                Step::Bad(why) => return Err(why),
                Step::More => {
                    conn.rest.extend_from_slice(octets.get(at..).unwrap_or_default());
                    return Ok(());
                }
            }
        }
    }

    /// Writes what has been sent since the last time.
    fn flush<H: Handler>(&mut self, handler: &mut H) {
        let mut ids = std::mem::take(&mut self.dirty);
        for id in ids.drain(..) {
            let Some(conn) = self.conns.get_mut(id).and_then(Option::as_mut) else { continue };
            conn.outbox.dirty = false;
            if conn.connecting || conn.shaking || conn.outbox.blocked {
                continue;
            }
            let outcome = conn.outbox.flush(&mut conn.stream, &self.shared).and_then(|()| conn.stream.flush_sealed());
            match outcome {
                Ok(flushed) => conn.outbox.blocked |= !flushed,
                Err(_) => self.lost(handler, id, "connection lost"),
            }
        }
        // A handler that sends because of a loss makes more: they wait for the next turn.
        if self.dirty.is_empty() {
            self.dirty = ids;
        }
    }

    fn lost<H: Handler>(&mut self, handler: &mut H, id: usize, why: &'static str) {
        if self.conns.get(id).is_some_and(Option::is_some) {
            self.close(id);
            handler.closed(self, id, why);
        }
    }
}
