//! Whom a domain believes: client certificates, CRLs, resumed sessions, and the servers that are dialled.

use crate::bench::{Bench, Client, Setup};
use crate::peer::{Peer, send};
use crate::pki::{Authority, Leaf, domain, fallback};
use msrp_engine::contract::{CloseReason, ConnectSpec, Event, PeerCertificate, TlsClient, TlsInfo};
use msrp_engine::tls::{Domain, DomainSpec, HandshakeFailure, Identity};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

/// The outcome of a client's handshake.
fn meet(bench: &mut Bench, config: &Arc<ClientConfig>) -> Result<Arc<TlsInfo>, HandshakeFailure> {
    let name = ServerName::try_from("relay.example").unwrap();
    let socket = bench.socket();
    let own = socket.local_addr().unwrap();
    let peer = Peer::secure(socket, ClientConnection::new(Arc::clone(config), name).unwrap().into());
    let outcome = bench.event("an outcome", |event| match event {
        Event::Opened { remote, tls, .. } if *remote == own => Some(tls.clone().ok_or(HandshakeFailure::Protocol)),
        Event::Closed { remote, handshake, .. } if *remote == Some(own) => handshake.map(Err),
        _ => None,
    });
    if let Ok(mut peer) = peer
        && outcome.is_ok()
    {
        // What it reads brings the ticket.
        peer.quiet(bench.port);
    }
    outcome
}

fn start(spec: &DomainSpec, ca: &Authority) -> Bench {
    Bench::secure(Setup::workers(1), |engine| fallback(engine, spec), ca.client(None))
}

#[test]
fn certificates_of_clients_are_judged_as_the_domain_says() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let leaf = Leaf::named(&["client.example", "192.0.2.7", "2001:db8::7"]);
    let (good, foreign) = (ca.issue(leaf), other.issue(leaf));
    let (expired, revoked) = (ca.issue(Leaf { expired: true, ..leaf }), ca.issue(Leaf { serial: 99, ..leaf }));
    let rsa = ca.issue(Leaf { rsa: true, ..leaf });
    let base = DomainSpec { crl: Some(ca.crl(&[99])), ..ca.spec("main", Leaf::named(&["relay.example"])) };
    let cases = [
        (None, HandshakeFailure::NoCertificate),
        (Some(&foreign), HandshakeFailure::UnknownCa),
        (Some(&expired), HandshakeFailure::CertificateExpired),
        (Some(&revoked), HandshakeFailure::CertificateRevoked),
    ];
    for versions in [&[&rustls::version::TLS12], &[&rustls::version::TLS13]] {
        let client = |identity: Option<&Identity>| ca.client_with(identity, versions);
        // One that believes nobody's word, but hears everybody.
        let mut bench = start(&base, &ca);
        let info = meet(&mut bench, &client(Some(&good))).expect("it is good");
        let expected = PeerCertificate {
            verified: true,
            alt_names: vec!["client.example".to_owned(), "192.0.2.7".to_owned(), "2001:db8::7".to_owned()],
            subject: "CN=client.example, O=Example, Inc.".to_owned(),
            issuer: "CN=ca".to_owned(),
        };
        assert_eq!(info.peer.as_ref(), Some(&expected));
        assert!(meet(&mut bench, &client(Some(&rsa))).expect("it is good").peer.as_ref().expect("there").verified);
        for (identity, _) in cases {
            let info = meet(&mut bench, &client(identity)).expect("nobody is refused");
            assert_eq!(info.peer.as_ref().map(|peer| peer.verified), identity.map(|_| false));
        }
        // One that asks for a certificate, whoever has issued it.
        let mut bench = start(&DomainSpec { require_cert: true, ..base.clone() }, &ca);
        assert_eq!(meet(&mut bench, &client(None)), Err(HandshakeFailure::NoCertificate));
        assert!(!meet(&mut bench, &client(Some(&foreign))).expect("it has one").peer.as_ref().expect("there").verified);
        // One that refuses a bad one, but not none.
        let mut bench = start(&DomainSpec { verify_cert: true, ..base.clone() }, &ca);
        for (identity, failure) in cases {
            let outcome = meet(&mut bench, &client(identity));
            match identity {
                None => assert!(outcome.expect("none is fine").peer.is_none()),
                Some(_) => assert_eq!(outcome, Err(failure)),
            }
        }
        assert!(meet(&mut bench, &client(Some(&good))).is_ok());
        assert_eq!(bench.engine.stats().handshake_failures[HandshakeFailure::CertificateRevoked as usize], 1);
        // A CA without a CRL, where there are any, vouches for nobody.
        let crl = Some(other.crl(&[]));
        let mut bench = start(&DomainSpec { verify_cert: true, crl, ..base.clone() }, &ca);
        assert_eq!(meet(&mut bench, &client(Some(&good))), Err(HandshakeFailure::BadCertificate));
    }
}

