//! The global side of effects and facts: the only paths by which the alliance's side changes.

use crate::commission::{CommissionChange, CommissionVersion};
use crate::cycle::{CycleState, CycleTotals};
use crate::effect::{Change, Effect, NewAccrual, PartPoints};
use crate::fact::{Fact, FactRefusal};
use crate::finance::Step;
use crate::global::{Global, Standing};
use crate::ids::Pos;
use crate::ids::{ContractIx, CycleNo, Instant, MerchantIx, PriceId};
use crate::journal::{
    Account, Legs, journal, pair_moves, pending_value, pending_values, prefunding_journal,
};
use crate::message::{Context, MessageKind};
use crate::price::Price;
use crate::terms::{ContractVersion, Merchant, MerchantState, ProgrammeVersion, Roles};

/// Applies an effect to the alliance's side. `pos` is the place of the message or fact that the effect was recorded for.
pub fn apply_global(global: &mut Global, effect: &Effect, pos: Pos) {
    let change = &effect.change;
    let legs = journal(change, &global.book, pos);
    let pairs = pair_moves(change, &global.book, pos);
    global.post(&legs);
    if let Some(cycle) = global.cycles.get_mut(effect.cycle.0 as usize) {
        cycle.post(&legs, &pairs, effect.late);
        count(cycle, change);
        if let Change::Commission(change) = change {
            cycle.commission(change);
        }
    }
    global.move_points(change);
}

impl Global {
    pub(crate) fn post(&mut self, legs: &Legs) {
        for leg in legs {
            match leg.account {
                Account::Clearing(merchant) => {
                    if let Some(standing) = self.standings.get_mut(merchant.0 as usize) {
                        standing.clearing_micros += leg.micros;
                    }
                }
                Account::Bank => self.hub.bank_micros += leg.micros,
                Account::Reserve => self.hub.reserve_micros += leg.micros,
                Account::ServiceFee => self.hub.service_fee_micros += leg.micros,
                Account::RedemptionFee => self.hub.redemption_fee_micros += leg.micros,
                Account::Breakage => self.hub.breakage_micros += leg.micros,
                Account::Adjustments => self.hub.adjustment_micros += leg.micros,
                Account::CommissionReserve(merchant) => {
                    self.hub.commission_micros += leg.micros;
                    if let Some(standing) = self.standings.get_mut(merchant.0 as usize) {
                        standing.commission_micros += leg.micros;
                    }
                }
            }
        }
    }

    /// Open points, pending values, promotions granted and the calendar.
    fn move_points(&mut self, change: &Change) {
        match change {
            Change::Accrued { accrual, .. } => {
                self.add_parts(&accrual.parts);
                self.grant(&accrual.parts);
            }
            Change::Pended { accrual, .. } => {
                self.grant(&accrual.parts);
                self.pend(accrual);
            }
            Change::PendingPosted { parts, .. } => {
                self.add_parts(parts);
                self.unpend(parts, -1);
            }
            Change::PendingLowered { before, after, .. } => {
                self.unpend(before, -1);
                self.unpend(after, 1);
            }
            Change::Taken { price, points, .. }
            | Change::Repaid { price, points, .. }
            | Change::Expired { price, points, .. } => self.open(*price, -points),
            Change::Captured { uses, .. } => {
                uses.iter().for_each(|u| self.open(u.price, -u.points))
            }
            Change::Refunded { uses, .. } => uses.iter().for_each(|u| self.open(u.price, u.points)),
            Change::Opened { lot } => self.open(lot.price, lot.remaining),
            Change::Reinstated { lot, points, .. } => self.open(lot.price, *points),
            Change::Calendar { changes } => {
                for (at, n) in changes {
                    let count = self.calendar.entry(*at).or_default();
                    *count += i64::from(*n);
                    if *count == 0 {
                        self.calendar.remove(at);
                    }
                }
            }
            Change::Refused { .. }
            | Change::Returned { .. }
            | Change::Owed { .. }
            | Change::Forgiven { .. }
            | Change::Held { .. }
            | Change::Released { .. }
            | Change::ExpiryMoved { .. }
            | Change::Pruned { .. }
            | Change::MergedOut { .. }
            | Change::Commission(_)
            | Change::MergedIn(_) => {}
        }
    }

