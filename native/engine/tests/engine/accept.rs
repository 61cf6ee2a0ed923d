//! Who is let in.

use crate::bench::{Bench, Setup};
use msrp_engine::contract::CloseReason;
use std::net::{Ipv4Addr, TcpStream};
use std::thread;

#[test]
fn workers_that_accept_at_once_keep_the_limit_together() {
    for per_ip in [false, true] {
        let mut setup = Setup::workers(3);
        let limit = if per_ip { &mut setup.limits.max_connections_per_ip } else { &mut setup.limits.max_connections };
        *limit = 7;
        let mut bench = Bench::start(setup);
        let port = bench.port;
        for round in 1..=5 {
            let connecting: Vec<_> = (0..3)
                .map(|_| {
                    thread::spawn(move || {
                        (0..20).map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap()).collect::<Vec<_>>()
                    })
                })
                .collect();
            let sockets: Vec<TcpStream> = connecting.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
            let reason = if per_ip { CloseReason::MaxConnectionsPerIp } else { CloseReason::MaxConnections };
            bench.until("all to be looked at", |engine| {
                let stats = engine.stats();
                assert!(stats.connections <= 7);
                stats.accepted + stats.closes[reason as usize] == round * 60
            });
            let stats = bench.engine.stats();
            assert_eq!((stats.accepted, stats.connections), (round * 7, 7));
            drop(sockets);
            bench.until("all to go", |engine| engine.stats().connections == 0);
            let _ = bench.events();
        }
    }
}

#[test]
fn a_listener_that_is_closed_accepts_nobody_and_its_connections_stay() {
    let mut bench = Bench::start(Setup::workers(2));
    let mut peer = bench.connect();
    let (listener, address) = bench.engine.listen((Ipv4Addr::LOCALHOST, 0).into(), None).unwrap();
    drop(TcpStream::connect(address).unwrap());
    bench.engine.unlisten(listener);
    bench.until("the port to be free", |_| std::net::TcpListener::bind(address).is_ok());
    bench.engine.drain();
    bench.until("nobody to be let in", |_| TcpStream::connect((Ipv4Addr::LOCALHOST, bench.port)).is_err());
    peer.quiet(bench.port);
}