#[test]
fn resumed_sessions_keep_what_is_known_until_trust_changes() {
    let ca = Authority::new("ca");
    let identity = ca.issue(Leaf::named(&["client.example"]));
    let spec = DomainSpec { verify_cert: true, require_cert: true, ..ca.spec("main", Leaf::named(&["relay.example"])) };
    for versions in [&[&rustls::version::TLS12], &[&rustls::version::TLS13]] {
        let config = ca.client_with(Some(&identity), versions);
        let mut bench = start(&spec, &ca);
        let first = meet(&mut bench, &config).unwrap();
        assert!(!first.resumed);
        let second = meet(&mut bench, &config).unwrap();
        assert_eq!(*second, TlsInfo { resumed: true, ..(*first).clone() });
        // Made again, the domain has the same keys; with another CRL it has others.
        bench.use_domain(&spec);
        assert!(meet(&mut bench, &config).unwrap().resumed);
        let stricter = DomainSpec { crl: Some(ca.crl(&[])), ..spec.clone() };
        bench.use_domain(&stricter);
        assert!(!meet(&mut bench, &config).unwrap().resumed);
        assert!(meet(&mut bench, &config).unwrap().resumed);
        let revoking = DomainSpec { crl: Some(ca.crl(&[7])), ..spec.clone() };
        bench.use_domain(&revoking);
        assert_eq!(meet(&mut bench, &config), Err(HandshakeFailure::CertificateRevoked));
    }
}

/// A server to be dialled, which answers what it is sent.
fn far(config: Arc<ServerConfig>, times: usize) -> (SocketAddr, thread::JoinHandle<Vec<Option<String>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let serve = |_| {
            let (socket, _) = listener.accept().unwrap();
            let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut peer = Peer::secure(socket, tls.into()).ok()?;
            let got = peer.next()?;
            peer.write(got.response(200));
            while peer.next().is_some() {}
            Some(got.tid)
        };
        (0..times).map(serve).collect()
    });
    (address, thread)
}

struct Dialler {
    bench: Bench,
    client: Client,
    count: usize,
}

impl Dialler {
    fn new(limits: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::workers(1);
        limits(&mut setup);
        let mut bench = Bench::start(setup);
        let client = bench.client_on(0, "alice");
        Self { bench, client, count: 0 }
    }

    /// Dials, and tells what has come of it; a connection that opens is used, and closed.
    fn dial(&mut self, domain: &Arc<Domain>, name: &str, to: Vec<SocketAddr>) -> Result<Arc<TlsInfo>, (CloseReason, String)> {
        let hop = self.begin(domain, name, to);
        self.outcome(hop)
    }

    fn begin(&mut self, domain: &Arc<Domain>, name: &str, to: Vec<SocketAddr>) -> u64 {
        self.count += 1;
        let (tid, uri) = (format!("dial{}", self.count), format!("msrps://far{}.example:1/f;tcp", self.count));
        let path = format!("{} {uri}", self.client.uri);
        self.client.peer.write(send(&tid, &path, &self.client.own, "hello"));
        self.client.peer.expect("200");
        let hop = self.bench.event("a hop", |event| match event {
            Event::Hop { hop, .. } => Some(*hop),
            _ => None,
        });
        let tls = Some(TlsClient { domain: Arc::clone(domain), server_name: name.to_owned() });
        let (key, candidates) = (uri, to);
        let spec = ConnectSpec { key, candidates, why_none: None, timeout_ms: 5000, local_address: None, relay: None, tls };
        self.bench.engine.connect_hop(hop, spec);
        hop
    }

