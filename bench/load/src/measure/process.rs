//! CPU time and memory of a process, from /proc.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Instant;

/// CPU time of all threads of a process at an instant.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// From schedstat: exact, but a thread that has ended takes its time with it. Nanoseconds.
    exact_ns: u64,
    /// From stat: in ticks of the clock, ended threads included. Nanoseconds.
    coarse_ns: u64,
    /// Time that threads were ready and others ran in their place. Nanoseconds.
    waited_ns: u64,
    at: Instant,
}

/// CPU time between two samples.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// CPU time in nanoseconds.
    pub cpu_ns: u64,
    /// Share of one core, in percent.
    pub percent: f64,
    /// Time that threads were ready and others ran in their place, in percent of the time that passed.
    pub waited_percent: f64,
}

impl Sample {
    /// Takes a sample of a process.
    pub fn take(pid: u32) -> io::Result<Self> {
        let folder = format!("/proc/{pid}");
        let coarse_ns = stat_ticks(&fs::read_to_string(format!("{folder}/stat"))?).ok_or(io::ErrorKind::InvalidData)?
            * (1_000_000_000 / rustix::param::clock_ticks_per_second().max(1));
        let (mut exact_ns, mut waited_ns) = (0, 0);
        for task in fs::read_dir(format!("{folder}/task"))? {
            // A thread may end between the listing and the reading.
            let (ran, waited) = schedstat_ns(&task?.path()).unwrap_or_default();
            exact_ns += ran;
            waited_ns += waited;
        }
        Ok(Self { exact_ns, coarse_ns, waited_ns, at: Instant::now() })
    }

    /// What was used since `earlier`.
    pub fn since(&self, earlier: &Self) -> Usage {
        let exact = self.exact_ns.saturating_sub(earlier.exact_ns);
        let coarse = self.coarse_ns.saturating_sub(earlier.coarse_ns);
        // The coarse figure is off by some ticks; more than that are threads that have ended.
        let cpu_ns = if coarse > exact + exact / 20 + 50_000_000 { coarse } else { exact };
        let wall = self.at.duration_since(earlier.at).as_secs_f64().max(1e-9);
        let waited_ns = self.waited_ns.saturating_sub(earlier.waited_ns);
        Usage { cpu_ns, percent: float(cpu_ns) / 1e7 / wall, waited_percent: float(waited_ns) / 1e7 / wall }
    }
}

/// Resident memory of a process in bytes.
pub fn resident_bytes(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Ok(kilobytes.ok_or(io::ErrorKind::InvalidData)? * 1024)
}

/// A count as a number to calculate with.
#[allow(clippy::cast_precision_loss)] // counts of a run are far below 2^52
pub fn float(count: u64) -> f64 {
    count as f64
}

/// Time on a core, and time ready for one.
fn schedstat_ns(task: &Path) -> Option<(u64, u64)> {
    let text = fs::read_to_string(task.join("schedstat")).ok()?;
    let mut fields = text.split(' ');
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// User and system time of /proc/PID/stat, in ticks. The name of the process may hold anything, so its end is looked for first.
fn stat_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::{Sample, resident_bytes, stat_ticks};
    use crate::wire::tid::mix;

    #[test]
    fn fields_are_found_behind_any_name() {
        let stat = "12 (a) b (c) S 1 12 12 0 -1 4194560 100 0 0 0 250 30 0 0 20 0 11 0 100 1 2";
        assert_eq!(stat_ticks(stat), Some(280));
        assert_eq!(stat_ticks("12 (a) S 1"), None);
    }

    #[test]
    fn work_shows_as_cpu_time() {
        let pid = std::process::id();
        let before = Sample::take(pid).unwrap();
        let worked = (0..8_000_000_u64).fold(0, |sum, number| sum ^ mix(number));
        assert_ne!(worked, 0);
        let usage = Sample::take(pid).unwrap().since(&before);
        assert!(usage.cpu_ns > 1_000_000, "{usage:?}");
        assert!(resident_bytes(pid).unwrap() > 100_000);
        assert!(Sample::take(u32::MAX).is_err());
    }
}
