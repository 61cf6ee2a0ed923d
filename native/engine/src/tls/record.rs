//! Records: ciphertext of the socket becomes plaintext in the worker's read buffer, and an outbox becomes ciphertext.

use super::accept::Hello;
use super::failure::HandshakeFailure;
use super::handshake::Handshake;
use crate::contract::TlsInfo;
use crate::outbox::{Outbox, Spare};
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus};
use rustls::{CommonState, Error, ProtocolVersion};
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::sync::Arc;

/// TLS of one connection.
pub struct Tls {
    pub side: Side,
    /// Ciphertext of a record (in a handshake: of a message) that is not complete.
    incoming: Vec<u8>,
    /// Ciphertext that the kernel has not taken yet.
    outgoing: Outbox,
    /// What waits there is a session ticket, which goes with the first thing that is said, or with the next tick.
    ticket: bool,
    /// Bytes at the front of the connection's outbox that are in `outgoing`: they count as waiting until it is empty.
    sealed: usize,
    /// The peer has said that it ends (`close_notify`): nothing more is read.
    ended: bool,
    /// So have we.
    pub notified: bool,
    /// Until it is done.
    pub handshake: Option<Box<Handshake>>,
    /// From then on.
    pub info: Option<Arc<TlsInfo>>,
}

/// What rustls has of it.
pub enum Side {
    /// A client of which the `ClientHello` is not complete: it decides about the domain.
    Hello(Box<Hello>),
    Server(Box<UnbufferedServerConnection>),
    Client(Box<UnbufferedClientConnection>),
}

/// What one read has brought.
#[derive(Debug, Default)]
pub struct Got {
    /// Bytes of plaintext.
    pub count: usize,
    /// The socket may have more.
    pub more: bool,
    /// The peer has ended its side.
    pub ended: bool,
}

/// Why a connection is of no use any more.
#[derive(Debug)]
pub enum Lost {
    Io(io::Error),
    Tls(Error),
    /// No domain is for this client.
    Refused(HandshakeFailure, &'static str),
}

/// Where ciphertext is made, one connection after the other; grows once, when there is TLS.
#[derive(Debug, Default)]
pub struct Sealing {
    bytes: Vec<u8>,
}

/// The largest record: 2^14 bytes, what a cipher may add in TLS 1.2, and its header (RFC 5246 section 6.2.3).
pub const MAX_RECORD: usize = 16_384 + 2048 + 5;
/// Plaintext that is sealed at once: full records, of which the kernel usually takes all.
const BATCH_BYTES: usize = 4 * 16_384;
/// What a batch grows by: headers, explicit nonces, tags, and an alert or key update before it.
const BATCH_OVERHEAD: usize = 4096;
/// What waits of the handshake goes out with a batch up to this size.
const MERGED_BYTES: usize = 2048;
/// An incomplete record of a quiet connection holds no more memory than it needs above this.
const SMALL_BYTES: usize = 1024;

impl Tls {
    pub fn new(side: Side, handshake: Handshake) -> Self {
        Self {
            side,
            incoming: Vec::new(),
            outgoing: Outbox::default(),
            ticket: false,
            sealed: 0,
            ended: false,
            notified: false,
            handshake: Some(Box::new(handshake)),
            info: None,
        }
    }

    /// True when no ciphertext waits.
    pub fn is_flushed(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// True when something waits that must go out even when nothing else does.
    pub fn is_urgent(&self) -> bool {
        !self.outgoing.is_empty() && !self.ticket
    }

    /// The handshake of a client is done: what rustls has said last is a ticket, unless this is TLS 1.2, where it is the end of the
    /// handshake as well.
    pub fn accepted(&mut self, version: Option<ProtocolVersion>) {
        self.ticket = version == Some(ProtocolVersion::TLSv1_3);
    }

    /// No longer kept back: whether there is a ticket that waits.
    pub fn ticket_is_due(&mut self) -> bool {
        mem::take(&mut self.ticket) && !self.outgoing.is_empty()
    }

    /// The domain that it is of, once that is known.
    pub fn domain_name(&self) -> Option<&str> {
        let under_way = || self.handshake.as_ref()?.domain.as_ref().map(|domain| &*domain.name);
        self.info.as_ref().map(|info| info.domain.as_str()).or_else(under_way)
    }

    /// What rustls says of it.
    pub fn common(&self) -> Option<&CommonState> {
        match &self.side {
            Side::Hello(_) => None,
            Side::Server(connection) => Some(connection),
            Side::Client(connection) => Some(connection),
        }
    }

    /// Reads once from the socket, at most as much as `limit` and one more record, and decrypts it into `plain`.
    pub fn read(
        &mut self,
        stream: &mut impl Read,
        records: &mut Vec<u8>,
        limit: usize,
        plain: &mut [u8],
        spare: &mut Spare,
    ) -> Result<Got, Lost> {
        if self.ended {
            return Ok(Got { ended: true, ..Got::default() });
        }
        let kept = self.incoming.len();
        let until = limit.max(kept + MAX_RECORD).min(plain.len());
        if records.len() < until {
            records.resize(until, 0);
        }
        records[..kept].copy_from_slice(&self.incoming);
        let count = loop {
            match stream.read(&mut records[kept..until]) {
                Ok(0) => return Ok(Got { ended: true, ..Got::default() }),
                Ok(count) => break count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Lost::Io(error)),
            }
        };
        let more = kept + count == until;
        let bytes = &mut records[..kept + count];
        let (done, count) = self.open(bytes, kept, plain, spare)?;
        let rest = &bytes[done..];
        self.incoming.clear();
        if rest.is_empty() && self.incoming.capacity() > SMALL_BYTES {
            self.incoming = Vec::new();
        }
        self.incoming.extend_from_slice(rest);
        // A close_notify is told at once, behind what came before it.
        Ok(Got { count, more: more || self.ended, ended: false })
    }

