//! Pairs of ends: set up, then messages between them.

use super::flow::{Flow, Shape};
use super::session::{Progress, Relay, Session};
use crate::body::Bodies;
use crate::cli::Direction;
use crate::measure::tally::Tally;
use crate::net::{Handler, Net};
use crate::wire::encode;
use crate::wire::head::{Head, Kind, first_uri};
use crate::wire::tid::{Tid, mix, tid};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far an end is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    Authenticating,
    Ready,
}

struct End {
    pair: usize,
    /// A, the end that always authenticates.
    first: bool,
    session: Session,
    stage: Stage,
    outgoing: Option<usize>,
    incoming: Option<usize>,
    /// The frame being received is a SEND of the incoming flow.
    receiving: bool,
    /// REPORT to be sent when its message is complete: To-Path and From-Path.
    report: Option<(Vec<u8>, Vec<u8>, Vec<u8>)>,
}

/// What kinds of ends and messages a run has.
pub struct Plan {
    /// Which way messages go; none for `idle`, which has no B.
    pub direction: Option<Direction>,
    /// B authenticates, too.
    pub both_auth: bool,
    /// A success REPORT is sent for each message.
    pub success_report: bool,
    /// Sizes and window.
    pub shape: Shape,
}

/// All pairs of a run.
pub struct Pairs {
    plan: Plan,
    /// Where A authenticates, and where B does.
    relays: [Relay; 2],
    bodies: Bodies,
    /// What is counted.
    pub tally: Tally,
    /// New messages may be begun.
    pub running: bool,
    /// Pairs that are set up.
    pub ready: usize,
    /// The last step of the set-up.
    pub progress: Instant,
    ends: Vec<Option<End>>,
    /// Connections of each pair.
    couples: Vec<[Option<usize>; 2]>,
    flows: Vec<Flow>,
    /// Messages that are due, for each flow; none in a closed loop.
    owed: Option<Vec<VecDeque<Instant>>>,
    turn: usize,
    reports: u64,
}

impl Pairs {
    /// No pair yet. In an `open` loop messages are sent when [`Pairs::owe`] says so.
    pub fn new(plan: Plan, [first, second]: [Relay; 2], bodies: Bodies, tally: Tally, open: bool) -> Self {
        Self {
            plan,
            relays: [first, second],
            bodies,
            tally,
            running: false,
            ready: 0,
            progress: Instant::now(),
            ends: Vec::new(),
            couples: Vec::new(),
            flows: Vec::new(),
            owed: open.then(Vec::new),
            turn: 0,
            reports: 0,
        }
    }

    /// Pairs begun.
    pub fn begun(&self) -> usize {
        self.couples.len()
    }

    /// Takes the connections of a new pair: A's, and B's where there is one.
    pub fn add(&mut self, net: &Net, connections: [Option<usize>; 2]) {
        let pair = self.couples.len();
        for (side, id) in connections.into_iter().enumerate() {
            let (Some(id), Some(local)) = (id, id.and_then(|id| net.local(id))) else { continue };
            let session = Session::new(relay_of(&self.relays, side == 0), local, (pair * 2 + side) as u64);
            let stage = Stage::Connecting;
            let end =
                End { pair, first: side == 0, session, stage, outgoing: None, incoming: None, receiving: false, report: None };
            if self.ends.len() <= id {
                self.ends.resize_with(id + 1, || None);
            }
            if let Some(place) = self.ends.get_mut(id) {
                *place = Some(end);
            }
        }
        self.couples.push(connections);
    }

    /// Begins to send.
    pub fn start(&mut self, net: &mut Net) {
        self.running = true;
        if let Some(owed) = &mut self.owed {
            owed.resize_with(self.flows.len(), VecDeque::new);
        }
        for index in 0..self.flows.len() {
            if let Some(flow) = self.flows.get_mut(index) {
                flow.progress = net.now;
            }
            self.pump(net, index);
        }
    }

    /// A message is due at `at`: the flows take turns.
    pub fn owe(&mut self, net: &mut Net, at: Instant) {
        let index = self.turn % self.flows.len().max(1);
        self.turn += 1;
        if let Some(queue) = self.owed.as_mut().and_then(|owed| owed.get_mut(index)) {
            queue.push_back(at);
        }
        self.pump(net, index);
    }

    /// Chunks that are not answered, and not delivered.
    pub fn in_flight(&self) -> (u64, u64) {
        self.flows.iter().map(Flow::in_flight).fold((0, 0), |sum, flow| (sum.0 + flow.0 as u64, sum.1 + flow.1 as u64))
    }

    /// Flows that wait for something and have had no delivery for `patience`.
    pub fn stalled(&self, now: Instant, patience: Duration) -> usize {
        let late = |flow: &&Flow| flow.in_flight() != (0, 0) && now.saturating_duration_since(flow.progress) > patience;
        self.flows.iter().filter(late).count()
    }

