//! Risk: exposure of every merchant against its cap, with early warnings. Read only.

use crate::global::Global;
use crate::ids::{Instant, MerchantIx};
use crate::money::BPS;

/// One merchant's risk; amounts in micro-units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RiskLine {
    /// The merchant.
    pub merchant: MerchantIx,
    /// Balance of its clearing account: all that is not settled; + it owes.
    pub clearing_micros: i128,
    /// Pending accruals.
    pub pending_micros: i128,
    /// Open BURN points as the contract counts them.
    pub burn_micros: i128,
    /// Sum as the cap sees it: a credit balance counts as 0.
    pub exposure_micros: i128,
    /// Cap; `None` = unlimited.
    pub cap_micros: Option<i64>,
    /// Collateral that is left.
    pub collateral_micros: i128,
    /// Held back.
    pub held_back_micros: i128,
    /// Brought forward into its next settlement.
    pub brought_forward_micros: i128,
    /// Exposure in basis points of cap plus collateral, rounded down; 0 without a cap; `u32::MAX` where a limit of 0 is exceeded.
    pub used_bps: u32,
    /// The highest of the programme's warning thresholds that is reached; 0 = none.
    pub warning_bps: u32,
}

/// Risk of all merchants, by index.
#[must_use]
pub fn risk(global: &Global, at: Instant) -> Vec<RiskLine> {
    let thresholds = &global.programme(at).settlement.warning_thresholds_bps;
    (0..global.merchants().len() as u32)
        .map(|ix| line(global, MerchantIx(ix), thresholds, at))
        .collect()
}

fn line(global: &Global, merchant: MerchantIx, thresholds: &[u32], at: Instant) -> RiskLine {
    let terms = global.contract(merchant, at).map(|(_, terms)| terms);
    let exposure_micros = global.exposure(merchant, at);
    let limit = global.exposure_limit(merchant, at);
    let used_bps = limit.map_or(0, |limit| used(exposure_micros, limit));
    let reached = thresholds
        .iter()
        .copied()
        .filter(|threshold| used_bps >= *threshold);
    RiskLine {
        merchant,
        clearing_micros: global.clearing(merchant),
        pending_micros: global.pending(merchant),
        burn_micros: global.counted_burn(merchant, at),
        exposure_micros,
        cap_micros: terms.and_then(|terms| terms.net_debit_cap_micros),
        collateral_micros: terms.map_or(0, |terms| global.collateral(merchant, terms)),
        held_back_micros: global.finance().held_back(merchant),
        brought_forward_micros: global.finance().carry(merchant),
        used_bps,
        warning_bps: reached.max().unwrap_or(0),
    }
}

fn used(exposure: i128, limit: i128) -> u32 {
    if limit == 0 {
        return if exposure > 0 { u32::MAX } else { 0 };
    }
    u32::try_from(exposure * i128::from(BPS) / limit).unwrap_or(u32::MAX)
}
