//! Frames of traced connections: told from the first one on, wherever the connection lives; a control plane that does not listen costs
//! nobody anything.

use crate::bench::{Bench, Setup};
use crate::peer::{BOB, send};
use msrp_engine::contract::{ConnectionId, Event, FrameSeen};

/// The next frame of a connection that is told.
fn told(bench: &mut Bench, id: ConnectionId) -> (bool, FrameSeen) {
    bench.event("a frame", |event| match event {
        Event::Frame { connection, incoming, frame } if *connection == id => Some((*incoming, frame.clone())),
        _ => None,
    })
}

#[test]
fn a_connection_that_moves_to_another_worker_is_told_of_once_from_its_first_frame() {
    let mut bench = Bench::start(Setup::workers(2));
    let mut alice = bench.client_on(1, "alice");
    bench.engine.trace_new(Some(2));
    let mut bob = bench.connect_on(0);
    let first = send("first", &alice.path(), BOB, "body");
    bob.write(&first);
    let answer = bob.expect("200");
    bob.write(send("second", &alice.path(), BOB, ""));
    bob.expect("200");
    for _ in 0..2 {
        alice.peer.expect("SEND");
    }
    let (incoming, frame) = told(&mut bench, bob.id);
    assert!(incoming);
    assert_eq!((frame.body_octets, frame.body_kept), (4, 2));
    assert_eq!(String::from_utf8(frame.bytes).unwrap(), first.replace("body", "bo"));
    let (incoming, frame) = told(&mut bench, bob.id);
    assert!(!incoming && frame.bytes.starts_with(format!("MSRP first {}", answer.word).as_bytes()));
    let tids =
        [told(&mut bench, bob.id), told(&mut bench, bob.id)].map(|(incoming, frame)| (incoming, frame.bytes[5..11].to_vec()));
    assert_eq!(tids, [(true, b"second".to_vec()), (false, b"second".to_vec())]);
    // By its first number, on the worker that it has moved to.
    bench.engine.trace_frames(bob.id, None);
    // It has gone on from one worker to the other when the first of them has answered twice.
    for _ in 0..2 {
        let _ = bench.engine.stats();
    }
    bob.write(send("third", &alice.path(), BOB, ""));
    bob.expect("200");
    let _ = bench.engine.stats();
    let is_frame = |event: &Event| matches!(event, Event::Frame { .. });
    assert!(!bench.events().iter().any(is_frame), "nothing is told of one whose tracing has ended, nor of alice");
}

#[test]
fn while_nobody_takes_frames_the_rest_is_dropped_and_counted_and_every_message_arrives() {
    const MESSAGES: usize = 3000;
    let mut setup = Setup::workers(1);
    setup.ring_events = 2;
    let mut bench = Bench::start(setup);
    bench.engine.trace_new(Some(1000));
    let peer = bench.connect();
    let mut alice = bench.client(peer, "alice");
    let mut bob = bench.connect();
    let before = bench.events().len();
    let body = "x".repeat(1000);
    for i in 0..MESSAGES {
        bob.write(send(&format!("t{i:04}"), &alice.path(), BOB, &body));
        let got = alice.peer.expect("SEND");
        alice.peer.write(got.response(200));
        assert_eq!(bob.expect("200").tid, format!("t{i:04}"));
    }
    // A relay answers for itself: the last answer of alice may be on its way yet.
    bench.until("all answers", |engine| engine.stats().transactions == 0);
    let stats = bench.engine.stats();
    assert!(!bench.engine.connections().iter().any(|info| info.paused), "the ring is full of frames, and stops nobody");
    let told = bench.events()[before..].iter().filter(|event| matches!(event, Event::Frame { .. })).count();
    // SEND and 200, in and out.
    assert_eq!(told as u64 + stats.trace_frames_lost, 4 * MESSAGES as u64);
    assert!(stats.trace_frames_lost > 4000, "the bound is one of bytes: {told} were told");
    // What was taken makes room again.
    bob.write(send("last", &alice.path(), BOB, &body));
    let got = alice.peer.expect("SEND");
    alice.peer.write(got.response(200));
    bob.expect("200");
    for _ in 0..4 {
        bench.event("a frame", |event| matches!(event, Event::Frame { .. }).then_some(()));
    }
    assert_eq!(bench.engine.stats().trace_frames_lost, stats.trace_frames_lost);
}
