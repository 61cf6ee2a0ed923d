//! `chat` and `file`: set up, warm up, measure, let what is under way arrive.

use super::due::Due;
use super::flow::Shape;
use super::pairs::{Pairs, Plan};
use super::session::Relay;
use super::{TICK, relay, seconds, sources, tls_of, uri_of};
use crate::body::Bodies;
use crate::cli::{FailureReport, Target, Traffic};
use crate::measure::report::{Meter, outcome, round, set};
use crate::measure::tally::Tally;
use crate::net::{Net, socket};
use mio::Events;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Runs a load of messages of `size` octets in chunks of `chunk`; returns the report.
pub fn run(command: &str, options: &Traffic, size: u64, chunk: u64) -> Result<Value, String> {
    if options.rate.is_none() && options.window == 0 {
        return Err("--window 0 needs --rate".to_owned());
    }
    if size == 0 || chunk == 0 || options.pairs == 0 {
        return Err("sizes and --pairs must be at least 1".to_owned());
    }
    let io = |error: std::io::Error| error.to_string();
    let shape = Shape {
        message: size,
        chunk: chunk.min(size),
        window: options.window,
        answered: options.failure_report == FailureReport::Yes,
        headers: headers(options),
        whole: Shape::whole(size),
        verify: options.verify,
    };
    let first_chunk = usize::try_from(shape.chunk).map_err(|error| error.to_string())?;
    let bodies = Bodies::new(options.body, options.verify, first_chunk);
    let mut net = Net::new(bodies.pattern(), tls_of(&options.target)?).map_err(io)?;
    let plan =
        Plan { direction: Some(options.direction), both_auth: options.both_auth, success_report: options.success_report, shape };
    let first = relay(&options.target);
    let second = options.peer_target.unwrap_or(options.target.target);
    let relays = [first.clone(), Relay { uri: uri_of(second, options.target.tls), ..first }];
    let mut pairs = Pairs::new(plan, relays, bodies, Tally::new()?, options.rate.is_some());
    let mut events = Net::events();

    let setup = set_up(&mut net, &mut pairs, &mut events, &options.target, options.pairs, Some(second))?;
    let mut due = match options.rate {
        Some(rate) => Some(Due::new(rate, Instant::now()).ok_or("--rate must be positive")?),
        None => None,
    };
    pairs.start(&mut net);
    let patience = seconds(options.target.patience);
    let mut run = |pairs: &mut Pairs, net: &mut Net, time: Duration| -> Result<bool, String> {
        let until = Instant::now() + time;
        loop {
            let now = Instant::now();
            if now >= until {
                return Ok(true);
            }
            let stalled = pairs.stalled(now, patience);
            if stalled == pairs.flow_count() {
                pairs.tally.errors("stalled", stalled as u64);
                return Ok(false);
            }
            let mut wait = TICK.min(until - now);
            if let Some(due) = &mut due {
                while let Some(at) = due.take(now) {
                    pairs.owe(net, at);
                }
                wait = wait.min(due.wait(now));
            }
            net.turn(pairs, &mut events, wait).map_err(io)?;
        }
    };

    let alive = run(&mut pairs, &mut net, seconds(options.warmup))?;
    let meter = Meter::start(options.target.relay_pid).map_err(io)?;
    let began = Instant::now();
    pairs.tally.measuring = true;
    let alive = alive && run(&mut pairs, &mut net, seconds(options.duration))?;
    let reading = meter.stop().map_err(io)?;
    let measured = began.elapsed().as_secs_f64();
    pairs.tally.measuring = false;
    if alive {
        let stalled = pairs.stalled(Instant::now(), patience);
        pairs.tally.errors("stalled", stalled as u64);
        drain(&mut net, &mut pairs, &mut events, patience)?;
    }

    let mut report = json!({
        "command": command, "label": options.target.label, "target": options.target.target.to_string(),
        "pairs": options.pairs, "window": options.window, "size": size, "rate": options.rate,
        "verify": options.verify, "setup": setup,
    });
    if command == "file" {
        set(&mut report, "chunk", json!(chunk));
    }
    outcome(&mut report, &pairs.tally, measured);
    set(&mut report, "cpu", reading.json(pairs.tally.units));
    set(&mut report, "warnings", json!(reading.warnings()));
    Ok(report)
}

/// Header lines between Message-ID and Byte-Range, with the end of the Message-ID's line in front.
fn headers(options: &Traffic) -> Vec<u8> {
    let success = if options.success_report { "Success-Report: yes\r\n" } else { "" };
    let failure = match options.failure_report {
        FailureReport::Yes => "",
        FailureReport::Partial => "Failure-Report: partial\r\n",
        FailureReport::No => "Failure-Report: no\r\n",
    };
    format!("\r\n{success}{failure}").into_bytes()
}

/// Connects `count` pairs (or single ends), so many at once as the target's options say; B's connect to `second`. Returns what it took.
pub fn set_up(
    net: &mut Net,
    pairs: &mut Pairs,
    events: &mut Events,
    target: &Target,
    count: usize,
    second: Option<SocketAddr>,
) -> Result<Value, String> {
    let io = |error: std::io::Error| error.to_string();
    let meter = Meter::start(target.relay_pid).map_err(io)?;
    let began = Instant::now();
    let addresses = sources(target, count * if second.is_some() { 2 } else { 1 });
    let patience = seconds(target.patience);
    pairs.progress = began;
    while pairs.ready < count {
        while pairs.begun() < count && pairs.begun() - pairs.ready < target.concurrency.max(1) {
            let source = socket::source(target.target, pairs.begun(), addresses);
            let a = net.connect(source, target.target).map_err(|error| format!("cannot connect: {error}"))?;
            let b = second.map(|second| net.connect(source, second)).transpose();
            let b = b.map_err(|error| format!("cannot connect: {error}"))?;
            pairs.add(net, [Some(a), b]);
        }
        net.turn(pairs, events, TICK).map_err(io)?;
        if pairs.tally.error_count() > 0 {
            return Err(format!("set-up failed after {} of {count}: {}", pairs.ready, pairs.tally.error_kinds()));
        }
        if pairs.progress.elapsed() > patience {
            return Err(format!("set-up stands still after {} of {count}", pairs.ready));
        }
    }
    let elapsed = began.elapsed().as_secs_f64();
    let reading = meter.stop().map_err(io)?;
    let mut setup = reading.json(count as u64);
    set(&mut setup, "count", json!(count));
    set(&mut setup, "seconds", json!(round(elapsed)));
    Ok(setup)
}

/// Waits until all that was sent has arrived and is answered. What has not within `patience` is an error.
fn drain(net: &mut Net, pairs: &mut Pairs, events: &mut Events, patience: Duration) -> Result<(), String> {
    pairs.running = false;
    let until = Instant::now() + patience;
    while pairs.in_flight() != (0, 0) && Instant::now() < until {
        net.turn(pairs, events, TICK).map_err(|error| error.to_string())?;
    }
    let (unanswered, undelivered) = pairs.in_flight();
    pairs.tally.errors("never answered", unanswered);
    pairs.tally.errors("never delivered", undelivered);
    Ok(())
}
