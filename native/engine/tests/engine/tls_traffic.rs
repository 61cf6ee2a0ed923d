//! Traffic over TLS: any size of records, back-pressure, moves between workers, and ends from both sides.

use crate::bench::{Bench, Setup, worker_of};
use crate::peer::{BOB, Peer, send, send_with};
use crate::pki::Authority;
use msrp_engine::contract::CloseReason;
use rustls::{ClientConfig, SupportedProtocolVersion};
use std::io::Write;
use std::net::Shutdown;
use std::sync::Arc;
use std::thread;

const VERSIONS: [&[&SupportedProtocolVersion]; 2] = [&[&rustls::version::TLS12], &[&rustls::version::TLS13]];

fn start(setup: Setup, versions: &[&'static SupportedProtocolVersion]) -> Bench {
    let ca = Authority::new("ca");
    let config = ca.client_with(None, versions);
    Bench::secure(setup, |engine| ca.server(engine), config)
}

/// A bench whose clients make records of that size.
fn start_fragmented(setup: Setup, size: usize) -> Bench {
    let ca = Authority::new("ca");
    let mut config = ClientConfig::clone(&ca.client(None));
    config.max_fragment_size = Some(size);
    Bench::secure(setup, |engine| ca.server(engine), Arc::new(config))
}

/// Sends a text one byte to a record, several records to a write.
fn dribble(peer: &Peer, text: &str) {
    let mut tls = peer.tls.as_ref().unwrap().borrow_mut();
    let mut records = Vec::new();
    for byte in text.as_bytes() {
        tls.writer().write_all(&[*byte]).unwrap();
        while tls.wants_write() {
            tls.write_tls(&mut records).unwrap();
        }
    }
    for piece in records.chunks(1009) {
        (&peer.socket).write_all(piece).unwrap();
    }
}

#[test]
fn records_of_one_byte_and_records_that_are_full() {
    for versions in VERSIONS {
        let mut bench = start(Setup::workers(1), versions);
        let mut alice = bench.client_on(0, "alice");
        let mut bob = bench.connect();
        let body = "0123456789".repeat(300);
        dribble(&bob, &send("one1", &alice.path(), BOB, &body));
        bob.expect("200");
        assert_eq!(alice.peer.expect("SEND").body, body.as_bytes());
        for (i, size) in [1, 200, 16_000, 16_384, 17_000, 60_000, 200_000].into_iter().enumerate() {
            let body = "x".repeat(size);
            bob.write(send_with(&format!("size{i}"), &alice.path(), BOB, "Failure-Report: no\r\n", &body));
            let mut whole = Vec::new();
            while whole.len() < size {
                whole.extend_from_slice(&alice.peer.expect("SEND").body);
            }
            assert_eq!(whole, body.as_bytes());
        }
        bob.quiet(bench.port);
    }
}

#[test]
fn a_thousand_pipelined_frames_stay_in_order_in_records_of_any_size() {
    for size in [64, 333, 16_384] {
        let mut bench = start_fragmented(Setup::workers(1), size);
        let mut alice = bench.client_on(0, "alice");
        let mut bob = bench.connect();
        alice.gets_a_thousand(&mut bob);
    }
}

#[test]
fn a_body_of_100_mb_passes_and_is_not_kept() {
    const SIZE: usize = 100_000_000;
    let mut bench = start(Setup::workers(1), VERSIONS[1]);
    let mut alice = bench.client_on(0, "alice");
    let bob = bench.connect();
    let to = alice.path();
    let writer = thread::spawn(move || {
        let headers =
            format!("Message-ID: big\r\nFailure-Report: no\r\nByte-Range: 1-{SIZE}/{SIZE}\r\nContent-Type: text/plain\r\n");
        bob.write(format!("MSRP bigone SEND\r\nTo-Path: {to}\r\nFrom-Path: {BOB}\r\n{headers}\r\n"));
        let piece = vec![b'x'; 1_000_000];
        for _ in 0..SIZE / piece.len() {
            bob.write(&piece);
        }
        bob.write("\r\n-------bigone$\r\n");
        bob
    });
    // The body as it comes, without what is around it.
    let mut bytes = 0;
    let mut tail = Vec::new();
    let mut piece = vec![0; 65_536];
    let mut most = 0;
    while !tail.ends_with(b"$\r\n") {
        let count = alice.peer.read(&mut piece).unwrap();
        bytes += memchr::memchr_iter(b'x', &piece[..count]).count();
        tail = piece[count.saturating_sub(3)..count].to_vec();
        most = most.max(bench.engine.stats().queued_bytes);
    }
    // The headers have an x or two themselves.
    assert!((SIZE..SIZE + 20).contains(&bytes), "{bytes}");
    assert!(most < 1_000_000, "{most} bytes were queued");
    drop(writer.join().unwrap());
}

#[test]
fn a_reader_that_does_not_read_stops_its_writer_and_gets_everything_in_the_end() {
    let mut setup = Setup::workers(1);
    setup.limits.outbox_bytes = 65_536;
    let mut bench = start(setup, VERSIONS[1]);
    let mut alice = bench.client_on(0, "alice");
    let bob = bench.connect();
    let (to, id) = (alice.path(), bob.id);
    let writer = thread::spawn(move || {
        let body = "y".repeat(1500);
        for i in 0..20_000 {
            bob.write(send_with(&format!("n{i:05}"), &to, BOB, "Failure-Report: no\r\n", &body));
        }
        bob
    });
    bench.until_stuck(alice.peer.id, id);
    let infos = bench.engine.connections();
    let queued = infos.iter().find(|info| info.connection == alice.peer.id).unwrap().queued_bytes;
    assert!((65_537..65_536 + 65_536 + 40_000).contains(&queued), "{queued}");
    for i in 0..20_000 {
        let got = alice.peer.expect("SEND");
        assert_eq!((got.body.len(), got.header("Message-ID")), (1500, format!("mn{i:05}").as_str()));
    }
    drop(writer.join().unwrap());
}

#[test]
fn a_fresh_connection_moves_with_its_records() {
    for versions in VERSIONS {
        let mut bench = start(Setup::workers(2), versions);
        let mut alice = bench.client_on(1, "alice");
        let mut bob = bench.connect_on(0);
        alice.gets_a_thousand(&mut bob);
        let info = bench.engine.connections().into_iter().find(|info| info.connection == bob.id).unwrap();
        assert_eq!((worker_of(info.connection), info.state), (0, "open"));
        assert_eq!(info.tls.unwrap().domain, "main");
        // In the middle of a record, too.
        let mut carol = bench.connect_on(0);
        dribble(&carol, &send("slow", &alice.path(), "msrp://carol.example:1/c;tcp", &"z".repeat(3000)));
        carol.expect("200");
        assert_eq!(alice.peer.expect("SEND").body.len(), 3000);
        bench.engine.close_connection(carol.id, CloseReason::Command);
        assert!(carol.next().is_none());
    }
}

#[test]
fn two_workers_pass_frames_of_each_others_connections() {
    let mut bench = start(Setup::workers(2), VERSIONS[1]);
    let mut alice = bench.busy_client_on(0, "alice");
    let mut bob = bench.busy_client_on(1, "bob");
    for i in 0..200 {
        // From client to client, through a session of each: over the link between the workers.
        let to = format!("{} {} {}", alice.uri, bob.uri, bob.own);
        alice.peer.write(send(&format!("a{i:04}"), &to, &alice.own, &i.to_string()));
        alice.peer.expect("200");
        let got = bob.peer.expect("SEND");
        assert_eq!(got.body, i.to_string().as_bytes());
        bob.peer.write(got.response(200));
    }
}

#[test]
fn a_client_moves_to_the_worker_of_the_one_it_talks_to() {
    for versions in VERSIONS {
        let mut bench = start(Setup::workers(2), versions);
        let mut alice = bench.client_on(0, "alice");
        let mut bob = bench.client_on(1, "bob");
        for i in 0..100 {
            let (from, to) = if i % 3 == 0 { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };
            let path = format!("{} {} {}", from.uri, to.uri, to.own);
            from.peer.write(send(&format!("n{i:04}"), &path, &from.own, &"x".repeat(i * 300)));
            assert_eq!(to.peer.expect("SEND").body.len(), i * 300);
            from.peer.expect("200");
        }
        assert_eq!(bench.sends(), 100);
    }
}

#[test]
fn an_end_of_the_peer_is_heard_and_answered() {
    for versions in VERSIONS {
        let mut bench = start(Setup::workers(1), versions);
        // By close_notify, with the socket open: what was queued before still comes, and then our own.
        let mut bob = bench.client_on(0, "bob").peer;
        bob.notify();
        assert_eq!(bench.closed(bob.id), CloseReason::PeerClosed);
        assert!(bob.next().is_none());
        assert!(bob.was_notified());
        // By the end of the stream alone.
        let carol = bench.client_on(0, "carol").peer;
        carol.socket.shutdown(Shutdown::Write).unwrap();
        assert_eq!(bench.closed(carol.id), CloseReason::PeerClosed);
        // A record that was tampered with.
        let mut dave = bench.client_on(0, "dave").peer;
        (&dave.socket).write_all(&[23, 3, 3, 0, 30]).unwrap();
        (&dave.socket).write_all(&[7; 30]).unwrap();
        assert_eq!(bench.closed(dave.id), CloseReason::PeerReset);
        let error = dave.read(&mut [0; 100]).expect_err("an alert");
        assert!(error.to_string().contains("BadRecordMac"), "{error}");
        bench.until("their end", |engine| engine.stats().connections <= 1);
    }
}

#[test]
fn our_end_is_told_behind_everything_before_it() {
    for versions in VERSIONS {
        let mut bench = start(Setup::workers(1), versions);
        let mut alice = bench.client_on(0, "alice");
        let bob = bench.connect();
        let (to, id) = (alice.path(), bob.id);
        for i in 0..50 {
            bob.write(send_with(&format!("n{i:05}"), &to, BOB, "Failure-Report: no\r\n", &"w".repeat(100_000)));
        }
        bench.until("something to be queued", |engine| engine.stats().queued_bytes > 0);
        bench.engine.close_connection(alice.peer.id, CloseReason::Command);
        bench.engine.close_connection(id, CloseReason::Command);
        assert_eq!(bench.closed(alice.peer.id), CloseReason::Command);
        let mut frames = 0;
        while alice.peer.next().is_some() {
            frames += 1;
        }
        assert!(frames > 0);
        assert!(alice.peer.was_notified());
        bob.socket.shutdown(Shutdown::Both).unwrap();
        alice.peer.socket.shutdown(Shutdown::Both).unwrap();
        bench.until("their end", |engine| engine.stats().connections == 0);
    }
}

#[test]
fn keys_that_are_updated_change_nothing() {
    let mut bench = start(Setup::workers(1), VERSIONS[1]);
    let mut alice = bench.client_on(0, "alice");
    let mut bob = bench.connect();
    for i in 0..20 {
        bob.tls.as_ref().unwrap().borrow_mut().refresh_traffic_keys().unwrap();
        alice.peer.tls.as_ref().unwrap().borrow_mut().refresh_traffic_keys().unwrap();
        bob.write(send(&format!("t{i:04}"), &alice.path(), BOB, &i.to_string()));
        let got = alice.peer.expect("SEND");
        alice.peer.write(got.response(200));
        assert_eq!(bob.expect("200").tid, format!("t{i:04}"));
    }
}
