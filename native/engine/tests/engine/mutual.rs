//! Two that flood each other, and answer what they get: nobody waits for the other for good.

use crate::bench::{Bench, Client, Setup};
use crate::peer::send;
use crate::together::{path, say};
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

/// What the pairs say to each other.
struct Flood {
    pairs: usize,
    messages: usize,
    octets: usize,
}

/// Clients of worker 0 and of `worker` talk both ways without a pause, on connections that stay there. Each reads all the time.
fn flood(setup: Setup, worker: u64, Flood { pairs, messages, octets }: Flood) {
    let mut bench = Bench::start(setup);
    let clients: Vec<[Client; 2]> = (0..pairs)
        .map(|i| [bench.busy_client_on(0, &format!("anna{i}")), bench.busy_client_on(worker, &format!("ben{i}"))])
        .collect();
    let body = "x".repeat(octets);
    thread::scope(|scope| {
        for [anna, ben] in clients {
            let texts = |from: &Client, to: &Client| -> Vec<String> {
                (0..messages).map(|i| send(&format!("t{i:06}"), &path(from, to), &from.own, &body)).collect()
            };
            let (first, second) = (texts(&anna, &ben), texts(&ben, &anna));
            for (mut client, texts) in [(anna, first), (ben, second)] {
                let (answer, answers) = mpsc::channel();
                let writer = Arc::new(Mutex::new(client.peer.writer()));
                let same = Arc::clone(&writer);
                scope.spawn(move || {
                    for piece in texts.chunks(20) {
                        write(&writer, &piece.concat());
                    }
                });
                scope.spawn(move || {
                    while let Ok(answer) = answers.recv() {
                        let more: String = answers.try_iter().collect();
                        write(&same, &format!("{answer}{more}"));
                    }
                });
                scope.spawn(move || {
                    let (mut sends, mut responses) = (0, 0);
                    while sends < messages || responses < messages {
                        let frame = client.peer.next().expect("a frame");
                        if frame.word == "SEND" {
                            sends += 1;
                            answer.send(frame.response(200)).expect("a writer");
                        } else {
                            assert_eq!((frame.word.as_str(), frame.tid), ("200 OK", format!("t{responses:06}")));
                            responses += 1;
                        }
                    }
                    client
                });
            }
        }
    });
}

/// Messages and answers take turns.
fn write(to: &Mutex<TcpStream>, text: &str) {
    to.lock().expect("no writer panics").write_all(text.as_bytes()).expect("the relay reads");
}

#[test]
fn both_owe_more_answers_than_they_may() {
    for (workers, worker) in [(1, 0), (2, 1)] {
        let mut setup = Setup::workers(workers);
        setup.limits.transactions_per_connection = 100;
        flood(setup, worker, Flood { pairs: 1, messages: 4000, octets: 300 });
    }
}

#[test]
fn both_ends_of_a_link_are_full() {
    for (outbox_bytes, transactions) in [(16_384, 0), (32_768, 0), (65_536, 0), (16_384, 16_384)] {
        let mut setup = Setup::workers(2);
        setup.limits.outbox_bytes = outbox_bytes;
        setup.limits.transactions_per_connection = transactions;
        flood(setup, 1, Flood { pairs: 6, messages: 6000, octets: 1 });
    }
}

#[test]
fn one_that_owes_answers_for_long_is_not_given_up_at_once() {
    let mut setup = Setup::workers(1);
    setup.limits.transactions_per_connection = 10;
    setup.limits.outbox_bytes = 16_384;
    let mut bench = Bench::start(setup);
    let (mut source, mut other) = (bench.client_on(0, "source"), bench.client_on(0, "other"));
    let mut target = bench.client_on(0, "target");
    say(&mut source, &mut other, "one1", "a second route");
    let mut count = 0;
    let mut owe = |source: &mut Client, target: &mut Client| {
        count += 1;
        source.peer.write(send(&format!("s{count:04}"), &path(source, target), &source.own, "x"));
        source.peer.expect("200");
        target.peer.expect("SEND")
    };
    let mut owed: Vec<_> = (0..7).map(|_| owe(&mut source, &mut target)).collect();
    // It waits for itself, since it does not read what it is answered, and goes on.
    let nobody = format!("msrp://127.0.0.1:{}/none;tcp msrp://n.example:9/x;tcp", bench.port);
    let many: String =
        (0..40_000).map(|i| crate::peer::request(&format!("f{i:05}"), "FROB", &nobody, &target.own, "", None, '$')).collect();
    let mut writer = target.peer.writer();
    let writing = thread::spawn(move || writer.write_all(many.as_bytes()));
    let id = target.peer.id;
    bench.until("a stop", |engine| engine.connections().iter().any(|info| info.connection == id && info.paused));
    for i in 0..40_000 {
        assert_eq!(target.peer.expect("481").tid, format!("f{i:05}"));
    }
    writing.join().unwrap().unwrap();
    // For 40 s it owes seven or eight of ten.
    for _ in 0..20 {
        bench.advance(2000);
        owed.push(owe(&mut source, &mut target));
        target.peer.write(owed.remove(0).response(200));
        say(&mut source, &mut other, "two2", "something else");
    }
    bench.until("the answers", |engine| engine.stats().transactions == 7);
    owed.extend((0..4).map(|_| owe(&mut source, &mut target)));
    let id = source.peer.id;
    bench.until("a stop", |engine| engine.connections().iter().any(|info| info.connection == id && info.paused));
    bench.advance(1000);
    source.peer.write(send("last", &path(&source, &target), &source.own, "x"));
    for got in &owed {
        target.peer.write(got.response(200));
    }
    assert_eq!(source.peer.expect("200").tid, "last");
    target.peer.expect("SEND");
}
