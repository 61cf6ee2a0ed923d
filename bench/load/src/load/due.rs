//! When things are due in an open loop.

use std::time::{Duration, Instant};

/// A schedule of equal distances.
pub struct Due {
    begin: Instant,
    every: Duration,
    taken: u32,
}

impl Due {
    /// `rate` per second from `begin` on; none when it is not a positive number.
    pub fn new(rate: f64, begin: Instant) -> Option<Self> {
        let every = Duration::try_from_secs_f64(1.0 / rate).ok().filter(|every| !every.is_zero())?;
        Some(Self { begin, every, taken: 0 })
    }

    /// The time of the next one, when that has come.
    pub fn take(&mut self, now: Instant) -> Option<Instant> {
        let at = self.next();
        (at <= now).then(|| {
            self.taken += 1;
            if self.taken == u32::MAX {
                (self.begin, self.taken) = (at + self.every, 0);
            }
            at
        })
    }

    /// How long until the next one.
    pub fn wait(&self, now: Instant) -> Duration {
        self.next().saturating_duration_since(now)
    }

    fn next(&self) -> Instant {
        self.begin + self.every * self.taken
    }
}

#[cfg(test)]
mod tests {
    use super::Due;
    use std::time::{Duration, Instant};

    #[test]
    fn what_is_late_keeps_its_time() {
        let begin = Instant::now();
        let mut due = Due::new(1000.0, begin).unwrap();
        let late = begin + Duration::from_micros(2500);
        let times: Vec<_> = std::iter::from_fn(|| due.take(late)).map(|at| at - begin).collect();
        assert_eq!(times, [0, 1, 2].map(Duration::from_millis));
        assert_eq!(due.wait(late), Duration::from_micros(500));
        assert!(Due::new(0.0, begin).is_none() && Due::new(-1.0, begin).is_none() && Due::new(f64::NAN, begin).is_none());
    }
}
