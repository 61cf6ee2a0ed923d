//! A connection on one worker, sessions on others.

use crate::bench::{Bench, Client, Setup};
use crate::peer::{BOB, Peer, request, send, send_with};
use msrp_engine::contract::{Answer, Event};

/// A connection of worker 0 that does not move, and sessions of workers 0 and 1.
struct Scene {
    bench: Bench,
    bob: Peer,
    here: Client,
    there: Client,
}

fn scene() -> Scene {
    let mut bench = Bench::start(Setup::workers(2));
    let bob = bench.client_on(0, "bob").peer;
    let here = bench.client_on(0, "here");
    let there = bench.client_on(1, "there");
    Scene { bench, bob, here, there }
}

#[test]
fn one_connection_carries_sessions_of_both_workers() {
    let Scene { bench, mut bob, mut here, mut there } = scene();
    for i in 0..100 {
        let client = if i % 2 == 0 { &mut here } else { &mut there };
        bob.write(send(&format!("n{i:04}"), &client.path(), BOB, &format!("{i}")));
        let got = client.peer.expect("SEND");
        assert_eq!(got.body, i.to_string().as_bytes());
        assert_eq!(bob.expect("200").tid, format!("n{i:04}"));
        client.peer.write(got.response(if i % 4 < 2 { 200 } else { 481 }));
        if i % 4 >= 2 {
            assert_eq!(bob.expect("REPORT").header("Message-ID"), format!("mn{i:04}"));
        }
        // To the peer that was learned, and its success report.
        client.peer.write(send(&format!("r{i:04}"), &format!("{} {BOB}", client.uri), &client.own, "back"));
        client.peer.expect("200");
        let got = bob.expect("SEND");
        bob.write(got.response(200));
        let (to, from) = (got.header("From-Path").to_owned(), got.header("To-Path").to_owned());
        let headers = "Message-ID: m1\r\nByte-Range: 1-4/4\r\nStatus: 000 200 OK\r\n";
        bob.write(request(&format!("p{i:04}"), "REPORT", &to, &from, headers, None, '$'));
        client.peer.expect("REPORT");
        // A method that nobody knows, answered end to end.
        bob.write(request(&format!("f{i:04}"), "FROB", &client.path(), BOB, "X: y\r\n", None, '$'));
        let got = client.peer.expect("FROB");
        client.peer.write(got.response(299));
        let answer = bob.expect("299");
        assert_eq!((answer.tid.clone(), answer.header("To-Path")), (format!("f{i:04}"), BOB));
    }
    bench.until("all answers", |engine| engine.stats().transactions == 0);
    assert_eq!(bench.engine.stats().dropped, 0);
}

/// The first message lets the peer be learned, which makes another route; that of the second is remembered.
fn greet(bob: &mut Peer, client: &mut Client) {
    for _ in 0..2 {
        bob.write(send("one1", &client.path(), BOB, "for there"));
        bob.expect("200");
        assert_eq!(client.peer.expect("SEND").body, b"for there");
    }
}

#[test]
fn paths_that_a_malformed_frame_had_lead_to_their_own_session() {
    let Scene { mut bench, mut bob, mut there, .. } = scene();
    let mut other = bench.client_on(1, "other");
    greet(&mut bob, &mut there);
    bob.write(request("bad1", "SEND", &other.path(), BOB, "Message-ID: m1\r\nByte-Range: 5-1/1\r\n", Some("x"), '$'));
    bob.expect("400");
    bob.write(send("two2", &other.path(), BOB, "for other"));
    bob.expect("200");
    assert_eq!(other.peer.expect("SEND").body, b"for other");
    there.peer.quiet(bench.port);
}

#[test]
fn paths_refused_before_lead_to_the_session_once_it_is_open() {
    let Scene { mut bench, mut bob, mut there, .. } = scene();
    greet(&mut bob, &mut there);
    let late = bench.connect_on(1);
    let to =
        format!("msrp://127.0.0.1:{}/lateSession0123456789;tcp msrp://127.0.0.1:{}/late;tcp", bench.port, late.local().port());
    bob.write(send("two2", &to, BOB, "too early"));
    bob.expect("481");
    let mut late = bench.client(late, "late");
    bob.write(send("thr3", &to, BOB, "in time"));
    bob.expect("200");
    assert_eq!(late.peer.expect("SEND").body, b"in time");
    there.peer.quiet(bench.port);
}

