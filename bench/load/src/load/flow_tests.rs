use super::{Flow, Shape};
use crate::body::{Bodies, BodyKind};
use crate::net::outbox::Outbox;
use crate::wire::end_line::EndLines;
use crate::wire::head::Kind;
use crate::wire::scan::{Scanner, Step};
use std::time::Instant;

struct Rig {
    shape: Shape,
    bodies: Bodies,
    flow: Flow,
    now: Instant,
}

impl Rig {
    fn new(message: u64, chunk: u64) -> Self {
        let now = Instant::now();
        let headers = b"\r\n".to_vec();
        Self {
            shape: Shape { message, chunk, window: 2, answered: true, headers, whole: Shape::whole(message), verify: true },
            bodies: Bodies::new(BodyKind::Adversarial, true, usize::try_from(message.min(chunk)).unwrap()),
            flow: Flow::new(1, 2, 0, "msrp://r/s;tcp msrp://a/t;tcp", "msrp://b/u;tcp", now),
            now,
        }
    }

    /// The octets of the next chunk.
    fn send(&mut self) -> Vec<u8> {
        let mut out = Outbox::default();
        self.flow.send(&self.shape, &self.bodies, self.now, &mut out);
        let mut octets = Vec::new();
        out.flush(&mut octets, self.bodies.pattern()).unwrap();
        octets
    }

    /// Delivers octets; returns the messages completed and what was wrong.
    fn deliver(&mut self, octets: &[u8]) -> (usize, Vec<&'static str>) {
        let (mut scanner, ends, mut at) = (Scanner::default(), EndLines::new(), 0);
        let (mut messages, mut wrong, mut taken) = (0, Vec::new(), false);
        loop {
            let result = match scanner.step(octets, &mut at, &ends) {
                Step::Head(head) => {
                    let begun = self.flow.begin(&self.shape, &self.bodies, &head);
                    taken = begun.is_ok();
                    begun.and_then(|in_order| if in_order { Ok(()) } else { Err("out of order") })
                }
                Step::Body(_) | Step::End(_) if !taken => Ok(()),
                Step::Body(body) => self.flow.receive(&self.shape, &self.bodies, body),
                Step::End(flag) => {
                    let (delivery, result) = self.flow.finish(&self.shape, flag, self.now);
                    messages += usize::from(delivery.message.is_some());
                    result
                }
                Step::More => return (messages, wrong),
                Step::Bad(why) => panic!("{why}"),
            };
            wrong.extend(result.err());
        }
    }

    /// Answers the chunk in `octets`.
    fn answer(&mut self, octets: &[u8], code: u16) -> Result<(), &'static str> {
        let (mut scanner, mut at) = (Scanner::default(), 0);
        let Step::Head(mut head) = scanner.step(octets, &mut at, &EndLines::new()) else { panic!("no head") };
        head.kind = Kind::Response(code);
        self.flow.answer(&head, code)
    }
}

#[test]
fn a_window_frees_when_delivered_and_answered() {
    let mut rig = Rig::new(500, 500);
    let (first, second) = (rig.send(), rig.send());
    assert!(!rig.flow.has_place(&rig.shape));
    assert_eq!(rig.deliver(&first), (1, vec![]));
    assert!(!rig.flow.has_place(&rig.shape), "delivered, not answered");
    assert_eq!(rig.answer(&second, 200), Ok(()));
    assert!(rig.flow.has_place(&rig.shape));
    assert_eq!(rig.answer(&second, 200), Err("second response"));
    assert_eq!(rig.answer(&first, 481), Err("response other than 200"));
    assert_eq!(rig.answer(&first, 200), Err("response to no request"));
    assert_eq!(rig.deliver(&second), (1, vec![]));
    assert_eq!(rig.flow.in_flight(), (0, 0));
}

#[test]
fn chunks_make_a_message() {
    let mut rig = Rig::new(5000, 2048);
    let chunks = [rig.send(), rig.send(), rig.send()];
    assert!(rig.flow.between_messages());
    assert_eq!(rig.deliver(&chunks[0]), (0, vec![]));
    assert_eq!(rig.deliver(&chunks[1]), (0, vec![]));
    assert_eq!(rig.flow.in_flight(), (3, 1));
    assert_eq!(rig.deliver(&chunks[2]), (1, vec![]));
    let next = rig.send();
    assert_eq!(rig.deliver(&next), (0, vec![]));
}

#[test]
fn an_octet_that_differs_is_noticed() {
    let mut rig = Rig::new(5000, 5000);
    let mut octets = rig.send();
    let middle = octets.len() / 2;
    octets[middle] ^= 0x20;
    assert_eq!(rig.deliver(&octets), (1, vec!["body differs"]));
}

#[test]
fn lost_swapped_and_repeated_messages_are_noticed() {
    let mut rig = Rig::new(300, 300);
    rig.shape.window = 0;
    let sent: Vec<Vec<u8>> = (0..5).map(|_| rig.send()).collect();
    assert_eq!(rig.deliver(&sent[0]), (1, vec![]));
    assert_eq!(rig.deliver(&sent[2]), (1, vec!["out of order"]));
    assert_eq!(rig.deliver(&sent[1]), (0, vec!["message again"]));
    let mut rig = Rig::new(5000, 2048);
    rig.shape.window = 0;
    let chunks = [rig.send(), rig.send(), rig.send()];
    rig.deliver(&chunks[0]);
    let (messages, wrong) = rig.deliver(&chunks[2]);
    assert_eq!((messages, wrong), (1, vec!["out of order"]), "a chunk is missing");
}

#[test]
fn a_relay_may_cut_chunks_anew() {
    let mut rig = Rig::new(3000, 3000);
    let octets = rig.send();
    let text = String::from_utf8_lossy(&octets);
    let body = text.find("\r\n\r\n").unwrap() + 4;
    let head = &octets[..body];
    let piece = |from: usize, to: usize, range: &str, flag: &str| {
        let head = String::from_utf8_lossy(head).replace("1-*/3000", range);
        let id = &head[5..26];
        [head.as_bytes(), &octets[body + from..body + to], format!("\r\n-------{id}{flag}\r\n").as_bytes()].concat()
    };
    let first = piece(0, 2100, "1-*/3000", "+");
    let second = piece(2100, 3000, "2101-*/3000", "$");
    let overlap = piece(2099, 3000, "2100-*/3000", "$");
    assert_eq!(rig.deliver(&first), (0, vec![]));
    assert_eq!(rig.flow.in_flight(), (1, 1));
    assert_eq!(rig.deliver(&second), (1, vec![]));
    assert_eq!(rig.flow.in_flight(), (1, 0));

    let mut rig = Rig::new(3000, 3000);
    rig.send();
    rig.deliver(&first);
    assert_eq!(rig.deliver(&overlap), (1, vec!["out of order"]));

    let mut rig = Rig::new(3000, 3000);
    rig.send();
    assert_eq!(rig.deliver(&piece(0, 2100, "1-*/3000", "$")), (0, vec!["message too short"]));
}
