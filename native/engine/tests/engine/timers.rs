//! Timers, by ticks of a driven clock.

use crate::bench::{Bench, Setup};
use crate::peer::{BOB, request, send, send_with};
use msrp_engine::contract::{CloseReason, Event};

#[test]
fn probation_and_idle() {
    for workers in 1..=2 {
        let mut setup = Setup::workers(workers);
        setup.limits.idle_ms = 60_000;
        let mut bench = Bench::start(setup);
        let mut alice = bench.client_on(0, "alice");
        let (mut silent, mut bob) = (bench.connect(), bench.connect_on(workers as u64 - 1));
        bob.write(send("good", &alice.path(), BOB, "x"));
        bob.expect("200");
        let got = alice.peer.expect("SEND");
        alice.peer.write(got.response(200));
        bench.until("the answer", |engine| engine.stats().transactions == 0);
        bench.advance(29_000);
        assert_eq!(bench.engine.stats().closes[CloseReason::Probation as usize], 0);
        bench.advance(2000);
        assert!(silent.next().is_none());
        assert_eq!(bench.closed(silent.id), CloseReason::Probation);
        // Proven over there is proven here.
        bob.quiet(bench.port);
        bench.advance(59_000);
        bob.quiet(bench.port);
        bench.advance(3000);
        assert_eq!(bench.closed(alice.peer.id), CloseReason::Idle);
        bench.advance(60_000);
        assert_eq!(bench.closed(bob.id), CloseReason::Idle);
    }
}

#[test]
fn a_transaction_without_an_answer() {
    for alice_on in 0..=1 {
        let mut bench = Bench::start(Setup::workers(2));
        let mut alice = bench.client_on(alice_on, "alice");
        let mut bob = bench.client_on(0, "bob").peer;
        let to = alice.path();
        bob.write(send("yes1", &to, BOB, "x"));
        bob.write(send_with("par1", &to, BOB, "Failure-Report: partial\r\n", "x"));
        bob.write(request("auth", "AUTH", &to, BOB, "", None, '$'));
        bob.write(request("frob", "FROB", &to, BOB, "", None, '$'));
        bob.expect("200");
        for word in ["SEND", "SEND", "AUTH", "FROB"] {
            alice.peer.expect(word);
        }
        bench.advance(29_000);
        bob.quiet(bench.port);
        bench.advance(2000);
        let (one, other) = (bob.next().unwrap(), bob.next().unwrap());
        let (report, answer) = if one.word == "REPORT" { (one, other) } else { (other, one) };
        assert_eq!((report.header("Message-ID"), report.header("Status")), ("myes1", "000 408 Timeout"));
        assert_eq!((answer.tid.as_str(), answer.word.as_str()), ("auth", "408 Timeout"));
        bob.quiet(bench.port);
        let stats = bench.engine.stats();
        assert_eq!((stats.transactions, stats.timeouts), (0, 2));
    }
}

#[test]
fn a_peer_that_never_reads_is_closed_and_its_sender_told() {
    for alice_on in 0..=1 {
        let mut setup = Setup::workers(2);
        setup.limits.outbox_bytes = 65_536;
        setup.limits.send_timeout_ms = 5000;
        let mut bench = Bench::start(setup);
        let alice = bench.client_on(alice_on, "alice");
        let mut bob = bench.client_on(0, "bob").peer;
        let to = alice.path();
        let mut writer = bob.writer();
        let writing = std::thread::spawn(move || {
            for i in 0..6000 {
                std::io::Write::write_all(&mut writer, send(&format!("t{i:04}"), &to, BOB, &"x".repeat(1500)).as_bytes())
                    .unwrap();
            }
        });
        bench.until_stuck(alice.peer.id, bob.id);
        bench.advance(4000);
        assert_eq!(bench.engine.stats().closes[CloseReason::SendTimeout as usize], 0);
        bench.advance(2000);
        assert_eq!(bench.closed(alice.peer.id), CloseReason::SendTimeout);
        let (mut accepted, mut reported, mut refused) = (0, 0, 0);
        while accepted + refused < 6000 || reported < accepted {
            let got = bob.next().expect("an answer");
            match got.word.as_str() {
                "200 OK" => accepted += 1,
                "REPORT" => reported += 1,
                _ => refused += 1,
            }
        }
        assert_eq!((accepted, accepted + refused), (reported, 6000));
        writing.join().unwrap();
        bob.quiet(bench.port);
    }
}

#[test]
fn a_next_hop_that_nobody_decides_about() {
    let mut bench = Bench::start(Setup::workers(1));
    let mut alice = bench.client_on(0, "alice");
    alice.peer.write(send("hop1", &format!("{} msrp://far.example:1/f;tcp", alice.uri), &alice.own, "x"));
    alice.peer.expect("200");
    let hop = bench.event("a hop", |event| match event {
        Event::Hop { hop, .. } => Some(*hop),
        _ => None,
    });
    bench.advance(62_000);
    assert_eq!(alice.peer.expect("REPORT").header("Status"), "000 408 Timeout");
    assert_eq!(bench.closed(hop), CloseReason::HopRefused);
    // Too late: nothing comes of it.
    bench.engine.refuse_hop(hop, 403);
    alice.peer.quiet(bench.port);
}

#[test]
fn a_peer_that_keeps_its_side_open_is_cut_off() {
    let mut bench = Bench::start(Setup::workers(1));
    let mut peer = bench.connect();
    bench.engine.close_connection(peer.id, CloseReason::Command);
    assert!(peer.next().is_none());
    bench.closed(peer.id);
    bench.until("the end", |engine| engine.connections().iter().all(|info| info.state == "closing"));
    peer.write("this is read and dropped");
    bench.advance(4000);
    assert_eq!(bench.engine.stats().connections, 1);
    bench.advance(2000);
    bench.until("it to go", |engine| engine.stats().connections == 0);
    // One that reads nothing either goes the same way.
    let mut alice = bench.client_on(0, "alice");
    let reader = bench.connect();
    let to = alice.path();
    let mut writer = reader.writer();
    let writing = std::thread::spawn(move || {
        for i in 0..4000 {
            let text = send_with(&format!("t{i:04}"), &to, BOB, "Failure-Report: no\r\n", &"x".repeat(1500));
            std::io::Write::write_all(&mut writer, text.as_bytes()).unwrap();
        }
    });
    bench.until("a queue", |engine| {
        engine.connections().iter().any(|info| info.connection == alice.peer.id && info.queued_bytes > 100_000)
    });
    bench.engine.close_connection(alice.peer.id, CloseReason::Command);
    bench.closed(alice.peer.id);
    bench.advance(7000);
    bench.until("it to go", |engine| engine.stats().connections == 1 && engine.stats().queued_bytes == 0);
    writing.join().unwrap();
    while alice.peer.next().is_some() {}
}

#[test]
fn a_clock_that_goes_back_stands_still() {
    let mut bench = Bench::start(Setup::workers(2));
    bench.advance(10_000);
    let mut peer = bench.connect();
    for _ in 0..20 {
        bench.engine.tick(2000);
    }
    peer.quiet(bench.port);
    assert_eq!(bench.engine.stats().closes.iter().sum::<u64>(), 0);
}
