//! `msrp-load`: load for MSRP relays, and a bare relay to compare them with.
//!
//! Exit code 0: clean; 1: no result; 2: usage; 3: a result, with errors in it.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

mod body;
mod cli;
mod load;
mod measure;
mod net;
mod relay;
mod wire;

use clap::Parser;
use cli::{Cli, Command, Target};
use serde_json::Value;
use std::process::ExitCode;

fn main() -> ExitCode {
    net::socket::raise_file_limit();
    match &Cli::parse().command {
        Command::Chat(options) => {
            tell(&options.traffic.target, load::traffic("chat", &options.traffic, options.size, options.size))
        }
        Command::File(options) => {
            tell(&options.traffic.target, load::traffic("file", &options.traffic, options.size, options.chunk))
        }
        Command::Idle(options) => tell(&options.target, load::idle(options)),
        Command::Storm(options) => tell(&options.target, load::storm(options)),
        Command::Relay { listen, cert, key } => {
            let tls = cert.as_ref().zip(key.as_ref()).map(|(cert, key)| net::tls::server(cert, key)).transpose();
            let outcome = tls.and_then(|tls| relay::run(*listen, tls).map_err(|error| error.to_string()));
            outcome.map_or_else(
                |why| {
                    eprintln!("msrp-load: relay: {why}");
                    ExitCode::from(1)
                },
                |()| ExitCode::SUCCESS,
            )
        }
    }
}

fn tell(target: &Target, outcome: Result<Value, String>) -> ExitCode {
    match outcome {
        Ok(report) => {
            if target.json {
                println!("{report}");
            } else {
                print!("{}", measure::report::text(&report));
            }
            let clean = report.get("errors").and_then(Value::as_u64) == Some(0);
            ExitCode::from(if clean { 0 } else { 3 })
        }
        Err(why) => {
            eprintln!("msrp-load: {why}");
            ExitCode::from(1)
        }
    }
}
