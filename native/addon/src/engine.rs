//! The engine of msrp-engine for JavaScript: commands down, events up, numbers and texts only.
#![allow(clippy::needless_pass_by_value, reason = "napi hands texts and objects over by value")]

use crate::tls::{DomainHandle, ServerHandle};
use crate::view::{connection_view, float, json, notice, session_view, stats_view};
use msrp_engine::contract as engine;
use msrp_engine::{Clock, Engine, Options};
use napi::bindgen_prelude::{ClassInstance, Error, Function, Result, Status, Uint8Array};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// What an engine is made with; limits as in `EngineLimits` of `src/engine/engine.ts`.
#[napi(object, object_to_js = false)]
pub struct EngineSettings {
    /// Threads.
    pub workers: u32,
    /// The clock of the contract, in ms.
    pub now_ms: f64,
    /// The workers read the monotonic clock themselves; else `tick` moves time.
    pub own_clock: bool,
    /// 32 strong random bytes.
    pub seed: Uint8Array,
    /// Events that may wait.
    pub ring_events: u32,
    /// Limits and timeouts.
    pub limits: LimitSettings,
}

/// Limits and timeouts; 0 is no limit.
#[napi(object, object_to_js = false)]
#[allow(missing_docs, reason = "as in the contract")]
pub struct LimitSettings {
    pub send_timeout_ms: f64,
    pub max_msg_chunks: f64,
    pub tls_handshake_timeout_ms: f64,
    pub max_handshakes: f64,
    pub max_connections: f64,
    pub max_connections_per_ip: f64,
    pub line_bytes: f64,
    pub header_bytes: f64,
    pub header_lines: f64,
    pub path_uris: f64,
    pub non_send_body_bytes: f64,
    pub message_bytes: f64,
    pub outbox_bytes: f64,
    pub transactions_per_connection: f64,
    pub probation_ms: f64,
    pub idle_ms: f64,
    pub transaction_ms: f64,
}

/// A listener that is bound.
#[napi(object, object_from_js = false)]
#[allow(missing_docs, reason = "as in the contract")]
pub struct BoundSocket {
    pub listener: f64,
    pub address: String,
    pub port: u16,
}

/// A name under which the relay is addressed.
#[napi(object, object_to_js = false)]
#[allow(missing_docs, reason = "as in the contract")]
pub struct AuthorityName {
    pub host: String,
    pub port: u16,
}

/// A session to be opened.
#[napi(object, object_to_js = false)]
#[allow(missing_docs, reason = "as in the contract")]
pub struct SessionSettings {
    pub uri: String,
    pub client_path: Vec<String>,
    pub connection: f64,
    pub relay: Option<String>,
    pub expires_at_ms: f64,
    pub exclusive_peer: bool,
}

/// An address to dial.
#[napi(object, object_to_js = false)]
#[allow(missing_docs, reason = "as in the contract")]
pub struct Candidate {
    pub address: String,
    pub port: u16,
}

/// How to reach a next hop.
#[napi(object, object_to_js = false)]
#[allow(missing_docs, reason = "as in the contract")]
pub struct HopSettings {
    pub key: String,
    pub candidates: Vec<Candidate>,
    pub why_none: Option<String>,
    pub timeout_ms: f64,
    pub local_address: Option<String>,
    pub relay: Option<String>,
    pub server_name: Option<String>,
}

/// An engine with its threads.
#[napi]
pub struct EngineHandle {
    pub(crate) engine: Engine,
}

#[napi]
impl EngineHandle {
    /// Starts the threads. `wake` is called when events wait: `takeEvents` has them.
    #[napi(constructor)]
    pub fn new(settings: EngineSettings, wake: Function<'_, (), ()>) -> Result<Self> {
        let wake: ThreadsafeFunction<(), (), (), Status, false> =
            wake.build_threadsafe_function().callee_handled::<false>().build()?;
        let now_ms = number(settings.now_ms);
        let mut seed = [0; 32];
        if settings.seed.len() != seed.len() {
            return Err(Error::new(Status::InvalidArg, "seed must be 32 bytes"));
        }
        seed.copy_from_slice(&settings.seed);
        let options = Options {
            workers: settings.workers as usize,
            limits: limits(&settings.limits),
            clock: if settings.own_clock { Clock::Monotonic(Instant::now(), now_ms) } else { Clock::Driven },
            now_ms,
            seed,
            ring_events: settings.ring_events as usize,
            lazy: true,
            wake: Box::new(move || {
                // Refused only when the environment is gone, and with it whoever would listen.
                let _ = wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
            }),
        };
        Ok(Self { engine: Engine::start(options).map_err(|error| refused(&error))? })
    }

