//! Early warnings: says in the hub's log which merchants have come near their caps, and when they are away from them again.
//!
//! Owns what was said last, in memory: a hub that starts says once what stands. Decides nothing. Looks behind commits, at most
//! once a second and with at most a hundredth of the time; costs a pass over the merchants and their price entries.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant as Monotonic},
};

use hansa_settlement::{
    Instant, MerchantIx,
    finance::{RiskLine, risk},
};

use super::state::State;
use crate::clock::Clock;

/// Exposures change with entries of the log; terms that come into force without one are seen after this long.
const WITHOUT_ENTRIES: Duration = Duration::from_secs(60);

/// What was said last.
#[derive(Debug, Default)]
pub struct RiskWatch {
    said: BTreeMap<MerchantIx, u32>,
    /// Number of entries at the last look, and when it was.
    looked: Option<(u64, Monotonic)>,
    not_before: Option<Monotonic>,
}

impl RiskWatch {
    /// Looks, if it is time to, and writes what changed to the log.
    pub fn look(&mut self, state: &State, clock: &Clock) {
        let began = Monotonic::now();
        let fresh = self.looked.is_some_and(|(entries, at)| {
            entries == state.next_seq && began.duration_since(at) < WITHOUT_ENTRIES
        });
        if fresh || self.not_before.is_some_and(|at| began < at) {
            return;
        }
        self.looked = Some((state.next_seq, began));
        let at = Instant(state.now(clock));
        let thresholds = &state.global.programme(at).settlement.warning_thresholds_bps;
        if thresholds.is_empty() && self.said.is_empty() {
            return;
        }
        for line in self.changes(risk(&state.global, at)) {
            say(state.registry.slug(line.merchant.0), &line);
        }
        let pause = Duration::from_secs(1).max(began.elapsed() * 100);
        self.not_before = Some(Monotonic::now() + pause);
    }

    /// Lines whose warning is another one than was said.
    fn changes(&mut self, lines: Vec<RiskLine>) -> Vec<RiskLine> {
        let changed = |line: &RiskLine| {
            let before = if line.warning_bps == 0 {
                self.said.remove(&line.merchant)
            } else {
                self.said.insert(line.merchant, line.warning_bps)
            };
            before.unwrap_or(0) != line.warning_bps
        };
        lines.into_iter().filter(changed).collect()
    }
}

fn say(merchant: &str, line: &RiskLine) {
    let RiskLine {
        warning_bps,
        used_bps,
        exposure_micros,
        ..
    } = line;
    if *warning_bps == 0 {
        tracing::info!(
            merchant,
            used_bps,
            exposure_micros,
            "a merchant's exposure is below all warning thresholds again"
        );
    } else {
        tracing::warn!(
            merchant,
            warning_bps,
            used_bps,
            exposure_micros,
            "a merchant's exposure has reached a warning threshold"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(merchant: u32, warning_bps: u32) -> RiskLine {
        RiskLine {
            merchant: MerchantIx(merchant),
            clearing_micros: 0,
            pending_micros: 0,
            burn_micros: 0,
            exposure_micros: 0,
            cap_micros: Some(1),
            collateral_micros: 0,
            held_back_micros: 0,
            brought_forward_micros: 0,
            used_bps: warning_bps,
            warning_bps,
        }
    }

    #[test]
    fn each_change_of_a_warning_is_said_once() {
        let mut watch = RiskWatch::default();
        let mut said = |lines: &[(u32, u32)]| -> Vec<(u32, u32)> {
            let lines = lines.iter().map(|(m, bps)| line(*m, *bps)).collect();
            let changes = watch.changes(lines);
            changes
                .iter()
                .map(|l| (l.merchant.0, l.warning_bps))
                .collect()
        };
        assert_eq!(said(&[(0, 0), (1, 8_000)]), [(1, 8_000)]);
        assert_eq!(said(&[(0, 0), (1, 8_000)]), []);
        assert_eq!(said(&[(0, 9_500), (1, 9_500)]), [(0, 9_500), (1, 9_500)]);
        assert_eq!(said(&[(0, 8_000), (1, 9_500)]), [(0, 8_000)]);
        assert_eq!(said(&[(0, 0), (1, 0)]), [(0, 0), (1, 0)]);
        assert_eq!(said(&[(0, 0), (1, 0)]), []);
    }
}
