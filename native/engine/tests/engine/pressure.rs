//! Back-pressure across workers: queues are bounded, nothing is lost, and everything goes on.

use crate::bench::{Bench, Client, Setup};
use crate::peer::{BOB, Peer, send, send_with};
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

const OUTBOX: usize = 65_536;
/// One read of each source may come on top of a limit, wherever it is queued.
const READ: usize = 65_536;
/// What may be on its way to another worker: an inbox that is being emptied, and the same one full again before those who fill it
/// hear that the connection is full; each with the read by which it became full.
const ON_ITS_WAY: usize = 2 * ((1 << 18) + READ);

fn setup(workers: usize) -> Setup {
    let mut setup = Setup::workers(workers);
    setup.limits.outbox_bytes = OUTBOX;
    setup
}

/// A thread that writes as long as it is read from.
struct Flood {
    thread: JoinHandle<()>,
    written: Arc<AtomicUsize>,
}

impl Flood {
    fn begin(mut writer: TcpStream, to: String, from: String, count: usize) -> Self {
        let written = Arc::new(AtomicUsize::new(0));
        let progress = Arc::clone(&written);
        let thread = thread::spawn(move || {
            let body = "x".repeat(1500);
            for i in 0..count {
                let text = send_with(&format!("t{i:04}"), &to, &from, "Failure-Report: no\r\n", &format!("{i} {body}"));
                writer.write_all(text.as_bytes()).expect("the relay reads");
                progress.store(i + 1, Ordering::Relaxed);
            }
        });
        Self { thread, written }
    }

    /// Waits until nothing is taken from it any more; returns how much was.
    fn stuck(&self) -> usize {
        let (mut before, mut still) = (0, 0);
        while still < 5000 {
            thread::yield_now();
            let now = self.written.load(Ordering::Relaxed);
            still = if now == before && now > 0 { still + 1 } else { 0 };
            before = now;
        }
        before
    }

    fn end(self) {
        self.thread.join().expect("all is written");
    }
}

fn number(body: &[u8]) -> usize {
    String::from_utf8_lossy(body).split(' ').next().and_then(|text| text.parse().ok()).expect("a number")
}

#[test]
fn a_reader_that_stops_stops_its_source_on_another_worker() {
    const COUNT: usize = 8000;
    let mut bench = Bench::start(setup(2));
    let bob = bench.client_on(0, "bob").peer;
    let mut alice = bench.client_on(1, "alice");
    let writing = Flood::begin(bob.writer(), alice.path(), BOB.to_owned(), COUNT);
    bench.until("a stop", |engine| engine.connections().iter().any(|info| info.connection == bob.id && info.paused));
    let queued = bench.engine.stats().queued_bytes;
    assert!(queued <= (OUTBOX + ON_ITS_WAY + 2 * READ) as u64, "{queued}");
    for i in 0..COUNT {
        assert_eq!(number(&alice.peer.expect("SEND").body), i);
    }
    writing.end();
    bench.until("it to be read from again", |engine| engine.connections().iter().all(|info| !info.paused));
    assert_eq!(bench.engine.stats().dropped, 0);
}

/// Lets `bob` be learned as the peer of a session.
fn learn(bob: &Peer, client: &mut Client) {
    bob.write(send_with("hello", &client.path(), BOB, "Failure-Report: no\r\n", "here I am"));
    client.peer.expect("SEND");
}

#[test]
fn sources_of_two_more_workers_are_stopped_by_one_full_connection() {
    const COUNT: usize = 12_000;
    let mut bench = Bench::start(setup(3));
    let mut bob = bench.client_on(0, "bob").peer;
    let mut carol = bench.client_on(1, "carol");
    let mut dave = bench.client_on(2, "dave");
    learn(&bob, &mut carol);
    let stopped = |bench: &Bench, peer: &Peer| {
        bench.until("a stop", |engine| engine.connections().iter().any(|info| info.connection == peer.id && info.paused));
    };
    let first = Flood::begin(carol.peer.writer(), format!("{} {BOB}", carol.uri), carol.own.clone(), COUNT);
    stopped(&bench, &carol.peer);
    assert!(first.stuck() < COUNT);
    // It is full already when the third worker hears of it.
    learn(&bob, &mut dave);
    let second = Flood::begin(dave.peer.writer(), format!("{} {BOB}", dave.uri), dave.own.clone(), COUNT);
    stopped(&bench, &dave.peer);
    assert!(second.stuck() < COUNT);
    let queued = bench.engine.stats().queued_bytes;
    assert!(queued <= (3 * (OUTBOX + 2 * READ) + 2 * ON_ITS_WAY) as u64, "{queued}");
    let mut next = [0; 2];
    for _ in 0..2 * COUNT {
        let got = bob.expect("SEND");
        let from = usize::from(got.header("From-Path").starts_with(&dave.uri));
        assert_eq!(number(&got.body), next[from]);
        next[from] += 1;
    }
    first.end();
    second.end();
    bench.until("all to be read from again", |engine| engine.connections().iter().all(|info| !info.paused));
    assert_eq!(bench.engine.stats().queued_bytes, 0);
}

