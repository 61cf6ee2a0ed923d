//! A client moves, with its session, to the worker of the session that it talks to.

use crate::bench::{Bench, Client, Setup, worker_of};
use crate::peer::{request, send};
use msrp_engine::contract::{Answer, CloseReason, Event, SessionCloseReason, SessionId};
use std::sync::Barrier;
use std::thread;

pub fn path(from: &Client, to: &Client) -> String {
    format!("{} {} {}", from.uri, to.uri, to.own)
}

/// A message from one to the other, and the answers.
pub fn say(from: &mut Client, to: &mut Client, tid: &str, body: &str) {
    from.peer.write(send(tid, &path(from, to), &from.own, body));
    assert_eq!(from.peer.expect("200").tid, tid);
    let got = to.peer.expect("SEND");
    assert_eq!(got.body, body.as_bytes());
    assert_eq!(got.header("From-Path"), format!("{} {} {}", to.uri, from.uri, from.own));
    to.peer.write(got.response(200));
}

/// Two clients of different workers, together on the second one; the session of the first, too.
fn together() -> (Bench, Client, Client, SessionId) {
    let mut bench = Bench::start(Setup::workers(2));
    let anna = bench.connect_on(0);
    let own = format!("msrp://127.0.0.1:{}/anna;tcp", anna.local().port());
    let uri = format!("msrp://127.0.0.1:{}/annaSession0123456789;tcp", bench.port);
    let session = bench.open(anna.id, &uri, &own);
    let mut anna = Client { peer: anna, own, uri };
    let mut ben = bench.client_on(1, "ben");
    say(&mut anna, &mut ben, "move", "first");
    (bench, anna, ben, session)
}

#[test]
fn both_talk_on_while_the_first_worker_is_busy() {
    let (mut bench, mut anna, mut ben, _) = together();
    let victim = bench.connect_on(0);
    bench.hold(&victim);
    for i in 0..50 {
        say(&mut anna, &mut ben, "one1", &format!("to ben {i}"));
        say(&mut ben, &mut anna, "two2", &format!("to anna {i}"));
    }
    bench.release();
    bench.closed(victim.id);
    drop(victim);
    bench.until("all answers", |engine| engine.stats().transactions == 0);
    assert_eq!(bench.sends(), 101, "each is handled once");
    bench.until("the two", |engine| engine.stats().sessions == 2 && engine.connections().len() == 2);
}

#[test]
fn its_numbers_lead_to_it() {
    let (mut bench, mut anna, mut ben, session) = together();
    let info = |bench: &Bench| bench.engine.sessions().into_iter().find(|info| info.session == session).expect("it is there");
    assert_eq!((info(&bench).connection, info(&bench).frames_out), (anna.peer.id, 1));
    assert_eq!(worker_of(anna.peer.id), 0);
    bench.engine.extend_session(session, 5e11);
    bench.until("its new end", |engine| engine.sessions().iter().any(|info| (info.expires_at_ms - 5e11).abs() < 1.0));
    // An AUTH over there: a second session on the connection.
    anna.peer.write(request("auth", "AUTH", &format!("msrp://127.0.0.1:{};tcp", bench.port), &anna.own, "", None, '$'));
    let id = bench.event("a request", |event| match event {
        Event::Request(request) => Some(request.request),
        _ => None,
    });
    let uri = anna.uri.replace("anna", "annaNext");
    let next = bench.open(anna.peer.id, &uri, &anna.own);
    bench.engine.answer(id, Answer { status: 200, comment: "OK".to_owned(), headers: Vec::new() });
    anna.peer.expect("200");
    bench.engine.close_session(session, SessionCloseReason::Released);
    bench.session_closed(session);
    ben.peer.write(send("late", &path(&ben, &anna), &ben.own, "to a session that has ended"));
    ben.peer.expect("481");
    anna.uri = uri;
    say(&mut anna, &mut ben, "one1", "through the next one");
    bench.engine.close_connection(anna.peer.id, CloseReason::Command);
    assert_eq!(bench.closed(anna.peer.id), CloseReason::Command);
    bench.session_closed(next);
    assert!(anna.peer.next().is_none());
    let gone = path(&ben, &anna);
    drop(anna);
    ben.peer.write(send("gone", &gone, &ben.own, "to nobody"));
    ben.peer.expect("481");
    bench.until("the end", |engine| engine.stats().sessions == 1 && engine.connections().len() == 1);
}

