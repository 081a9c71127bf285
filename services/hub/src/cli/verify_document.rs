//! `hansa verify document`: that the hub signed a file, and that its figures add up. Takes the file, its signature and the
//! log's key; asks nobody.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Args as ClapArgs;
use hansa_client::{
    document::{SignedFile, verify_document},
    json,
    note::LogVerifier,
};
use hansa_report::{Figures, attached_json};
use serde_json::json as value;

use super::{
    documents::signature_path,
    exit,
    render::{self, Format, number},
};

/// Which file.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The document.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Its signature, a DSSE envelope. Default: FILE.signature.json.
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// The log's key as you know it from elsewhere: name+hash+key.
    #[arg(long, env = "HANSA_VERIFIER_KEY", value_name = "KEY")]
    verifier_key: LogVerifier,
    #[command(flatten)]
    format: Format,
}

/// Verifies.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let content = std::fs::read(&args.file)
        .with_context(|| format!("cannot read {}", args.file.display()))?;
    let default = || signature_path(&args.file);
    let signature = args.signature.clone().unwrap_or_else(default);
    let text = std::fs::read_to_string(&signature)
        .with_context(|| format!("cannot read the signature {}", signature.display()))?;
    let envelope = json::envelope(&text)
        .with_context(|| format!("{} is no DSSE envelope", signature.display()))?;
    let verified = verify_document(&content, &envelope, &args.verifier_key)
        .map_err(|error| error.to_string())
        .and_then(|signed| Ok((figures(&signed, &content)?, signed)));
    let (text, document) = match &verified {
        Ok((figures, signed)) => (
            describe(signed, figures.as_ref()),
            value!({
                "ok": true,
                "mismatch": null,
                "file": signed.name,
                "sha256": signed.sha256,
                "cycle_number": signed.cycle_number,
                "merchant_id": signed.merchant_id,
                "figures_checked": figures.is_some(),
            }),
        ),
        Err(mismatch) => (
            format!("MISMATCH: {mismatch}\n"),
            value!({ "ok": false, "mismatch": mismatch }),
        ),
    };
    if args.format.json {
        render::print_json(&document)?;
    } else {
        render::print(&text)?;
    }
    Ok(match verified {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => exit::MISMATCH.into(),
    })
}

/// Figures of the JSON form, or of the JSON that a PDF carries. CSV and XLSX have the hub's signature alone.
fn figures(signed: &SignedFile, content: &[u8]) -> Result<Option<Figures>, String> {
    let checked = match signed.media_type.as_str() {
        "application/json" => Figures::check(content),
        "application/pdf" => {
            let attached = attached_json(content).map_err(|error| error.to_string())?;
            Figures::check(&attached)
        }
        _ => return Ok(None),
    };
    checked.map(Some).map_err(|error| error.to_string())
}

fn describe(signed: &SignedFile, figures: Option<&Figures>) -> String {
    let told = match figures {
        None => "its figures were checked by the hub that signed it; take JSON or PDF to check them here".to_owned(),
        Some(Figures::Statement {
            net,
            paid,
            carried_forward,
            lines,
            rows,
            ..
        }) => {
            let rows = match rows {
                None => String::new(),
                Some(rows) => format!(", {} items add up to them", number(*rows as u64)),
            };
            format!(
                "{lines} lines add up to the net {net}{rows}; paid {paid}, carried forward {carried_forward}"
            )
        }
        Some(Figures::Commission {
            opening,
            paid,
            closing,
            lines,
            ..
        }) => format!(
            "{} lines lead from the opening balance {opening} to the closing balance {closing}; paid {paid}",
            number(*lines as u64)
        ),
        Some(Figures::Liability {
            points,
            reserve,
            deferred,
        }) => format!(
            "{} open points, reserve {reserve}, deferred revenue {deferred}",
            number(*points)
        ),
        Some(Figures::Ledger {
            documents,
            lines,
            debits,
        }) => format!(
            "{documents} documents of {lines} lines balance; debits and credits are {debits} each"
        ),
    };
    let of = match (signed.cycle_number, signed.merchant_id.as_str()) {
        (0, "") => String::new(),
        (cycle, "") => format!(", cycle {cycle}"),
        (cycle, merchant) => format!(", cycle {cycle} of {merchant}"),
    };
    format!(
        "OK: {}{of} is signed by the log's key; {told}\n",
        signed.name
    )
}