    /// Binds a listener, plain or with TLS; throws with the code of the system.
    #[napi]
    pub fn listen(&self, address: String, port: u16, tls: Option<ClassInstance<'_, ServerHandle>>) -> Result<BoundSocket> {
        let address = SocketAddr::new(ip(&address)?, port);
        let (listener, bound) =
            self.engine.listen(address, tls.map(|tls| tls.server.clone())).map_err(|error| refused(&error))?;
        Ok(BoundSocket { listener: float(listener), address: bound.ip().to_string(), port: bound.port() })
    }

    /// Replaces the domains of a TLS listener.
    #[napi]
    pub fn update_tls(&self, listener: f64, tls: &ServerHandle) {
        self.engine.update_tls(number(listener), tls.server.clone());
    }

    /// Stops accepting.
    #[napi]
    pub fn unlisten(&self, listener: f64) {
        self.engine.unlisten(number(listener));
    }

    /// Names under which the relay is addressed.
    #[napi]
    pub fn set_authorities(&self, authorities: Vec<AuthorityName>) {
        let authority = |AuthorityName { host, port }| engine::Authority { host, port };
        self.engine.set_authorities(authorities.into_iter().map(authority).collect());
    }

    /// Replaces the limits.
    #[napi]
    pub fn set_limits(&self, settings: LimitSettings) {
        self.engine.set_limits(&limits(&settings));
    }

    /// Opens a session.
    #[napi]
    pub fn open_session(&self, session: SessionSettings) -> f64 {
        float(self.engine.open_session(engine::SessionSpec {
            uri: session.uri.into_bytes(),
            client_path: session.client_path.into_iter().map(String::into_bytes).collect(),
            connection: number(session.connection),
            relay: session.relay,
            expires_at_ms: session.expires_at_ms,
            exclusive_peer: session.exclusive_peer,
        }))
    }

    /// Moves the end of a session.
    #[napi]
    pub fn extend_session(&self, session: f64, expires_at_ms: f64) {
        self.engine.extend_session(number(session), expires_at_ms);
    }

    /// Ends a session; a reason that is none of the contract is `command`.
    #[napi]
    pub fn close_session(&self, session: f64, reason: String) {
        let reason = engine::SessionCloseReason::of_name(&reason).unwrap_or(engine::SessionCloseReason::Command);
        self.engine.close_session(number(session), reason);
    }