    /// Decrypts all whole records; returns how many bytes of them are done with, and how many of plaintext there are.
    fn open(&mut self, bytes: &mut [u8], kept: usize, plain: &mut [u8], spare: &mut Spare) -> Result<(usize, usize), Lost> {
        if let Side::Hello(hello) = &mut self.side {
            let Some((side, domain, name)) = hello.take(&bytes[kept..], &mut self.outgoing, spare)? else { return Ok((0, 0)) };
            self.side = side;
            if let Some(handshake) = &mut self.handshake {
                handshake.domain = Some(domain);
                handshake.server_name = name;
            }
        }
        let mut opened = Opened::default();
        let outcome = match &mut self.side {
            Side::Hello(_) => Ok(()),
            Side::Server(connection) => open(&mut **connection, bytes, plain, &mut self.outgoing, spare, &mut opened),
            Side::Client(connection) => open(&mut **connection, bytes, plain, &mut self.outgoing, spare, &mut opened),
        };
        self.ended |= opened.ended;
        outcome.map_err(Lost::Tls)?;
        Ok((opened.done, opened.count))
    }

    /// Collects what rustls has to say of itself: a `ClientHello`, or the alert for an error.
    pub fn speak(&mut self, spare: &mut Spare) {
        match &mut self.side {
            Side::Hello(_) => {}
            Side::Server(connection) => speak(&mut **connection, &mut self.outgoing, spare),
            Side::Client(connection) => speak(&mut **connection, &mut self.outgoing, spare),
        }
    }

    /// What is to be said of a failure: rustls has an alert for it. As far as the kernel takes it at once.
    pub fn say_last(&mut self, stream: &mut impl Write, spare: &mut Spare) {
        self.speak(spare);
        let _ = stream.write(self.outgoing.waiting());
    }

    /// Writes what waits: ciphertext of before, then the outbox, in batches. `last`: then a `close_notify`, once. Returns bytes of the
    /// outbox that the kernel has, and whether it takes more.
    pub fn write(
        &mut self,
        stream: &mut impl Write,
        mut outbox: Option<&mut Outbox>,
        last: bool,
        sealing: &mut Sealing,
        spare: &mut Spare,
    ) -> (usize, io::Result<bool>) {
        let mut wrote = 0;
        self.ticket = false;
        loop {
            // A few bytes that are new go in front of those that follow: one write for both.
            let merged = self.sealed == 0 && self.outgoing.len() <= MERGED_BYTES;
            if !merged && let Some(outcome) = drain(stream, &mut self.outgoing, spare) {
                return (wrote, outcome);
            }
            if let Some(outbox) = outbox.as_deref_mut().filter(|_| self.sealed > 0) {
                wrote += self.sealed;
                outbox.written(mem::take(&mut self.sealed), spare);
            }
            let waiting = outbox.as_deref().map(Outbox::waiting).unwrap_or_default();
            let batch = &waiting[..waiting.len().min(BATCH_BYTES)];
            let ends = last && batch.len() == waiting.len() && !self.notified;
            if batch.is_empty() && !ends {
                let outcome = drain(stream, &mut self.outgoing, spare);
                return (wrote, outcome.unwrap_or(Ok(true)));
            }
            let count = match self.seal(batch, ends, sealing, spare) {
                Ok(count) => count,
                Err(error) => return (wrote, Err(io::Error::other(error.to_string()))),
            };
            self.notified |= ends;
            self.sealed = batch.len();
            let taken = match write_once(stream, &sealing.bytes[..count]) {
                Ok(taken) => taken.unwrap_or(0),
                Err(error) => return (wrote, Err(error)),
            };
            if taken < count {
                self.outgoing.buffer(spare).extend_from_slice(&sealing.bytes[taken..count]);
            }
        }
    }

