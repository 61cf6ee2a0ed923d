//! `idle`: sessions that do nothing.

use super::flow::Shape;
use super::pairs::{Pairs, Plan};
use super::traffic::set_up;
use super::{TICK, relay, seconds, tls_of};
use crate::body::{Bodies, BodyKind};
use crate::cli::Idle;
use crate::measure::process::{float, resident_bytes};
use crate::measure::report::{Meter, outcome, round, set};
use crate::measure::tally::Tally;
use crate::net::Net;
use serde_json::{Value, json};
use std::time::Instant;

/// Sets up sessions and holds them; returns the report. Its `units` are sessions, `memory` is bytes of the relay.
pub fn run(options: &Idle) -> Result<Value, String> {
    let io = |error: std::io::Error| error.to_string();
    let shape =
        Shape { message: 1, chunk: 1, window: 1, answered: true, headers: Vec::new(), whole: Shape::whole(1), verify: false };
    let plan = Plan { direction: None, both_auth: false, success_report: false, shape };
    let bodies = Bodies::new(BodyKind::Text, false, 1);
    let mut net = Net::new(&[], tls_of(&options.target)?).map_err(io)?;
    let mut events = Net::events();
    let relay = relay(&options.target);
    let mut pairs = Pairs::new(plan, [relay.clone(), relay], bodies, Tally::new()?, false);
    let memory = || options.target.relay_pid.map(resident_bytes).transpose().map_err(io);

    let before = memory()?;
    let setup = set_up(&mut net, &mut pairs, &mut events, &options.target, options.sessions, None)?;
    let mut hold = |net: &mut Net, pairs: &mut Pairs, time: f64| {
        let until = Instant::now() + seconds(time);
        while Instant::now() < until {
            net.turn(pairs, &mut events, TICK).map_err(io)?;
        }
        Ok::<(), String>(())
    };
    hold(&mut net, &mut pairs, options.warmup)?;
    let meter = Meter::start(options.target.relay_pid).map_err(io)?;
    let began = Instant::now();
    hold(&mut net, &mut pairs, options.duration)?;
    let reading = meter.stop().map_err(io)?;
    let measured = began.elapsed().as_secs_f64();
    let after = memory()?;
    pairs.tally.units = options.sessions as u64;

    let mut report = json!({
        "command": "idle", "label": options.target.label, "target": options.target.target.to_string(),
        "sessions": options.sessions, "setup": setup,
    });
    outcome(&mut report, &pairs.tally, measured);
    for absent in ["units_per_s", "body_mb_per_s", "responses", "reports", "latency_us"] {
        report.as_object_mut().and_then(|fields| fields.remove(absent));
    }
    if let (Some(before), Some(after)) = (before, after) {
        let each = round((float(after) - float(before)) / float(options.sessions.max(1) as u64));
        set(&mut report, "memory", json!({ "before": before, "after": after, "bytes_per_session": each }));
    }
    set(&mut report, "cpu", reading.json(options.sessions as u64));
    Ok(report)
}