    /// Directions of all pairs.
    pub fn flow_count(&self) -> usize {
        self.flows.len()
    }

    fn end(&mut self, id: usize) -> Option<&mut End> {
        self.ends.get_mut(id)?.as_mut()
    }

    /// One more end stands: its pair may be complete.
    fn advance(&mut self, net: &mut Net, pair: usize) {
        self.progress = net.now;
        let Some(&connections) = self.couples.get(pair) else { return };
        let all = |ends: &[Option<End>], stage| {
            let mut present = connections.iter().flatten();
            present.all(|id| ends.get(*id).and_then(Option::as_ref).is_some_and(|end| end.stage == stage))
        };
        if !all(&self.ends, Stage::Ready) {
            return;
        }
        let ([Some(a), Some(b)], Some(direction)) = (connections, self.plan.direction) else {
            self.ready += 1;
            return;
        };
        let (to_a, to_b) = self.paths(a, b);
        if direction == Direction::B2a || self.plan.both_auth {
            self.connect(net, [a, b], &to_a, &to_b);
            return;
        }
        // A relay knows B's connection from then on.
        let from = self.end(b).map(|end| end.session.uri.clone()).unwrap_or_default();
        let id = self.binding(pair);
        if let Some(outbox) = net.send(b) {
            encode::bind(&mut outbox.bytes, &id, &to_a, &from);
        }
    }

    /// Makes the flows of a pair.
    fn connect(&mut self, net: &Net, [a, b]: [usize; 2], to_a: &str, to_b: &str) {
        let run = self.relays[0].key;
        for (from, to, path, wanted) in
            [(b, a, to_a, self.plan.direction != Some(Direction::A2b)), (a, b, to_b, self.plan.direction != Some(Direction::B2a))]
        {
            if !wanted {
                continue;
            }
            let index = self.flows.len();
            let uri = self.end(from).map(|end| end.session.uri.clone()).unwrap_or_default();
            self.flows.push(Flow::new(run, index as u64, from, path, &uri, net.now));
            if let Some(end) = self.end(from) {
                end.outgoing = Some(index);
            }
            if let Some(end) = self.end(to) {
                end.incoming = Some(index);
            }
        }
        self.ready += 1;
    }

    /// To-Paths towards A and towards B.
    fn paths(&self, a: usize, b: usize) -> (String, String) {
        let session = |id: usize| self.ends.get(id).and_then(Option::as_ref).map(|end| &end.session);
        let (Some(a), Some(b)) = (session(a), session(b)) else { return (String::new(), String::new()) };
        let path = |uris: &[&str]| uris.iter().filter(|uri| !uri.is_empty()).copied().collect::<Vec<_>>().join(" ");
        (path(&[&b.use_path, &a.use_path, &a.uri]), path(&[&a.use_path, &b.use_path, &b.uri]))
    }

    /// The transaction id of the SEND that binds B.
    fn binding(&self, pair: usize) -> Tid {
        tid(mix(self.relays[0].key ^ 0x6269_6e64), pair as u64)
    }

    /// Sends while the window has a place.
    fn pump(&mut self, net: &mut Net, index: usize) {
        let Some(flow) = self.flows.get_mut(index) else { return };
        while flow.has_place(&self.plan.shape) {
            let mut begun = net.now;
            if flow.between_messages() {
                if !self.running {
                    return;
                }
                if let Some(owed) = &mut self.owed {
                    let Some(at) = owed.get_mut(index).and_then(VecDeque::pop_front) else { return };
                    begun = at;
                }
            }
            let from = flow.from;
            let Some(outbox) = net.send(from) else { return };
            flow.send(&self.plan.shape, &self.bodies, begun, outbox);
        }
    }

    fn response(&mut self, net: &mut Net, id: usize, head: &Head<'_>, code: u16) {
        let Some(end) = self.end(id) else { return };
        let (pair, first, outgoing) = (end.pair, end.first, end.outgoing);
        if !first && head.tid == self.binding(pair) {
            let Some(&[Some(a), Some(b)]) = self.couples.get(pair) else { return };
            if code == 200 {
                let (to_a, to_b) = self.paths(a, b);
                self.connect(net, [a, b], &to_a, &to_b);
            } else {
                self.tally.error("binding refused");
            }
            return;
        }
        let result = match outgoing.and_then(|index| self.flows.get_mut(index)) {
            Some(flow) => flow.answer(head, code),
            None => Err("response to no request"),
        };
        match result {
            Ok(()) => self.tally.responses += u64::from(self.tally.measuring),
            Err(kind) => self.tally.error(kind),
        }
        if let Some(index) = outgoing {
            self.pump(net, index);
        }
    }

