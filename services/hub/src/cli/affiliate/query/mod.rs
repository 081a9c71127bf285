//! `hansa affiliate query`: queries over commissions, from all three sides.

mod show;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args as ClapArgs, Subcommand};
use hansa_client::hub::{CallError, Hub};
use hansa_proto::v1;

use crate::{
    cli::{
        connect::Connection,
        dispute::evidence::{Attached, save_all},
        finance::value,
        pages,
        render::Format,
        session,
    },
    convert::timestamp,
};

const HELP: &str = "An affiliate raises a query over a commission to a merchant, inside the contract's dispute days: over an order that \
was never reported, or over a conversion by its place in the log. The merchant answers: what it accepts as an amount is proposed as \
an adjustment, which finance approves. The affiliate takes a rejection, or silence, to a ruling by finance. Whoever is silent too long \
loses the turn.";

/// What about queries.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = HELP)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Raise a query. Affiliates.
    Raise {
        #[command(flatten)]
        subject: Subject,
        /// What the merchant owes you more.
        #[arg(long, value_name = "AMOUNT", value_parser = value::positive)]
        claim: i64,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        text: String,
        #[command(flatten)]
        attached: Attached,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
    /// Accept or reject a query. The merchant that it was raised to.
    Answer {
        /// Number of the query.
        #[arg(value_name = "QUERY")]
        query: u64,
        /// Accept it: with --amount, or of an order that was never reported, you send the conversion.
        #[arg(long, conflicts_with = "reject", required_unless_present = "reject")]
        accept: bool,
        /// Reject it: the affiliate may escalate.
        #[arg(long, conflicts_with_all = ["amount", "leaf"])]
        reject: bool,
        #[command(flatten)]
        remedy: Remedy,
        /// Why; the affiliate reads it.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
    /// Take a rejected or unanswered query to a ruling. The affiliate that raised it.
    Escalate {
        /// Number of the query.
        #[arg(value_name = "QUERY")]
        query: u64,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        text: String,
        #[command(flatten)]
        attached: Attached,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
    /// Rule on an escalated query. Finance.
    Rule {
        /// Number of the query.
        #[arg(value_name = "QUERY")]
        query: u64,
        /// For the affiliate: with --amount, which another person approves; or of an order that was never reported, the merchant sends the
        /// conversion.
        #[arg(long, conflicts_with = "dismiss", required_unless_present = "dismiss")]
        uphold: bool,
        /// Against the affiliate. Final.
        #[arg(long, conflicts_with_all = ["amount", "leaf"])]
        dismiss: bool,
        #[command(flatten)]
        remedy: Remedy,
        /// Why; both sides read it.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
    /// Queries, newest first: to the merchant, or of the affiliate.
    List {
        /// Only those in this state.
        #[arg(long, value_name = "STATE", ignore_case = true, value_parser = value::query_state())]
        state: Option<v1::QueryState>,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
    /// One query, with all that was said and whose turn it is.
    Show {
        /// Number of the query.
        #[arg(value_name = "QUERY")]
        query: u64,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
    /// Save the attachments of a query.
    Evidence {
        /// Number of the query.
        #[arg(value_name = "QUERY")]
        query: u64,
        /// Directory that they go to; nothing in it is overwritten.
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
}

/// What a query is over.
#[derive(Debug, ClapArgs)]
struct Subject {
    /// What is wrong: untracked, an order that was never reported (--to, --order, --time, --click or --code); incorrect, a conversion with a
    /// wrong amount, rate or category; declined, one that was taken back or refused (--leaf, --position).
    #[arg(value_name = "KIND", ignore_case = true, value_parser = value::query_kind())]
    kind: v1::QueryKind,
    /// The merchant; of a conversion it is known.
    #[arg(long, value_name = "MERCHANT")]
    to: Option<String>,
    /// The merchant's reference of the order.
    #[arg(long, value_name = "REFERENCE")]
    order: Option<String>,
    /// When the order was made (RFC 3339).
    #[arg(long, value_name = "INSTANT")]
    time: Option<DateTime<Utc>>,
    /// The click id that the shopper came with.
    #[arg(long, value_name = "ID")]
    click: Option<String>,
    /// The code that the shopper used.
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// The entry that holds the conversion or the refused message.
    #[arg(long, value_name = "LEAF")]
    leaf: Option<u64>,
    /// Position in that entry.
    #[arg(
        long,
        value_name = "P",
        requires = "leaf",
        default_value_t = 0,
        hide_default_value = true
    )]
    position: u32,
}

impl Subject {
    fn wire(self) -> (String, v1::QuerySubject) {
        let subject = v1::QuerySubject {
            kind: self.kind.into(),
            leaf_index: self.leaf,
            entry_position: self.position,
            order_reference: self.order.unwrap_or_default(),
            order_time: self.time.map(|at| timestamp(at.timestamp_micros())),
            click_id: self.click.unwrap_or_default(),
            code: self.code.unwrap_or_default(),
        };
        (self.to.unwrap_or_default(), subject)
    }
}

/// What is granted.
#[derive(Debug, ClapArgs)]
struct Remedy {
    /// What the merchant owes the affiliate more. Default: nothing, the merchant sends the conversion.
    #[arg(long, value_name = "AMOUNT", value_parser = value::positive, conflicts_with = "leaf")]
    amount: Option<i64>,
    /// The entry that holds the conversion, where it was sent already.
    #[arg(long, value_name = "LEAF")]
    leaf: Option<u64>,
    /// Position in that entry.
    #[arg(
        long,
        value_name = "P",
        requires = "leaf",
        default_value_t = 0,
        hide_default_value = true
    )]
    position: u32,
}

impl Remedy {
    fn wire(&self, granted: bool) -> Option<v1::QueryRemedy> {
        granted.then(|| v1::QueryRemedy {
            amount_micros: self.amount.unwrap_or(0),
            leaf_index: self.leaf,
            entry_position: self.position,
        })
    }
}

/// Runs it.
pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Raise {
            subject,
            claim,
            text,
            attached,
            connection,
            format,
        } => {
            let evidence = attached.read()?;
            let hub = session::merchant(&connection).await?;
            let (merchant_id, subject) = subject.wire();
            let request = v1::RaiseQueryRequest {
                merchant_id,
                subject: Some(subject),
                claimed_micros: claim,
                text,
                evidence,
            };
            let answer = hub
                .call(request, async |hub: Hub, request| {
                    hub.affiliates().raise_query(request).await
                })
                .await?;
            show::tell(&hub, format, answer.query).await
        }
        Command::Answer {
            query,
            accept,
            remedy,
            reason,
            connection,
            format,
            ..
        } => {
            let hub = session::merchant(&connection).await?;
            let request = v1::AnswerQueryRequest {
                query_number: query,
                remedy: remedy.wire(accept),
                answer: reason,
            };
            let answer = hub
                .call(request, async |hub: Hub, request| {
                    hub.affiliates().answer_query(request).await
                })
                .await?;
            show::tell(&hub, format, answer.query).await
        }
        Command::Escalate {
            query,
            text,
            attached,
            connection,
            format,
        } => {
            let evidence = attached.read()?;
            let hub = session::merchant(&connection).await?;
            let request = v1::EscalateQueryRequest {
                query_number: query,
                text,
                evidence,
            };
            let answer = hub
                .call(request, async |hub: Hub, request| {
                    hub.affiliates().escalate_query(request).await
                })
                .await?;
            show::tell(&hub, format, answer.query).await
        }
        Command::Rule {
            query,
            uphold,
            remedy,
            reason,
            connection,
            format,
            ..
        } => {
            let hub = session::operator(&connection).await?;
            let request = v1::RuleQueryRequest {
                query_number: query,
                remedy: remedy.wire(uphold),
                ruling: reason,
            };
            let answer = hub
                .call(request, async |hub: Hub, request| {
                    hub.affiliates().rule_query(request).await
                })
                .await?;
            show::tell(&hub, format, answer.query).await
        }
        Command::List {
            state,
            connection,
            format,
        } => {
            let session = session::either(&connection).await?;
            let mut queries = all(&session.hub, state.unwrap_or_default()).await?;
            // An operator who names a participant wants its queries.
            if let Some(own) = &session.merchant {
                queries.retain(|query| query.merchant_id == *own || query.affiliate_id == *own);
            }
            show::list(&session.hub, format, &queries).await
        }
        Command::Show {
            query,
            connection,
            format,
        } => {
            let hub = session::either(&connection).await?.hub;
            let query = one(&hub, query).await?;
            show::tell(&hub, format, Some(query)).await
        }
        Command::Evidence {
            query,
            out,
            connection,
            format,
        } => {
            let hub = session::either(&connection).await?.hub;
            let found = one(&hub, query).await?;
            save_all(
                format,
                ("query", query),
                &found.evidence,
                &out,
                async |sha256| {
                    let request = v1::GetQueryEvidenceRequest {
                        query_number: query,
                        sha256,
                    };
                    let answer = hub
                        .call(request, async |hub: Hub, request| {
                            hub.affiliates().get_query_evidence(request).await
                        })
                        .await?;
                    Ok(answer.evidence.unwrap_or_default())
                },
            )
            .await
        }
    }
}

async fn one(hub: &Hub, query_number: u64) -> Result<v1::Query, CallError> {
    let request = v1::GetQueryRequest { query_number };
    let answer = hub
        .call(request, async |hub: Hub, request| {
            hub.affiliates().get_query(request).await
        })
        .await?;
    Ok(answer.query.unwrap_or_default())
}

async fn all(hub: &Hub, state: v1::QueryState) -> Result<Vec<v1::Query>, CallError> {
    pages::all(async |page_token| {
        let request = v1::ListQueriesRequest {
            state: state.into(),
            page_size: 1_000,
            page_token,
        };
        let page = hub
            .call(request, async |hub: Hub, request| {
                hub.affiliates().list_queries(request).await
            })
            .await?;
        Ok((page.queries, page.next_page_token))
    })
    .await
}
