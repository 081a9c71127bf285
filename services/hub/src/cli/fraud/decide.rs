//! `hansa fraud case`, `ban`, `mode`, `scorer` and the hub's side of `rules`: what analysts decide.

use std::path::PathBuf;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use hansa_client::hub::Hub;
use hansa_fraud::rules::Draft;
use hansa_proto::v1::{
    self, FraudMode, FraudOutcome, FraudScheme, FraudSeverity,
    fraud_decision::{self as step, Decision},
};
use serde_json::json;

use crate::{
    cli::{
        connect::Connection,
        render::{self, Column, Format},
        session,
    },
    convert::timestamp,
    fraud::wire,
};

/// What all decisions have.
#[derive(Debug, Args)]
pub struct With {
    /// Why, for the log; the affiliate reads it where a case is closed.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// What about the case of a flag.
#[derive(Debug, Subcommand)]
pub enum Case {
    /// Take the case: somebody looks at it.
    Take {
        /// Number of the flag.
        #[arg(value_name = "FLAG")]
        flag: u64,
        #[command(flatten)]
        with: With,
    },
    /// Close the case. After an appeal, by another person than before.
    Close {
        /// Number of the flag.
        #[arg(value_name = "FLAG")]
        flag: u64,
        /// What was found.
        #[arg(long, ignore_case = true)]
        outcome: Outcome,
        #[command(flatten)]
        with: With,
    },
    /// Do not raise the flag again before an instant.
    Snooze {
        /// Number of the flag.
        #[arg(value_name = "FLAG")]
        flag: u64,
        /// The instant (RFC 3339).
        #[arg(long, value_name = "INSTANT")]
        until: DateTime<Utc>,
        #[command(flatten)]
        with: With,
    },
    /// Ban the affiliate of a confirmed case from the alliance.
    Ban {
        /// Number of the flag.
        #[arg(value_name = "FLAG")]
        flag: u64,
        /// How grave it is.
        #[arg(long, ignore_case = true)]
        severity: Severity,
        #[command(flatten)]
        with: With,
    },
    /// Lift a ban.
    LiftBan {
        /// The affiliate.
        #[arg(value_name = "AFFILIATE")]
        affiliate: String,
        #[command(flatten)]
        with: With,
    },
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Outcome {
    /// It is the scheme: what is held is forfeited when the time for an appeal is over.
    Confirmed,
    /// Right to look at, and no fraud: what is held goes on.
    Valuable,
    /// Wrong: what is held goes on.
    FalsePositive,
    /// It cannot be decided: what is held goes on.
    InsufficientEvidence,
}

/// How grave it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Severity {
    /// Look twice.
    Low,
    /// Work with them only on conditions.
    Medium,
    /// Do not work with them.
    High,
}

/// What may come of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    /// It is counted, and nobody is told.
    Shadow,
    /// A person is asked.
    Flag,
    /// A person is asked and the money waits.
    Hold,
    /// It takes no part. Only of the scorer.
    Off,
}

impl Mode {
    const fn wire(self) -> FraudMode {
        match self {
            Self::Shadow => FraudMode::Shadow,
            Self::Flag => FraudMode::Flag,
            Self::Hold => FraudMode::Hold,
            Self::Off => FraudMode::Unspecified,
        }
    }
}

fn scheme(text: &str) -> Result<FraudScheme, String> {
    let code = text.to_uppercase().replace('-', "_");
    let typology = code.parse::<hansa_fraud::Typology>();
    typology
        .map(wire::scheme)
        .map_err(|error| error.to_string())
}

/// Options of `mode`.
#[derive(Debug, Args)]
pub struct SetMode {
    /// The scheme, e.g. CLICK_FLOOD.
    #[arg(value_name = "SCHEME", value_parser = scheme)]
    scheme: FraudScheme,
    /// What verdicts on it may lead to.
    #[arg(value_name = "MODE", ignore_case = true)]
    mode: Mode,
    #[command(flatten)]
    with: With,
}

/// Options of `scorer`.
#[derive(Debug, Args)]
pub struct SetScorer {
    /// How the learned scorer takes part.
    #[arg(value_name = "MODE", ignore_case = true)]
    mode: Mode,
    #[command(flatten)]
    with: With,
}

/// Options of `rules save`.
#[derive(Debug, Args)]
pub struct Save {
    /// A TOML file with tables [[rule]].
    file: PathBuf,
    #[command(flatten)]
    with: With,
}

