//! `storm`: sessions that are set up and given up at once.

use super::due::Due;
use super::session::{Progress, Relay, Session};
use super::{TICK, relay, seconds, tls_of};
use crate::cli::Storm;
use crate::measure::report::{Meter, outcome, set};
use crate::measure::tally::Tally;
use crate::net::{Handler, Net, socket};
use crate::wire::head::Head;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Loopback addresses that connections come from: a closed one keeps its port for a minute.
const SOURCES: usize = 200;

struct Visitor {
    session: Session,
    begun: Instant,
}

struct Crowd {
    target: SocketAddr,
    sources: usize,
    relay: Relay,
    tally: Tally,
    visitors: Vec<Option<Visitor>>,
    count: usize,
    under_way: usize,
    progress: Instant,
    /// A closed loop: who leaves is replaced.
    closed_loop: bool,
}

/// Runs the load; returns the report. Its `units` are sessions: connect, AUTH, 401, AUTH, 200, close.
pub fn run(options: &Storm) -> Result<Value, String> {
    let io = |error: std::io::Error| error.to_string();
    let mut net = Net::new(&[], tls_of(&options.target)?).map_err(io)?;
    let mut events = Net::events();
    let mut crowd = Crowd {
        target: options.target.target,
        sources: if options.target.sources > 0 { options.target.sources } else { SOURCES },
        relay: relay(&options.target),
        tally: Tally::new()?,
        visitors: Vec::new(),
        count: 0,
        under_way: 0,
        progress: Instant::now(),
        closed_loop: options.rate.is_none(),
    };
    let mut due = match options.rate {
        Some(rate) => Some(Due::new(rate, Instant::now()).ok_or("--rate must be positive")?),
        None => None,
    };
    if due.is_none() {
        for _ in 0..options.target.concurrency.max(1) {
            crowd.enter(&mut net, Instant::now());
        }
    }
    let patience = seconds(options.target.patience);
    let mut run = |crowd: &mut Crowd, net: &mut Net, time: Duration| -> Result<(), String> {
        let until = Instant::now() + time;
        loop {
            let now = Instant::now();
            if now >= until {
                return Ok(());
            }
            let mut wait = TICK.min(until - now);
            if let Some(due) = &mut due {
                while let Some(at) = due.take(now) {
                    crowd.enter(net, at);
                }
                wait = wait.min(due.wait(now));
            }
            net.turn(crowd, &mut events, wait).map_err(io)?;
            if crowd.under_way > 0 && crowd.progress.elapsed() > patience {
                return Err(format!("no session for {} s; {}", options.target.patience, crowd.tally.error_kinds()));
            }
            if crowd.under_way == 0 && crowd.closed_loop {
                return Err(format!("no connection is left; {}", crowd.tally.error_kinds()));
            }
        }
    };
    run(&mut crowd, &mut net, seconds(options.warmup))?;
    let meter = Meter::start(options.target.relay_pid).map_err(io)?;
    let began = Instant::now();
    crowd.tally.measuring = true;
    run(&mut crowd, &mut net, seconds(options.duration))?;
    let reading = meter.stop().map_err(io)?;
    let measured = began.elapsed().as_secs_f64();

    let mut report = json!({
        "command": "storm", "label": options.target.label, "target": options.target.target.to_string(),
        "rate": options.rate, "concurrency": options.target.concurrency,
    });
    outcome(&mut report, &crowd.tally, measured);
    for absent in ["body_mb_per_s", "responses", "reports"] {
        report.as_object_mut().and_then(|fields| fields.remove(absent));
    }
    set(&mut report, "cpu", reading.json(crowd.tally.units));
    set(&mut report, "warnings", json!(reading.warnings()));
    Ok(report)
}

impl Crowd {
    fn enter(&mut self, net: &mut Net, begun: Instant) {
        self.count += 1;
        let source = socket::source(self.target, self.count, self.sources);
        let (Ok(id), count) = (net.connect(source, self.target), self.count as u64) else {
            return self.tally.error("cannot connect");
        };
        let Some(local) = net.local(id) else { return };
        let visitor = Visitor { session: Session::new(&self.relay, local, count), begun };
        if self.visitors.len() <= id {
            self.visitors.resize_with(id + 1, || None);
        }
        if let Some(place) = self.visitors.get_mut(id) {
            *place = Some(visitor);
        }
        self.under_way += 1;
    }

    fn leave(&mut self, net: &mut Net, id: usize) {
        if let Some(place) = self.visitors.get_mut(id) {
            *place = None;
        }
        self.under_way -= 1;
        if self.closed_loop {
            self.enter(net, net.now);
        }
    }
}

impl Handler for Crowd {
    fn connected(&mut self, net: &mut Net, id: usize) {
        let visitor = self.visitors.get_mut(id).and_then(Option::as_mut);
        if let (Some(visitor), Some(outbox)) = (visitor, net.send(id)) {
            visitor.session.begin(&self.relay, &mut outbox.bytes);
        }
    }

    fn head(&mut self, net: &mut Net, id: usize, head: &Head<'_>) {
        let visitor = self.visitors.get_mut(id).and_then(Option::as_mut);
        let (Some(visitor), Some(outbox)) = (visitor, net.send(id)) else { return };
        match visitor.session.receive(&self.relay, head, &mut outbox.bytes) {
            Progress::Answered => return,
            Progress::Granted => {
                let begun = visitor.begun;
                self.progress = net.now;
                self.tally.unit(begun, net.now, 0);
            }
            Progress::Failed(kind) => self.tally.error(kind),
        }
        net.close(id);
        self.leave(net, id);
    }

    fn body(&mut self, _net: &mut Net, _id: usize, _octets: &[u8]) {}

    fn end(&mut self, _net: &mut Net, _id: usize, _flag: u8) {}

    fn closed(&mut self, net: &mut Net, id: usize, why: &'static str) {
        self.tally.error(why);
        self.leave(net, id);
    }
}