    fn request(&mut self, net: &mut Net, id: usize, head: &Head<'_>, method: &[u8]) {
        if method == b"REPORT" {
            match (head.status.starts_with(b"000 200"), self.plan.success_report) {
                (true, true) => self.tally.reports += u64::from(self.tally.measuring),
                (true, false) => self.tally.error("REPORT that nobody asked for"),
                (false, _) => self.tally.error("failure REPORT"),
            }
            return;
        }
        if method != b"SEND" {
            return self.tally.error("unknown request");
        }
        if (self.plan.shape.answered || head.failure_report.is_empty())
            && let Some(outbox) = net.send(id)
        {
            encode::ok(&mut outbox.bytes, head);
        }
        let Some(end) = self.ends.get_mut(id).and_then(Option::as_mut) else { return };
        if head.message_id.starts_with(encode::BIND_MARK) {
            return;
        }
        let begun = match end.incoming.and_then(|index| self.flows.get_mut(index)) {
            Some(flow) => flow.begin(&self.plan.shape, &self.bodies, head),
            None => Err("SEND of no flow"),
        };
        end.receiving = begun.is_ok();
        end.report = (self.plan.success_report && end.receiving)
            .then(|| (head.from.to_vec(), first_uri(head.to).to_vec(), head.message_id.to_vec()));
        match begun {
            Ok(true) => {}
            Ok(false) => self.tally.error("out of order"),
            Err(kind) => self.tally.error(kind),
        }
    }
}

/// Where an end authenticates: A (`first`), or B.
fn relay_of([a, b]: &[Relay; 2], first: bool) -> &Relay {
    if first { a } else { b }
}

impl Handler for Pairs {
    fn connected(&mut self, net: &mut Net, id: usize) {
        let both = self.plan.both_auth;
        let Some(end) = self.ends.get_mut(id).and_then(Option::as_mut) else { return };
        if end.first || both {
            end.stage = Stage::Authenticating;
            if let Some(outbox) = net.send(id) {
                end.session.begin(relay_of(&self.relays, end.first), &mut outbox.bytes);
            }
        } else {
            end.stage = Stage::Ready;
            let pair = end.pair;
            self.advance(net, pair);
        }
    }

    fn head(&mut self, net: &mut Net, id: usize, head: &Head<'_>) {
        let Some(end) = self.ends.get_mut(id).and_then(Option::as_mut) else { return };
        if end.stage == Stage::Ready {
            return match head.kind {
                Kind::Response(code) => self.response(net, id, head, code),
                Kind::Request(method) => self.request(net, id, head, method),
            };
        }
        let Some(outbox) = net.send(id) else { return };
        match end.session.receive(relay_of(&self.relays, end.first), head, &mut outbox.bytes) {
            Progress::Answered => self.progress = net.now,
            Progress::Granted => {
                end.stage = Stage::Ready;
                let pair = end.pair;
                self.advance(net, pair);
            }
            Progress::Failed(kind) => self.tally.error(kind),
        }
    }

    fn body(&mut self, _net: &mut Net, id: usize, octets: &[u8]) {
        let Some(end) = self.ends.get_mut(id).and_then(Option::as_mut).filter(|end| end.receiving) else { return };
        let Some(flow) = end.incoming.and_then(|index| self.flows.get_mut(index)) else { return };
        if let Err(kind) = flow.receive(&self.plan.shape, &self.bodies, octets) {
            self.tally.error(kind);
        }
    }

    fn end(&mut self, net: &mut Net, id: usize, flag: u8) {
        let Some(end) = self.ends.get_mut(id).and_then(Option::as_mut) else { return };
        if !std::mem::take(&mut end.receiving) {
            return;
        }
        let Some((index, flow)) = end.incoming.and_then(|index| Some((index, self.flows.get_mut(index)?))) else { return };
        let (delivery, result) = flow.finish(&self.plan.shape, flag, net.now);
        if let Err(kind) = result {
            self.tally.error(kind);
        }
        if let Some(begun) = delivery.message {
            self.tally.unit(begun, net.now, self.plan.shape.message);
            if let (Some((to, from, message)), Some(outbox)) = (end.report.take(), net.send(id)) {
                self.reports += 1;
                let id = tid(mix(self.relays[0].key ^ 0x7265_706f), self.reports);
                encode::success_report(&mut outbox.bytes, &id, &to, &from, &message, self.plan.shape.message);
            }
        }
        if delivery.freed {
            self.pump(net, index);
        }
    }

    fn closed(&mut self, _net: &mut Net, id: usize, why: &'static str) {
        self.tally.error(why);
        if let Some(place) = self.ends.get_mut(id) {
            *place = None;
        }
    }
}