/// Options of `rules list`.
#[derive(Debug, Args)]
pub struct ListRules {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// Options of `rules preview`.
#[derive(Debug, Args)]
pub struct Preview {
    /// Name of the rule.
    name: String,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// Options of `rules on`.
#[derive(Debug, Args)]
pub struct On {
    /// Name of the rule.
    name: String,
    /// The version, as its preview names it.
    #[arg(long = "rule-version", value_name = "VERSION")]
    rule_version: String,
    #[command(flatten)]
    with: With,
}

/// Options of `rules off`.
#[derive(Debug, Args)]
pub struct Off {
    /// Name of the rule.
    name: String,
    #[command(flatten)]
    with: With,
}

pub(super) async fn case(command: Case) -> anyhow::Result<()> {
    let (decision, with, done) = match command {
        Case::Take { flag, with } => (
            Decision::TakeCase(step::TakeCase { flag_number: flag }),
            with,
            format!("The case of flag {flag} is under investigation."),
        ),
        Case::Close {
            flag,
            outcome,
            with,
        } => {
            let found = match outcome {
                Outcome::Confirmed => FraudOutcome::Confirmed,
                Outcome::Valuable => FraudOutcome::Valuable,
                Outcome::FalsePositive => FraudOutcome::FalsePositive,
                Outcome::InsufficientEvidence => FraudOutcome::InsufficientEvidence,
            };
            let decision = Decision::CloseCase(step::CloseCase {
                flag_number: flag,
                outcome: found.into(),
            });
            (
                decision,
                with,
                format!("The case of flag {flag} is closed."),
            )
        }
        Case::Snooze { flag, until, with } => {
            let decision = Decision::Snooze(step::Snooze {
                flag_number: flag,
                until: Some(timestamp(until.timestamp_micros())),
            });
            let done = format!("Flag {flag} is not raised again before {until}.");
            (decision, with, done)
        }
        Case::Ban {
            flag,
            severity,
            with,
        } => {
            let severity = match severity {
                Severity::Low => FraudSeverity::Low,
                Severity::Medium => FraudSeverity::Medium,
                Severity::High => FraudSeverity::High,
            };
            let decision = Decision::Ban(step::Ban {
                flag_number: flag,
                severity: severity.into(),
            });
            let done = format!("The affiliate of flag {flag} is banned from the alliance.");
            (decision, with, done)
        }
        Case::LiftBan { affiliate, with } => {
            let done = format!("{affiliate} is not banned any more.");
            let decision = Decision::LiftBan(step::LiftBan {
                affiliate_id: affiliate,
            });
            (decision, with, done)
        }
    };
    decide(decision, &with, &done).await
}

pub(super) async fn mode(args: &SetMode) -> anyhow::Result<()> {
    anyhow::ensure!(
        args.mode != Mode::Off,
        "a scheme cannot be switched off: SHADOW counts it and tells nobody"
    );
    let decision = Decision::SetMode(step::SetMode {
        scheme: args.scheme.into(),
        mode: args.mode.wire().into(),
    });
    decide(decision, &args.with, "The mode holds from the next run on.").await
}

pub(super) async fn scorer(args: &SetScorer) -> anyhow::Result<()> {
    let decision = Decision::SetScorer(step::SetScorer {
        mode: args.mode.wire().into(),
    });
    let done = "The scorer takes part so from the next run on, once it has labels enough.";
    decide(decision, &args.with, done).await
}

pub(super) async fn on(args: &On) -> anyhow::Result<()> {
    let decision = Decision::SwitchRuleOn(step::SwitchRuleOn {
        name: args.name.clone(),
        version: args.rule_version.clone(),
    });
    decide(decision, &args.with, &format!("Rule {} is on.", args.name)).await
}

pub(super) async fn off(args: &Off) -> anyhow::Result<()> {
    let decision = Decision::SwitchRuleOff(step::SwitchRuleOff {
        name: args.name.clone(),
    });
    let done = format!(
        "Rule {} is off; what waits for it stays until a person decides.",
        args.name
    );
    decide(decision, &args.with, &done).await
}

async fn decide(decision: Decision, with: &With, done: &str) -> anyhow::Result<()> {
    let hub = session::operator(&with.connection).await?;
    let answer = write(&hub, decision, &with.reason).await?;
    if with.format.json {
        return render::print_json(&json!({ "leaf_index": answer.leaf_index }));
    }
    render::print(&format!("{done} Entry {}.\n", answer.leaf_index))
}

async fn write(
    hub: &Hub,
    decision: Decision,
    reason: &str,
) -> anyhow::Result<v1::DecideFraudResponse> {
    let request = v1::DecideFraudRequest {
        decision: Some(v1::FraudDecision {
            decision: Some(decision),
        }),
        note: reason.to_owned(),
    };
    // Not tried again: a step that was taken cannot be taken twice.
    let answer = hub.fraud().decide_fraud(request).await;
    Ok(answer
        .map_err(hansa_client::hub::CallError::from)?
        .into_inner())
}

/// Saves every rule of a file.
pub(super) async fn save(args: &Save) -> anyhow::Result<()> {
    let path = args.file.display();
    let text =
        std::fs::read_to_string(&args.file).with_context(|| format!("cannot read {path}"))?;
    let file: super::rules::File =
        toml::from_str(&text).with_context(|| format!("{path} is no file of rules"))?;
    let hub = session::operator(&args.with.connection).await?;
    let mut saved = Vec::new();
    for draft in &file.rule {
        let toml = toml::to_string::<Draft>(draft)?;
        let decision = Decision::SaveRule(step::SaveRule { toml });
        let answer = write(&hub, decision, &args.with.reason)
            .await
            .with_context(|| format!("rule \"{}\"", draft.name))?;
        saved.push((draft.name.clone(), answer.rule_version));
    }
    if args.with.format.json {
        let rules = saved
            .iter()
            .map(|(name, version)| json!({ "name": name, "version": version }));
        return render::print_json(&json!({ "rules": rules.collect::<Vec<_>>() }));
    }
    let lines = saved.iter().map(|(name, version)| {
        format!("Rule {name} is saved as version {version}; it is not on.\n")
    });
    render::print(&lines.collect::<String>())
}

pub(super) async fn list(args: &ListRules) -> anyhow::Result<()> {
    let hub = session::operator(&args.connection).await?;
    let answer = hub
        .call(v1::ListTrafficRulesRequest {}, async |hub: Hub, request| {
            hub.fraud().list_traffic_rules(request).await
        })
        .await?;
    let mode = |rule: &v1::TrafficRule| render::name(rule.mode().as_str_name(), "FRAUD_MODE_");
    let of = |rule: &v1::TrafficRule| render::name(rule.scheme().as_str_name(), "FRAUD_SCHEME_");
    if args.format.json {
        let rules = answer.rules.iter().map(|rule| {
            json!({
                "name": rule.name,
                "version": rule.version,
                "on": rule.on,
                "scheme": of(rule),
                "mode": mode(rule),
                "when": rule.when,
                "author": rule.author,
                "off_reason": rule.off_reason,
            })
        });
        return render::print_json(&json!({ "rules": rules.collect::<Vec<_>>() }));
    }
    if answer.rules.is_empty() {
        return render::print("No rules.\n");
    }
    let mut table = render::table(&[
        Column::Left("rule"),
        Column::Left("version"),
        Column::Left("on"),
        Column::Left("scheme"),
        Column::Left("mode"),
        Column::Left("author"),
        Column::Left("when"),
    ]);
    for rule in &answer.rules {
        let on = if rule.on { "yes" } else { "no" };
        table.add_row([
            rule.name.clone(),
            rule.version.clone(),
            on.to_owned(),
            render::words(of(rule)),
            mode(rule).to_lowercase(),
            rule.author.clone(),
            rule.when.clone(),
        ]);
    }
    render::print(&format!("{}\n", table.trim_fmt()))
}

pub(super) async fn preview(args: &Preview) -> anyhow::Result<()> {
    let hub = session::operator(&args.connection).await?;
    let request = v1::PreviewTrafficRuleRequest {
        name: args.name.clone(),
    };
    let made = hub
        .call(request, async |hub: Hub, request| {
            hub.fraud().preview_traffic_rule(request).await
        })
        .await?;
    let would_hold = made.would_hold.clone().unwrap_or_default();
    if args.format.json {
        return render::print_json(&json!({
            "version": made.version,
            "days": made.days,
            "rows": made.rows,
            "hits": made.hits,
            "affiliates": made.affiliates,
            "confirmed": made.confirmed,
            "false_positives": made.false_positives,
            "unknown": made.unknown,
            "would_hold_micros": would_hold.micros,
            "currency_code": would_hold.currency_code,
            "failed": made.failed,
        }));
    }
    render::print(&format!(
        "Rule {}, version {}: on {} days of 30, {} of {} rows of affiliates at merchants, {} affiliates.\n\
         Of the pairs found, {} were confirmed, {} found honest, {} not reviewed; it would have held {}.\n\
         Switch it on with: hansa fraud rules on {} --rule-version {}\n",
        args.name,
        made.version,
        made.days,
        made.hits,
        made.rows,
        made.affiliates,
        made.confirmed,
        made.false_positives,
        made.unknown,
        render::amount(would_hold.micros, &would_hold.currency_code),
        args.name,
        made.version,
    ))
}
