//! Clients that stay on their worker although they talk to one of another: something there hangs on them, or may be on its way.

use crate::bench::{Bench, Client, Setup, worker_of};
use crate::peer::{BOB, Peer, request, send};
use crate::together::{path, say};
use msrp_engine::contract::{CloseReason, Event, ExternalSpec, SessionSpec};
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::thread;
use std::time::Duration;

/// Three clients: one that stays on worker 0, one of worker 0 that it has to do with, and one of worker 1 that this one turns to.
fn three(setup: Setup) -> (Bench, Client, Client, Client) {
    let mut bench = Bench::start(setup);
    let (busy, anna) = (bench.busy_client_on(0, "busy"), bench.client_on(0, "anna"));
    let xeno = bench.client_on(1, "xeno");
    (bench, busy, anna, xeno)
}

/// All of it comes to an end.
fn ends(bench: &mut Bench) {
    bench.advance(70_000);
    bench.until("all to be over", |engine| engine.stats().transactions == 0 && !engine.stats().busy);
}

#[test]
fn where_somebody_else_has_asked_for_it() {
    let mut bench = Bench::start(Setup::workers(2));
    let (mut anna, mut ben) = (bench.client_on(0, "anna"), bench.client_on(1, "ben"));
    let mut busy = bench.busy_client_on(1, "busy");
    say(&mut busy, &mut anna, "one1", "over the link, by which anna is known there");
    say(&mut anna, &mut ben, "two2", "over the link");
    say(&mut ben, &mut anna, "thr3", "ben is known here, too");
    bench.until("all answers", |engine| engine.stats().transactions == 0);
    assert_eq!(bench.sends(), 2 * 3);
}

#[test]
fn many_that_talk_to_one() {
    let mut bench = Bench::start(Setup::workers(2));
    let (mut desk, mut shop) = (bench.busy_client_on(1, "desk"), bench.client_on(1, "shop"));
    for i in 0..5 {
        let (mut guest, mut buyer) = (bench.client_on(0, &format!("guest{i}")), bench.client_on(0, &format!("buyer{i}")));
        say(&mut guest, &mut desk, "one1", "hello");
        say(&mut desk, &mut guest, "two2", "hello");
        // Of those of a client with one session, one comes: the first.
        say(&mut buyer, &mut shop, "thr3", "hello");
        std::mem::forget((guest, buyer));
    }
    bench.until("all answers", |engine| engine.stats().transactions == 0);
    assert_eq!(bench.sends(), 5 * 4 + 1 + 4 * 2);
}

#[test]
fn what_one_on_the_same_worker_has_sent_is_answered() {
    let (mut bench, mut busy, mut anna, mut xeno) = three(Setup::workers(2));
    for i in 0..50 {
        busy.peer.write(send(&format!("t{i:04}"), &path(&busy, &anna), &busy.own, "hello"));
        busy.peer.expect("200");
    }
    let got: Vec<_> = (0..50).map(|_| anna.peer.expect("SEND")).collect();
    say(&mut anna, &mut xeno, "move", "first");
    for got in &got {
        anna.peer.write(got.response(413));
        assert_eq!(busy.peer.expect("REPORT").header("Status"), "000 413 Message Too Large");
    }
    assert_eq!(bench.sends(), 52);
    ends(&mut bench);
}

#[test]
fn in_the_middle_of_what_it_is_sent() {
    let (bench, mut busy, mut anna, mut xeno) = three(Setup::workers(2));
    let body = "b".repeat(20_000);
    let text = send("long", &path(&busy, &anna), &busy.own, &body);
    busy.peer.write(&text[..12_000]);
    bench.until("its head to be out", |engine| {
        engine.connections().iter().any(|info| info.connection == anna.peer.id && info.bytes_out > 9000)
    });
    anna.peer.write(send("move", &path(&anna, &xeno), &anna.own, "first"));
    assert_eq!(xeno.peer.expect("SEND").body, b"first");
    busy.peer.write(&text[12_000..]);
    busy.peer.expect("200");
    let (mut octets, mut answered) = (0, false);
    while octets < body.len() || !answered {
        let got = anna.peer.next().expect("a frame");
        if got.word == "SEND" {
            octets += got.body.len();
        } else {
            assert_eq!((got.word.as_str(), got.tid.as_str()), ("200 OK", "move"));
            answered = true;
        }
    }
}

#[test]
fn one_that_waits_for_it_goes_on() {
    let mut setup = Setup::workers(2);
    setup.limits.transactions_per_connection = 10;
    let (mut bench, mut busy, mut anna, mut xeno) = three(setup);
    for i in 0..11 {
        busy.peer.write(send(&format!("t{i:04}"), &path(&busy, &anna), &busy.own, "hello"));
        busy.peer.expect("200");
        anna.peer.expect("SEND");
    }
    anna.peer.write(send("move", &path(&anna, &xeno), &anna.own, "first"));
    anna.peer.expect("200");
    xeno.peer.expect("SEND");
    let id = anna.peer.id;
    drop(anna);
    bench.closed(id);
    for _ in 0..11 {
        busy.peer.expect("REPORT");
    }
    say(&mut busy, &mut xeno, "more", "it is read from again");
}

