//! A full ring of events stops the connections that feed it, and they go on when it is drained.

use crate::bench::{Bench, Setup};
use crate::peer::{BOB, request};
use msrp_engine::contract::{Answer, Event};
use std::collections::HashMap;

fn small(workers: usize, ring_events: usize) -> Bench {
    Bench::start(Setup { ring_events, ..Setup::workers(workers) })
}

fn answer(bench: &Bench, id: u64) {
    bench.engine.answer(id, Answer { status: 299, comment: "any".to_owned(), headers: Vec::new() });
}

#[test]
fn requests_of_many_connections_all_arrive_in_order() {
    for (workers, ring_events) in [(1, 1), (1, 4), (2, 1), (2, 2), (3, 3)] {
        let mut bench = small(workers, ring_events);
        let mut peers: Vec<_> = (0..8).map(|_| bench.connect()).collect();
        let relay = format!("msrp://127.0.0.1:{};tcp", bench.port);
        for i in 0..40 {
            for peer in &peers {
                peer.write(request(&format!("r{i:04}"), "FROB", &relay, BOB, &format!("X: {i}\r\n"), None, '$'));
            }
        }
        let mut next: HashMap<u64, usize> = HashMap::new();
        for _ in 0..8 * 40 {
            let request = bench.event("a request", |event| match event {
                Event::Request(request) => Some(request.clone()),
                _ => None,
            });
            let next = next.entry(request.connection).or_default();
            assert_eq!(request.headers[0].1, next.to_string());
            *next += 1;
            answer(&bench, request.request);
        }
        for peer in &mut peers {
            for i in 0..40 {
                assert_eq!(peer.expect("299").tid, format!("r{i:04}"));
            }
            peer.quiet(bench.port);
        }
        bench.until("all to be read from", |engine| engine.connections().iter().all(|info| !info.paused));
    }
}

#[test]
fn nobody_is_read_from_or_accepted_while_nobody_listens() {
    let mut bench = small(1, 2);
    let peers: Vec<_> = (0..6).map(|_| bench.connect()).collect();
    let relay = format!("msrp://127.0.0.1:{};tcp", bench.port);
    let frames = |engine: &msrp_engine::Engine| engine.stats().frames_in.iter().sum::<u64>();
    for round in 0..12 {
        for peer in &peers {
            peer.write(request(&format!("r{round:04}"), "FROB", &relay, BOB, "", None, '$'));
        }
        match round {
            0 => bench.until("the ring to be full", |engine| frames(engine) == 6),
            // What finds it full is the last that is read.
            1 => bench.until("all to be stopped", |engine| engine.connections().iter().all(|info| info.paused)),
            _ => {}
        }
    }
    let late = std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, bench.port)).unwrap();
    let before = frames(&bench.engine);
    for _ in 0..100 {
        let stats = bench.engine.stats();
        assert_eq!((stats.connections, stats.accepted, frames(&bench.engine)), (6, 6, before));
    }
    // One read of each may hold what was written while it was stopped.
    assert!(before < 6 * 12);
    let mut requests = 0;
    while requests < 6 * 12 {
        let id = bench.event("a request", |event| match event {
            Event::Request(request) => Some(request.request),
            _ => None,
        });
        requests += 1;
        answer(&bench, id);
    }
    let own = late.local_addr().unwrap();
    bench.event("the late one", |event| match event {
        Event::Opened { remote, .. } if *remote == own => Some(()),
        _ => None,
    });
    bench.until("all to be read from", |engine| engine.connections().iter().all(|info| !info.paused));
}

#[test]
fn a_connection_of_another_worker_goes_on_as_soon_as_there_is_room() {
    for ring_events in 1..=2 {
        let mut bench = small(2, ring_events);
        let mut bob = bench.client_on(0, "bob").peer;
        let mut alice = bench.client_on(1, "alice");
        for round in 0..20 {
            // For the relay in the name of a session of worker 1: that worker tells of it.
            for i in 0..6 {
                bob.write(request(&format!("r{i:04}"), "FROB", &alice.uri, BOB, "", None, '$'));
            }
            let mut ids = Vec::new();
            while ids.len() < 6 {
                ids.push(bench.event("a request", |event| match event {
                    Event::Request(request) => Some(request.request),
                    _ => None,
                }));
            }
            // Nothing wakes worker 1 now, but for what this one sends.
            bob.write(request(&format!("n{round:04}"), "NICKNAME", &alice.path(), BOB, "", None, '$'));
            let got = alice.peer.expect("NICKNAME");
            alice.peer.write(got.response(200));
            assert_eq!(bob.expect("200").tid, format!("n{round:04}"));
            for id in ids {
                answer(&bench, id);
            }
            for i in 0..6 {
                assert_eq!(bob.expect("299").tid, format!("r{i:04}"));
            }
        }
    }
}

#[test]
fn rejected_credentials_stop_the_one_that_sends_them() {
    let mut bench = small(1, 1);
    let mut alice = bench.client_on(0, "alice");
    let mut bob = bench.connect();
    let to = alice.path();
    for i in 0..30 {
        bob.write(request(&format!("a{i:04}"), "AUTH", &to, BOB, "Authorization: Digest x=y\r\n", None, '$'));
        let got = alice.peer.expect("AUTH");
        alice.peer.write(got.response(401));
        bob.expect("401");
        if bench.engine.connections().iter().any(|info| info.connection == bob.id && info.paused) {
            break;
        }
        assert!(i < 29, "it was never stopped");
    }
    let mut rejected = 0;
    while bench.engine.connections().iter().any(|info| info.connection == bob.id && info.paused) {
        bench.event("a rejection", |event| match event {
            Event::AuthRejected { connection } => Some(*connection),
            _ => None,
        });
        rejected += 1;
    }
    assert!(rejected >= 1);
    bob.quiet(bench.port);
}
