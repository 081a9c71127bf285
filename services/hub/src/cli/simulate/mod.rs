//! `hansa simulate`: what the hub's detectors find in traffic that is made up, and whose truth is therefore known.

mod chart;
mod traffic;

use std::process::ExitCode;

use clap::Subcommand;

/// What is simulated.
#[derive(Debug, Subcommand)]
pub enum Simulate {
    /// Affiliate traffic, honest and not: recall and precision by scheme, and the commission that waited.
    Traffic(traffic::Args),
}

/// Runs a simulation.
pub fn run(simulate: &Simulate) -> anyhow::Result<ExitCode> {
    match simulate {
        Simulate::Traffic(args) => traffic::run(args),
    }
}
