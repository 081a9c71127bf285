//! `hansa fraud rules`: rules on traffic are checked before a hub sees them, and what they can be written over.

use std::{collections::BTreeSet, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use hansa_fraud::rules::{Draft, FEATURES, Rule};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::decide;
use crate::cli::render::{self, Column, Format};

const HELP: &str = "A file of rules is TOML: tables [[rule]] with name, typology, mode (SHADOW, FLAG, HOLD), when (an expression in CEL),
reason (or bands, of an expression that is a number) and author. Nothing is saved: a hub takes rules with hansa fraud rules save
and measures them before they are switched on. Exit status 1 where a rule is wrong.";

/// What to do with rules.
#[derive(Debug, Subcommand)]
pub enum Rules {
    /// Check the types, names and cost of rules.
    #[command(after_help = HELP)]
    Check(Check),
    /// List the features that expressions can name.
    Features(Format),
    /// The hub's rules, and which of them are on.
    List(decide::ListRules),
    /// Save the rules of a file at the hub; none is switched on. Analysts.
    Save(decide::Save),
    /// What a rule would have found in the last 30 days. Analysts.
    Preview(decide::Preview),
    /// Switch a rule on, as its preview was looked at. Analysts.
    On(decide::On),
    /// Switch a rule off. Analysts.
    Off(decide::Off),
}

/// Options of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// A TOML file with tables [[rule]].
    file: PathBuf,
    #[command(flatten)]
    format: Format,
}

/// A file of rules.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) rule: Vec<Draft>,
}

/// What is said of one rule.
#[derive(Debug, Serialize)]
struct Checked {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    depth: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) async fn run(command: Rules) -> anyhow::Result<ExitCode> {
    match command {
        Rules::Check(args) => return check(&args),
        Rules::Features(format) => return features(format),
        Rules::List(args) => decide::list(&args).await?,
        Rules::Save(args) => decide::save(&args).await?,
        Rules::Preview(args) => decide::preview(&args).await?,
        Rules::On(args) => decide::on(&args).await?,
        Rules::Off(args) => decide::off(&args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn check(args: &Check) -> anyhow::Result<ExitCode> {
    let path = args.file.display();
    let text =
        std::fs::read_to_string(&args.file).with_context(|| format!("cannot read {path}"))?;
    let file: File =
        toml::from_str(&text).with_context(|| format!("{path} is no file of rules"))?;
    let mut names = BTreeSet::new();
    let checked: Vec<Checked> = file
        .rule
        .into_iter()
        .map(|draft| {
            let twice = !names.insert(draft.name.clone());
            one(draft, twice)
        })
        .collect();
    let wrong = checked.iter().filter(|rule| rule.error.is_some()).count();
    if args.format.json {
        render::print_json(&json!({ "rules": checked, "wrong": wrong }))?;
    } else {
        render::print(&shown(&checked))?;
    }
    for rule in &checked {
        if let Some(error) = &rule.error {
            eprintln!("{path}: rule \"{}\": {error}", rule.name);
        }
    }
    Ok(if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn one(draft: Draft, twice: bool) -> Checked {
    let name = draft.name.clone();
    // Which version it becomes is the hub's to say: by the digest it is known there.
    let (rule, error) = match Rule::check(draft, 1) {
        Ok(rule) => (
            Some(rule),
            twice.then(|| "another rule of the file has the same name".to_owned()),
        ),
        Err(error) => (None, Some(error.to_string())),
    };
    Checked {
        name,
        digest: rule
            .as_ref()
            .map(|rule| format!("{:032x}", rule.version().digest)),
        parts: rule.as_ref().map(|rule| rule.cost().nodes),
        depth: rule.as_ref().map(|rule| rule.cost().depth),
        error,
    }
}

fn shown(checked: &[Checked]) -> String {
    let mut table = render::table(&[
        Column::Left("Rule"),
        Column::Left("Is"),
        Column::Right("Parts"),
        Column::Right("Depth"),
        Column::Left("Digest"),
    ]);
    for rule in checked {
        let number = |of: Option<u32>| of.map_or_else(String::new, |of| of.to_string());
        table.add_row([
            rule.name.clone(),
            if rule.error.is_some() {
                "wrong"
            } else {
                "right"
            }
            .to_owned(),
            number(rule.parts),
            number(rule.depth),
            rule.digest.clone().unwrap_or_default(),
        ]);
    }
    format!("{table}\n")
}

fn features(format: Format) -> anyhow::Result<ExitCode> {
    if format.json {
        let all: Vec<_> = FEATURES
            .iter()
            .map(|feature| {
                json!({
                    "name": feature.name,
                    "type": feature.kind.name(),
                    "unit": feature.unit,
                    "meaning": feature.meaning,
                })
            })
            .collect();
        render::print_json(&json!({ "features": all }))?;
    } else {
        let mut table = render::table(&[
            Column::Left("Feature"),
            Column::Left("Type"),
            Column::Left("Of"),
            Column::Left("What"),
        ]);
        for feature in FEATURES {
            table.add_row([
                feature.name,
                feature.kind.name(),
                feature.unit,
                feature.meaning,
            ]);
        }
        render::print(&format!("{table}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}
