//! Paths through two sessions of this relay that live on different workers.

use crate::bench::{Bench, Client, Setup};
use crate::peer::{BOB, request, send};
use crate::together::say;
use msrp_engine::contract::{Event, SessionSpec};

fn ends(setup: Setup) -> (Bench, Client, Client) {
    let mut bench = Bench::start(setup);
    let anna = bench.busy_client_on(0, "anna");
    let ben = bench.busy_client_on(1, "ben");
    (bench, anna, ben)
}

#[test]
fn messages_responses_and_reports_pass_both_sessions() {
    let (bench, mut anna, mut ben) = ends(Setup::workers(2));
    for i in 0..50 {
        for (from, to) in [(0, 1), (1, 0)] {
            let (one, other) = if from < to { (&mut anna, &mut ben) } else { (&mut ben, &mut anna) };
            let path = format!("{} {} {}", one.uri, other.uri, other.own);
            let tid = format!("n{i:04}{from}");
            one.peer.write(send(&tid, &path, &one.own, &format!("{i}")));
            assert_eq!(one.peer.expect("200").tid, tid);
            let got = other.peer.expect("SEND");
            assert_eq!(got.header("From-Path"), format!("{} {} {}", other.uri, one.uri, one.own));
            other.peer.write(got.response(if i % 2 == 0 { 200 } else { 403 }));
            if i % 2 == 1 {
                assert_eq!(one.peer.expect("REPORT").header("Status"), "000 403 Forbidden");
            }
            let headers = "Message-ID: m1\r\nByte-Range: 1-1/1\r\nStatus: 000 200 OK\r\n";
            other.peer.write(request("rep1", "REPORT", got.header("From-Path"), &other.own, headers, None, '$'));
            assert_eq!(one.peer.expect("REPORT").header("To-Path"), one.own);
            one.peer.write(request("nick", "NICKNAME", &path, &one.own, "", None, '$'));
            let got = other.peer.expect("NICKNAME");
            other.peer.write(got.response(200));
            assert_eq!(one.peer.expect("200").tid, "nick");
        }
    }
    bench.until("all answers", |engine| engine.stats().transactions == 0);
    assert_eq!(bench.engine.connections().len(), 2);
    assert_eq!(bench.sends(), 2 * 100);
}

#[test]
fn an_auth_is_told_of_and_answered_as_on_one_worker() {
    let (mut bench, mut anna, mut ben) = ends(Setup::workers(2));
    let to = format!("{} {} {}", anna.uri, ben.uri, ben.own);
    let headers = "Authorization: Digest username=\"x\"\r\n";
    anna.peer.write(request("auth", "AUTH", &to, &anna.own, headers, None, '$'));
    let got = ben.peer.expect("AUTH");
    ben.peer.write(got.response(401));
    anna.peer.expect("401");
    let id = anna.peer.id;
    let rejected = |event: &Event| if let Event::AuthRejected { connection } = event { Some(*connection) } else { None };
    assert_eq!(bench.event("the rejection", rejected), id);
    // For the session alone there is nobody behind it.
    anna.peer.write(request("none", "AUTH", &format!("{} {}", anna.uri, ben.uri), &anna.own, "", None, '$'));
    assert_eq!(anna.peer.expect("481").tid, "none");
    assert!(!bench.events().iter().any(|event| rejected(event).is_some()), "it is told once");
}

#[test]
fn one_client_takes_no_session_from_all_others() {
    let mut bench = Bench::start(Setup::workers(2));
    let mut anna = bench.busy_client_on(0, "anna");
    let peer = bench.connect_on(1);
    let own = format!("msrp://127.0.0.1:{}/ben;tcp", peer.local().port());
    let uri = format!("msrp://127.0.0.1:{}/benSession0123456789;tcp", bench.port);
    let session = bench.engine.open_session(SessionSpec {
        uri: uri.clone().into(),
        client_path: vec![own.clone().into()],
        connection: peer.id,
        relay: None,
        expires_at_ms: 1e12,
        exclusive_peer: true,
    });
    bench.until("its session", |engine| engine.sessions().iter().any(|info| info.session == session));
    let mut ben = Client { peer, own, uri };
    say(&mut anna, &mut ben, "one1", "hello");
    let mut bob = bench.connect_on(1);
    bob.write(send("bob1", &ben.path(), BOB, "x"));
    bob.expect("200");
    assert_eq!(bench.engine.sessions().iter().find(|info| info.session == session).unwrap().peer, Some(bob.id));
}

#[test]
fn a_session_is_found_although_another_one_asked_for_its_uri() {
    let (mut bench, mut anna, mut ben) = ends(Setup::workers(2));
    let second = bench.open(ben.peer.id, &ben.uri, &ben.own);
    bench.session_closed(second);
    say(&mut anna, &mut ben, "one1", "is it there?");
}

