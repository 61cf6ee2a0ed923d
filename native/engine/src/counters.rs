//! The numbers behind [`Stats`]. Plain fields: the hot path adds to them.

use crate::contract::{CloseReason, LATENCY_BOUNDS_MS, Stats};
use crate::tls::HandshakeFailure;
use ahash::AHashMap;
use msrp_core::error::FrameError;

/// Index of responses among the counters by frame kind.
pub const RESPONSE_KIND: usize = 5;

/// Counters of one worker.
#[derive(Debug, Default)]
pub struct Counters {
    pub accepted: u64,
    pub dialled: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub dropped: u64,
    pub interruptions: u64,
    pub pauses: u64,
    pub timeouts: u64,
    /// Responses 200 to SENDs, apart from the others because there are so many.
    pub ok_responses: u64,
    latency: [u64; LATENCY_BOUNDS_MS.len() + 1],
    latency_sum_ms: u64,
    pub trace_frames_lost: u64,
    pub frames_in: [u64; 6],
    pub frames_out: [u64; 6],
    rejects: [u64; FrameError::ALL.len() + 1],
    refusals: AHashMap<u16, u64>,
    closes: [u64; CloseReason::ALL.len()],
    handshake_failures: [u64; HandshakeFailure::ALL.len()],
    reports: AHashMap<u16, u64>,
    responses: AHashMap<u16, u64>,
}

impl Counters {
    /// A frame with an objection, by its number.
    pub fn reject(&mut self, issue: u32) {
        if let Some(count) = self.rejects.get_mut(issue as usize) {
            *count += 1;
        }
    }

    /// A request that was refused with a status.
    pub fn refuse(&mut self, status: u16) {
        *self.refusals.entry(status).or_default() += 1;
    }

    /// A transaction was answered after that time.
    #[inline]
    pub fn answered(&mut self, ms: u64) {
        let bucket = LATENCY_BOUNDS_MS.iter().position(|&bound| ms <= bound).unwrap_or(LATENCY_BOUNDS_MS.len());
        self.latency[bucket] += 1;
        self.latency_sum_ms += ms;
    }

    pub fn close(&mut self, reason: CloseReason) {
        self.closes[reason as usize] += 1;
    }

    pub fn handshake_failure(&mut self, failure: HandshakeFailure) {
        self.handshake_failures[failure as usize] += 1;
    }

    pub fn report(&mut self, status: u16) {
        *self.reports.entry(status).or_default() += 1;
    }

    pub fn response(&mut self, status: u16) {
        *self.responses.entry(status).or_default() += 1;
    }

    /// Counters as they are handed out; the gauges are for the caller to fill in.
    pub fn snapshot(&self) -> Stats {
        let mut responses = sorted(&self.responses);
        match responses.iter_mut().find(|(status, _)| *status == 200) {
            Some((_, count)) => *count += self.ok_responses,
            None => responses.push((200, self.ok_responses)),
        }
        let rejects = FrameError::ALL
            .iter()
            .map(|error| (error.name().to_owned(), self.rejects[usize::from(error.code())]))
            .filter(|&(_, count)| count > 0)
            .chain(sorted(&self.refusals).into_iter().map(|(status, count)| (format!("STATUS_{status}"), count)))
            .collect();
        Stats {
            accepted: self.accepted,
            dialled: self.dialled,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            frames_in: self.frames_in,
            frames_out: self.frames_out,
            rejects,
            closes: self.closes,
            handshake_failures: self.handshake_failures,
            reports: sorted(&self.reports),
            responses,
            dropped: self.dropped,
            interruptions: self.interruptions,
            pauses: self.pauses,
            timeouts: self.timeouts,
            latency: self.latency,
            latency_sum_ms: self.latency_sum_ms,
            trace_frames_lost: self.trace_frames_lost,
            ..Stats::default()
        }
    }
}

fn sorted(counts: &AHashMap<u16, u64>) -> Vec<(u16, u64)> {
    let mut counts: Vec<_> = counts.iter().map(|(&status, &count)| (status, count)).collect();
    counts.sort_unstable();
    counts
}

impl Stats {
    /// Adds the numbers of another worker.
    pub fn add(&mut self, other: &Self) {
        self.connections += other.connections;
        self.sessions += other.sessions;
        self.transactions += other.transactions;
        self.queued_bytes += other.queued_bytes;
        self.accepted += other.accepted;
        self.dialled += other.dialled;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.dropped += other.dropped;
        self.interruptions += other.interruptions;
        self.pauses += other.pauses;
        self.timeouts += other.timeouts;
        self.latency_sum_ms += other.latency_sum_ms;
        self.trace_frames_lost += other.trace_frames_lost;
        add_all(&mut self.latency, &other.latency);
        self.handshakes += other.handshakes;
        self.busy |= other.busy;
        add_all(&mut self.frames_in, &other.frames_in);
        add_all(&mut self.frames_out, &other.frames_out);
        add_all(&mut self.closes, &other.closes);
        add_all(&mut self.handshake_failures, &other.handshake_failures);
        merge(&mut self.rejects, &other.rejects);
        merge(&mut self.reports, &other.reports);
        merge(&mut self.responses, &other.responses);
    }
}

fn add_all(to: &mut [u64], from: &[u64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

fn merge<K: PartialEq + Clone>(to: &mut Vec<(K, u64)>, from: &[(K, u64)]) {
    for (key, count) in from {
        match to.iter_mut().find(|(known, _)| known == key) {
            Some((_, sum)) => *sum += count,
            None => to.push((key.clone(), *count)),
        }
    }
}
