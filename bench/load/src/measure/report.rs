//! The outcome of a run, as JSON or text.

use super::process::{Sample, Usage, float};
use super::tally::Tally;
use serde_json::{Value, json};
use std::fmt::Write;
use std::io;

/// Share of a core above which a process is at its limit, in percent.
const BUSY_PERCENT: f64 = 95.0;

/// Share of the time that others may run in the place of a process that is ready, in percent.
const DISTURBED_PERCENT: f64 = 10.0;

/// CPU time of the relay and of this process over a stretch of a run.
pub struct Meter {
    relay: Option<u32>,
    began: Vec<Sample>,
}

/// What a [`Meter`] has measured.
#[derive(Clone, Copy, Default)]
pub struct Reading {
    /// The relay, when its process is known.
    pub relay: Option<Usage>,
    /// This process.
    pub generator: Usage,
}

impl Meter {
    /// Begins a stretch.
    pub fn start(relay: Option<u32>) -> io::Result<Self> {
        Ok(Self { relay, began: samples(relay)? })
    }

    /// Ends it.
    pub fn stop(&self) -> io::Result<Reading> {
        let ended = samples(self.relay)?;
        let mut usages = ended.iter().zip(&self.began).map(|(end, begin)| end.since(begin));
        let generator = usages.next().unwrap_or_default();
        Ok(Reading { relay: usages.next(), generator })
    }
}

fn samples(relay: Option<u32>) -> io::Result<Vec<Sample>> {
    [Some(std::process::id()), relay].into_iter().flatten().map(Sample::take).collect()
}

impl Reading {
    /// CPU of both for `units` units.
    pub fn json(&self, units: u64) -> Value {
        json!({ "relay": self.relay.map(|usage| cpu(usage, units)), "generator": cpu(self.generator, units) })
    }

    /// What makes the figures doubtful.
    pub fn warnings(&self) -> Vec<String> {
        let relay_waits = self.relay.is_none_or(|usage| usage.percent < BUSY_PERCENT);
        let mut warnings = Vec::new();
        if self.generator.percent >= BUSY_PERCENT && relay_waits {
            warnings.push(format!(
                "the generator was the bottleneck ({:.0} % of a core): throughput and latency are not the relay's",
                self.generator.percent
            ));
        }
        for (name, usage) in [("relay", self.relay), ("generator", Some(self.generator))] {
            let waited = usage.unwrap_or_default().waited_percent;
            if waited > DISTURBED_PERCENT {
                warnings.push(format!("the {name} waited for its core for {waited:.0} % of the time: others ran there"));
            }
        }
        warnings
    }
}

fn cpu(usage: Usage, units: u64) -> Value {
    let per_unit = (units > 0).then(|| round(float(usage.cpu_ns) / 1e3 / float(units)));
    json!({ "cpu_ms": round(float(usage.cpu_ns) / 1e6), "cpu_percent": round(usage.percent), "us_per_unit": per_unit })
}

/// Three digits behind the point.
pub fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// Adds counts, errors and rates of a run to its report.
pub fn outcome(report: &mut Value, tally: &Tally, seconds: f64) {
    let units = tally.units;
    for (key, value) in [
        ("seconds", json!(round(seconds))),
        ("units", json!(units)),
        ("units_per_s", json!(round(float(units) / seconds.max(1e-9)))),
        ("body_mb_per_s", json!(round(float(tally.octets) / 1e6 / seconds.max(1e-9)))),
        ("responses", json!(tally.responses)),
        ("reports", json!(tally.reports)),
        ("latency_us", tally.latency()),
        ("errors", json!(tally.error_count())),
        ("error_kinds", tally.error_kinds()),
    ] {
        set(report, key, value);
    }
}

/// Sets one field of a report.
pub fn set(report: &mut Value, key: &str, value: Value) {
    if let Some(fields) = report.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
}

/// The report as text: one line a field, fields of a group in one line.
pub fn text(report: &Value) -> String {
    let mut out = String::new();
    for (key, value) in report.as_object().into_iter().flatten() {
        let line = match value {
            Value::Null => continue,
            Value::Array(list) if list.is_empty() => continue,
            Value::Object(group) if group.is_empty() => continue,
            Value::Object(group) => {
                let parts =
                    group.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| format!("{key} {}", plain(value)));
                parts.collect::<Vec<_>>().join("  ")
            }
            Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join("; "),
            single => plain(single),
        };
        // Writing into a String cannot fail.
        let _ = writeln!(out, "{key:<14} {line}");
    }
    out
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{Reading, text};
    use crate::measure::process::Usage;
    use serde_json::json;

    fn usage(percent: f64) -> Usage {
        Usage { cpu_ns: 2_000_000, percent, waited_percent: 0.0 }
    }

    #[test]
    fn a_busy_generator_is_doubtful_unless_the_relay_is_busy_too() {
        let reading = |relay: Option<f64>, generator| Reading { relay: relay.map(usage), generator: usage(generator) };
        assert_eq!(reading(Some(60.0), 99.0).warnings().len(), 1);
        assert_eq!(reading(None, 99.0).warnings().len(), 1);
        assert!(reading(Some(99.0), 99.0).warnings().is_empty());
        assert!(reading(Some(60.0), 80.0).warnings().is_empty());
    }

    #[test]
    fn a_core_that_others_use_is_doubtful() {
        let disturbed = |waited_percent| Reading { relay: Some(Usage { waited_percent, ..usage(50.0) }), generator: usage(20.0) };
        assert!(disturbed(5.0).warnings().is_empty());
        assert_eq!(disturbed(15.0).warnings(), ["the relay waited for its core for 15 % of the time: others ran there"]);
    }

    #[test]
    fn cpu_is_told_per_unit() {
        let reading = Reading { relay: Some(usage(50.0)), generator: usage(20.0) };
        assert_eq!(reading.json(1000)["relay"]["us_per_unit"], json!(2.0));
        assert!(reading.json(0)["relay"]["us_per_unit"].is_null());
    }

    #[test]
    fn text_has_a_line_for_each_field() {
        let report = json!({ "command": "chat", "label": null, "relay": { "cpu_ms": 1.5, "pid": null }, "warnings": [] });
        assert_eq!(text(&report), "command        chat\nrelay          cpu_ms 1.5\n");
    }
}
