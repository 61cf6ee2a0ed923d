//! The bare relay: what any relay has to do at least, in one thread, and nothing else.
//!
//! It reads, finds end-lines, rewrites paths and transaction ids, answers SENDs, and writes. It has no timers, no transactions, no
//! flow control, and believes everybody: a limit to compare with, not a relay to use. A turn reads each readable connection once
//! and ends with one write for each connection that has something to say.

mod auth;
mod forward;
mod input;
mod route;

use crate::net::socket;
use crate::net::stream::Stream;
use crate::wire::end_line::EndLines;
use crate::wire::tid::{base32, hex32, mix};
use forward::Outcome;
use input::Input;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use route::{Route, Routes};
use rustls::ServerConfig;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

const LISTENER: Token = Token(usize::MAX);

/// Events of one turn.
const EVENTS: usize = 1024;

/// Bodies from this size on are written from where they were read; shorter ones are copied, and written with others.
const WRITE_THROUGH: usize = 16_384;

struct Conn {
    stream: Stream,
    /// What was read of a frame that is not whole.
    input: Option<Input>,
    out: Vec<u8>,
    written: usize,
    dirty: bool,
    blocked: bool,
    /// Routes of the paths seen last.
    recent: Vec<Rc<Route>>,
    /// Routes are good as long as this is the relay's.
    epoch: u64,
}

struct Relay {
    poll: Poll,
    listener: TcpListener,
    conns: Vec<Option<Conn>>,
    free: Vec<usize>,
    dirty: Vec<usize>,
    /// Connections whose last read filled the buffer.
    unread: Vec<usize>,
    spare: Vec<Input>,
    routes: Routes,
    /// Changes when a connection goes.
    epoch: u64,
    ends: EndLines,
    random: u64,
    /// Transaction ids: a part that nobody can guess, and a number.
    tid: [u8; 16],
    requests: u64,
    tls: Option<Arc<ServerConfig>>,
}

/// Runs until it is killed, with TLS if `tls` says how. The first line on stdout is `listening on ADDRESS`.
pub fn run(address: SocketAddr, tls: Option<Arc<ServerConfig>>) -> io::Result<()> {
    let mut listener = socket::listen(address)?;
    let address = listener.local_addr()?;
    let poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let random = mix(RandomState::new().build_hasher().finish());
    let mut relay = Relay {
        poll,
        listener,
        conns: Vec::new(),
        free: Vec::new(),
        dirty: Vec::new(),
        unread: Vec::new(),
        spare: Vec::new(),
        routes: Routes::new(address, tls.is_some()),
        epoch: 0,
        ends: EndLines::new(),
        random,
        tid: [b'r'; 16],
        requests: 0,
        tls,
    };
    if let Some((place, _)) = relay.tid.split_first_chunk_mut::<8>() {
        place.iter_mut().zip(base32(random)).for_each(|(place, octet)| *place = octet);
    }
    println!("listening on {address}");
    let mut events = Events::with_capacity(EVENTS);
    loop {
        relay.turn(&mut events)?;
    }
}

impl Relay {
    fn turn(&mut self, events: &mut Events) -> io::Result<()> {
        let wait = (!self.unread.is_empty()).then_some(std::time::Duration::ZERO);
        match self.poll.poll(events, wait) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for id in std::mem::take(&mut self.unread) {
            self.read(id, false);
        }
        for event in &*events {
            if event.token() == LISTENER {
                self.accept()?;
                continue;
            }
            let Token(id) = event.token();
            if event.is_writable()
                && let Some(conn) = self.conn(id).filter(|conn| conn.blocked)
            {
                conn.blocked = false;
                self.mark(id);
            }
            if event.is_readable() || event.is_error() {
                self.read(id, event.is_read_closed() || event.is_error());
            }
        }
        let mut dirty = std::mem::take(&mut self.dirty);
        for id in dirty.drain(..) {
            if self.conn(id).is_some_and(|conn| conn.flush().is_err()) {
                self.close(id);
            }
        }
        self.dirty = dirty;
        Ok(())
    }