#[test]
fn a_long_message_passes_both_sessions() {
    let (bench, anna, mut ben) = ends(Setup::workers(2));
    let body = "0123456789".repeat(60_000);
    let text = send("long", &format!("{} {} {}", anna.uri, ben.uri, ben.own), &anna.own, &body);
    let mut writer = anna.peer.writer();
    let writing = std::thread::spawn(move || std::io::Write::write_all(&mut writer, text.as_bytes()));
    let mut octets = Vec::new();
    loop {
        let got = ben.peer.expect("SEND");
        ben.peer.write(got.response(200));
        octets.extend(got.body);
        if got.flag == '$' {
            break;
        }
    }
    writing.join().unwrap().unwrap();
    assert!(octets == body.as_bytes());
    let mut anna = anna;
    assert_eq!(anna.peer.expect("200").tid, "long");
    bench.until("all answers", |engine| engine.stats().transactions == 0);
}

#[test]
fn frames_at_the_limits_of_what_may_come_in_do_not_break_it() {
    let mut setup = Setup::workers(2);
    setup.limits.line_bytes = 400;
    setup.limits.header_bytes = 1600;
    setup.limits.header_lines = 8;
    let (bench, mut anna, mut ben) = ends(setup);
    let path = format!("{} {} {}", anna.uri, ben.uri, ben.own);
    // Its From-Path line is as long as one may be; behind the first session it is longer. So is the section with its longer id.
    let headers = format!("X-A: {}\r\n", "x".repeat(300)).repeat(4);
    for (tid, headers) in [("a1xx", headers.as_str()), ("a2xx", "")] {
        anna.peer.write(request(tid, "FROB", &path, &anna.own, headers, None, '$'));
        let got = ben.peer.expect("FROB");
        ben.peer.write(got.response(200));
        assert_eq!(anna.peer.expect("200").tid, tid);
    }
    let long = format!("msrp://h.example:1/{};tcp", "y".repeat(360));
    // a client has one path. With the long one it is another one, which is refused, and breaks nothing.
    anna.peer.write(request("b1xx", "FROB", &path, &long, "", None, '$'));
    anna.peer.expect("403");
    anna.peer.write(request("b2xx", "FROB", &path, &anna.own, "", None, '$'));
    ben.peer.expect("FROB");
    // A client whose own URI is that long.
    let mut bench = bench;
    let wide = bench.connect_on(0);
    let uri = format!("msrp://127.0.0.1:{}/wideSession0123456789;tcp", bench.port);
    bench.open(wide.id, &uri, &long);
    bench.open(wide.id, &uri.replace("wide", "second"), &long);
    let mut wide = wide;
    wide.write(request("c1xx", "FROB", &format!("{uri} {} {}", ben.uri, ben.own), &long, "", None, '$'));
    let got = ben.peer.expect("FROB");
    assert!(got.header("From-Path").len() > 400);
    anna.peer.write(request("b3xx", "FROB", &path, &anna.own, "", None, '$'));
    let got = ben.peer.expect("FROB");
    ben.peer.write(got.response(200));
    anna.peer.expect("200");
    wide.quiet(bench.port);
}

#[test]
fn a_full_receiver_stops_the_sender_on_the_other_worker() {
    let mut setup = Setup::workers(2);
    setup.limits.outbox_bytes = 65_536;
    let (bench, anna, mut ben) = ends(setup);
    let text = send("tid0", &format!("{} {} {}", anna.uri, ben.uri, ben.own), &anna.own, &"z".repeat(1900));
    let mut writer = anna.peer.writer();
    let writing = std::thread::spawn(move || {
        for i in 0..6000 {
            let text = text.replacen("MSRP tid0 ", &format!("MSRP t{i:05} "), 1).replacen(
                "-------tid0$",
                &format!("-------t{i:05}$"),
                1,
            );
            std::io::Write::write_all(&mut writer, text.as_bytes()).expect("the relay reads");
        }
    });
    let mut anna = anna;
    bench.until("a stop", |engine| {
        engine.connections().iter().any(|info| info.connection == anna.peer.id && info.paused)
            && engine.connections().iter().any(|info| info.connection == ben.peer.id && info.queued_bytes > 65_536)
    });
    // Two outboxes, an inbox that is emptied and the same one full again before its sources hear of the stop, and a read of each.
    let queued = bench.engine.stats().queued_bytes;
    assert!(queued <= (2 << 18) + 8 * 65_536, "{queued}");
    for _ in 0..6000 {
        let got = ben.peer.expect("SEND");
        ben.peer.write(got.response(200));
    }
    for i in 0..6000 {
        assert_eq!(anna.peer.expect("200").tid, format!("t{i:05}"));
    }
    writing.join().unwrap();
    bench.until("the rest", |engine| engine.stats().transactions == 0 && engine.stats().queued_bytes == 0);
}