    /// Answers a request; headers are names and values in turn.
    #[napi]
    pub fn answer(&self, request: f64, status: u16, comment: String, headers: Vec<String>) {
        let mut pairs = Vec::with_capacity(headers.len() / 2);
        let mut texts = headers.into_iter();
        while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
            pairs.push((name, value));
        }
        self.engine.answer(number(request), engine::Answer { status, comment, headers: pairs });
    }

    /// Decides a hop: dial, or share a connection. With `domain`: by TLS, and the certificate is for `server_name`.
    #[napi]
    pub fn connect_hop(&self, hop: f64, settings: HopSettings, domain: Option<ClassInstance<'_, DomainHandle>>) -> Result<()> {
        let server_name = settings.server_name.unwrap_or_default();
        let tls = domain.map(|domain| engine::TlsClient { domain: domain.domain.clone(), server_name });
        let mut candidates = Vec::with_capacity(settings.candidates.len());
        for Candidate { address, port } in &settings.candidates {
            candidates.push(SocketAddr::new(ip(address)?, *port));
        }
        let spec = engine::ConnectSpec {
            key: settings.key,
            candidates,
            why_none: settings.why_none,
            timeout_ms: number(settings.timeout_ms),
            local_address: settings.local_address.as_deref().map(ip).transpose()?,
            relay: settings.relay,
            tls,
        };
        self.engine.connect_hop(number(hop), spec);
        Ok(())
    }

    /// Decides a hop: refused.
    #[napi]
    pub fn refuse_hop(&self, hop: f64, status: u16) {
        self.engine.refuse_hop(number(hop), status);
    }

    /// Says that a connection stands for a relay.
    #[napi]
    pub fn identify(&self, connection: f64, relay: String) {
        self.engine.identify(number(connection), relay);
    }

    /// Closes a connection; a reason that is none of the contract is `command`.
    #[napi]
    pub fn close_connection(&self, connection: f64, reason: String) {
        let reason = engine::CloseReason::of_name(&reason).unwrap_or(engine::CloseReason::Command);
        self.engine.close_connection(number(connection), reason);
    }

    /// Tells the frames of each connection that comes to be from now on, as `traceFrames` does.
    #[napi]
    pub fn trace_new(&self, body_bytes: f64) {
        self.engine.trace_new((body_bytes >= 0.0).then(|| size(body_bytes)));
    }

    /// Tells the frames of a connection, each with at most so many octets of its body; below 0 ends that.
    #[napi]
    pub fn trace_frames(&self, connection: f64, body_bytes: f64) {
        self.engine.trace_frames(number(connection), (body_bytes >= 0.0).then(|| size(body_bytes)));
    }

    /// Moves the clock of an engine that has none of its own.
    #[napi]
    pub fn tick(&self, now_ms: f64) {
        self.engine.tick(number(now_ms));
    }

    /// Connections, as a JSON array: one text costs less than its objects, member by member.
    #[napi]
    pub fn connections(&self) -> String {
        json(&self.engine.connections().into_iter().map(connection_view).collect::<Vec<_>>())
    }

    /// Sessions, as a JSON array.
    #[napi]
    pub fn sessions(&self) -> String {
        json(&self.engine.sessions().into_iter().map(session_view).collect::<Vec<_>>())
    }

    /// Counters and gauges, as a JSON object.
    #[napi]
    pub fn stats(&self) -> String {
        json(&stats_view(&self.engine.stats()))
    }

    /// Takes all events that wait, in order, as a JSON array.
    #[napi]
    pub fn take_events(&self) -> String {
        let mut events = Vec::new();
        self.engine.take_events(&mut events);
        json(&events.into_iter().map(notice).collect::<Vec<_>>())
    }

    /// Wakes the threads that commands wait for: once for all commands of a turn of the event loop.
    #[napi]
    pub fn flush(&self) {
        self.engine.flush();
    }

    /// Accepts nothing any more.
    #[napi]
    pub fn drain(&self) {
        self.engine.drain();
    }

    /// Closes everything and waits for the threads; the last events can still be taken.
    #[napi]
    pub fn stop(&mut self) {
        self.engine.stop();
    }
}

fn limits(settings: &LimitSettings) -> engine::Limits {
    engine::Limits {
        send_timeout_ms: number(settings.send_timeout_ms),
        max_msg_chunks: u32::try_from(number(settings.max_msg_chunks)).unwrap_or(u32::MAX),
        tls_handshake_timeout_ms: number(settings.tls_handshake_timeout_ms),
        max_handshakes: size(settings.max_handshakes),
        max_connections: size(settings.max_connections),
        max_connections_per_ip: size(settings.max_connections_per_ip),
        line_bytes: size(settings.line_bytes),
        header_bytes: size(settings.header_bytes),
        header_lines: size(settings.header_lines),
        path_uris: size(settings.path_uris),
        non_send_body_bytes: size(settings.non_send_body_bytes),
        message_bytes: number(settings.message_bytes),
        outbox_bytes: size(settings.outbox_bytes),
        transactions_per_connection: size(settings.transactions_per_connection),
        probation_ms: number(settings.probation_ms),
        idle_ms: number(settings.idle_ms),
        transaction_ms: number(settings.transaction_ms),
    }
}

fn ip(address: &str) -> Result<IpAddr> {
    address.parse().map_err(|_| Error::new(Status::InvalidArg, format!("{address} is no IP address")))
}

fn refused(error: &std::io::Error) -> Error {
    Error::new(Status::GenericFailure, format!("{}: {error}", msrp_engine::errno_name(error)))
}

/// The cast saturates: what is not a number, or negative, is 0.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
fn number(float: f64) -> u64 {
    float as u64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as above")]
fn size(float: f64) -> usize {
    float as usize
}