    fn conn(&mut self, id: usize) -> Option<&mut Conn> {
        self.conns.get_mut(id)?.as_mut()
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The peer has gone before it was accepted, or there are no more files: others may still be served.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    eprintln!("msrp-load: relay: accept: {error}");
                    return Ok(());
                }
            };
            stream.set_nodelay(true)?;
            let id = self.free.pop().unwrap_or(self.conns.len());
            self.poll.registry().register(&mut stream, Token(id), Interest::READABLE | Interest::WRITABLE)?;
            let stream = match &self.tls {
                None => Stream::plain(stream),
                Some(tls) => Stream::server(stream, tls)?,
            };
            let conn = Conn {
                stream,
                input: None,
                out: Vec::new(),
                written: 0,
                dirty: false,
                blocked: false,
                recent: Vec::new(),
                epoch: self.epoch,
            };
            if let Some(place) = self.conns.get_mut(id) {
                *place = Some(conn);
            } else {
                self.conns.push(Some(conn));
            }
        }
    }

    /// Reads once, or to the end when the peer has closed.
    fn read(&mut self, id: usize, to_end: bool) {
        loop {
            let Some(conn) = self.conns.get_mut(id).and_then(Option::as_mut) else { return };
            let mut input = conn.input.take().or_else(|| self.spare.pop()).unwrap_or_default();
            let outcome = conn.stream.read(input.room());
            let (full, alive) = match outcome {
                Ok(count) if count > 0 => {
                    let full = conn.stream.more;
                    input.add(count);
                    (full, self.frames(id, &mut input))
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.put_back(id, input);
                    return;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => (true, true),
                _ => (false, false),
            };
            self.put_back(id, input);
            if !alive {
                return self.close(id);
            }
            if !to_end {
                if full {
                    self.unread.push(id);
                }
                return;
            }
        }
    }

    /// Handles the frames that are whole; false when what was read is no MSRP.
    fn frames(&mut self, id: usize, input: &mut Input) -> bool {
        let mut taken = 0;
        let mut searched = input.searched;
        loop {
            let rest = input.octets(taken);
            if rest.is_empty() {
                break;
            }
            match self.frame(id, rest, searched) {
                Outcome::Done(len) => {
                    taken += len;
                    searched = 0;
                }
                Outcome::Short(resume) => {
                    searched = resume;
                    break;
                }
                Outcome::Bad => return false,
            }
        }
        input.take(taken, searched);
        true
    }

    fn put_back(&mut self, id: usize, mut input: Input) {
        match self.conns.get_mut(id).and_then(Option::as_mut) {
            Some(conn) if !input.is_empty() => conn.input = Some(input),
            _ => {
                input.clear();
                self.spare.push(input);
            }
        }
    }

    /// Puts a connection into the list of those that are to be written.
    fn mark(&mut self, id: usize) {
        if let Some(conn) = self.conns.get_mut(id).and_then(Option::as_mut).filter(|conn| !conn.dirty) {
            conn.dirty = true;
            self.dirty.push(id);
        }
    }

    fn close(&mut self, id: usize) {
        if let Some(mut conn) = self.conns.get_mut(id).and_then(Option::take) {
            let _ = self.poll.registry().deregister(&mut conn.stream.tcp);
            self.routes.forget(id);
            self.free.push(id);
            self.epoch += 1;
        }
    }

    /// The next transaction id.
    fn next_tid(&mut self) -> [u8; 16] {
        self.requests += 1;
        if let Some((_, number)) = self.tid.split_last_chunk_mut::<8>() {
            *number = hex32(self.requests);
        }
        self.tid
    }
}

impl Conn {
    /// Writes what is queued, as far as the socket takes it.
    fn flush(&mut self) -> io::Result<()> {
        self.dirty = false;
        if self.blocked {
            return Ok(());
        }
        while let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            let offered = rest.len();
            match self.stream.write(rest) {
                Ok(count) => {
                    self.written += count;
                    if count < offered {
                        self.blocked = true;
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.written = 0;
        self.blocked = !self.stream.flush_sealed()?;
        Ok(())
    }

    /// Writes what is queued and these two behind it without copying them, as far as the socket takes it; queues the rest. An
    /// error is left to the next flush.
    fn write_through(&mut self, body: &[u8], tail: &[u8]) {
        let queued = self.out.get(self.written..).unwrap_or_default();
        let (waiting, total) = (queued.len(), queued.len() + body.len() + tail.len());
        let slices = [IoSlice::new(queued), IoSlice::new(body), IoSlice::new(tail)];
        let count = if self.blocked { 0 } else { self.stream.write_vectored(&slices).unwrap_or(0) };
        if count == total {
            self.out.clear();
            self.written = 0;
            // Of TLS, something of the last batch may wait.
            self.blocked |= !matches!(self.stream.flush_sealed(), Ok(true));
            return;
        }
        self.written += count.min(waiting);
        let body_done = count.saturating_sub(waiting).min(body.len());
        let tail_done = count.saturating_sub(waiting + body.len());
        self.out.extend_from_slice(body.get(body_done..).unwrap_or_default());
        self.out.extend_from_slice(tail.get(tail_done..).unwrap_or_default());
    }
}