#[test]
fn a_long_first_message_moves_in_its_middle() {
    let mut bench = Bench::start(Setup::workers(2));
    let (mut anna, mut ben) = (bench.client_on(0, "anna"), bench.client_on(1, "ben"));
    let body: String = (0..100_000u32).map(|i| char::from(b'a' + (i % 23) as u8)).collect();
    let text = send("long", &path(&anna, &ben), &anna.own, &body);
    for piece in text.as_bytes().chunks(30_000) {
        anna.peer.write(piece);
        bench.until("it to be read", |engine| {
            engine.connections().iter().any(|info| info.connection == anna.peer.id && info.bytes_in > 0)
        });
    }
    let mut octets = Vec::new();
    while octets.len() < body.len() {
        let got = ben.peer.expect("SEND");
        ben.peer.write(got.response(200));
        octets.extend(got.body);
    }
    assert!(octets == body.as_bytes());
    assert_eq!(anna.peer.expect("200").tid, "long");
    assert_eq!(bench.sends(), 1);
}

#[test]
fn whoever_begins_and_whoever_comes_in_between_nothing_is_lost_or_turned_round() {
    const MESSAGES: usize = 20;
    let mut bench = Bench::start(Setup::workers(2));
    for round in 0..150 {
        // Both begin at once, and a third one, of either worker, writes to both.
        let anna = bench.client_on(0, &format!("anna{round}"));
        let ben = bench.client_on(1, &format!("ben{round}"));
        let carol = bench.connect_on(round % 2);
        let carols = "msrp://carol.example:1/c;tcp";
        let (to_ben, to_anna) = (path(&anna, &ben), path(&ben, &anna));
        let texts = |path: &str, own: &str| (0..MESSAGES).map(|i| send(&format!("n{i:04}"), path, own, &i.to_string())).collect();
        let from_anna: Vec<String> = texts(&to_ben, &anna.own);
        let from_ben: Vec<String> = texts(&to_anna, &ben.own);
        let from_carol: Vec<String> = texts(&anna.path(), carols);
        let start = Barrier::new(3);
        let port = bench.port;
        thread::scope(|scope| {
            for (mut client, texts) in [(anna, from_anna), (ben, from_ben)] {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    for text in &texts {
                        client.peer.write(text);
                    }
                    let (mut answers, mut next) = (0, std::collections::HashMap::new());
                    let expected = if client.own.ends_with(&format!("/anna{round};tcp")) { 2 * MESSAGES } else { MESSAGES };
                    let mut got = 0;
                    while answers < MESSAGES || got < expected {
                        let frame = client.peer.next().expect("a frame");
                        if frame.word == "SEND" {
                            client.peer.write(frame.response(200));
                            let next = next.entry(frame.header("From-Path").to_owned()).or_insert(0);
                            assert_eq!(frame.body, next.to_string().as_bytes());
                            *next += 1;
                            got += 1;
                        } else {
                            assert_eq!((frame.word.as_str(), frame.tid), ("200 OK", format!("n{answers:04}")));
                            answers += 1;
                        }
                    }
                    client.peer.quiet(port);
                });
            }
            let start = &start;
            scope.spawn(move || {
                let mut carol = carol;
                start.wait();
                for text in &from_carol {
                    carol.write(text);
                }
                for i in 0..MESSAGES {
                    assert_eq!(carol.expect("200").tid, format!("n{i:04}"));
                }
            });
        });
    }
    bench.until("all answers", |engine| engine.stats().transactions == 0 && engine.stats().sessions == 0);
}
