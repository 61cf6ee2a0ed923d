//! Next hops: dialled, shared, and gone.

use crate::bench::{Bench, Client, Setup};
use crate::peer::{Peer, send};
use msrp_engine::contract::{CloseReason, ConnectSpec, Event};
use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};

fn spec(key: &str, candidates: Vec<SocketAddr>) -> ConnectSpec {
    ConnectSpec { key: key.to_owned(), candidates, timeout_ms: 5000, local_address: None, relay: None, why_none: None, tls: None }
}

fn listener() -> (TcpListener, SocketAddr, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address, format!("msrp://127.0.0.1:{}/far;tcp", address.port()))
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    listener().1
}

/// Sends to a next hop, and returns the number that is asked about.
fn ask(bench: &mut Bench, client: &mut Client, tid: &str, uri: &str) -> u64 {
    client.peer.write(send(tid, &format!("{} {uri}", client.uri), &client.own, tid));
    assert_eq!(client.peer.expect("200").tid, tid);
    bench.event("a hop", |event| match event {
        Event::Hop { hop, uri: asked, .. } if asked == uri => Some(*hop),
        _ => None,
    })
}

#[test]
fn candidates_are_tried_in_order_and_failures_told() {
    let mut bench = Bench::start(Setup::workers(1));
    let mut alice = bench.client_on(0, "alice");
    let (far, address, uri) = listener();
    let hop = ask(&mut bench, &mut alice, "one1", &uri);
    bench.engine.connect_hop(hop, spec("k", vec![nobody(), nobody(), address]));
    let mut peer = Peer::new(far.accept().unwrap().0);
    let got = peer.expect("SEND");
    peer.write(got.response(200));
    // Traffic goes on: nothing of the sockets that failed is left to be told of.
    for i in 0..50 {
        alice.peer.write(send(&format!("n{i:04}"), &format!("{} {uri}", alice.uri), &alice.own, "x"));
        alice.peer.expect("200");
        let got = peer.expect("SEND");
        peer.write(got.response(200));
    }
    let hop = ask(&mut bench, &mut alice, "two2", "msrp://far.example:1/f;tcp");
    bench.engine.connect_hop(hop, spec("k2", vec![nobody(), nobody()]));
    assert_eq!(alice.peer.expect("REPORT").header("Status"), "000 408 Timeout");
    let (reason, detail) = bench.event("the end", |event| match event {
        Event::Closed { connection, reason, detail, .. } if *connection == hop => Some((*reason, detail.clone())),
        _ => None,
    });
    assert_eq!((reason, detail.unwrap().matches("ECONNREFUSED").count()), (CloseReason::ConnectFailed, 2));
    assert_eq!(bench.engine.stats().connections, 2);
}

#[test]
fn a_candidate_that_does_not_answer_has_its_time() {
    let mut bench = Bench::start(Setup::workers(1));
    let mut alice = bench.client_on(0, "alice");
    // A listener whose queue is full answers nobody.
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    let _filling: Vec<Socket> = (0..4)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address.into());
            socket
        })
        .collect();
    let (far, live, uri) = listener();
    let hop = ask(&mut bench, &mut alice, "one1", &uri);
    bench.engine.connect_hop(hop, spec("k", vec![address, live]));
    bench.until("it to be dialled", |engine| engine.connections().iter().any(|info| info.state == "connecting"));
    bench.advance(6000);
    let mut peer = Peer::new(far.accept().unwrap().0);
    assert_eq!(peer.expect("SEND").body, b"one1");
    let hop = ask(&mut bench, &mut alice, "two2", "msrp://far.example:1/f;tcp");
    bench.engine.connect_hop(hop, spec("k2", vec![address]));
    bench.until("it to be dialled", |engine| engine.connections().iter().any(|info| info.state == "connecting"));
    bench.advance(6000);
    assert_eq!(bench.closed(hop), CloseReason::ConnectTimeout);
    assert_eq!(alice.peer.expect("REPORT").header("Status"), "000 408 Timeout");
}