    fn open(&mut self, price: PriceId, points: i64) {
        if let Some(open) = self.open_points.get_mut(price.0 as usize) {
            *open += points;
        }
    }

    fn add_parts(&mut self, parts: &[PartPoints]) {
        parts
            .iter()
            .for_each(|part| self.open(part.price, part.points));
    }

    fn grant(&mut self, parts: &[PartPoints]) {
        for part in parts {
            if let Some(granted) = part
                .promotion
                .and_then(|ix| self.granted.get_mut(ix.0 as usize))
            {
                *granted += part.points;
            }
        }
    }

    fn pend(&mut self, accrual: &NewAccrual) {
        let values: Vec<_> = pending_values(accrual, &self.book).collect();
        for (funder, micros) in values {
            self.add_pending(funder, micros);
        }
    }

    fn unpend(&mut self, parts: &[PartPoints], sign: i128) {
        for part in parts {
            let (funder, micros) = pending_value(part, &self.book);
            self.add_pending(funder, micros * sign);
        }
    }

    fn add_pending(&mut self, funder: MerchantIx, micros: i128) {
        if let Some(standing) = self.standings.get_mut(funder.0 as usize) {
            standing.pending_micros += micros;
        }
    }

    /// Whether a fact may take its place in the log now.
    pub fn validate_fact(&self, fact: &Fact, decided_at: Instant) -> Result<(), FactRefusal> {
        let merchant = |ix: &MerchantIx| self.merchant(*ix).ok_or(FactRefusal::MerchantNotFound);
        match fact {
            Fact::Programme {
                effective_at,
                terms,
            } => {
                ensure(
                    terms.is_valid() && effective_at.is_sane(),
                    FactRefusal::InvalidTerms,
                )?;
                ensure(
                    terms.currency == self.currency(),
                    FactRefusal::CurrencyChange,
                )?;
                let bearers = terms.settlement.loss_shares.iter();
                bearers
                    .filter_map(|share| share.bearer.merchant())
                    .try_for_each(|ix| merchant(&ix).map(|_| ()))?;
                let last = self
                    .programmes
                    .last()
                    .map_or(Instant::MIN, |version| version.effective_at);
                ensure(
                    *effective_at >= decided_at && *effective_at > last,
                    FactRefusal::EffectiveTooEarly,
                )
            }
            Fact::MerchantOnboarded { slug, .. } => {
                ensure(
                    !slug.is_empty() && slug.len() <= 128,
                    FactRefusal::InvalidTerms,
                )?;
                ensure(
                    self.merchant_by_slug(slug).is_none(),
                    FactRefusal::SlugTaken,
                )
            }
            Fact::MerchantChanged {
                merchant: ix,
                roles,
                ..
            } => {
                merchant(ix)?;
                ensure(
                    *roles == Roles::default() || self.affiliates.profile(*ix).is_none(),
                    FactRefusal::AffiliateHasRoles,
                )
            }
            Fact::Contract {
                merchant: ix,
                effective_at,
                terms,
            } => {
                ensure(
                    merchant(ix)?.state != MerchantState::Closed,
                    FactRefusal::StateChange,
                )?;
                ensure(
                    terms.is_valid() && effective_at.is_sane(),
                    FactRefusal::InvalidTerms,
                )?;
                let last = self.standings[ix.0 as usize]
                    .contracts
                    .last()
                    .map(|ix| self.contracts[ix.0 as usize].effective_at);
                ensure(
                    last.is_none_or(|last| *effective_at > last && *effective_at >= decided_at),
                    FactRefusal::EffectiveTooEarly,
                )
            }
            Fact::MerchantState {
                merchant: ix,
                state,
            } => {
                let now = merchant(ix)?.state;
                // Who has paid for its points has left: new ones would have the same price and be funded otherwise.
                let returns = *state == MerchantState::Active && self.book.is_prefunded(*ix);
                ensure(
                    now != MerchantState::Closed && *state != MerchantState::Onboarding && !returns,
                    FactRefusal::StateChange,
                )?;
                let open = *state == MerchantState::Closed
                    && (!self.open_burn(*ix).is_empty()
                        || self.standings[ix.0 as usize].pending_micros != 0);
                ensure(!open, FactRefusal::NotPrefunded)?;
                ensure(
                    *state != MerchantState::Closed || self.is_settled_up(*ix),
                    FactRefusal::Unsettled,
                )
            }
            Fact::Promotion(promotion) => {
                ensure(
                    promotion.is_valid()
                        && !promotion.slug.is_empty()
                        && promotion.slug.len() <= 128,
                    FactRefusal::InvalidTerms,
                )?;
                ensure(
                    self.promotions
                        .iter()
                        .all(|other| other.slug != promotion.slug),
                    FactRefusal::SlugTaken,
                )?;
                promotion
                    .shares
                    .iter()
                    .map(|(funder, _)| funder)
                    .chain(&promotion.merchants)
                    .try_for_each(|ix| merchant(ix).map(|_| ()))
            }
            Fact::PromotionEnded { slug, ends_at } => {
                let promotion = self
                    .promotions
                    .iter()
                    .find(|p| p.slug == *slug)
                    .ok_or(FactRefusal::PromotionNotFound)?;
                ensure(
                    *ends_at >= decided_at && *ends_at <= promotion.ends_at,
                    FactRefusal::EffectiveTooEarly,
                )
            }
            Fact::Affiliate { affiliate, profile } => {
                ensure(profile.is_valid(), FactRefusal::InvalidTerms)?;
                ensure(
                    merchant(affiliate)?.roles == Roles::default(),
                    FactRefusal::AffiliateHasRoles,
                )
            }
            Fact::AffiliateCode {
                merchant: ix,
                code,
                held,
            } => {
                merchant(ix)?;
                let profile = self.affiliates.profile(held.affiliate);
                let known = profile.is_some_and(|p| p.sites.iter().any(|s| s.number == held.site));
                ensure(known, FactRefusal::AffiliateNotFound)?;
                ensure(
                    !code.is_empty()
                        && code.len() <= 64
                        && held.from.is_sane()
                        && held.from < held.until,
                    FactRefusal::InvalidTerms,
                )?;
                // Nobody loses or gains what has happened.
                ensure(held.from >= decided_at, FactRefusal::EffectiveTooEarly)
            }
            Fact::CommissionTerms {
                merchant: ix,
                effective_at,
                terms,
            } => {
                ensure(
                    merchant(ix)?.state != MerchantState::Closed,
                    FactRefusal::StateChange,
                )?;
                ensure(
                    terms.is_valid() && effective_at.is_sane(),
                    FactRefusal::InvalidTerms,
                )?;
                let versions = self.affiliates.versions.iter().rev();
                let last = versions
                    .filter(|v| v.merchant == *ix)
                    .map(|v| v.effective_at);
                ensure(
                    last.clone()
                        .next()
                        .is_none_or(|last| *effective_at > last && *effective_at >= decided_at),
                    FactRefusal::EffectiveTooEarly,
                )
            }
            Fact::CycleCut { closes_at } => {
                let open = self.open_cycle();
                let in_cycle = *closes_at >= open.opens_at
                    && open.closes_at.is_none_or(|close| *closes_at <= close);
                ensure(
                    in_cycle && *closes_at <= decided_at,
                    FactRefusal::CutOutOfPlace,
                )
            }
            Fact::CycleClosed { cycle, .. } => {
                let next = self
                    .closing_cycles()
                    .next()
                    .filter(|c| c.no == *cycle)
                    .ok_or(FactRefusal::CycleState)?;
                ensure(!self.due_work_left(next), FactRefusal::DueWorkLeft)
            }
        }
    }