#[test]
fn what_a_client_without_a_socket_has_sent_is_answered() {
    let mut bench = Bench::start(Setup::workers(2));
    let (mut anna, mut xeno) = (bench.client_on(0, "anna"), bench.client_on(1, "xeno"));
    let remote = "127.0.0.1:9".parse().unwrap();
    let external = || bench.engine.open_external(ExternalSpec { listener: 1, remote, local: remote, chunk_octets: 1 << 30 });
    let id = (0..2).map(|_| external()).find(|&id| worker_of(id) == 0).expect("they take turns");
    let uri = format!("msrp://127.0.0.1:{}/webSession0123456789;tcp", bench.port);
    let own = "msrp://web.invalid:1/w;ws";
    bench.engine.open_session(SessionSpec {
        uri: uri.clone().into(),
        client_path: vec![own.into()],
        connection: id,
        relay: None,
        expires_at_ms: 1e12,
        exclusive_peer: false,
    });
    bench.until("its session", |engine| engine.sessions().iter().any(|info| info.connection == id));
    bench.engine.feed(id, send("web1", &format!("{uri} {} {}", anna.uri, anna.own), own, "hello").as_bytes());
    anna.peer.expect("SEND");
    say(&mut anna, &mut xeno, "move", "first");
    ends(&mut bench);
}

#[test]
fn an_auth_through_its_session_is_answered() {
    let pad =
        |count: usize| (0..count).map(|i| format!("msrp://{}{i}.example:1/x;tcp", "p".repeat(90))).collect::<Vec<_>>().join(" ");
    let (mut bench, mut desk, mut anna, mut xeno) = three(Setup::workers(2));
    // Paths too long for a route to be kept: to itself, and to somebody else.
    anna.peer.write(request("self", "AUTH", &anna.path(), &pad(12), "", None, '$'));
    anna.peer.expect("AUTH");
    let to = format!("{} {} {} {}", anna.uri, desk.uri, desk.own, pad(11));
    anna.peer.write(request("auth", "AUTH", &to, &anna.own, "", None, '$'));
    let got = desk.peer.expect("AUTH");
    anna.peer.write(send("move", &path(&anna, &xeno), &anna.own, "first"));
    anna.peer.expect("200");
    let there = xeno.peer.expect("SEND");
    xeno.peer.write(there.response(200));
    desk.peer.write(got.response(299));
    assert_eq!(anna.peer.expect("299").tid, "auth");
    ends(&mut bench);
}

#[test]
fn beginnings_are_told_before_ends() {
    let mut bench = Bench::start(Setup::workers(2));
    let (ben, desk) = (bench.client_on(1, "ben"), bench.client_on(0, "desk"));
    let mark = bench.connect_on(0);
    bench.hold(&mark);
    // They move, and end at once over there, while the first worker is still at the others of the same turn.
    let short = send("v001", &ben.path(), "msrp://v.example:1/v;tcp", "x") + "garbage\r\ngarbage\r\n\r\n";
    let heavy: String = (0..150).map(|i| send(&format!("h{i:03}"), &desk.path(), "msrp://h.example:1/h;tcp", "x")).collect();
    let mut sockets = Vec::new();
    for (text, count) in [(&short, 24), (&heavy, 40)] {
        for _ in 0..count {
            let socket = bench.socket();
            (&socket).write_all(text.as_bytes()).expect("room");
            sockets.push(socket);
        }
    }
    bench.release();
    beginnings_before_ends(&mut bench, 24);
}

/// So many peers whose garbage ends them are told of in order.
fn beginnings_before_ends(bench: &mut Bench, count: usize) {
    let mut opened = HashSet::new();
    let mut closed = 0;
    while closed < count {
        let (id, is_end) = bench.event("a beginning or an end", |event| match event {
            Event::Opened { connection, .. } => Some((*connection, false)),
            Event::Closed { connection, reason: CloseReason::ProtocolError, .. } => Some((*connection, true)),
            _ => None,
        });
        if is_end {
            assert!(opened.contains(&id), "an end before its beginning");
            closed += 1;
        } else {
            opened.insert(id);
        }
    }
}

#[test]
fn beginnings_are_told_before_ends_while_there_is_no_room() {
    for _ in 0..3 {
        let mut setup = Setup::workers(2);
        setup.ring_events = 4;
        let mut bench = Bench::start(setup);
        let ben = bench.client_on(1, "ben");
        let text = send("v001", &ben.path(), BOB, "x") + "garbage\r\ngarbage\r\n\r\n";
        let sockets: Vec<_> = (0..60).map(|_| bench.socket()).collect();
        for mut socket in &sockets {
            socket.write_all(text.as_bytes()).expect("room");
        }
        // Nobody takes events for a while, which the workers fill the ring in.
        thread::sleep(Duration::from_millis(100));
        beginnings_before_ends(&mut bench, 60);
    }
}

