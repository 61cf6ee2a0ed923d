//! Handshakes: whole, in pieces, wrong, late, and by name.

use crate::bench::{Bench, Setup};
use crate::peer::{BOB, Peer, send};
use crate::pki::{Authority, Leaf, domain};
use msrp_engine::contract::{CloseReason, Event, Limits, TlsInfo};
use msrp_engine::tls::{DomainSpec, HandshakeFailure, Server, Version};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

fn connection(config: &Arc<ClientConfig>, name: &'static str) -> ClientConnection {
    ClientConnection::new(Arc::clone(config), ServerName::try_from(name).unwrap()).unwrap()
}

/// A handshake that should succeed, and what the relay says of it.
fn opened(bench: &mut Bench, config: &Arc<ClientConfig>, name: &'static str) -> (Peer, Arc<TlsInfo>) {
    let mut peer = Peer::secure(bench.socket(), connection(config, name).into()).expect("a handshake");
    let own = peer.local();
    let (id, info) = bench.event("a connection", |event| match event {
        Event::Opened { connection, remote, tls, .. } if *remote == own => Some((*connection, tls.clone())),
        _ => None,
    });
    peer.id = id;
    (peer, info.expect("it has TLS"))
}

/// How the handshake of that socket ended.
fn refused(bench: &mut Bench, own: SocketAddr) -> (CloseReason, Option<HandshakeFailure>, Option<String>) {
    bench.event("an end", |event| match event {
        Event::Closed { remote, reason, handshake, tls_domain, detail, .. } if *remote == Some(own) => {
            let word = handshake.map(HandshakeFailure::name).unwrap_or_default();
            assert!(detail.as_ref().is_none_or(|detail| detail.starts_with(word)), "{detail:?}");
            Some((*reason, *handshake, tls_domain.clone()))
        }
        _ => None,
    })
}

/// A handshake that fails on both sides.
fn fails(bench: &mut Bench, config: &Arc<ClientConfig>, name: &'static str) -> (HandshakeFailure, Option<String>) {
    let socket = bench.socket();
    let own = socket.local_addr().unwrap();
    // In TLS 1.3 a client is done before the server has judged it: then it is told by what it reads first.
    if let Ok(mut peer) = Peer::secure(socket, connection(config, name).into()) {
        let error = peer.read(&mut [0]).expect_err("an alert");
        assert!(error.to_string().contains("alert"), "{error}");
    }
    let (reason, failure, domain) = refused(bench, own);
    assert_eq!(reason, CloseReason::TlsHandshakeFailed);
    (failure.expect("a handshake"), domain)
}

/// Everything that a client says in a handshake, in the pieces that it says it in.
fn handshake_in_pieces(bench: &mut Bench, config: &Arc<ClientConfig>, piece: usize) {
    let mut socket = bench.socket();
    socket.set_nodelay(true).unwrap();
    let mut tls = connection(config, "relay.example");
    while tls.is_handshaking() || tls.wants_write() {
        let mut said = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut said).unwrap();
        }
        for bytes in said.chunks(piece) {
            socket.write_all(bytes).unwrap();
        }
        if tls.is_handshaking() {
            tls.read_tls(&mut socket).unwrap();
            tls.process_new_packets().unwrap();
        }
    }
    let mut peer = Peer::secure(socket, tls.into()).unwrap();
    let own = peer.local();
    peer.id = bench.event("a connection", |event| match event {
        Event::Opened { connection, remote, .. } if *remote == own => Some(*connection),
        _ => None,
    });
    peer.quiet(bench.port);
    drop(peer);
}

#[test]
fn a_handshake_may_come_in_any_pieces() {
    let ca = Authority::new("ca");
    for versions in [&[&rustls::version::TLS12], &[&rustls::version::TLS13]] {
        let config = ca.client_with(None, versions);
        let mut bench = Bench::secure(Setup::workers(1), |engine| ca.server(engine), Arc::clone(&config));
        for piece in [1, 2, 3, 5, 6, 64, 100, 10_000] {
            handshake_in_pieces(&mut bench, &config, piece);
        }
        assert_eq!(bench.engine.stats().handshake_failures.iter().sum::<u64>(), 0);
    }
}

