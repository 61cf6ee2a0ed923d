//! The engine of msrp-engine for JavaScript: commands down, events up, numbers and texts only.
#![allow(clippy::needless_pass_by_value, reason = "napi hands texts and objects over by value")]

use msrp_engine::contract as engine;
use msrp_engine::{Clock, Engine, Options};
use napi::bindgen_prelude::{Error, Function, Result, Status, Uint8Array};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use serde::Serialize;
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
    pub timeout_ms: f64,
    pub local_address: Option<String>,
    pub relay: Option<String>,
}

/// An event; which members are there depends on its type. An address is that of a socket: host and port.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct EngineNotice {
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incoming: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    listener: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    local_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    local_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_in: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_out: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_path: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_path: Option<Vec<String>>,
    /// Names and values in turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hop: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_length: Option<u32>,
}

/// A connection as operators see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectionView {
    connection: f64,
    incoming: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    listener: Option<f64>,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    local_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    local_port: Option<u16>,
    opened_at_ms: f64,
    queued_bytes: f64,
    sessions: u32,
    transactions: u32,
    paused: bool,
    bytes_in: f64,
    bytes_out: f64,
}

/// A session as operators see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionView {
    session: f64,
    connection: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<f64>,
    expires_at_ms: f64,
    frames_out: f64,
    bytes_out: f64,
    frames_in: f64,
    bytes_in: f64,
}

/// A counter with its name: an error code, a close reason, a status.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NamedCount {
    name: String,
    count: f64,
}

/// Counters and gauges.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatsView {
    connections: f64,
    sessions: f64,
    transactions: f64,
    queued_bytes: f64,
    accepted: f64,
    dialled: f64,
    bytes_in: f64,
    bytes_out: f64,
    /// By method number of the frame record; 5: responses.
    frames_in: Vec<f64>,
    frames_out: Vec<f64>,
    rejects: Vec<NamedCount>,
    closes: Vec<NamedCount>,
    reports: Vec<NamedCount>,
    responses: Vec<NamedCount>,
    dropped: f64,
    interruptions: f64,
    pauses: f64,
    timeouts: f64,
    /// Something is under way that a drain waits for.
    busy: bool,
}

/// An engine with its threads.
#[napi]
pub struct EngineHandle {
    engine: Engine,
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