    /// Validates a fact and applies it; a refused one changes nothing. The same on restart as live.
    pub fn apply_fact(&mut self, fact: &Fact, ctx: &Context) -> Result<(), FactRefusal> {
        self.validate_fact(fact, ctx.decided_at)?;
        match fact {
            Fact::Programme {
                effective_at,
                terms,
            } => {
                self.programmes.push(ProgrammeVersion {
                    effective_at: *effective_at,
                    terms: terms.clone(),
                });
                self.intern_prices();
            }
            Fact::MerchantOnboarded { slug, name, roles } => {
                self.merchants.push(Merchant {
                    slug: slug.clone(),
                    name: name.clone(),
                    roles: *roles,
                    state: MerchantState::Onboarding,
                });
                self.standings.push(Standing::default());
            }
            Fact::MerchantChanged {
                merchant,
                name,
                roles,
            } => {
                if let Some(merchant) = self.merchants.get_mut(merchant.0 as usize) {
                    merchant.name.clone_from(name);
                    merchant.roles = *roles;
                }
            }
            Fact::Contract {
                merchant,
                effective_at,
                terms,
            } => {
                let ix = ContractIx(self.contracts.len() as u32);
                self.contracts.push(ContractVersion {
                    merchant: *merchant,
                    effective_at: *effective_at,
                    terms: terms.clone(),
                });
                if let Some(standing) = self.standings.get_mut(merchant.0 as usize) {
                    standing.contracts.push(ix);
                }
                self.intern_prices();
            }
            Fact::MerchantState { merchant, state } => {
                if let Some(merchant) = self.merchants.get_mut(merchant.0 as usize) {
                    merchant.state = *state;
                }
            }
            Fact::Promotion(promotion) => {
                let mut promotion = promotion.clone();
                promotion
                    .shares
                    .sort_by_key(|(funder, _)| self.merchant(*funder).map(|m| m.slug.clone()));
                self.promotions.push(promotion);
                self.granted.push(0);
            }
            Fact::PromotionEnded { slug, ends_at } => {
                if let Some(promotion) = self.promotions.iter_mut().find(|p| p.slug == *slug) {
                    promotion.ends_at = *ends_at;
                }
            }
            Fact::Affiliate { affiliate, profile } => {
                self.affiliates.profiles.insert(*affiliate, profile.clone());
            }
            Fact::AffiliateCode {
                merchant,
                code,
                held,
            } => {
                let key = (*merchant, code.to_uppercase());
                self.affiliates.codes.insert(key, *held);
            }
            Fact::CommissionTerms {
                merchant,
                effective_at,
                terms,
            } => self.affiliates.versions.push(CommissionVersion {
                merchant: *merchant,
                effective_at: *effective_at,
                terms: terms.clone(),
            }),
            Fact::CycleCut { closes_at } => self.cut(*closes_at, ctx),
            Fact::CycleClosed { cycle, digest } => self.close(*cycle, *digest, ctx),
        }
        Ok(())
    }

