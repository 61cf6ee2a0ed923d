//! Commands and options.

use crate::body::BodyKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Load for MSRP relays (RFC 4976), and a bare relay to compare them with.
#[derive(Parser)]
#[command(name = "msrp-load", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Messages of one chunk each through pairs of sessions
    Chat(Chat),
    /// Messages of many chunks each
    File(File),
    /// Hold authenticated sessions: memory of the relay for each, and its CPU while nothing happens
    Idle(Idle),
    /// Connect, AUTH, 401, AUTH, 200, close, again and again
    Storm(Storm),
    /// The bare relay: one thread that reads, finds end-lines, rewrites paths and transaction ids, and writes
    Relay {
        /// Address to listen on; port 0 takes a free one. The first line on stdout names it
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// With TLS: certificate (PEM)
        #[arg(long, requires = "key")]
        cert: Option<PathBuf>,
        /// Its private key (PEM)
        #[arg(long, requires = "cert")]
        key: Option<PathBuf>,
    },
}

/// Which relay, and how to tell the outcome.
#[derive(Args)]
pub struct Target {
    /// Address of the relay
    #[arg(long)]
    #[allow(clippy::struct_field_names)]
    pub target: SocketAddr,
    /// Connect by TLS, with a full handshake each time; any certificate is believed
    #[arg(long)]
    pub tls: bool,
    /// Who authenticates
    #[arg(long, default_value = "alice")]
    pub user: String,
    /// With which password
    #[arg(long, default_value = "secret")]
    pub password: String,
    /// Process of the relay: its CPU time (all threads) and memory are measured
    #[arg(long)]
    pub relay_pid: Option<u32>,
    /// Sessions that are set up at once
    #[arg(long, default_value_t = 32)]
    pub concurrency: usize,
    /// Loopback addresses (127.0.0.1, .2, …) to connect from; 0 takes as many as the ports of one do not suffice for
    #[arg(long, default_value_t = 0)]
    pub sources: usize,
    /// Seconds without progress after which the set-up has failed or a flow counts as stalled
    #[arg(long, default_value_t = 10.0)]
    pub patience: f64,
    /// One line of JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// Copied to the report
    #[arg(long)]
    pub label: Option<String>,
}

/// Which way messages go. A authenticates; B does not, unless `--both-auth`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Direction {
    /// To the end that authenticates.
    B2a,
    /// From it.
    A2b,
    /// Both ways.
    Both,
}

/// Failure-Report of the messages.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailureReport {
    /// Each SEND is answered.
    Yes,
    /// Only failures are.
    Partial,
    /// Nothing is.
    No,
}

/// What `chat` and `file` have in common.
#[derive(Args)]
pub struct Traffic {
    /// The relay
    #[command(flatten)]
    pub target: Target,
    /// Pairs of sessions, with a connection for each end
    #[arg(long, default_value_t = 1)]
    pub pairs: usize,
    /// SENDs in flight for each pair and direction, until delivered and answered; 0 is no limit, for --rate only
    #[arg(long, default_value_t = 1)]
    pub window: usize,
    /// Messages per second in all (open loop); latency counts from when a message was due
    #[arg(long)]
    pub rate: Option<f64>,
    /// Seconds before measuring
    #[arg(long, default_value_t = 2.0)]
    pub warmup: f64,
    /// Seconds measured
    #[arg(long, default_value_t = 5.0)]
    pub duration: f64,
    /// Which way messages go
    #[arg(long, value_enum, default_value = "b2a")]
    pub direction: Direction,
    /// B authenticates too: messages pass through two sessions of the relay
    #[arg(long)]
    pub both_auth: bool,
    /// Address of another relay, where B has its session: messages pass through both relays
    #[arg(long, requires = "both_auth")]
    pub peer_target: Option<SocketAddr>,
    /// Compare every octet and the order of every flow
    #[arg(long)]
    pub verify: bool,
    /// What bodies are made of
    #[arg(long, value_enum, default_value = "text")]
    pub body: BodyKind,
    /// Failure-Report of the messages
    #[arg(long, value_enum, default_value = "yes")]
    pub failure_report: FailureReport,
    /// Ask for a success REPORT about each message
    #[arg(long)]
    pub success_report: bool,
}

/// Options of `chat`.
#[derive(Args)]
pub struct Chat {
    /// Load
    #[command(flatten)]
    pub traffic: Traffic,
    /// Octets of a message
    #[arg(long, default_value_t = 200)]
    pub size: u64,
}

/// Options of `file`.
#[derive(Args)]
pub struct File {
    /// Load
    #[command(flatten)]
    pub traffic: Traffic,
    /// Octets of a message
    #[arg(long, default_value_t = 1_000_000)]
    pub size: u64,
    /// Octets of the body of a chunk
    #[arg(long, default_value_t = 16_384)]
    pub chunk: u64,
}

/// Options of `idle`.
#[derive(Args)]
pub struct Idle {
    /// The relay
    #[command(flatten)]
    pub target: Target,
    /// Sessions, each on a connection of its own
    #[arg(long, default_value_t = 1000)]
    pub sessions: usize,
    /// Seconds between the last set-up and measuring
    #[arg(long, default_value_t = 1.0)]
    pub warmup: f64,
    /// Seconds measured
    #[arg(long, default_value_t = 5.0)]
    pub duration: f64,
}

/// Options of `storm`.
#[derive(Args)]
pub struct Storm {
    /// The relay
    #[command(flatten)]
    pub target: Target,
    /// Sessions per second (open loop); without it --concurrency sessions at once
    #[arg(long)]
    pub rate: Option<f64>,
    /// Seconds before measuring
    #[arg(long, default_value_t = 1.0)]
    pub warmup: f64,
    /// Seconds measured
    #[arg(long, default_value_t = 5.0)]
    pub duration: f64,
}
