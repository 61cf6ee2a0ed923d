//! Counts of a run.

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What happened while it was measured. Errors count from the beginning to the end.
pub struct Tally {
    /// Counting has begun and not ended.
    pub measuring: bool,
    /// Messages, files or sessions completed.
    pub units: u64,
    /// Octets of bodies delivered.
    pub octets: u64,
    /// Responses to chunks.
    pub responses: u64,
    /// Success REPORTs.
    pub reports: u64,
    latency_ns: Histogram<u64>,
    errors: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Nothing counted yet.
    pub fn new() -> Result<Self, String> {
        // 1 µs to 10 minutes with three digits.
        let latency_ns = Histogram::new_with_bounds(1000, 600_000_000_000, 3).map_err(|error| error.to_string())?;
        Ok(Self { measuring: false, units: 0, octets: 0, responses: 0, reports: 0, latency_ns, errors: BTreeMap::new() })
    }

    /// Counts what went wrong.
    pub fn error(&mut self, kind: &'static str) {
        self.errors(kind, 1);
    }

    /// Counts what went wrong several times.
    pub fn errors(&mut self, kind: &'static str, count: u64) {
        if count > 0 {
            *self.errors.entry(kind).or_default() += count;
        }
    }

    /// How much went wrong.
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Counts a unit that was begun at `begun`.
    pub fn unit(&mut self, begun: Instant, now: Instant, octets: u64) {
        if self.measuring {
            self.units += 1;
            self.octets += octets;
            self.latency_ns.saturating_record(nanoseconds(now.saturating_duration_since(begun)));
        }
    }

    /// Errors by kind.
    pub fn error_kinds(&self) -> Value {
        self.errors.iter().map(|(kind, count)| ((*kind).to_owned(), json!(count))).collect::<Map<_, _>>().into()
    }

    /// Latency in µs.
    pub fn latency(&self) -> Value {
        let micro = |ns: u64| f64::from(u32::try_from(ns / 10).unwrap_or(u32::MAX)) / 100.0;
        let at = |quantile| micro(self.latency_ns.value_at_quantile(quantile));
        json!({
            "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p999": at(0.999),
            "max": micro(self.latency_ns.max()), "count": self.latency_ns.len(),
        })
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::Tally;
    use std::time::{Duration, Instant};

    #[test]
    fn units_count_while_measuring_errors_always() {
        let mut tally = Tally::new().unwrap();
        let begun = Instant::now();
        tally.unit(begun, begun + Duration::from_millis(9), 10);
        tally.error("early");
        tally.measuring = true;
        for number in 1..=100 {
            tally.unit(begun, begun + Duration::from_micros(100 * number), 10);
        }
        tally.errors("none", 0);
        assert_eq!((tally.units, tally.octets, tally.error_count()), (100, 1000, 1));
        assert_eq!(tally.error_kinds().to_string(), r#"{"early":1}"#);
        let p50 = tally.latency()["p50"].as_f64().unwrap();
        assert!((4990.0..5010.0).contains(&p50), "{p50}");
        assert_eq!(tally.latency()["count"], 100);
    }
}
