//! A connection, plain or with TLS: by rustls' unbuffered interface, one copy each way.

use mio::net::TcpStream;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus};
use rustls::{ClientConfig, ServerConfig};
use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;

/// Ciphertext that one read takes at most.
const READ_BYTES: usize = 262_144;

/// Plaintext that is sealed at once: full records.
const BATCH_BYTES: usize = 65_536;

/// What a batch grows by.
const OVERHEAD: usize = 4096;

thread_local! {
    /// Ciphertext in, and plaintext that is put together before it is sealed.
    static SCRATCH: RefCell<(Vec<u8>, Vec<u8>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// A connection.
pub struct Stream {
    /// The transport.
    pub tcp: TcpStream,
    tls: Option<Box<Tls>>,
    /// The last read has not emptied the socket.
    pub more: bool,
}

struct Tls {
    side: Side,
    /// Ciphertext of a record that is not whole.
    incoming: Vec<u8>,
    /// Plaintext that there was no room for.
    overflow: Vec<u8>,
    outgoing: Vec<u8>,
    sent: usize,
    ended: bool,
}

enum Side {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

impl Stream {
    /// Without TLS.
    pub fn plain(tcp: TcpStream) -> Self {
        Self { tcp, tls: None, more: false }
    }

    /// With TLS, as the client: what it says first is written by [`Stream::flush_sealed`].
    pub fn client(tcp: TcpStream, config: &Arc<ClientConfig>, name: &ServerName<'static>) -> io::Result<Self> {
        let side = Side::Client(UnbufferedClientConnection::new(Arc::clone(config), name.clone()).map_err(io::Error::other)?);
        let mut stream = Self::secure(tcp, side);
        if let Some(tls) = &mut stream.tls {
            tls.open(&mut [], &mut [])?;
        }
        Ok(stream)
    }

    /// With TLS, as the server.
    pub fn server(tcp: TcpStream, config: &Arc<ServerConfig>) -> io::Result<Self> {
        let side = Side::Server(UnbufferedServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?);
        Ok(Self::secure(tcp, side))
    }

    fn secure(tcp: TcpStream, side: Side) -> Self {
        let (incoming, overflow, outgoing) = (Vec::new(), Vec::new(), Vec::new());
        let tls = Tls { side, incoming, overflow, outgoing, sent: 0, ended: false };
        Self { tcp, tls: Some(Box::new(tls)), more: false }
    }

    /// The handshake is not done.
    pub fn is_shaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| match &tls.side {
            Side::Client(connection) => connection.is_handshaking(),
            Side::Server(connection) => connection.is_handshaking(),
        })
    }

    /// Writes ciphertext that waits; false when the socket takes no more.
    pub fn flush_sealed(&mut self) -> io::Result<bool> {
        match &mut self.tls {
            None => Ok(true),
            Some(tls) => tls.flush(&mut self.tcp),
        }
    }
}

impl Read for Stream {
    /// Plaintext; 0 at the end.
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            let count = self.tcp.read(room)?;
            self.more = count == room.len();
            return Ok(count);
        };
        if !tls.overflow.is_empty() {
            let count = room.len().min(tls.overflow.len());
            for (place, octet) in room.iter_mut().zip(tls.overflow.drain(..count)) {
                *place = octet;
            }
            self.more = true;
            return Ok(count);
        }
        SCRATCH.with_borrow_mut(|(records, _)| {
            loop {
                if tls.ended {
                    return Ok(0);
                }
                let kept = tls.incoming.len();
                records.resize(READ_BYTES.max(2 * kept), 0);
                let Some((front, free)) = records.split_at_mut_checked(kept) else { return Ok(0) };
                front.copy_from_slice(&tls.incoming);
                let got = self.tcp.read(free)?;
                if got == 0 {
                    return Ok(0);
                }
                self.more = got == free.len();
                let filled = records.get_mut(..kept + got).unwrap_or_default();
                let (done, count) = tls.open(filled, room)?;
                tls.incoming.clear();
                tls.incoming.extend_from_slice(filled.get(done..).unwrap_or_default());
                tls.flush(&mut self.tcp)?;
                self.more |= !tls.overflow.is_empty() || tls.ended;
                if count > 0 {
                    return Ok(count);
                }
            }
        })
    }
}