    /// Interns the price entry of every contract version under every programme version, in order.
    fn intern_prices(&mut self) {
        for (i, contract) in self.contracts.iter().enumerate() {
            for (version, programme) in self.programmes.iter().enumerate() {
                let price = Price {
                    funder: contract.merchant,
                    mode: contract.terms.funding,
                    reserve_micros: programme.terms.reserve_micros,
                    fee_micros: contract.terms.service_fee_micros,
                    refunds_fee: contract.terms.refunds_service_fee,
                    prefunded_seq: None,
                };
                let id = self.book.intern(price);
                if let Some(standing) = self.standings.get_mut(contract.merchant.0 as usize)
                    && !standing.funds.contains(&id)
                {
                    standing.funds.push(id);
                }
                self.prices
                    .insert((ContractIx(i as u32), version as u32), id);
            }
        }
        self.open_points.resize(self.book.len(), 0);
    }

    pub(crate) fn prefund(&mut self, merchant: MerchantIx, ctx: &Context) {
        let legs = prefunding_journal(merchant, &self.open_burn(merchant));
        self.post(&legs);
        if let Some(open) = self.cycles.last_mut() {
            open.post(&legs, &[], false);
        }
        self.book.prefund(merchant, ctx.pos.seq());
    }

    fn cut(&mut self, closes_at: Instant, ctx: &Context) {
        // By the calendar that holds when the next cycle opens; a later one does not move its close.
        let next_close = self.programme(closes_at).next_close(closes_at);
        let next = CycleTotals::new(CycleNo(self.cycles.len() as u32), closes_at, next_close);
        if let Some(open) = self.cycles.last_mut() {
            open.state = CycleState::Closing;
            open.closes_at = Some(closes_at);
            open.cut_seq = Some(ctx.pos.seq());
        }
        self.cycles.push(next);
    }