#[test]
fn long_chunks_are_streamed_across_with_others_between() {
    let Scene { mut bench, mut bob, mut there, .. } = scene();
    let body: String = (0..400_000u32).map(|i| char::from(b'a' + (i % 23) as u8)).collect();
    let long = send("long1", &there.path(), BOB, &body);
    let (first, second) = long.split_at(250_000);
    bob.write(first);
    bench.until("a part to be out", |engine| {
        engine.connections().iter().any(|info| info.connection == there.peer.id && info.bytes_out > 200_000)
    });
    // Another message for the same client while the chunk is open, which it interrupts.
    let mut carol = bench.client_on(0, "carol").peer;
    carol.write(send("mid1", &there.path(), "msrp://carol.example:1/c;tcp", "between"));
    carol.expect("200");
    bob.write(second);
    let (mut got, mut between) = (Vec::new(), 0);
    loop {
        let piece = there.peer.expect("SEND");
        there.peer.write(piece.response(200));
        if piece.header("Message-ID") == "mmid1" {
            between += 1;
            continue;
        }
        let start: usize = piece.header("Byte-Range").split('-').next().unwrap().parse().unwrap();
        assert_eq!(start, got.len() + 1);
        got.extend(piece.body);
        if piece.flag == '$' {
            break;
        }
    }
    assert_eq!((got.len(), between), (body.len(), 1));
    assert!(got == body.as_bytes());
    assert_eq!(bob.expect("200").tid, "long1");
    bob.quiet(bench.port);
}

#[test]
fn a_sender_that_dies_in_a_chunk_is_finished_over_there() {
    let Scene { mut bench, bob, mut there, .. } = scene();
    bob.write(&send("dies", &there.path(), BOB, &"x".repeat(100_000))[..50_000]);
    bench.until("a part to be out", |engine| {
        engine.connections().iter().any(|info| info.connection == there.peer.id && info.bytes_out > 40_000)
    });
    drop(bob);
    let got = there.peer.expect("SEND");
    assert!(got.flag == '#' && got.body.len() > 40_000 && got.body.iter().all(|&byte| byte == b'x'));
    let mut dave = bench.connect();
    dave.write(send("next", &there.path(), "msrp://dave.example:1/d;tcp", "unharmed"));
    assert_eq!(there.peer.expect("SEND").body, b"unharmed");
    dave.expect("200");
}

#[test]
fn a_connection_that_dies_fails_what_its_stand_ins_wait_for() {
    let Scene { mut bench, mut bob, mut there, .. } = scene();
    bob.write(send_with("hello", &there.path(), BOB, "Failure-Report: no\r\n", "here I am"));
    there.peer.expect("SEND");
    for i in 0..20 {
        there.peer.write(send(&format!("w{i:04}"), &format!("{} {BOB}", there.uri), &there.own, "wait"));
        there.peer.expect("200");
        bob.expect("SEND");
    }
    there.peer.write(request("auth", "AUTH", &format!("{} {BOB}", there.uri), &there.own, "", None, '$'));
    bob.expect("AUTH");
    let id = bob.id;
    drop(bob);
    bench.closed(id);
    for i in 0..20 {
        let report = there.peer.expect("REPORT");
        assert_eq!((report.header("Message-ID"), report.header("Status")), (format!("mw{i:04}").as_str(), "000 408 Timeout"));
    }
    assert_eq!(there.peer.expect("408").tid, "auth");
    bench.until("all to be settled", |engine| engine.stats().transactions == 0);
    // In the middle of a chunk to it, too.
    let carol = bench.client_on(0, "carol").peer;
    carol.write(send_with("hello", &there.path(), BOB, "Failure-Report: no\r\n", "here I am"));
    there.peer.expect("SEND");
    let long = send("long", &format!("{} {BOB}", there.uri), &there.own, &"y".repeat(90_000));
    there.peer.write(&long[..60_000]);
    bench.until("a part to be out", |engine| {
        engine.connections().iter().any(|info| info.connection == carol.id && info.bytes_out > 30_000)
    });
    let id = carol.id;
    drop(carol);
    bench.closed(id);
    there.peer.write(&long[60_000..]);
    // Its end is answered 408, or 200 when it came in before the news did; that a part is lost is reported in any case.
    let (mut reports, mut answers) = (0, 0);
    while reports == 0 || answers == 0 {
        let got = there.peer.next().expect("an answer");
        if got.word == "REPORT" {
            assert_eq!((got.header("Message-ID"), got.header("Status")), ("mlong", "000 408 Timeout"));
            reports += 1;
        } else {
            assert!(got.tid == "long" && ["408 Timeout", "200 OK"].contains(&got.word.as_str()), "{got:?}");
            answers += 1;
        }
    }
}

