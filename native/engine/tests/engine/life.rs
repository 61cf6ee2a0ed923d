//! The end of an engine, and of a worker.

use crate::bench::{Bench, Setup};
use crate::peer::{BOB, request, send_with};
use msrp_engine::contract::{CloseReason, Event, Limits, SessionCloseReason, SessionSpec};
use msrp_engine::{Clock, Engine, Options};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// Traffic across workers until its connections end.
fn traffic(bench: &mut Bench) -> Vec<JoinHandle<()>> {
    let mut threads = Vec::new();
    for i in 0..4u64 {
        let mut alice = bench.client_on(i % 2, &format!("alice{i}"));
        let bob = bench.client_on((i + 1) % 2, &format!("bob{i:04}")).peer;
        let to = alice.path();
        threads.push(thread::spawn(move || {
            let text = send_with("t1xx", &to, BOB, "Failure-Report: no\r\n", &"x".repeat(5000));
            let mut bob = bob.writer();
            while bob.write_all(text.as_bytes()).is_ok() {}
        }));
        threads.push(thread::spawn(move || while alice.peer.next().is_some() {}));
    }
    threads
}

#[test]
fn stop_ends_everything_under_traffic_and_can_be_repeated() {
    let mut bench = Bench::start(Setup::workers(2));
    let port = bench.port;
    let threads = traffic(&mut bench);
    bench.until("traffic", |engine| engine.stats().bytes_out > 1_000_000);
    bench.engine.stop();
    bench.engine.stop();
    for thread in threads {
        thread.join().unwrap();
    }
    let events = bench.events();
    let closed = |event: &&Event| matches!(event, Event::Closed { reason: CloseReason::Shutdown, .. });
    let ended = |event: &&Event| matches!(event, Event::SessionClosed { reason, .. } if *reason != SessionCloseReason::Expired);
    assert_eq!((events.iter().filter(closed).count(), events.iter().filter(ended).count()), (8, 8));
    let stats = bench.engine.stats();
    assert_eq!((stats.connections, stats.sessions, stats.closes[CloseReason::Shutdown as usize]), (0, 0, 8));
    assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    // Commands and questions after that lead nowhere.
    bench.engine.tick(5_000_000);
    bench.engine.close_connection(1, CloseReason::Command);
    bench.engine.set_authorities(Vec::new());
    bench.engine.drain();
    assert!(bench.engine.connections().is_empty() && bench.engine.sessions().is_empty());
}

#[test]
fn an_engine_that_is_dropped_ends_its_threads() {
    let mut bench = Bench::start(Setup::workers(2));
    let port = bench.port;
    let threads = traffic(&mut bench);
    bench.until("traffic", |engine| engine.stats().bytes_out > 1_000_000);
    drop(bench);
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
}

#[test]
fn a_worker_that_panics_says_so_and_nobody_waits_for_it() {
    let mut bench = Bench::start(Setup::workers(2));
    let mut other = bench.client_on(1, "other");
    let mut victim = bench.connect_on(0);
    // Connections that were tried and given up have gone, and what is to be said of them has been: the turn in which they went is over.
    bench.until("the others to go", |engine| engine.stats().connections == 2);
    let _ = (bench.engine.stats(), bench.events());
    bench.poison();
    bench.engine.close_connection(victim.id, CloseReason::Command);
    let start = std::time::Instant::now();
    let detail = loop {
        assert!(start.elapsed().as_secs() < 60, "waited in vain for the fault");
        let fault = |event: &Event| if let Event::Fault { detail } = event { Some(detail.clone()) } else { None };
        if let Some(detail) = bench.events().iter().find_map(fault) {
            break detail;
        }
        thread::yield_now();
    };
    assert_eq!(detail, "the wake callback has failed");
    // Its sockets have closed with it; questions are answered by the others, and what is meant for it is dropped.
    assert!(victim.next().is_none());
    assert_eq!(bench.engine.connections().len(), 1);
    assert_eq!(bench.engine.stats().sessions, 1);
    bench.engine.close_connection(victim.id, CloseReason::Command);
    other.peer.quiet(bench.port);
    bench.engine.stop();
}

#[test]
fn two_engines_do_not_share_a_port_and_know_nothing_of_each_other() {
    for workers in [1, 2] {
        let mut one = Bench::start(Setup::workers(workers));
        let mut two = Bench::start(Setup::workers(workers));
        let taken = two.engine.listen(SocketAddr::from((Ipv4Addr::LOCALHOST, one.port)), None);
        assert_eq!(taken.expect_err("it is taken").kind(), std::io::ErrorKind::AddrInUse);
        let (alice, mut mallory) = (one.client_on(0, "alice"), two.connect());
        let to = alice.path();
        mallory.write(request("mal1", "FROB", &to, BOB, "", None, '$'));
        assert!(mallory.next().is_none());
        assert_eq!(two.closed(mallory.id), CloseReason::Misdirected);
        one.engine.stop();
        two.connect().quiet(two.port);
    }
}

#[test]
fn numbers_from_outside_lead_nowhere() {
    let mut bench = Bench::start(Setup::workers(2));
    let mut peer = bench.client_on(0, "alice").peer;
    for id in [0, 1, 62, 63, 64, u64::MAX, (1 << 53) - 1, peer.id + 64, peer.id ^ 1] {
        bench.engine.close_connection(id, CloseReason::Command);
        bench.engine.identify(id, "relay.example".to_owned());
        bench.engine.refuse_hop(id, 403);
        bench.engine.extend_session(id, 0.0);
        bench.engine.close_session(id, SessionCloseReason::Command);
        bench.engine.unlisten(id & 0xffff | 1 << 20);
        let session = bench.open(id, "msrp://127.0.0.1:1/nobody0123456789012;tcp", BOB);
        bench.session_closed(session);
    }
    let spec = |uri: &[u8]| SessionSpec {
        uri: uri.to_vec(),
        client_path: Vec::new(),
        connection: peer.id,
        relay: None,
        expires_at_ms: 1e12,
        exclusive_peer: true,
    };
    for uri in [b"nonsense".as_slice(), b"msrp://127.0.0.1:1;tcp", b""] {
        let session = bench.engine.open_session(spec(uri));
        bench.session_closed(session);
    }
    peer.quiet(bench.port);
}

#[test]
fn a_clock_of_its_own_moves_the_timers() {
    let limits = Limits { probation_ms: 1, ..Limits::default() };
    let engine = Engine::start(Options {
        workers: 2,
        limits,
        clock: Clock::Monotonic(Instant::now(), 1000),
        now_ms: 1000,
        seed: [1; 32],
        ring_events: 16,
        lazy: false,
        wake: Box::new(|| ()),
    })
    .unwrap();
    let (_, address) = engine.listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None).unwrap();
    let engine = Arc::new(engine);
    let mut peer = crate::peer::Peer::new(TcpStream::connect(address).unwrap());
    assert!(peer.next().is_none());
    assert_eq!(engine.stats().closes[CloseReason::Probation as usize], 1);
}
