//! What an engine tells, as JSON: one text costs less than its objects, member by member.

use data_encoding::BASE64;
use msrp_engine::contract as engine;
use msrp_engine::tls as engine_tls;
use serde::Serialize;

/// An event; which members are there depends on its type. An address is that of a socket: host and port.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EngineNotice {
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
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<TlsView>,
    /// A TLS handshake will follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    dials_tls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_domain: Option<String>,
    /// In base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_octets: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_kept: Option<f64>,
}

/// What is known of a TLS connection.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TlsView {
    domain: String,
    protocol: &'static str,
    cipher: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<String>,
    resumed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<PeerView>,
}

/// The peer's certificate.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PeerView {
    verified: bool,
    alt_names: Vec<String>,
    subject: String,
    issuer: String,
}

/// A connection as operators see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConnectionView {
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
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<TlsView>,
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
pub(crate) struct SessionView {
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
pub(crate) struct NamedCount {
    name: String,
    count: f64,
}

/// Counters and gauges.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatsView {
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
    latency: Vec<f64>,
    latency_sum_ms: f64,
    trace_frames_lost: f64,
    handshakes: f64,
    handshake_failures: Vec<NamedCount>,
    /// Something is under way that a drain waits for.
    busy: bool,
}

pub(crate) fn json(value: &impl Serialize) -> String {
    // Texts and numbers only: nothing in them can fail.
    serde_json::to_string(value).unwrap_or_default()
}

pub(crate) fn notice(event: engine::Event) -> EngineNotice {
    match event {
        engine::Event::Opened { connection, incoming, listener, remote, local, tls } => EngineNotice {
            r#type: "opened".to_owned(),
            connection: Some(float(connection)),
            incoming: Some(incoming),
            listener: listener.map(float),
            remote_address: Some(remote.ip().to_string()),
            remote_port: Some(remote.port()),
            local_address: Some(local.ip().to_string()),
            local_port: Some(local.port()),
            tls: tls.as_deref().map(tls_view),
            ..EngineNotice::default()
        },
        engine::Event::Dialling { connection, remote, tls } => EngineNotice {
            r#type: "dialling".to_owned(),
            connection: Some(float(connection)),
            remote_address: Some(remote.ip().to_string()),
            remote_port: Some(remote.port()),
            dials_tls: tls.then_some(true),
            ..EngineNotice::default()
        },
        engine::Event::Closed {
            connection,
            incoming,
            listener,
            local,
            remote,
            reason,
            detail,
            handshake,
            tls_domain,
            bytes_in,
            bytes_out,
        } => EngineNotice {
            r#type: "closed".to_owned(),
            connection: Some(float(connection)),
            incoming: Some(incoming),
            listener: listener.map(float),
            local_address: local.map(|local| local.ip().to_string()),
            local_port: local.map(|local| local.port()),
            remote_address: remote.map(|remote| remote.ip().to_string()),
            remote_port: remote.map(|remote| remote.port()),
            reason: Some(reason.name().to_owned()),
            detail,
            handshake: handshake.map(engine_tls::HandshakeFailure::name),
            tls_domain,
            bytes_in: Some(float(bytes_in)),
            bytes_out: Some(float(bytes_out)),
            ..EngineNotice::default()
        },
        engine::Event::Frame { connection, incoming, frame } => EngineNotice {
            r#type: "frame".to_owned(),
            connection: Some(float(connection)),
            incoming: Some(incoming),
            bytes: Some(BASE64.encode(&frame.bytes)),
            body_octets: Some(float(frame.body_octets)),
            body_kept: Some(float(frame.body_kept)),
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

#[allow(clippy::needless_pass_by_value, reason = "mapped over")]
pub(crate) fn connection_view(info: engine::ConnectionInfo) -> ConnectionView {
    ConnectionView {
        connection: float(info.connection),
        incoming: info.incoming,
        listener: info.listener.map(float),
        state: info.state.to_owned(),
        remote_address: info.remote.map(|remote| remote.ip().to_string()),
        remote_port: info.remote.map(|remote| remote.port()),
        local_address: info.local.map(|local| local.ip().to_string()),
        local_port: info.local.map(|local| local.port()),
        tls: info.tls.as_deref().map(tls_view),
        opened_at_ms: info.opened_at_ms,
        queued_bytes: float(info.queued_bytes as u64),
        sessions: u32::try_from(info.sessions).unwrap_or(u32::MAX),
        transactions: u32::try_from(info.transactions).unwrap_or(u32::MAX),
        paused: info.paused,
        bytes_in: float(info.bytes_in),
        bytes_out: float(info.bytes_out),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "mapped over")]
pub(crate) fn session_view(info: engine::SessionInfo) -> SessionView {
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

pub(crate) fn stats_view(stats: &engine::Stats) -> StatsView {
    let floats = |counts: &[u64]| counts.iter().copied().map(float).collect();
    let named = |name: &str, count| NamedCount { name: name.to_owned(), count: float(count) };
    let statuses = |counts: &[(u16, u64)]| counts.iter().map(|&(status, count)| named(&status.to_string(), count)).collect();
    let failures = engine_tls::HandshakeFailure::ALL.iter();
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
        latency: floats(&stats.latency),
        latency_sum_ms: float(stats.latency_sum_ms),
        trace_frames_lost: float(stats.trace_frames_lost),
        handshakes: float(stats.handshakes),
        handshake_failures: failures.zip(stats.handshake_failures).map(|(failure, count)| named(failure.name(), count)).collect(),
        busy: stats.busy,
    }
}

fn tls_view(info: &engine::TlsInfo) -> TlsView {
    let peer = |peer: &engine::PeerCertificate| PeerView {
        verified: peer.verified,
        alt_names: peer.alt_names.clone(),
        subject: peer.subject.clone(),
        issuer: peer.issuer.clone(),
    };
    TlsView {
        domain: info.domain.clone(),
        protocol: info.protocol,
        cipher: info.cipher,
        server_name: info.server_name.clone(),
        resumed: info.resumed,
        peer: info.peer.as_ref().map(peer),
    }
}

/// A number of the contract; those of JavaScript are exact up to 2^53, and no counter or id lies above.
#[allow(clippy::cast_precision_loss, reason = "see above")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}
