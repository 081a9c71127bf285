//! `hansa bench`: measures a hub as its users meet it, through the wire, in a process of its own.

mod check;
pub mod close;
mod directory;
pub mod exchange;
mod hub;
mod lane;
mod load;
mod machine;
mod members;
mod progress;
mod report;
mod rng;
mod traffic;
mod unary;
mod wire;

use std::process::ExitCode;

use clap::Subcommand;

/// What is measured.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Signed messages into a durable log: rate, latency, memory, restart.
    Exchange(exchange::Args),
    /// Closing a cycle: what it takes, and what ongoing traffic feels of it.
    Close(close::Args),
}

/// Runs a bench.
pub async fn run(bench: Bench) -> anyhow::Result<ExitCode> {
    match bench {
        Bench::Exchange(args) => exchange::run(args).await,
        Bench::Close(args) => close::run(args).await,
    }
}
