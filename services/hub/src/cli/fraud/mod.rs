//! `hansa fraud`: the detectors by themselves, over files; no hub takes part.

mod agents;
mod rules;
mod score;
mod table;

use std::process::ExitCode;

use clap::Subcommand;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Fraud {
    /// Tell user agents that declare a program from those of people.
    ClassifyUserAgents(agents::Args),
    /// Learn from labelled publishers and score others.
    TrainScore(Box<score::Args>),
    /// Rules on traffic.
    #[command(subcommand)]
    Rules(rules::Rules),
}

/// Runs the command.
pub fn run(command: Fraud) -> anyhow::Result<ExitCode> {
    match command {
        Fraud::ClassifyUserAgents(args) => agents::run(&args),
        Fraud::TrainScore(args) => score::run(&args),
        Fraud::Rules(command) => rules::run(&command),
    }
}
