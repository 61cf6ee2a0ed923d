//! A fresh connection moves to the worker of the session that its first request is for.

use crate::bench::{Bench, Client, Setup, worker_of};
use crate::peer::{BOB, Peer, request, send};
use msrp_engine::contract::{Answer, CloseReason, Event, SessionCloseReason};

/// An engine, a session of worker 1, and a connection of worker 0 that has moved there.
fn moved() -> (Bench, Client, Peer) {
    let mut bench = Bench::start(Setup::workers(2));
    let mut alice = bench.client_on(1, "alice");
    let mut bob = bench.connect_on(0);
    bob.write(send("move", &alice.path(), BOB, "move"));
    bob.expect("200");
    alice.peer.expect("SEND");
    (bench, alice, bob)
}

#[test]
fn frames_stay_in_order_and_the_connection_is_counted_once() {
    let mut setup = Setup::workers(2);
    setup.limits.max_connections = 3;
    let mut bench = Bench::start(setup);
    let mut alice = bench.client_on(1, "alice");
    let mut bob = bench.connect_on(0);
    alice.gets_a_thousand(&mut bob);
    let infos = bench.engine.connections();
    let info = infos.iter().find(|info| info.connection == bob.id).expect("it is there");
    assert_eq!((infos.len(), worker_of(info.connection), info.state), (2, 0, "open"));
    // There is room for one more, and again when that one and the moved one have gone.
    let third = bench.connect();
    for peer in [third, bob] {
        let id = peer.id;
        drop(peer);
        bench.closed(id);
    }
    for _ in 0..2 {
        std::mem::forget(bench.connect());
    }
    assert_eq!(bench.engine.stats().closes[CloseReason::MaxConnections as usize], 0);
}

#[test]
fn its_first_number_leads_to_it() {
    let (mut bench, mut alice, mut bob) = moved();
    let uri = format!("msrp://127.0.0.1:{}/bobSession0123456789;tcp", bench.port);
    let session = bench.open(bob.id, &uri, BOB);
    bench.engine.extend_session(session, 5e11);
    bench.until("the session", |engine| {
        engine.sessions().iter().any(|info| info.session == session && (info.expires_at_ms - 5e11).abs() < 1.0)
    });
    alice.peer.write(send("one1", &format!("{} {uri} {BOB}", alice.uri), &alice.own, "to bob"));
    alice.peer.expect("200");
    assert_eq!(bob.expect("SEND").body, b"to bob");
    bench.engine.close_session(session, SessionCloseReason::Released);
    bench.session_closed(session);
    bench.engine.close_connection(bob.id, CloseReason::Command);
    assert_eq!(bench.closed(bob.id), CloseReason::Command);
    assert!(bob.next().is_none());
    // It is forgotten, and commands about it lead nowhere.
    bench.engine.close_connection(bob.id, CloseReason::Command);
    bench.engine.identify(bob.id, "relay.example".to_owned());
    let late = bench.open(bob.id, &uri, BOB);
    bench.session_closed(late);
    assert_eq!(alice.peer.expect("REPORT").header("Status"), "000 408 Timeout");
    alice.peer.quiet(bench.port);
}

#[test]
fn a_session_is_open_before_the_answer_that_tells_of_it() {
    let (mut bench, mut alice, mut bob) = moved();
    for i in 0..200 {
        let relay = format!("msrp://127.0.0.1:{};tcp", bench.port);
        bob.write(request("auth", "AUTH", &relay, BOB, "", None, '$'));
        let id = bench.event("a request", |event| match event {
            Event::Request(request) => Some(request.request),
            _ => None,
        });
        let uri = format!("msrp://127.0.0.1:{}/bob{i}Session0123456789;tcp", bench.port);
        let session = bench.open(bob.id, &uri, BOB);
        bench.engine.answer(id, Answer { status: 200, comment: "OK".to_owned(), headers: Vec::new() });
        bob.expect("200");
        bob.write(send("one1", &format!("{uri} {} {}", alice.uri, alice.own), BOB, "hello"));
        bob.expect("200");
        let got = alice.peer.expect("SEND");
        alice.peer.write(got.response(200));
        bench.engine.close_session(session, SessionCloseReason::Released);
    }
    bench.until("the sessions to end", |engine| engine.stats().sessions == 1);
}

#[test]
fn commands_during_the_move_come_behind_it() {
    let mut bench = Bench::start(Setup::workers(2));
    let alice = bench.client_on(1, "alice");
    for round in 0..10 {
        let (bob, victim) = (bench.connect_on(0), bench.connect_on(1));
        bench.hold(&victim);
        bob.write(send("move", &alice.path(), BOB, "move"));
        let uri = format!("msrp://127.0.0.1:{}/bob{round}Session0123456789;tcp", bench.port);
        let kept = bench.open(bob.id, &uri, BOB);
        let short = bench.open(bob.id, &uri.replace("bob", "bobShort"), BOB);
        bench.engine.extend_session(kept, 5e11);
        bench.engine.close_session(short, SessionCloseReason::Released);
        bench.release();
        bench.closed(victim.id);
        bench.session_closed(short);
        bench.until("the session", |engine| {
            engine.sessions().iter().any(|info| info.session == kept && (info.expires_at_ms - 5e11).abs() < 1.0)
        });
        bench.engine.close_connection(bob.id, CloseReason::Command);
        bench.closed(bob.id);
        bench.session_closed(kept);
    }
    bench.until("the sessions to end", |engine| engine.stats().sessions == 1);
}

#[test]
fn one_that_is_closed_as_it_arrives_says_nothing_more() {
    let mut bench = Bench::start(Setup::workers(2));
    let mut alice = bench.client_on(1, "alice");
    let (mut bob, victim) = (bench.connect_on(0), bench.connect_on(1));
    let marks: Vec<Peer> = (0..3).map(|_| bench.connect_on(0)).collect();
    bench.hold(&victim);
    // The head of a long chunk: what began it would have to end it.
    bob.write(&send("long", &alice.path(), BOB, &"x".repeat(50_000))[..20_000]);
    let mut marks = marks.into_iter();
    bench.turn(marks.next().expect("three"));
    bench.engine.close_connection(bob.id, CloseReason::Command);
    // One turn passes it on, and the next one is over when that has been delivered.
    marks.for_each(|mark| bench.turn(mark));
    bench.release();
    assert_eq!(bench.closed(bob.id), CloseReason::Command);
    assert!(bob.next().is_none());
    let mut dave = bench.connect();
    dave.write(send("next", &alice.path(), "msrp://dave.example:1/d;tcp", "first"));
    dave.expect("200");
    assert_eq!(alice.peer.expect("SEND").body, b"first");
    alice.peer.quiet(bench.port);
}