#[test]
fn a_worker_that_is_busy_stops_those_that_feed_it() {
    const COUNT: usize = 20_000;
    // No limit but that of the inbox.
    let mut setup = setup(2);
    setup.limits.outbox_bytes = 0;
    let mut bench = Bench::start(setup);
    let bob = bench.client_on(0, "bob").peer;
    let mut alice = bench.client_on(1, "alice");
    let victim = bench.connect_on(1);
    bench.hold(&victim);
    let writing = Flood::begin(bob.writer(), alice.path(), BOB.to_owned(), COUNT);
    let taken = writing.stuck();
    assert!(taken < COUNT, "everything was taken, and nothing could go out");
    bench.release();
    for i in 0..COUNT {
        assert_eq!(number(&alice.peer.expect("SEND").body), i);
    }
    writing.end();
    bench.until("it to be read from again", |engine| engine.connections().iter().all(|info| !info.paused));
}

#[test]
fn what_a_busy_owner_is_to_write_waits_and_goes_out_in_order() {
    const COUNT: usize = 20_000;
    let mut bench = Bench::start(setup(2));
    let mut bob = bench.client_on(0, "bob").peer;
    let mut carol = bench.client_on(1, "carol");
    learn(&bob, &mut carol);
    for round in 0..3 {
        let victim = bench.connect_on(0);
        bench.hold(&victim);
        let writing = Flood::begin(carol.peer.writer(), format!("{} {BOB}", carol.uri), carol.own.clone(), COUNT);
        if round > 0 {
            let taken = writing.stuck();
            assert!(taken < COUNT, "everything was taken, and nothing could go out");
        }
        bench.release();
        for i in 0..COUNT {
            assert_eq!(number(&bob.expect("SEND").body), i);
        }
        writing.end();
        bench.closed(victim.id);
    }
    bench.until("it to be read from again", |engine| engine.connections().iter().all(|info| !info.paused));
}

#[test]
fn one_that_ends_its_side_gets_all_that_is_queued_for_it() {
    const COUNT: usize = 16_000;
    for alice_on in 0..=1 {
        // More than the kernel takes at a time.
        let mut setup = setup(2);
        setup.limits.outbox_bytes = 8 << 20;
        let mut bench = Bench::start(setup);
        let bob = bench.client_on(0, "bob").peer;
        let mut alice = bench.client_on(alice_on, "alice");
        let writing = Flood::begin(bob.writer(), alice.path(), BOB.to_owned(), COUNT);
        bench.until_stuck(alice.peer.id, bob.id);
        let infos = bench.engine.connections();
        let info = infos.iter().find(|info| info.connection == alice.peer.id).expect("it is open");
        // Every event of the socket says from now on that the peer has ended its side.
        assert!(info.queued_bytes > 0);
        let promised = info.bytes_out + info.queued_bytes as u64;
        alice.peer.socket.shutdown(Shutdown::Write).unwrap();
        bench.closed(alice.peer.id);
        let (mut count, mut bytes) = (0, 0);
        while let Some(got) = alice.peer.next() {
            assert_eq!(number(&got.body), count);
            count += 1;
            bytes += got.whole;
        }
        assert!(bytes as u64 >= promised, "{bytes} of {promised}");
        bench.until("it to go", |engine| engine.stats().connections == 1);
        writing.end();
    }
}

#[test]
fn closing_one_that_waits_in_every_way_settles_its_accounts() {
    let mut bench = Bench::start(setup(2));
    let bob = bench.client_on(0, "bob").peer;
    let mut here = bench.client_on(0, "here");
    let mut there = bench.client_on(1, "there");
    // Waits for two full clients on both workers, and for answers of the control plane.
    for (i, client) in [&here, &there].into_iter().enumerate() {
        let flooder = bench.client_on(i as u64, &format!("flooder{i}")).peer;
        let (to, body) = (client.path(), "y".repeat(1500));
        let mut writer = flooder.writer();
        let writing = thread::spawn(move || {
            // Ends with the connection.
            while writer.write_all(send_with("t1xx", &to, BOB, "Failure-Report: no\r\n", &body).as_bytes()).is_ok() {}
        });
        bench.until("a stop", |engine| engine.connections().iter().any(|info| info.connection == flooder.id && info.paused));
        if i == 0 {
            bob.write(send_with("b1xx", &there.path(), BOB, "Failure-Report: no\r\n", "x"));
            bob.write(send_with("b2xx", &here.path(), BOB, "Failure-Report: no\r\n", "x"));
        }
        flooder.socket.shutdown(Shutdown::Both).unwrap();
        writing.join().unwrap();
        let id = flooder.id;
        drop(flooder);
        // A paused connection is not read from; it closes all the same.
        bench.engine.close_connection(id, msrp_engine::contract::CloseReason::Command);
        bench.closed(id);
    }
    let id = bob.id;
    bench.engine.close_connection(id, msrp_engine::contract::CloseReason::Command);
    bench.closed(id);
    drop(bob);
    // Those who did not read go on, and others are served.
    let mut dave = bench.connect();
    for client in [&mut here, &mut there] {
        dave.write(send("last", &client.path(), "msrp://dave.example:1/d;tcp", "last"));
        while client.peer.expect("SEND").body != b"last" {}
        dave.expect("200");
    }
    bench.until("nothing to wait", |engine| {
        engine.stats().queued_bytes == 0 && engine.connections().iter().all(|info| !info.paused)
    });
}