impl Write for Stream {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(octets)])
    }

    /// Less than everything means that the socket takes no more. What is left of a batch waits for [`Stream::flush_sealed`].
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.tcp.write_vectored(slices) };
        if !tls.flush(&mut self.tcp)? {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut taken = 0;
        SCRATCH.with_borrow_mut(|(_, plain)| {
            plain.clear();
            for slice in slices {
                let mut rest: &[u8] = slice;
                while !rest.is_empty() {
                    let (now, later) = rest.split_at(rest.len().min(BATCH_BYTES - plain.len()));
                    plain.extend_from_slice(now);
                    rest = later;
                    if plain.len() == BATCH_BYTES {
                        tls.seal(plain)?;
                        taken += plain.len();
                        plain.clear();
                        if !tls.flush(&mut self.tcp)? {
                            return Ok(taken);
                        }
                    }
                }
            }
            if !plain.is_empty() {
                tls.seal(plain)?;
                taken += plain.len();
                tls.flush(&mut self.tcp)?;
            }
            Ok(taken)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Tls {
    fn flush(&mut self, tcp: &mut TcpStream) -> io::Result<bool> {
        while let Some(rest) = self.outgoing.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match tcp.write(rest) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.outgoing.clear();
        self.sent = 0;
        Ok(true)
    }

    /// Decrypts all whole records; returns how much of them is done with, and how much plaintext is in `room`.
    fn open(&mut self, records: &mut [u8], room: &mut [u8]) -> io::Result<(usize, usize)> {
        let (mut done, mut count) = (0, 0);
        loop {
            let rest = records.get_mut(done..).unwrap_or_default();
            let Self { side, overflow, outgoing, ended, .. } = self;
            let mut keep = |payload: &[u8]| {
                let (now, later) = payload.split_at(payload.len().min(room.len() - count));
                if let Some(place) = room.get_mut(count..count + now.len()) {
                    place.copy_from_slice(now);
                    count += now.len();
                }
                overflow.extend_from_slice(later);
            };
            let (discard, blocked) = match side {
                Side::Client(connection) => step(connection.process_tls_records(rest), &mut keep, outgoing, ended)?,
                Side::Server(connection) => step(connection.process_tls_records(rest), &mut keep, outgoing, ended)?,
            };
            done += discard;
            if blocked {
                return Ok((done, count));
            }
        }
    }

    fn seal(&mut self, plain: &[u8]) -> io::Result<()> {
        loop {
            let Self { side, incoming, outgoing, .. } = self;
            let sealed = match side {
                Side::Client(connection) => seal(connection.process_tls_records(incoming), plain, outgoing)?,
                Side::Server(connection) => seal(connection.process_tls_records(incoming), plain, outgoing)?,
            };
            if sealed {
                return Ok(());
            }
        }
    }
}

/// One step of reading; returns what is done with, and whether there is nothing more to do.
fn step<D>(
    status: UnbufferedStatus<'_, '_, D>,
    keep: &mut impl FnMut(&[u8]),
    outgoing: &mut Vec<u8>,
    ended: &mut bool,
) -> io::Result<(usize, bool)> {
    let UnbufferedStatus { mut discard, state } = status;
    match state.map_err(io::Error::other)? {
        ConnectionState::ReadTraffic(mut traffic) => {
            while let Some(record) = traffic.next_record() {
                let record = record.map_err(io::Error::other)?;
                discard += record.discard;
                keep(record.payload);
            }
        }
        ConnectionState::EncodeTlsData(data) => encode(data, outgoing),
        ConnectionState::TransmitTlsData(data) => data.done(),
        ConnectionState::PeerClosed => *ended = true,
        _ => return Ok((discard, true)),
    }
    Ok((discard, false))
}

/// One step of writing; true when the plaintext is sealed.
fn seal<D>(status: UnbufferedStatus<'_, '_, D>, plain: &[u8], outgoing: &mut Vec<u8>) -> io::Result<bool> {
    match status.state.map_err(io::Error::other)? {
        ConnectionState::WriteTraffic(mut traffic) => {
            let at = outgoing.len();
            outgoing.resize(at + plain.len() + OVERHEAD, 0);
            let sealed = traffic.encrypt(plain, outgoing.get_mut(at..).unwrap_or_default());
            let count = sealed.map_err(|error| match error {
                EncryptError::InsufficientSize(_) => io::Error::other("a batch grows by more than that"),
                EncryptError::EncryptExhausted => io::Error::other("the keys are used up"),
            })?;
            outgoing.truncate(at + count);
            Ok(true)
        }
        ConnectionState::EncodeTlsData(data) => {
            encode(data, outgoing);
            Ok(false)
        }
        ConnectionState::TransmitTlsData(data) => {
            data.done();
            Ok(false)
        }
        ConnectionState::PeerClosed => Ok(false),
        _ => Err(ErrorKind::NotConnected.into()),
    }
}

fn encode<D>(mut data: EncodeTlsData<'_, D>, outgoing: &mut Vec<u8>) {
    if let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut []) {
        let at = outgoing.len();
        outgoing.resize(at + size.required_size, 0);
        let _ = data.encode(outgoing.get_mut(at..).unwrap_or_default());
    }
}