#[test]
fn what_is_known_of_a_connection_is_told() {
    let ca = Authority::new("ca");
    let config = ca.client(None);
    let mut bench = Bench::secure(Setup::workers(1), |engine| ca.server(engine), Arc::clone(&config));
    let (peer, info) = opened(&mut bench, &config, "relay.example");
    let expected = TlsInfo {
        domain: "main".to_owned(),
        protocol: "TLSv1.3",
        cipher: "TLS_AES_256_GCM_SHA384",
        server_name: Some("relay.example".to_owned()),
        resumed: false,
        peer: None,
    };
    assert_eq!(*info, expected);
    assert_eq!(bench.engine.connections()[0].tls.as_deref(), Some(&expected));
    let (_, info) = opened(&mut bench, &ca.client_with(None, &[&rustls::version::TLS12]), "relay.example");
    assert_eq!((info.protocol, info.cipher), ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"));
    bench.engine.close_connection(peer.id, CloseReason::Command);
    let domain = bench.event("an end", |event| match event {
        Event::Closed { connection, tls_domain, .. } if *connection == peer.id => tls_domain.clone(),
        _ => None,
    });
    assert_eq!(domain, "main");
}

#[test]
fn garbage_and_half_handshakes_hold_nobody_up() {
    let ca = Authority::new("ca");
    let config = ca.client(None);
    let mut setup = Setup::workers(1);
    setup.limits = Limits { tls_handshake_timeout_ms: 5000, ..Limits::default() };
    let mut bench = Bench::secure(setup, |engine| ca.server(engine), config);
    let mut hello = Vec::new();
    connection(&ca.client(None), "relay.example").write_tls(&mut hello).unwrap();
    let halves: Vec<TcpStream> = (0..200)
        .map(|i| {
            let mut socket = bench.socket();
            socket.write_all(&hello[..(i * hello.len() / 150).min(hello.len())]).unwrap();
            socket
        })
        .collect();
    bench.until("handshakes", |engine| engine.stats().handshakes == 200);
    let mut alice = bench.client_on(0, "alice");
    let mut bob = bench.connect();
    bob.write(send("one1", &alice.path(), BOB, "hello"));
    bob.expect("200");
    alice.peer.expect("SEND");
    for garbage in [
        b"MSRP abcd SEND\r\n".as_slice(),
        &[22; 600],
        &[0],
        &[22, 3, 1, 0xff, 0xff, 1, 0, 0, 0],
        b"\x16\x03\x01\x00\x04\x01\x00\xff\xff",
    ] {
        let mut socket = bench.socket();
        let own = socket.local_addr().unwrap();
        socket.write_all(garbage).unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        // An alert, or nothing; and then the end.
        let mut said = Vec::new();
        let _ = socket.read_to_end(&mut said);
        assert!(said.is_empty() || said[0] == 21, "{said:?}");
        let (reason, failure, _) = refused(&mut bench, own);
        assert_eq!(reason, CloseReason::TlsHandshakeFailed);
        assert!(matches!(failure, Some(HandshakeFailure::Protocol | HandshakeFailure::Closed)), "{failure:?}");
    }
    bench.advance(4000);
    assert_eq!(bench.engine.stats().handshakes, 200);
    bench.advance(1100);
    bench.until("the end of them", |engine| engine.stats().handshakes == 0);
    for mut socket in halves {
        let own = socket.local_addr().unwrap();
        assert_eq!(refused(&mut bench, own).0, CloseReason::TlsHandshakeTimeout);
        let _ = socket.read_to_end(&mut Vec::new());
    }
    let stats = bench.engine.stats();
    assert_eq!(stats.handshake_failures[HandshakeFailure::Timeout as usize], 200);
    assert_eq!(stats.connections, 2);
    alice.peer.quiet(bench.port);
}

#[test]
fn a_killed_handshake_leaves_nothing() {
    let ca = Authority::new("ca");
    let config = ca.client(None);
    let mut bench = Bench::secure(Setup::workers(1), |engine| ca.server(engine), Arc::clone(&config));
    for _ in 0..20 {
        let mut socket = bench.socket();
        let own = socket.local_addr().unwrap();
        connection(&config, "relay.example").write_tls(&mut socket).unwrap();
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        drop(socket);
        assert_eq!(refused(&mut bench, own).1, Some(HandshakeFailure::Closed));
    }
    let stats = bench.engine.stats();
    assert_eq!((stats.connections, stats.handshakes), (0, 0));
    // Without a timeout none ends by itself.
    let mut setup = Setup::workers(1);
    setup.limits.tls_handshake_timeout_ms = 0;
    let mut bench = Bench::secure(setup, |engine| ca.server(engine), config);
    let socket = bench.socket();
    bench.until("a handshake", |engine| engine.stats().handshakes == 1);
    bench.advance(100_000);
    assert_eq!(bench.engine.stats().handshakes, 1);
    bench.engine.unlisten(bench.listener);
    let (reason, failure, _) = refused(&mut bench, socket.local_addr().unwrap());
    assert_eq!((reason, failure), (CloseReason::TlsHandshakeFailed, Some(HandshakeFailure::Closed)));
}

#[test]
fn handshakes_in_progress_are_bounded() {
    let ca = Authority::new("ca");
    let mut setup = Setup::workers(1);
    setup.limits.max_handshakes = 3;
    let mut bench = Bench::secure(setup, |engine| ca.server(engine), ca.client(None));
    let waiting: Vec<TcpStream> = (0..3).map(|_| bench.socket()).collect();
    bench.until("handshakes", |engine| engine.stats().handshakes == 3);
    let above = bench.socket();
    let (reason, failure, _) = refused(&mut bench, above.local_addr().unwrap());
    assert_eq!((reason, failure), (CloseReason::MaxHandshakes, Some(HandshakeFailure::MaxHandshakes)));
    drop(waiting);
    bench.until("their end", |engine| engine.stats().handshakes == 0);
    bench.connect().quiet(bench.port);
    assert_eq!(bench.engine.stats().handshakes, 0);
}

#[test]
fn domains_are_chosen_by_name() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let config = ca.client(None);
    let specs = |engine: &msrp_engine::Engine, with_fallback: bool| {
        let named =
            |name: &str, pattern: &str, names: &[&str]| (pattern.to_owned(), domain(engine, &ca.spec(name, Leaf::named(names))));
        let by_name =
            vec![named("wild", "*.example.com", &["*.example.com"]), named("exact", "a.example.com", &["a.example.com"])];
        let fallback = with_fallback.then(|| domain(engine, &other.spec("rest", Leaf::named(&["other.example"]))));
        Server::new(by_name, fallback)
    };
    let mut bench = Bench::secure(Setup::workers(1), |engine| specs(engine, true), Arc::clone(&config));
    assert_eq!(opened(&mut bench, &config, "a.example.com").1.domain, "exact");
    assert_eq!(opened(&mut bench, &config, "b.example.com").1.domain, "wild");
    let (_, info) = opened(&mut bench, &other.client(None), "other.example");
    assert_eq!((info.domain.as_str(), info.server_name.as_deref()), ("rest", Some("other.example")));
    // One label only; and a name that the certificate does not have is the client's to refuse.
    assert_eq!(fails(&mut bench, &config, "x.y.example.com"), (HandshakeFailure::PeerAlert, Some("rest".to_owned())));
    assert_eq!(fails(&mut bench, &config, "127.0.0.1").0, HandshakeFailure::PeerAlert);
    bench.engine.update_tls(bench.listener, specs(&bench.engine, false));
    assert_eq!(opened(&mut bench, &config, "b.example.com").1.domain, "wild");
    assert_eq!(fails(&mut bench, &config, "other.example"), (HandshakeFailure::UnrecognizedName, None));
    assert_eq!(fails(&mut bench, &config, "127.0.0.1"), (HandshakeFailure::UnrecognizedName, None));
}

