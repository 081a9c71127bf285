//! Prepaid packs, and what happens when a merchant does not pay: its held-back money, its collateral, then the published order of losses.
//!
//! A default brings the merchant's unpaid payments forward, takes what is shared out of its debt, and posts it as adjustments to the open cycle:
//! the merchant is credited, each bearer debited. What leaves the debt enters again with that cycle's settlement, where it meets the credit; so
//! nobody is paid and nobody is asked for the same money twice.

use super::action::Party;
use super::carry::CarryCause;
use super::payment::PaymentInstruction;
use super::proposal::is_recallable;
use super::refusal::{FinanceRefusal, ensure, named};
use super::{Finance, PaymentState, check_positive};
use crate::global::Global;
use crate::ids::{Instant, MerchantIx, PaymentNo, ProposalNo};
use crate::journal::{Account, Leg, Legs};
use crate::money::share_floor;
use crate::terms::MerchantState;
use serde::{Deserialize, Serialize};

/// Who bears what a merchant in default owes; micro-units.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waterfall {
    /// Out of its own held-back money.
    pub held_back_micros: i128,
    /// Out of its collateral, which the hub holds.
    pub collateral_micros: i128,
    /// The rest, in the published order; steps that bear nothing are left out.
    pub shares: Vec<(Party, i128)>,
}

/// A default that was declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultRecord {
    /// The approved proposal.
    pub proposal: ProposalNo,
    /// The merchant.
    pub merchant: MerchantIx,
    /// Who bore what.
    pub waterfall: Waterfall,
}

/// The journal of a prepaid pack: cash in, the merchant's clearing account down.
#[must_use]
pub fn prepaid_journal(merchant: MerchantIx, amount_micros: i64) -> Legs {
    let micros = i128::from(amount_micros);
    [
        (Account::Bank, micros),
        (Account::Clearing(merchant), -micros),
    ]
    .into_iter()
    .map(|(account, micros)| Leg {
        account,
        micros,
        points: 0,
        line: None,
    })
    .collect()
}

impl Finance {
    /// Defaults that were declared.
    #[must_use]
    pub fn defaults(&self) -> &[DefaultRecord] {
        &self.defaults
    }

    /// Payments of a merchant in default that are brought forward.
    fn recallable(&self, merchant: MerchantIx) -> impl Iterator<Item = &PaymentInstruction> {
        let party = Party::Merchant(merchant);
        self.outstanding().filter(move |payment| {
            (payment.payer == party || payment.payee == party)
                && is_recallable(payment.state, payment.payer == party)
        })
    }
}

impl Global {
    /// What a merchant owes in unpaid payments and brought forward, micro-units.
    #[must_use]
    pub fn owed_unpaid(&self, merchant: MerchantIx) -> i128 {
        let party = Party::Merchant(merchant);
        let unpaid = self.finance.recallable(merchant);
        self.finance.carry(merchant) + unpaid.map(|p| p.signed_for(party)).sum::<i128>()
    }

    pub(crate) fn check_default(
        &self,
        merchant: MerchantIx,
        amount_micros: i64,
        at: Instant,
    ) -> Result<Waterfall, FinanceRefusal> {
        check_positive(amount_micros)?;
        let party = Party::Merchant(merchant);
        let state = self
            .merchant(merchant)
            .ok_or(FinanceRefusal::MerchantNotFound)?
            .state;
        ensure(state == MerchantState::Suspended, || {
            FinanceRefusal::MerchantState {
                merchant: named(self, party),
                needed: "SUSPENDED",
            }
        })?;
        let accepted = self
            .finance
            .outstanding()
            .find(|p| p.payer == party && p.state == PaymentState::Accepted);
        if let Some(payment) = accepted {
            return Err(FinanceRefusal::PaymentState {
                payment: payment.number,
                state: payment.state,
                needed: "the bank's last word on it",
            });
        }
        for payment in self.finance.recallable(merchant) {
            self.quiet_payment(payment.number)?;
        }
        let owed_micros = self.owed_unpaid(merchant);
        ensure(i128::from(amount_micros) <= owed_micros, || {
            FinanceRefusal::NotOwed {
                merchant: named(self, party),
                owed_micros,
            }
        })?;
        Ok(self.waterfall(merchant, i128::from(amount_micros), at))
    }

    /// Who would bear a loss of this merchant.
    #[must_use]
    pub fn waterfall(&self, merchant: MerchantIx, micros: i128, at: Instant) -> Waterfall {
        let held_back_micros = self.finance.held_back(merchant).min(micros);
        let mut left = micros - held_back_micros;
        let collateral = self
            .contract(merchant, at)
            .map_or(0, |(_, terms)| self.collateral(merchant, terms));
        let collateral_micros = collateral.min(left);
        left -= collateral_micros;
        let mut shares = Vec::new();
        for step in &self.programme(at).settlement.loss_shares {
            let bears = match step.bearer {
                Party::Hub => true,
                Party::Merchant(bearer) => {
                    bearer != merchant
                        && self
                            .merchant(bearer)
                            .is_some_and(|m| m.state != MerchantState::Closed)
                }
            };
            let most = step.limit_micros.map_or(left, i128::from);
            let share = share_floor(left, step.share_bps).min(most);
            if bears && share > 0 {
                left -= share;
                shares.push((step.bearer, share));
            }
        }
        if left > 0 {
            shares.push((Party::Hub, left));
        }
        Waterfall {
            held_back_micros,
            collateral_micros,
            shares,
        }
    }

    /// Carries an approved default out.
    pub(crate) fn declare_default(
        &mut self,
        merchant: MerchantIx,
        amount_micros: i64,
        proposal: ProposalNo,
        at: Instant,
    ) {
        let waterfall = self.waterfall(merchant, i128::from(amount_micros), at);
        let unpaid: Vec<PaymentNo> = self
            .finance
            .recallable(merchant)
            .map(|payment| payment.number)
            .collect();
        for number in unpaid {
            self.carry_forward(number, at);
        }
        self.finance.release(merchant, waterfall.held_back_micros);
        let shared = i128::from(amount_micros) - waterfall.held_back_micros;
        let open = self.open_cycle().no;
        let cause = CarryCause::Default(proposal);
        self.finance.bring_forward(merchant, cause, -shared);
        self.finance.bring_into(merchant, cause, shared, open);
        if let Some(standing) = self.standings.get_mut(merchant.0 as usize) {
            let used = i64::try_from(waterfall.collateral_micros).unwrap_or(i64::MAX);
            standing.collateral_used_micros = standing.collateral_used_micros.saturating_add(used);
        }
        let collateral = (Party::Hub, waterfall.collateral_micros);
        for (bearer, micros) in std::iter::once(collateral).chain(waterfall.shares.iter().copied())
        {
            if micros != 0 {
                self.post_adjustment(merchant, bearer, -micros);
            }
        }
        self.finance.defaults.push(DefaultRecord {
            proposal,
            merchant,
            waterfall,
        });
    }
}