    /// What waits already, and `plain` as records behind it; returns the length of both.
    fn seal(&mut self, plain: &[u8], ends: bool, sealing: &mut Sealing, spare: &mut Spare) -> Result<usize, EncryptError> {
        if sealing.bytes.is_empty() {
            sealing.bytes = vec![0; BATCH_BYTES + BATCH_OVERHEAD];
        }
        let out = &mut sealing.bytes;
        let before = self.outgoing.len();
        if before > 0 {
            out[..before].copy_from_slice(self.outgoing.waiting());
            self.outgoing.written(before, spare);
        }
        match &mut self.side {
            Side::Hello(_) => Ok(before),
            Side::Server(connection) => seal(&mut **connection, &mut self.incoming, plain, ends, out, before),
            Side::Client(connection) => seal(&mut **connection, &mut self.incoming, plain, ends, out, before),
        }
    }
}

/// Both kinds of connections of rustls, which have the same methods and no trait for them.
trait Records {
    type Data;
    fn wants_write(&self) -> bool;
    fn process<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

impl Records for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn wants_write(&self) -> bool {
        CommonState::wants_write(self)
    }

    fn process<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(bytes)
    }
}

impl Records for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn wants_write(&self) -> bool {
        CommonState::wants_write(self)
    }

    fn process<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(bytes)
    }
}

#[derive(Default)]
struct Opened {
    done: usize,
    count: usize,
    ended: bool,
}

fn open<C: Records>(
    connection: &mut C,
    bytes: &mut [u8],
    plain: &mut [u8],
    outgoing: &mut Outbox,
    spare: &mut Spare,
    opened: &mut Opened,
) -> Result<(), Error> {
    loop {
        let UnbufferedStatus { mut discard, state } = connection.process(&mut bytes[opened.done..]);
        let mut blocked = false;
        match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    // Plaintext is never longer than its records, so that there is room for it.
                    plain[opened.count..][..record.payload.len()].copy_from_slice(record.payload);
                    opened.count += record.payload.len();
                }
            }
            Ok(ConnectionState::EncodeTlsData(data)) => {
                let out = outgoing.buffer(spare);
                let from = out.len();
                encode(data, out, from);
            }
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            Ok(ConnectionState::PeerClosed) => opened.ended = true,
            // Early data is never offered.
            Ok(_) => blocked = true,
            Err(error) => {
                opened.done += discard;
                return Err(error);
            }
        }
        opened.done += discard;
        if blocked {
            return Ok(());
        }
    }
}

/// Takes what rustls has ready to be sent, and no further step: nothing is to be read any more, or not yet.
fn speak<C: Records>(connection: &mut C, outgoing: &mut Outbox, spare: &mut Spare) {
    while connection.wants_write() {
        let Ok(ConnectionState::EncodeTlsData(data)) = connection.process(&mut []).state else { return };
        let out = outgoing.buffer(spare);
        let from = out.len();
        encode(data, out, from);
    }
}

/// Puts a record that rustls has made behind the first `at` bytes; returns its length.
fn encode<D>(mut data: EncodeTlsData<'_, D>, out: &mut Vec<u8>, at: usize) -> usize {
    match data.encode(&mut out[at..]) {
        Ok(count) => count,
        Err(EncodeError::InsufficientSize(size)) => {
            out.resize(at + size.required_size, 0);
            data.encode(&mut out[at..]).unwrap_or(0)
        }
        Err(EncodeError::AlreadyEncoded) => 0,
    }
}

/// Appends records to the first `at` bytes; returns the length of all. `incoming`: what is there of an incomplete message. rustls knows offsets into it, and must see it in each call.
fn seal<C: Records>(
    connection: &mut C,
    incoming: &mut Vec<u8>,
    plain: &[u8],
    ends: bool,
    out: &mut Vec<u8>,
    mut at: usize,
) -> Result<usize, EncryptError> {
    loop {
        let UnbufferedStatus { discard, state } = connection.process(incoming);
        let mut written = false;
        match state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                let needed = match traffic.encrypt(plain, &mut out[at..]) {
                    Ok(count) => {
                        at += count;
                        if ends {
                            // There is room for it: batches have some to spare.
                            at += traffic.queue_close_notify(&mut out[at..])?;
                        }
                        written = true;
                        0
                    }
                    Err(EncryptError::InsufficientSize(size)) => size.required_size,
                    Err(error) => return Err(error),
                };
                if needed > 0 {
                    out.resize(at + needed + BATCH_OVERHEAD, 0);
                }
            }
            Ok(ConnectionState::EncodeTlsData(data)) => at += encode(data, out, at),
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            Ok(ConnectionState::PeerClosed) => {}
            // Nothing can be sent any more.
            _ => return Err(EncryptError::EncryptExhausted),
        }
        if discard > 0 {
            incoming.drain(..discard);
        }
        if written {
            return Ok(at);
        }
    }
}

/// Writes what is queued. None when it is all written, else what there is to say.
fn drain(stream: &mut impl Write, queue: &mut Outbox, spare: &mut Spare) -> Option<io::Result<bool>> {
    while !queue.is_empty() {
        match write_once(stream, queue.waiting()) {
            Ok(Some(count)) => queue.written(count, spare),
            Ok(None) => return Some(Ok(false)),
            Err(error) => return Some(Err(error)),
        }
    }
    None
}

/// Bytes that the kernel has taken; none when it takes no more.
fn write_once(stream: &mut impl Write, bytes: &[u8]) -> io::Result<Option<usize>> {
    loop {
        match stream.write(bytes) {
            Ok(count) => return Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
