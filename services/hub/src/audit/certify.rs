//! The hub's word in the log that a closed cycle was audited: approvals wait for it.
//!
//! Asks the auditor's own state, never its memory: what is certified is saved, wherever the auditor runs. After a crash it looks
//! again, and a cycle that has its word gets no second one.

use std::time::Duration;

use hansa_proto::v1;
use hansa_settlement::{CycleState, CycleTotals, Global};
use tokio_util::sync::CancellationToken;

use super::{Audit, AuditMode, Certification};
use crate::{
    convert::{cycle_no, cycle_number},
    error::HubError,
    sequencer::Sequencer,
};

/// Between two looks for a closed cycle.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// After a failure, which may last.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Writes it for every closed cycle, in order, until `cancel`.
pub(super) async fn run(audit: &Audit, sequencer: &Sequencer, cancel: &CancellationToken) {
    if audit.options.mode == AuditMode::Off {
        tracing::warn!("nobody audits the log: no settlement can be approved");
        return;
    }
    // A disagreement stays; it is told once.
    let mut told = None;
    while !cancel.is_cancelled() {
        let pause = match next(audit, sequencer, &mut told).await {
            Ok(true) => continue,
            Ok(false) => LOOK_EVERY,
            Err(error) => {
                tracing::debug!(%error, "the audit of a cycle cannot be written down yet");
                RETRY_AFTER
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = cancel.cancelled() => {}
        }
    }
}

/// Whether a word was written.
async fn next(
    audit: &Audit,
    sequencer: &Sequencer,
    told: &mut Option<u32>,
) -> Result<bool, HubError> {
    let waiting = sequencer.read(|view| Ok(unaudited(view.global).map(|c| cycle_number(c.no))));
    let Some(number) = waiting.await? else {
        return Ok(false);
    };
    let audited_size = match audit.certified(sequencer, number).await? {
        // As much as the cycle needs, and not how far the auditor happens to be: the same cycle has the same word in every log.
        Certification::Certified { closed_leaf, .. } => closed_leaf + 1,
        Certification::Behind { .. } => return Ok(false),
        Certification::Mismatch(finding) => {
            if *told != Some(number) {
                tracing::error!(cycle = number, %finding, "the cycle cannot be approved");
                *told = Some(number);
            }
            return Ok(false);
        }
    };
    let written = sequencer.facts("hub".to_owned(), move |view| {
        let cycle = unaudited(view.global).filter(|cycle| cycle.no == cycle_no(number));
        let digest = cycle.and_then(|cycle| cycle.digest);
        Ok(digest.map_or_else(Vec::new, |digest| {
            let audited = v1::CycleAudited {
                cycle_number: number,
                digest: digest.to_vec(),
                audited_size,
            };
            vec![v1::Fact {
                fact: Some(v1::fact::Fact::CycleAudited(audited)),
            }]
        }))
    });
    Ok(written.await?.is_some())
}

/// The first closed cycle of which the log does not say that it was audited.
fn unaudited(global: &Global) -> Option<&CycleTotals> {
    let closed = |cycle: &&CycleTotals| {
        !matches!(cycle.state, CycleState::Open | CycleState::Closing)
            && global.finance().audit(cycle.no).is_none()
    };
    global.cycles().iter().find(closed)
}