#[test]
fn versions_suites_and_certificates_are_those_of_the_domain() {
    let ca = Authority::new("ca");
    let (tls12, tls13) = (ca.client_with(None, &[&rustls::version::TLS12]), ca.client_with(None, &[&rustls::version::TLS13]));
    let leaf = Leaf::named(&["relay.example"]);
    let base = ca.spec("main", leaf);
    let mut bench = Bench::secure(Setup::workers(1), |engine| ca.server(engine), ca.client(None));
    bench.use_domain(&DomainSpec { min_version: Version::Tls13, ..base.clone() });
    assert_eq!(fails(&mut bench, &tls12, "relay.example").0, HandshakeFailure::Version);
    bench.use_domain(&DomainSpec { max_version: Version::Tls12, ..base.clone() });
    assert_eq!(fails(&mut bench, &tls13, "relay.example").0, HandshakeFailure::Version);
    let suites = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect());
    bench.use_domain(&DomainSpec {
        ciphers: suites(&["TLS_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"]),
        ..base.clone()
    });
    assert_eq!(opened(&mut bench, &tls13, "relay.example").1.cipher, "TLS_CHACHA20_POLY1305_SHA256");
    assert_eq!(fails(&mut bench, &tls12, "relay.example").0, HandshakeFailure::NoSharedCipher);
    // With a key of each kind, both kinds of clients are served; the cheaper one where there is a choice.
    let both = vec![ca.issue(Leaf { rsa: true, ..leaf }), ca.issue(leaf)];
    bench.use_domain(&DomainSpec { identities: both.clone(), ..base.clone() });
    assert_eq!(opened(&mut bench, &tls12, "relay.example").1.cipher, "ECDHE-ECDSA-AES256-GCM-SHA384");
    bench.use_domain(&DomainSpec {
        identities: both,
        ciphers: suites(&["ECDHE-RSA-AES128-GCM-SHA256"]),
        max_version: Version::Tls12,
        ..base
    });
    assert_eq!(opened(&mut bench, &tls12, "relay.example").1.cipher, "ECDHE-RSA-AES128-GCM-SHA256");
}

