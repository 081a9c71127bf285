//! `hansa verify receipts`: a merchant's own proof that each of its messages is in exactly one cycle, from what it kept and
//! the cycles' certificates. Asks nobody.

use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

use clap::Args as ClapArgs;
use hansa_client::{
    assignment::{Assignment, assign},
    certificate::{CertifiedCycle, verify_certificate},
    note::LogVerifier,
};
use serde_json::json;

use super::{
    exit, proofs,
    render::{self, Column, Format, number},
};

/// What is compared.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Folder of receipts as `hansa submit --receipts` writes them, or one of them.
    #[arg(long, value_name = "DIR|FILE", default_value = "receipts")]
    receipts: PathBuf,
    /// Folder of certificates as `hansa cycle certificate --out` writes them, or one of them.
    #[arg(long, value_name = "DIR|FILE", default_value = "certificates")]
    certificates: PathBuf,
    /// The log's key as you know it from elsewhere: name+hash+key.
    #[arg(long, env = "HANSA_VERIFIER_KEY", value_name = "KEY")]
    verifier_key: LogVerifier,
    #[command(flatten)]
    format: Format,
}

/// Verifies.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let receipts = proofs::receipts(&args.receipts)?;
    let certificates = proofs::certificates(&args.certificates)?;
    let cut_proofs = proofs::cut_proofs(&args.certificates)?;
    let log = &args.verifier_key;
    let cycles: Result<Vec<CertifiedCycle>, _> = certificates
        .iter()
        .map(|envelope| verify_certificate(envelope, log))
        .collect();
    let assigned = cycles
        .map_err(|error| error.to_string())
        .and_then(|cycles| {
            let assignment = assign(&receipts, &cycles, &cut_proofs, log);
            assignment.map_err(|error| error.to_string())
        });
    if args.format.json {
        render::print_json(&match &assigned {
            Ok(assignment) => assignment_json(assignment, receipts.len()),
            Err(mismatch) => json!({ "ok": false, "mismatch": mismatch }),
        })?;
    } else {
        render::print(&match &assigned {
            Ok(assignment) => assignment_text(assignment, receipts.len()),
            Err(mismatch) => format!("MISMATCH: {mismatch}\n"),
        })?;
    }
    Ok(match assigned {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => exit::MISMATCH.into(),
    })
}

fn assignment_json(assignment: &Assignment, receipts: usize) -> serde_json::Value {
    let cycle = |(number, cycle): (&u32, &hansa_client::assignment::InCycle)| {
        json!({
            "cycle_number": number,
            "batches": cycle.batches,
            "proven_batches": cycle.proven_batches,
            "messages_accepted": cycle.accepted,
            "messages_refused": cycle.refused,
        })
    };
    json!({
        "ok": true,
        "mismatch": null,
        "receipts": receipts,
        "messages": assignment.messages(),
        "cycles": assignment.cycles.iter().map(cycle).collect::<Vec<_>>(),
        "outside": assignment.outside,
        "repeated": assignment.repeated,
        "missing_leaves": assignment.missing_leaves,
    })
}

fn assignment_text(assignment: &Assignment, receipts: usize) -> String {
    let mut table = render::table(&[
        Column::Right("cycle"),
        Column::Right("batches"),
        Column::Right("in its cut's tree"),
        Column::Right("accepted"),
        Column::Right("refused"),
    ]);
    for (cycle, sum) in &assignment.cycles {
        table.add_row([
            cycle.to_string(),
            number(sum.batches),
            number(sum.proven_batches),
            number(sum.accepted),
            number(sum.refused),
        ]);
    }
    let mut text = String::new();
    if !assignment.cycles.is_empty() {
        let _ = writeln!(text, "{}", table.trim_fmt());
    }
    if assignment.outside > 0 {
        let _ = writeln!(
            text,
            "{} messages are outside of these cycles: in the open one, or in one whose certificate is not here.",
            number(assignment.outside)
        );
    }
    if !assignment.missing_leaves.is_empty() {
        let leaves = assignment.missing_leaves.iter().take(10);
        let leaves: Vec<String> = leaves.map(u64::to_string).collect();
        let _ = writeln!(
            text,
            "Receipts of {} leaves are not here, where messages were decided that were sent again: {}{}",
            number(assignment.missing_leaves.len() as u64),
            leaves.join(", "),
            if assignment.missing_leaves.len() > 10 {
                ", ..."
            } else {
                ""
            },
        );
    }
    let _ = writeln!(
        text,
        "OK: {} receipts hold, and each of their {} messages is in exactly one cycle",
        number(receipts as u64),
        number(assignment.messages())
    );
    text
}
