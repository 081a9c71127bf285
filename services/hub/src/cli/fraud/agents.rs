//! `hansa fraud classify-user-agents`: one user agent a line, one answer a line.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Args as ClapArgs;
use hansa_fraud::lists::{AgentClass, Provenance, UserAgents};
use serde::Serialize;

use crate::cli::render::{self, Column};

const HELP: &str = "A blank line is a request without a user agent. In-app browsers are people; the previews that the same apps
fetch are declared bots. `rule` says why: MISSING, LISTED, WORD (it names what a robot does), CONTACT (an address of who runs
it), AUTOMATION (a driven browser), LIBRARY, NO_BROWSER (it looks like no program of people).";

/// Options.
#[derive(Debug, ClapArgs)]
#[command(after_help = HELP)]
pub struct Args {
    /// One user agent a line.
    file: PathBuf,
    /// Another list of crawlers: regular expressions, one a line, in place of the one that comes with the program.
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Answer {
    line: usize,
    user_agent: String,
    declared_bot: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<String>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    list: &'a Provenance,
    lines: usize,
    declared_bots: usize,
    people: usize,
    user_agents: Vec<Answer>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let agents = match &args.list {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            UserAgents::parse(&text)
        }
        None => UserAgents::vendored(),
    }
    .context("cannot use the list of crawlers")?;
    let bytes = std::fs::read(&args.file)
        .with_context(|| format!("cannot read {}", args.file.display()))?;
    // What clients send is bytes; most of it is UTF-8.
    let text = String::from_utf8_lossy(&bytes);
    let user_agents: Vec<Answer> = text
        .lines()
        .enumerate()
        .map(|(index, line)| answer(&agents, index + 1, line))
        .collect();
    let declared_bots = user_agents.iter().filter(|a| a.declared_bot).count();
    let report = Report {
        list: agents.provenance(),
        lines: user_agents.len(),
        declared_bots,
        people: user_agents.len() - declared_bots,
        user_agents,
    };
    if args.json {
        render::print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        render::print(&shown(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn answer(agents: &UserAgents, line: usize, user_agent: &str) -> Answer {
    let (rule, found) = match agents.classify(user_agent) {
        AgentClass::Person => (None, None),
        AgentClass::DeclaredBot(evidence) => (
            Some(evidence.rule.code().to_owned()),
            Some(evidence.found).filter(|found| !found.is_empty()),
        ),
    };
    Answer {
        line,
        user_agent: user_agent.to_owned(),
        declared_bot: rule.is_some(),
        rule,
        found,
    }
}

fn shown(report: &Report<'_>) -> String {
    let mut table = render::table(&[
        Column::Right("Line"),
        Column::Left("Is"),
        Column::Left("Rule"),
        Column::Left("User agent"),
    ]);
    for answer in &report.user_agents {
        table.add_row([
            answer.line.to_string(),
            if answer.declared_bot { "bot" } else { "person" }.to_owned(),
            answer.rule.clone().unwrap_or_default(),
            answer.user_agent.chars().take(100).collect(),
        ]);
    }
    format!(
        "{table}\n\n{} lines: {} declared bots, {} people. List: {} {} of {}.\n",
        report.lines,
        report.declared_bots,
        report.people,
        report.list.source,
        report.list.version,
        report.list.date,
    )
}
