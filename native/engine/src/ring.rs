//! Events on their way to the control plane: bounded, with one wake for many.

use crate::contract::Event;
use crate::inbox::lock;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// A bounded queue of events.
pub struct Ring {
    events: Mutex<Waiting>,
    capacity: usize,
    /// The control plane was woken, and has not looked yet.
    woken: AtomicBool,
    /// A worker waits for room.
    awaited: AtomicBool,
    /// None once nobody listens any more.
    wake: Mutex<Option<Wake>>,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    /// Those of them that have to find room: frames have a bound of their own (tap.rs), so that they never stop anybody.
    counted: usize,
}

/// Says to the control plane that events wait.
pub type Wake = Box<dyn Fn() + Send + Sync>;

impl Ring {
    /// `wake` is called when events wait that the control plane has not been woken for; it must not block.
    pub fn new(capacity: usize, wake: Wake) -> Self {
        Self {
            events: Mutex::default(),
            capacity,
            woken: AtomicBool::new(false),
            awaited: AtomicBool::new(false),
            wake: Mutex::new(Some(wake)),
        }
    }

    /// Moves events in, in order, as far as there is room. True when all have gone in.
    pub fn push(&self, from: &mut VecDeque<Event>) -> bool {
        let all = {
            let mut waiting = lock(&self.events);
            while let Some(event) = from.pop_front() {
                if !matches!(event, Event::Frame { .. }) {
                    if waiting.counted >= self.capacity {
                        from.push_front(event);
                        break;
                    }
                    waiting.counted += 1;
                }
                waiting.events.push_back(event);
            }
            if !from.is_empty() {
                self.awaited.store(true, Ordering::Release);
            }
            from.is_empty()
        };
        self.wake();
        all
    }

    /// Puts an event in whether there is room or not: the last word of a worker.
    pub fn force(&self, event: Event) {
        lock(&self.events).events.push_back(event);
        self.wake();
    }

    /// Takes all events out. True when a worker waits for room.
    pub fn take(&self, into: &mut Vec<Event>) -> bool {
        self.woken.store(false, Ordering::Release);
        let mut waiting = lock(&self.events);
        waiting.counted = 0;
        into.extend(waiting.events.drain(..));
        drop(waiting);
        self.awaited.swap(false, Ordering::AcqRel)
    }

    fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel)
            && let Some(wake) = &*lock(&self.wake)
        {
            wake();
        }
    }

    /// Nobody is woken any more; what is in the ring can still be taken.
    pub fn close(&self) {
        *lock(&self.wake) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::Ring;
    use crate::contract::{Event, FrameSeen};
    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn what_has_no_room_waits_in_order_and_one_wake_is_enough() {
        let wakes = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&wakes);
        let ring = Ring::new(3, Box::new(move || _ = count.fetch_add(1, Ordering::Relaxed)));
        let event = |connection| Event::AuthRejected { connection };
        let mut waiting: VecDeque<Event> = (0..5).map(event).collect();
        assert!(!ring.push(&mut waiting));
        assert_eq!(waiting, [event(3), event(4)]);
        let mut got = Vec::new();
        assert!(ring.take(&mut got));
        assert!(ring.push(&mut waiting));
        assert!(!ring.take(&mut got));
        assert_eq!(got, (0..5).map(event).collect::<Vec<_>>());
        assert_eq!(wakes.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn frames_take_no_room_and_keep_their_place() {
        let ring = Ring::new(1, Box::new(|| ()));
        let frame =
            Event::Frame { connection: 1, incoming: true, frame: FrameSeen { bytes: vec![1], body_octets: 0, body_kept: 0 } };
        let events = [frame.clone(), Event::AuthRejected { connection: 1 }, frame.clone(), Event::AuthRejected { connection: 2 }];
        let mut waiting: VecDeque<Event> = events.iter().cloned().chain([frame.clone()]).collect();
        assert!(!ring.push(&mut waiting), "the second event that is no frame has no room, and nothing goes past it");
        assert_eq!(waiting.len(), 2);
        let mut got = Vec::new();
        assert!(ring.take(&mut got));
        assert!(ring.push(&mut waiting));
        ring.take(&mut got);
        assert_eq!(got, events.into_iter().chain([frame]).collect::<Vec<_>>());
    }
}