#[test]
fn a_peer_that_speaks_and_ends_its_side_before_it_is_known_to_be_connected() {
    let mut bench = Bench::start(Setup::workers(1));
    let mut alice = bench.client_on(0, "alice");
    let (far, address, uri) = listener();
    let hop = ask(&mut bench, &mut alice, "one1", &uri);
    // The turn that dials ends with an event, and is held there while the peer says what it has to say.
    let (first, second) = (bench.connect(), bench.connect());
    bench.hold(&first);
    bench.engine.connect_hop(hop, spec("k", vec![address]));
    bench.engine.close_connection(second.id, CloseReason::Command);
    bench.hold_again();
    let mut peer = Peer::new(far.accept().unwrap().0);
    peer.write(send("back", &alice.path(), &uri, "and gone"));
    peer.socket.shutdown(Shutdown::Write).unwrap();
    bench.release();
    assert_eq!(alice.peer.expect("SEND").body, b"and gone");
    assert_eq!(bench.closed(hop), CloseReason::PeerClosed);
    assert_eq!(peer.expect("SEND").body, b"one1");
}

#[test]
fn sessions_of_two_workers_share_a_next_hop() {
    let mut bench = Bench::start(Setup::workers(2));
    let (mut anna, mut ben) = (bench.client_on(0, "anna"), bench.client_on(1, "ben"));
    let (far, address, uri) = listener();
    let hops = [ask(&mut bench, &mut anna, "a0xx", &uri), ask(&mut bench, &mut ben, "b0xx", &uri)];
    for hop in hops {
        bench.engine.connect_hop(hop, spec("k", vec![address]));
    }
    let mut peer = Peer::new(far.accept().unwrap().0);
    let mut first = [peer.expect("SEND"), peer.expect("SEND")];
    first.sort_by(|a, b| a.body.cmp(&b.body));
    assert_eq!((first[0].body.as_slice(), first[1].body.as_slice()), (b"a0xx".as_slice(), b"b0xx".as_slice()));
    for got in &first {
        peer.write(got.response(413));
    }
    for client in [&mut anna, &mut ben] {
        assert_eq!(client.peer.expect("REPORT").header("Status"), "000 413 Message Too Large");
        // What it says to each goes to each.
        peer.write(send("back", &client.path(), &uri, "back"));
        assert_eq!(client.peer.expect("SEND").body, b"back");
        peer.expect("200");
        client.peer.write(send("open", &format!("{} {uri}", client.uri), &client.own, "unanswered"));
        client.peer.expect("200");
        peer.expect("SEND");
    }
    assert_eq!(bench.engine.connections().iter().filter(|info| !info.incoming).count(), 1);
    drop(peer);
    for client in [&mut anna, &mut ben] {
        assert_eq!(client.peer.expect("REPORT").header("Message-ID"), "mopen");
        client.peer.quiet(bench.port);
    }
    // The next one is asked about anew.
    let hop = ask(&mut bench, &mut ben, "b1xx", &uri);
    bench.engine.connect_hop(hop, spec("k", vec![address]));
    assert_eq!(Peer::new(far.accept().unwrap().0).expect("SEND").body, b"b1xx");
}

#[test]
fn a_connection_of_nobody_else_is_dialled_from_the_address_that_was_asked_for() {
    let mut bench = Bench::start(Setup::workers(1));
    let mut alice = bench.client_on(0, "alice");
    let (far, address, uri) = listener();
    let hop = ask(&mut bench, &mut alice, "one1", &uri);
    bench.engine.connect_hop(hop, ConnectSpec { local_address: Some([127, 0, 0, 9].into()), ..spec("k", vec![address]) });
    let (socket, from): (TcpStream, SocketAddr) = far.accept().unwrap();
    assert_eq!(from.ip(), Ipv4Addr::new(127, 0, 0, 9));
    assert_eq!(Peer::new(socket).expect("SEND").body, b"one1");
}