#[test]
fn at_a_stop_every_end_is_told() {
    for round in 0..25 {
        let mut bench = Bench::start(Setup::workers(2));
        let (guests, hosts): (Vec<Client>, Vec<Client>) =
            (0..30).map(|i| (bench.client_on(0, &format!("guest{i}")), bench.client_on(1, &format!("host{i}")))).unzip();
        let peers: Vec<Peer> = (0..30).map(|_| bench.connect_on(0)).collect();
        let clients = guests.iter().chain(&hosts).map(|client| client.peer.id);
        let ids: HashSet<u64> = clients.chain(peers.iter().map(|peer| peer.id)).collect();
        let mut texts = Vec::new();
        for ((guest, host), peer) in guests.iter().zip(&hosts).zip(&peers) {
            texts.push((guest.peer.writer(), send("one1", &path(guest, host), &guest.own, "hello")));
            texts.push((peer.writer(), send("two2", &host.path(), BOB, "hello")));
        }
        thread::scope(|scope| {
            scope.spawn(move || {
                for (mut writer, text) in texts {
                    // Some come too late.
                    let _ = writer.write_all(text.as_bytes());
                }
            });
            thread::sleep(Duration::from_micros(40 * round));
            bench.engine.stop();
        });
        let (mut closed, mut sessions) = (HashSet::new(), 0);
        for event in bench.events().iter() {
            match event {
                Event::Closed { connection, .. } if ids.contains(connection) => _ = closed.insert(*connection),
                Event::SessionClosed { .. } => sessions += 1,
                _ => {}
            }
        }
        assert_eq!((closed.len(), sessions), (90, 60), "round {round}");
    }
}

#[test]
fn a_traced_one_whose_frames_are_told_in_order() {
    let mut bench = Bench::start(Setup::workers(2));
    bench.engine.trace_new(Some(0));
    let (mut anna, mut ben) = (bench.client_on(0, "anna"), bench.client_on(1, "ben"));
    say(&mut anna, &mut ben, "one1", "over the link");
    bench.until("all answers", |engine| engine.stats().transactions == 0);
    assert_eq!(bench.sends(), 2);
    let mut told = |id| {
        bench.event("a frame", |event| match event {
            Event::Frame { connection, incoming, .. } if *connection == id => Some(*incoming),
            _ => None,
        })
    };
    assert_eq!([told(anna.peer.id), told(anna.peer.id)], [true, false]);
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % count as u64).unwrap()
    }
}

#[test]
fn when_everybody_talks_to_everybody_nothing_is_lost_or_turned_round() {
    const CLIENTS: usize = 6;
    const MESSAGES: usize = 25;
    let mut bench = Bench::start(Setup::workers(4));
    let mut random = Random(0x1234_5678_9abc_def1);
    for round in 0..30 {
        let clients: Vec<Client> = (0..CLIENTS)
            .map(|i| {
                let (peer, name) = (bench.connect(), format!("c{round}x{i}"));
                if random.below(5) == 0 { bench.busy_client(peer, &name) } else { bench.client(peer, &name) }
            })
            .collect();
        let mut texts: Vec<Vec<String>> = vec![Vec::new(); CLIENTS];
        let mut expected = [0; CLIENTS];
        for i in 0..CLIENTS {
            let mut count = [0; CLIENTS];
            let mut to = (i + 1) % CLIENTS;
            for m in 0..MESSAGES {
                if random.below(4) == 0 {
                    to = (i + 1 + random.below(CLIENTS - 1)) % CLIENTS;
                }
                let octets = [10, 10, 10, 10, 6000, 20_000][random.below(6)];
                let body = format!("{:06}{}", count[to], "x".repeat(octets));
                count[to] += 1;
                expected[to] += body.len();
                texts[i].push(send(&format!("n{m:04}"), &path(&clients[i], &clients[to]), &clients[i].own, &body));
            }
        }
        thread::scope(|scope| {
            for ((mut client, texts), expected) in clients.into_iter().zip(texts).zip(expected) {
                scope.spawn(move || {
                    let mut writer = client.peer.writer();
                    let writing = thread::spawn(move || writer.write_all(texts.concat().as_bytes()));
                    let (mut answers, mut got) = (0, 0);
                    let mut next: HashMap<String, (usize, usize)> = HashMap::new();
                    while answers < MESSAGES || got < expected {
                        let frame = client.peer.next().expect("a frame");
                        if frame.word != "SEND" {
                            assert_eq!((frame.word.as_str(), frame.tid), ("200 OK", format!("n{answers:04}")));
                            answers += 1;
                            continue;
                        }
                        client.peer.write(frame.response(200));
                        let (number, octet) = next.entry(frame.header("From-Path").to_owned()).or_default();
                        let start: usize = frame.header("Byte-Range").split('-').next().unwrap().parse().unwrap();
                        if start == 1 {
                            assert!(frame.body.starts_with(format!("{number:06}").as_bytes()), "{number}");
                            (*number, *octet) = (*number + 1, 1);
                        }
                        assert_eq!(start, *octet);
                        *octet += frame.body.len();
                        got += frame.body.len();
                    }
                    assert_eq!(got, expected);
                    writing.join().unwrap().unwrap();
                });
            }
        });
        bench.until("the end of all", |engine| engine.stats().transactions == 0 && engine.stats().sessions == 0);
    }
}