    fn close(&mut self, cycle: CycleNo, digest: [u8; 32], ctx: &Context) {
        if let Some(totals) = self.cycles.get_mut(cycle.0 as usize) {
            totals.state = CycleState::Closed;
            totals.digest = Some(digest);
            totals.closed_seq = Some(ctx.pos.seq());
        }
        self.trace("hub", Step::CycleClosed(cycle), ctx);
    }
}

fn ensure(holds: bool, refusal: FactRefusal) -> Result<(), FactRefusal> {
    if holds { Ok(()) } else { Err(refusal) }
}

/// Messages and points of a cycle.
fn count(cycle: &mut CycleTotals, change: &Change) {
    let counts = &mut cycle.counts;
    let mut accepted = |kind| *counts.accepted.entry(kind).or_default() += 1;
    let sum = |parts: &[PartPoints]| parts.iter().map(|part| part.points).sum::<i64>();
    match change {
        Change::Refused { kind, code, .. } => {
            *counts.refused.entry((*kind, *code)).or_default() += 1
        }
        Change::Accrued { accrual, .. } => {
            accepted(MessageKind::Accrual);
            counts.issued_points += sum(&accrual.parts);
            earn(cycle, accrual);
        }
        Change::Pended { accrual, .. } => {
            accepted(MessageKind::Accrual);
            earn(cycle, accrual);
        }
        Change::PendingPosted { parts, .. } => counts.issued_points += sum(parts),
        Change::PendingLowered { .. } | Change::Returned { .. } => {
            accepted(MessageKind::AccrualReversal)
        }
        Change::Taken { points, .. } | Change::Repaid { points, .. } => {
            counts.recovered_points += points
        }
        Change::Held { .. } => accepted(MessageKind::Authorisation),
        Change::Released { how, .. } => match how {
            crate::effect::Release::Voided => accepted(MessageKind::Void),
            crate::effect::Release::Expired => {}
        },
        Change::Captured { uses, .. } => {
            accepted(MessageKind::Capture);
            counts.redeemed_points += crate::redemption::points(uses);
        }
        Change::Refunded { uses, .. } => {
            accepted(MessageKind::Refund);
            counts.refunded_points += crate::redemption::points(uses);
        }
        Change::Expired { points, .. } => counts.expired_points += points,
        Change::Reinstated { points, .. } => counts.expired_points -= points,
        Change::Opened { lot } => counts.opened_points += lot.remaining,
        Change::Commission(change) => match change {
            CommissionChange::Accrued(_) => accepted(MessageKind::Conversion),
            CommissionChange::Reduced { returned: true, .. } => {
                accepted(MessageKind::ConversionReturn)
            }
            CommissionChange::Locked { approved: true, .. } => {
                accepted(MessageKind::ConversionApproval)
            }
            CommissionChange::Reduced { .. }
            | CommissionChange::Reattributed { .. }
            | CommissionChange::Locked { .. }
            | CommissionChange::Payable { .. }
            | CommissionChange::Invalidated { .. }
            | CommissionChange::Held { .. }
            | CommissionChange::Released { .. } => {}
        },
        Change::Owed { .. }
        | Change::Forgiven { .. }
        | Change::ExpiryMoved { .. }
        | Change::Pruned { .. }
        | Change::Calendar { .. }
        | Change::MergedOut { .. }
        | Change::MergedIn(_) => {}
    }
}

fn earn(cycle: &mut CycleTotals, accrual: &NewAccrual) {
    let base = accrual.parts.first().map_or(0, |part| part.points);
    *cycle.earned.entry(accrual.merchant).or_default() += base;
}
