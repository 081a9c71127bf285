//! `hansa fraud`: flags of a hub and what is decided about them; and the detectors by themselves, over files.

mod agents;
mod decide;
mod flags;
mod replay;
mod rules;
mod score;
mod table;

use std::process::ExitCode;

use clap::Subcommand;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Fraud {
    /// Flags, newest first; a participant's own.
    Flags(flags::List),
    /// One flag: its evidence, its case, and what waits for it.
    Flag(flags::Show),
    /// Cases and bans. Analysts.
    #[command(subcommand)]
    Case(decide::Case),
    /// Appeal against a confirmed case. Affiliates.
    Appeal(flags::Appeal),
    /// Who is banned from the alliance, and for what.
    Bans(flags::Look),
    /// Messages of points that a person should look at, newest first. For hubs that score them.
    Points(flags::Look),
    /// How far traffic was judged.
    Status(flags::Look),
    /// What verdicts on a scheme may lead to. Analysts.
    Mode(decide::SetMode),
    /// How the learned scorer takes part. Analysts.
    Scorer(decide::SetScorer),
    /// Make all flags again from log and touches, and compare.
    Replay(replay::Args),
    /// Tell user agents that declare a program from those of people.
    ClassifyUserAgents(agents::Args),
    /// Learn from labelled publishers and score others.
    TrainScore(Box<score::Args>),
    /// Rules on traffic.
    #[command(subcommand)]
    Rules(rules::Rules),
}

/// Runs the command.
pub async fn run(command: Fraud) -> anyhow::Result<ExitCode> {
    match command {
        Fraud::Flags(args) => flags::list(&args).await?,
        Fraud::Flag(args) => flags::show(&args).await?,
        Fraud::Case(command) => decide::case(command).await?,
        Fraud::Appeal(args) => flags::appeal(&args).await?,
        Fraud::Bans(args) => flags::bans(&args).await?,
        Fraud::Points(args) => flags::points(&args).await?,
        Fraud::Status(args) => flags::status(&args).await?,
        Fraud::Mode(args) => decide::mode(&args).await?,
        Fraud::Scorer(args) => decide::scorer(&args).await?,
        Fraud::Replay(args) => replay::run(&args).await?,
        Fraud::ClassifyUserAgents(args) => return agents::run(&args),
        Fraud::TrainScore(args) => return score::run(&args),
        Fraud::Rules(command) => return rules::run(command).await,
    }
    Ok(ExitCode::SUCCESS)
}