    /// Lets the time of a handshake pass that has begun.
    fn late(&mut self) {
        let shakes = |engine: &msrp_engine::Engine| engine.connections().iter().any(|info| info.state == "handshake");
        self.bench.until("a handshake", shakes);
        self.bench.advance(2100);
    }

    fn outcome(&mut self, hop: u64) -> Result<Arc<TlsInfo>, (CloseReason, String)> {
        let outcome = self.bench.event("an outcome", |event| match event {
            Event::Opened { connection, tls, .. } if *connection == hop => Some(Ok(tls.clone().expect("it has TLS"))),
            Event::Closed { connection, reason, detail, .. } if *connection == hop => {
                Some(Err((*reason, detail.clone().unwrap_or_default())))
            }
            _ => None,
        });
        if outcome.is_ok() {
            self.bench.until("an answer", |engine| engine.stats().transactions == 0);
            self.bench.engine.close_connection(hop, CloseReason::Command);
            self.bench.closed(hop);
        } else {
            self.client.peer.expect("REPORT");
        }
        outcome
    }
}

#[test]
fn servers_that_are_dialled_are_judged() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let leaf = Leaf::named(&["far.example", "127.0.0.1"]);
    let far_identity = ca.issue(leaf);
    let (address, thread) = far(ca.far_server(&far_identity, false), 7);
    let mut dialler = Dialler::new(|_| ());
    let spec = |name: &str, ca: &Authority| DomainSpec { ca: Some(ca.pem()), verify_cert: true, ..DomainSpec::new(name) };
    let strict = domain(&dialler.bench.engine, &spec("strict", &ca));
    let info = dialler.dial(&strict, "far.example", vec![address]).unwrap();
    assert_eq!((info.domain.as_str(), info.resumed, info.server_name.as_deref()), ("strict", false, None));
    assert!(info.peer.as_ref().unwrap().verified);
    assert_eq!(info.peer.as_ref().unwrap().alt_names, ["far.example", "127.0.0.1"]);
    // Again: it remembers the session, and what it knows of the server.
    let again = dialler.dial(&strict, "far.example", vec![address]).unwrap();
    assert_eq!(*again, TlsInfo { resumed: true, ..(*info).clone() });
    // An address is a name, too.
    assert!(dialler.dial(&strict, "127.0.0.1", vec![address]).unwrap().peer.as_ref().unwrap().verified);
    let (reason, detail) = dialler.dial(&strict, "else.example", vec![address]).unwrap_err();
    assert_eq!(reason, CloseReason::TlsHandshakeFailed);
    assert!(detail.starts_with("name_mismatch: 127.0.0.1 "), "{detail}");
    let distrusting = domain(&dialler.bench.engine, &spec("distrusting", &other));
    let (_, detail) = dialler.dial(&distrusting, "far.example", vec![address]).unwrap_err();
    assert!(detail.starts_with("unknown_ca: "), "{detail}");
    let lax = domain(&dialler.bench.engine, &DomainSpec { verify_cert: false, ..spec("lax", &other) });
    assert!(!dialler.dial(&lax, "far.example", vec![address]).unwrap().peer.as_ref().unwrap().verified);
    let revoking = DomainSpec { crl: Some(ca.crl(&[7])), ..spec("revoking", &ca) };
    let revoking = domain(&dialler.bench.engine, &revoking);
    let (_, detail) = dialler.dial(&revoking, "far.example", vec![address]).unwrap_err();
    assert!(detail.starts_with("certificate_revoked: "), "{detail}");
    let served = thread.join().unwrap();
    assert_eq!(served.iter().flatten().count(), 4);
    let stats = dialler.bench.engine.stats();
    assert_eq!((stats.connections, stats.handshakes, stats.dialled), (1, 0, 4));
}

#[test]
fn both_sides_show_their_certificates() {
    let ca = Authority::new("ca");
    let far_identity = ca.issue(Leaf::named(&["far.example"]));
    let (address, thread) = far(ca.far_server(&far_identity, true), 1);
    let mut dialler = Dialler::new(|_| ());
    let mutual =
        domain(&dialler.bench.engine, &DomainSpec { verify_cert: true, ..ca.spec("mutual", Leaf::named(&["relay.example"])) });
    dialler.dial(&mutual, "far.example", vec![address]).unwrap();
    assert!(thread.join().unwrap()[0].is_some());
}

