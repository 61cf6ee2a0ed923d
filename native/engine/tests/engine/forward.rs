//! Listen, accept, open a session, forward both ways, in order.

use crate::bench::{Bench, Setup};
use crate::peer::{BOB, send, send_with};
use msrp_engine::contract::{Answer, Event};
use std::io::Write;
use std::thread;

#[test]
fn messages_and_their_answers_go_both_ways() {
    for workers in 1..=3 {
        let mut bench = Bench::start(Setup::workers(workers));
        let mut alice = bench.client_on(0, "alice");
        let mut bob = bench.connect();
        bob.write(send("one1", &alice.path(), BOB, "hello"));
        assert_eq!(bob.expect("200").tid, "one1");
        let got = alice.peer.expect("SEND");
        assert_eq!((got.body.as_slice(), got.header("To-Path")), (b"hello".as_slice(), alice.own.as_str()));
        assert_eq!(got.header("From-Path"), format!("{} {BOB}", alice.uri));
        alice.peer.write(got.response(413));
        assert_eq!(bob.expect("REPORT").header("Status"), "000 413 Message Too Large");
        // The other way, to the peer that was learned.
        alice.peer.write(send("two2", &format!("{} {BOB}", alice.uri), &alice.own, "back"));
        assert_eq!(alice.peer.expect("200").tid, "two2");
        assert_eq!(bob.expect("SEND").body, b"back");
        bench.until("one transaction", |engine| engine.stats().transactions == 1);
    }
}

#[test]
fn a_request_for_the_relay_goes_up_and_its_answer_down() {
    for workers in 1..=2 {
        let mut bench = Bench::start(Setup::workers(workers));
        let mut peer = bench.connect();
        let relay = format!("msrp://127.0.0.1:{};tcp", bench.port);
        peer.write(crate::peer::request("auth", "AUTH", &relay, "msrp://c.example:1/c;tcp", "X-A: b\r\n", None, '$'));
        let request = bench.event("a request", |event| match event {
            Event::Request(request) => Some(request.clone()),
            _ => None,
        });
        assert_eq!((request.method.as_str(), request.connection), ("AUTH", peer.id));
        assert_eq!(request.headers, [("X-A".to_owned(), "b".to_owned())]);
        let headers = vec![("Use-Path".to_owned(), "x".to_owned()), ("X".to_owned(), "no\r\nsecond: line".to_owned())];
        bench.engine.answer(request.request, Answer { status: 200, comment: "Fine".to_owned(), headers });
        let got = peer.expect("200 Fine");
        assert_eq!((got.header("Use-Path"), got.head.contains("second")), ("x", false));
    }
}

#[test]
fn five_thousand_pipelined_frames_stay_in_order() {
    const COUNT: usize = 5000;
    for workers in 1..=3 {
        let mut bench = Bench::start(Setup::workers(workers));
        for (alice_on, bob_stays) in [(0, false), (workers as u64 - 1, true)] {
            let mut alice = bench.client_on(alice_on, &format!("alice{bob_stays}"));
            let bob = bench.connect_on(0);
            // One with a session of its own does not move: its frames go from worker to worker.
            let mut bob = if bob_stays { bench.client(bob, "bob").peer } else { bob };
            let (to, mut writer) = (alice.path(), bob.writer());
            let writing = thread::spawn(move || {
                for i in 0..COUNT {
                    let more = ["", "Failure-Report: partial\r\n", "Failure-Report: no\r\n"][i % 3];
                    let text = send_with(&format!("t{i:04}"), &to, BOB, more, &format!("{i}"));
                    writer.write_all(text.as_bytes()).expect("the relay reads");
                }
            });
            let mut responder = alice.peer.writer();
            for i in 0..COUNT {
                let got = alice.peer.expect("SEND");
                assert_eq!(got.body, i.to_string().as_bytes());
                if got.header("Failure-Report") != "no" {
                    responder.write_all(got.response(200).as_bytes()).expect("the relay reads");
                }
            }
            for i in (0..COUNT).step_by(3) {
                assert_eq!(bob.expect("200").tid, format!("t{i:04}"));
            }
            writing.join().expect("all is written");
            bob.quiet(bench.port);
            bench.until("all answers", |engine| engine.stats().transactions == 0);
            assert!(bench.engine.stats().reports.is_empty());
        }
    }
}