#[test]
fn a_domain_that_cannot_be_says_why() {
    let ca = Authority::new("ca");
    let bench = Bench::start(Setup::workers(1));
    let base = ca.spec("main", Leaf::named(&["relay.example"]));
    let mut mixed = base.clone();
    mixed.identities[0].private_key = ca.issue(Leaf::named(&["x.example"])).private_key;
    let mut empty = base.clone();
    empty.identities[0].certificate = String::new();
    let wrong = [
        (mixed, "certificate and private key"),
        (empty, "no certificate"),
        (DomainSpec { min_version: Version::Tls13, max_version: Version::Tls12, ..base.clone() }, "version"),
        (DomainSpec { ciphers: Some(vec!["RC4-MD5".to_owned()]), ..base.clone() }, "RC4-MD5"),
        (DomainSpec { curves: Some(vec!["P-521".to_owned()]), ..base.clone() }, "P-521"),
        (
            DomainSpec { ca: Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned()), ..base.clone() },
            "CA",
        ),
        (DomainSpec { crl: Some("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n".to_owned()), ..base }, "CRL"),
    ];
    for (spec, why) in wrong {
        let error = bench.engine.domain(&spec).expect_err("it is wrong");
        assert!(error.contains(why), "{error}");
    }
    // The CAs of the system, where a domain names none.
    bench.engine.domain(&DomainSpec::new("client")).unwrap();
}
