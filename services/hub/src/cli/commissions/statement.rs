//! `hansa commissions statement`: opening + accrued - reversed - held +- adjusted - paid = closing, signed.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args as ClapArgs, ValueEnum};
use hansa_proto::v1;

use super::super::{
    connect::Connection,
    documents,
    render::Format,
    session::{self, Session},
};

const HELP: &str = "An affiliate gets its own (with --merchant ID, as everywhere, its own id); an operator gets that of --affiliate ID, or \
without it those of all affiliates, into a folder. Each document goes with its signature (hansa verify document).";

/// Form of a commission statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    Pdf,
    /// For imports and spreadsheets.
    Csv,
    /// For programs.
    Json,
}

impl Form {
    const fn wire(self) -> v1::DocumentFormat {
        match self {
            Self::Pdf => v1::DocumentFormat::Pdf,
            Self::Csv => v1::DocumentFormat::Csv,
            Self::Json => v1::DocumentFormat::Json,
        }
    }
}

/// Whose statement of what.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// Number of the cycle; it must be closed.
    #[arg(long, value_name = "N")]
    cycle: u32,
    /// The affiliate; for operators.
    #[arg(long, value_name = "ID")]
    affiliate: Option<String>,
    /// Its form.
    #[arg(
        long = "format",
        value_name = "FORM",
        value_enum,
        default_value = "pdf"
    )]
    form: Form,
    /// File, or folder, to write to. Default: a name of its own in the working directory.
    #[arg(long, value_name = "FILE|DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

/// Runs it.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let session = session::either(&args.connection).await?;
    let affiliates = affiliates(args, &session).await?;
    documents::folder(args.out.as_deref(), affiliates.len())?;
    let hub = session::for_documents(session.hub);
    let mut saved = Vec::with_capacity(affiliates.len());
    for affiliate_id in affiliates {
        let request = v1::GetCommissionStatementRequest {
            affiliate_id,
            cycle_number: args.cycle,
            format: args.form.wire().into(),
        };
        let document = hub.commission_statement(request).await?;
        let path = documents::save(&document, args.out.as_deref())?;
        saved.push((path, document.content.len()));
    }
    documents::tell(&saved, args.format.json)?;
    Ok(ExitCode::SUCCESS)
}

/// The one that is named, or all that the alliance has.
async fn affiliates(args: &Args, session: &Session) -> anyhow::Result<Vec<String>> {
    let named = args.affiliate.clone().or_else(|| session.merchant.clone());
    if let Some(named) = named {
        return Ok(vec![named]);
    }
    let alliance = session::alliance(&session.hub).await?;
    let affiliates = alliance.merchants.into_iter();
    Ok(affiliates
        .filter(|participant| participant.affiliate.is_some())
        .map(|participant| participant.merchant_id)
        .collect())
}
