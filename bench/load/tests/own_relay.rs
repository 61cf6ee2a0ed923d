//! Every load through the bare relay: whole, in order, and with nothing wrong.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_msrp-load");

/// A bare relay, killed when it goes out of scope.
struct Relay {
    process: Child,
    address: String,
}

impl Relay {
    fn start() -> Self {
        let mut process = Command::new(BINARY).arg("relay").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { process, address }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Runs a short load against `address`; returns its exit code and report.
fn load(address: &str, pid: u32, arguments: &str) -> (i32, Value) {
    let output = Command::new(BINARY)
        .args(arguments.split(' '))
        .args(["--target", address, "--relay-pid", &pid.to_string(), "--json"])
        .args(["--warmup", "0.05", "--duration", "0.2"])
        .output()
        .unwrap();
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{arguments}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), report)
}

fn clean(relay: &Relay, arguments: &str) -> Value {
    let (code, report) = load(&relay.address, relay.process.id(), arguments);
    assert_eq!((code, &report["errors"]), (0, &Value::from(0)), "{arguments}: {report}");
    assert!(report["units"].as_u64().unwrap() > 0, "{arguments}: {report}");
    report
}

#[test]
fn messages_arrive_whole_and_in_order() {
    let relay = Relay::start();
    for body in ["text", "binary", "adversarial"] {
        for direction in ["b2a", "a2b", "both"] {
            for load in [
                "--pairs 1 --window 1 --size 1",
                "--pairs 8 --window 8 --size 300",
                "--pairs 2 --window 3 --size 70000 --both-auth",
            ] {
                let report = clean(&relay, &format!("chat --verify --body {body} --direction {direction} {load}"));
                assert!(report["responses"].as_u64().unwrap() > 0);
            }
        }
    }
}

#[test]
fn failure_and_success_reports_are_as_asked_for() {
    let relay = Relay::start();
    for word in ["no", "partial"] {
        let report = clean(&relay, &format!("chat --verify --failure-report {word} --success-report --pairs 3"));
        assert_eq!(report["responses"], 0);
        assert!(report["reports"].as_u64().unwrap() > 0);
    }
}

#[test]
fn files_arrive_whole() {
    let relay = Relay::start();
    clean(&relay, "file --verify --body adversarial --pairs 3 --window 4 --size 100000 --chunk 2048");
    clean(&relay, "file --verify --body binary --pairs 1 --window 1 --size 3000000 --chunk 3000000");
}

#[test]
fn an_open_loop_measures_every_message() {
    let relay = Relay::start();
    let report = clean(&relay, "chat --verify --pairs 4 --window 0 --rate 1000");
    assert_eq!(report["latency_us"]["count"], report["units"]);
}

#[test]
fn sessions_are_held_and_given_up() {
    let relay = Relay::start();
    let idle = clean(&relay, "idle --sessions 100");
    assert_eq!((&idle["units"], &idle["setup"]["count"]), (&Value::from(100), &Value::from(100)));
    assert!(idle["memory"]["after"].as_u64().unwrap() > 0);
    let storm = clean(&relay, "storm --concurrency 8");
    assert!(storm["cpu"]["relay"]["cpu_ms"].as_f64().unwrap() >= 0.0);
}

/// A relay that answers the first AUTH with `answer` and closes.
fn false_relay(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream: TcpStream = stream.unwrap();
            let mut request = [0; 4096];
            if stream.read(&mut request).unwrap_or(0) > 0 {
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
    address
}

#[test]
fn a_relay_that_refuses_is_no_result() {
    for answer in
        ["HTTP/1.1 400 Bad Request\r\n\r\n", "MSRP abcd 403 Forbidden\r\nTo-Path: x\r\nFrom-Path: y\r\n-------abcd$\r\n", ""]
    {
        let output =
            Command::new(BINARY).args(["chat", "--target", &false_relay(answer), "--json", "--patience", "5"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{answer}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("msrp-load: set-up"), "{answer}");
        assert!(output.stdout.is_empty());
    }
}