    /// Binds a listener; throws with the code of the system.
    #[napi]
    pub fn listen(&self, address: String, port: u16) -> Result<BoundSocket> {
        let address = SocketAddr::new(ip(&address)?, port);
        let (listener, bound) = self.engine.listen(address).map_err(|error| refused(&error))?;
        Ok(BoundSocket { listener: float(listener), address: bound.ip().to_string(), port: bound.port() })
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

    /// Decides a hop: dial, or share a connection.
    #[napi]
    pub fn connect_hop(&self, hop: f64, settings: HopSettings) -> Result<()> {
        let mut candidates = Vec::with_capacity(settings.candidates.len());
        for Candidate { address, port } in &settings.candidates {
            candidates.push(SocketAddr::new(ip(address)?, *port));
        }
        let spec = engine::ConnectSpec {
            key: settings.key,
            candidates,
            timeout_ms: number(settings.timeout_ms),
            local_address: settings.local_address.as_deref().map(ip).transpose()?,
            relay: settings.relay,
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

fn json(value: &impl Serialize) -> String {
    // Texts and numbers only: nothing in them can fail.
    serde_json::to_string(value).unwrap_or_default()
}

fn limits(settings: &LimitSettings) -> engine::Limits {
    engine::Limits {
        send_timeout_ms: number(settings.send_timeout_ms),
        max_msg_chunks: u32::try_from(number(settings.max_msg_chunks)).unwrap_or(u32::MAX),
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

fn notice(event: engine::Event) -> EngineNotice {
    match event {
        engine::Event::Opened { connection, incoming, listener, remote, local } => EngineNotice {
            r#type: "opened".to_owned(),
            connection: Some(float(connection)),
            incoming: Some(incoming),
            listener: listener.map(float),
            remote_address: Some(remote.ip().to_string()),
            remote_port: Some(remote.port()),
            local_address: Some(local.ip().to_string()),
            local_port: Some(local.port()),
            ..EngineNotice::default()
        },
        engine::Event::Closed { connection, incoming, remote, reason, detail, bytes_in, bytes_out } => EngineNotice {
            r#type: "closed".to_owned(),
            connection: Some(float(connection)),
            incoming: Some(incoming),
            remote_address: remote.map(|remote| remote.ip().to_string()),
            remote_port: remote.map(|remote| remote.port()),
            reason: Some(reason.name().to_owned()),
            detail,
            bytes_in: Some(float(bytes_in)),
            bytes_out: Some(float(bytes_out)),
            ..EngineNotice::default()
        },
        engine::Event::Request(request) => EngineNotice {
            r#type: "request".to_owned(),
            request: Some(float(request.request)),
            connection: Some(float(request.connection)),
            listener: request.listener.map(float),
            remote_address: Some(request.remote.ip().to_string()),
            remote_port: Some(request.remote.port()),
            method: Some(request.method),
            to_path: Some(request.to_path),
            from_path: Some(request.from_path),
            headers: Some(request.headers.into_iter().flat_map(|(name, value)| [name, value]).collect()),
            ..EngineNotice::default()
        },
        engine::Event::Hop { hop, session, connection, method, uri, path_length } => EngineNotice {
            r#type: "hop".to_owned(),
            hop: Some(float(hop)),
            session: Some(float(session)),
            connection: Some(float(connection)),
            method: Some(method),
            uri: Some(uri),
            path_length: u32::try_from(path_length).ok(),
            ..EngineNotice::default()
        },
        engine::Event::SessionClosed { session, reason } => EngineNotice {
            r#type: "sessionClosed".to_owned(),
            session: Some(float(session)),
            reason: Some(reason.name().to_owned()),
            ..EngineNotice::default()
        },
        engine::Event::AuthRejected { connection } => {
            EngineNotice { r#type: "authRejected".to_owned(), connection: Some(float(connection)), ..EngineNotice::default() }
        }
        engine::Event::Fault { detail } => {
            EngineNotice { r#type: "fault".to_owned(), detail: Some(detail), ..EngineNotice::default() }
        }
    }
}

fn connection_view(info: engine::ConnectionInfo) -> ConnectionView {
    ConnectionView {
        connection: float(info.connection),
        incoming: info.incoming,
        listener: info.listener.map(float),
        state: info.state.to_owned(),
        remote_address: info.remote.map(|remote| remote.ip().to_string()),
        remote_port: info.remote.map(|remote| remote.port()),
        local_address: info.local.map(|local| local.ip().to_string()),
        local_port: info.local.map(|local| local.port()),
        opened_at_ms: info.opened_at_ms,
        queued_bytes: float(info.queued_bytes as u64),
        sessions: u32::try_from(info.sessions).unwrap_or(u32::MAX),
        transactions: u32::try_from(info.transactions).unwrap_or(u32::MAX),
        paused: info.paused,
        bytes_in: float(info.bytes_in),
        bytes_out: float(info.bytes_out),
    }
}

fn session_view(info: engine::SessionInfo) -> SessionView {
    SessionView {
        session: float(info.session),
        connection: float(info.connection),
        peer: info.peer.map(float),
        expires_at_ms: info.expires_at_ms,
        frames_out: float(info.frames_out),
        bytes_out: float(info.bytes_out),
        frames_in: float(info.frames_in),
        bytes_in: float(info.bytes_in),
    }
}

fn stats_view(stats: &engine::Stats) -> StatsView {
    let floats = |counts: &[u64]| counts.iter().copied().map(float).collect();
    let named = |name: &str, count| NamedCount { name: name.to_owned(), count: float(count) };
    let statuses = |counts: &[(u16, u64)]| counts.iter().map(|&(status, count)| named(&status.to_string(), count)).collect();
    StatsView {
        connections: float(stats.connections),
        sessions: float(stats.sessions),
        transactions: float(stats.transactions),
        queued_bytes: float(stats.queued_bytes),
        accepted: float(stats.accepted),
        dialled: float(stats.dialled),
        bytes_in: float(stats.bytes_in),
        bytes_out: float(stats.bytes_out),
        frames_in: floats(&stats.frames_in),
        frames_out: floats(&stats.frames_out),
        rejects: stats.rejects.iter().map(|(name, count)| named(name, *count)).collect(),
        closes: engine::CloseReason::ALL.iter().zip(stats.closes).map(|(reason, count)| named(reason.name(), count)).collect(),
        reports: statuses(&stats.reports),
        responses: statuses(&stats.responses),
        dropped: float(stats.dropped),
        interruptions: float(stats.interruptions),
        pauses: float(stats.pauses),
        timeouts: float(stats.timeouts),
        busy: stats.busy,
    }
}

fn ip(address: &str) -> Result<IpAddr> {
    address.parse().map_err(|_| Error::new(Status::InvalidArg, format!("{address} is no IP address")))
}

fn refused(error: &std::io::Error) -> Error {
    Error::new(Status::GenericFailure, format!("{}: {error}", msrp_engine::errno_name(error)))
}

/// A number of the contract; those of JavaScript are exact up to 2^53, and no counter or id lies above.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn float(number: u64) -> f64 {
    number as f64
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