#[test]
fn one_that_ends_its_side_gets_the_answers_that_are_on_their_way() {
    let Scene { mut bench, bob, mut there, .. } = scene();
    let mut bob = bob;
    for garbage in [false, true] {
        let text: String = (0..200).map(|i| send(&format!("t{i:03}"), &there.path(), BOB, "x")).collect();
        bob.write(text + if garbage { "garbage" } else { "" });
        bob.socket.shutdown(std::net::Shutdown::Write).unwrap();
        for i in 0..200 {
            assert_eq!(bob.expect("200").tid, format!("t{i:03}"));
            there.peer.expect("SEND");
        }
        assert!(bob.next().is_none());
        bench.closed(bob.id);
        // Its stand-in is gone at once: nothing waits for a timer.
        bench.until("it to go", |engine| engine.stats().connections == 1);
        bob = bench.client_on(0, "again").peer;
        if garbage {
            bob.quiet(bench.port);
        }
    }
}

#[test]
fn an_answer_over_there_proves_the_connection_here() {
    let Scene { mut bench, here, there, .. } = scene();
    let mut dave = bench.connect_on(0);
    // Refused without a word; from now on it does not move.
    dave.write(request("rep1", "REPORT", &here.path(), BOB, "Message-ID: m1\r\nStatus: 000 200\r\n", None, '+'));
    dave.quiet(bench.port);
    dave.write(request("auth", "AUTH", &there.uri, BOB, "", None, '$'));
    let id = bench.event("a request", |event| match event {
        Event::Request(request) => Some(request.request),
        _ => None,
    });
    let state =
        |engine: &msrp_engine::Engine| engine.connections().iter().find(|info| info.connection == dave.id).map(|info| info.state);
    assert_eq!(state(&bench.engine), Some("probation"));
    bench.engine.answer(id, Answer { status: 200, comment: "OK".to_owned(), headers: Vec::new() });
    bench.until("the proof", |engine| state(engine) == Some("open"));
    dave.expect("200");
}

#[test]
fn a_forged_response_settles_nothing_of_another_worker() {
    let Scene { bench, mut bob, mut there, mut here } = scene();
    bob.write(send("one1", &there.path(), BOB, "hello"));
    bob.expect("200");
    let got = there.peer.expect("SEND");
    // The right id from the wrong connections, of either worker, and ids that name workers and slots that are not there.
    here.peer.write(got.response(481));
    bob.write(got.response(481));
    for tid in ["AAAB".to_owned() + &got.tid[4..], "9zzz".to_owned() + &got.tid[4..], "BBBB".to_owned() + &got.tid[4..]] {
        bob.write(request(&tid, "481 no", &there.uri, BOB, "", None, '$'));
    }
    bob.quiet(bench.port);
    here.peer.quiet(bench.port);
    there.peer.write(got.response(481));
    assert_eq!(bob.expect("REPORT").header("Status"), "000 481 Session Does Not Exist");
    bench.until("the forged ones to be dropped", |engine| engine.stats().dropped == 5);
}

#[test]
fn a_misdirected_request_over_there_is_counted_as_here() {
    let Scene { mut bench, bob, there, .. } = scene();
    let elsewhere = there.uri.replace("127.0.0.1", "elsewhere.example");
    let mut bob = bob;
    for i in 0..2 {
        bob.write(send(&format!("mis{i:04}"), &format!("{elsewhere} {}", there.own), BOB, "x"));
        bob.expect("481");
    }
    // The third within a minute closes; what comes with it is not looked at.
    let third = send("mis3", &format!("{elsewhere} {}", there.own), BOB, "x");
    bob.write(format!("{third}{}", send("good", &there.path(), BOB, "x")));
    assert!(bob.next().is_none());
    assert_eq!(bench.closed(bob.id).name(), "misdirected");
    let mut there = there;
    there.peer.quiet(bench.port);
}