#[test]
fn candidates_without_tls_are_passed_over() {
    let ca = Authority::new("ca");
    let far_identity = ca.issue(Leaf::named(&["far.example"]));
    let (address, thread) = far(ca.far_server(&far_identity, false), 2);
    // One that says something else, and one that says nothing.
    let plain = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let plain_address = plain.local_addr().unwrap();
    let talker = thread::spawn(move || {
        for _ in 0..2 {
            let (mut socket, _) = plain.accept().unwrap();
            std::io::Write::write_all(&mut socket, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
            let _ = socket.read_to_end(&mut Vec::new());
        }
    });
    let mut dialler = Dialler::new(|setup| setup.limits.tls_handshake_timeout_ms = 2000);
    let spec = DomainSpec { ca: Some(ca.pem()), verify_cert: true, ..DomainSpec::new("strict") };
    let strict = domain(&dialler.bench.engine, &spec);
    dialler.dial(&strict, "far.example", vec![plain_address, address]).unwrap();
    let (reason, detail) = dialler.dial(&strict, "far.example", vec![plain_address]).unwrap_err();
    assert_eq!(reason, CloseReason::TlsHandshakeFailed);
    assert!(detail.starts_with("protocol: "), "{detail}");
    talker.join().unwrap();
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let silent_address = silent.local_addr().unwrap();
    let hop = dialler.begin(&strict, "far.example", vec![silent_address]);
    dialler.late();
    let (reason, detail) = dialler.outcome(hop).unwrap_err();
    assert_eq!(reason, CloseReason::TlsHandshakeTimeout);
    assert!(detail.starts_with("timeout: "), "{detail}");
    let hop = dialler.begin(&strict, "far.example", vec![silent_address, address]);
    dialler.late();
    dialler.outcome(hop).unwrap();
    assert!(thread.join().unwrap().iter().all(Option::is_some));
    let (reason, detail) = dialler.dial(&strict, "no name", vec![silent_address]).unwrap_err();
    assert_eq!(reason, CloseReason::ConnectFailed);
    assert!(detail.contains("no name"), "{detail}");
}

/// Offsets into an incomplete message are kept while records go out: a session ticket comes in two halves.
#[test]
fn a_message_of_the_handshake_may_be_interrupted_by_what_goes_out() {
    let ca = Authority::new("ca");
    let mut config = ServerConfig::clone(&ca.far_server(&ca.issue(Leaf::named(&["far.example"])), false));
    config.max_fragment_size = Some(64);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let far = thread::spawn(move || {
        let mut socket = listener.accept().unwrap().0;
        let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
        while tls.is_handshaking() {
            while tls.wants_write() {
                tls.write_tls(&mut socket).unwrap();
            }
            tls.read_tls(&mut socket).unwrap();
            tls.process_new_packets().unwrap();
        }
        let mut tickets = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut tickets).unwrap();
        }
        let (first, rest) = tickets.split_at(100);
        let mut writer = socket.try_clone().unwrap();
        std::io::Write::write_all(&mut writer, first).unwrap();
        let mut peer = Peer::secure(socket, tls.into()).unwrap();
        let got = peer.expect("SEND");
        for _ in 0..20 {
            peer.expect("SEND");
        }
        std::io::Write::write_all(&mut writer, rest).unwrap();
        peer.write(got.response(200));
        while peer.next().is_some() {}
    });
    let mut dialler = Dialler::new(|_| ());
    let spec = DomainSpec { ca: Some(ca.pem()), verify_cert: true, ..DomainSpec::new("strict") };
    let strict = domain(&dialler.bench.engine, &spec);
    let hop = dialler.begin(&strict, "far.example", vec![address]);
    let more = crate::peer::send_with(
        "more",
        &format!("{} msrps://far1.example:1/f;tcp", dialler.client.uri),
        &dialler.client.own,
        "Failure-Report: no\r\n",
        "x",
    );
    for _ in 0..20 {
        dialler.client.peer.write(&more);
        // What was sent before has been passed on.
        dialler.client.peer.quiet(dialler.bench.port);
    }
    dialler.outcome(hop).unwrap();
    far.join().unwrap();
}
