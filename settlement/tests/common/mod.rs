//! A little alliance in memory: it plays messages the way a hub does, records every effect, and checks the invariants after each step.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test harness: each binary uses its own part, and a failure panics"
)]

mod finance;

use chrono::{DateTime, Utc};
pub use finance::{CHECKER, MAKER};
use hansa_settlement::finance::FinanceFact;
use hansa_settlement::*;
use std::collections::BTreeMap;

/// An instant from RFC 3339.
pub fn at(text: &str) -> Instant {
    Instant(
        text.parse::<DateTime<Utc>>()
            .unwrap_or_else(|e| panic!("{text}: {e}"))
            .timestamp_micros(),
    )
}

/// An exact rate.
pub fn rate(text: &str) -> Rate {
    Rate::new(text.parse().unwrap()).unwrap()
}

/// Micro-units of a decimal amount.
pub fn micros(text: &str) -> i64 {
    let value: rust_decimal::Decimal = text.parse().unwrap();
    i64::try_from(
        (value * rust_decimal::Decimal::from(1_000_000))
            .normalize()
            .mantissa(),
    )
    .unwrap()
}

/// The golden programme, with an expiry rule and a policy.
pub fn programme(expiry: ExpiryRule, negative_balance: NegativeBalance) -> ProgrammeTerms {
    ProgrammeTerms {
        currency: Currency::EUR,
        reserve_micros: 8_000,
        zone: Zone::new("Europe/Berlin").unwrap(),
        expiry,
        negative_balance,
        cycles: CycleCalendar::default(),
        settlement: SettlementTerms {
            bank_details: Some(Box::new(bank("Hansa", "DE02120300000000202051"))),
            ..SettlementTerms::default()
        },
    }
}

/// Bank details.
pub fn bank(holder_name: &str, iban: &str) -> BankDetails {
    BankDetails {
        holder_name: holder_name.into(),
        iban: iban.into(),
        town_name: "Lübeck".into(),
        country_code: "DE".into(),
        ..BankDetails::default()
    }
}

/// A contract like those of the golden example.
pub fn contract(funding: FundingMode, fee_micros: i64) -> ContractTerms {
    ContractTerms {
        service_fee_micros: fee_micros,
        redemption_fee_bps: 250,
        breakage_share_bps: 3_333,
        authorisation_ttl_micros: 3_600_000_000,
        settlement_account: "DE89370400440532013000".into(),
        ..ContractTerms::plain(funding, Rate::ONE)
    }
}

/// One recorded step of the log.
#[derive(Clone, Debug)]
pub enum Step {
    Fact(Fact, Context),
    Finance(FinanceFact, Context),
    Effects(Recorded, Pos),
}

/// The alliance.
pub struct World {
    pub genesis: Genesis,
    pub global: Global,
    pub members: BTreeMap<MemberId, Vec<u8>>,
    pub log: Vec<Step>,
    pub now: Instant,
    pub seq: u64,
    pub merchants: Vec<MerchantIx>,
}

pub const A: MerchantIx = MerchantIx(0);
pub const F: MerchantIx = MerchantIx(1);
pub const T: MerchantIx = MerchantIx(2);
pub const U1: MemberId = MemberId(1);
pub const U2: MemberId = MemberId(2);

impl World {
    pub fn new(mut terms: ProgrammeTerms, opens_at: &str, schedule: CycleSchedule) -> Self {
        terms.cycles.schedule = schedule;
        let genesis = Genesis {
            terms,
            opens_at: at(opens_at),
        };
        let global = Global::new(&genesis);
        Self {
            global,
            genesis,
            members: BTreeMap::new(),
            log: Vec::new(),
            now: at(opens_at),
            seq: 0,
            merchants: Vec::new(),
        }
    }

    /// Merchants A, F and T with the golden contracts in a mode, live from the start.
    pub fn golden(
        funding: FundingMode,
        expiry: ExpiryRule,
        policy: NegativeBalance,
        change: impl Fn(&mut ContractTerms),
    ) -> Self {
        let mut world = Self::new(
            programme(expiry, policy),
            "2026-01-31T23:00:00Z",
            CycleSchedule::Monthly,
        );
        for (slug, fee) in [("a", 1_525), ("f", 2_000), ("t", 1_735)] {
            let mut terms = contract(funding, fee);
            change(&mut terms);
            world.merchant(slug, terms);
        }
        world
    }

    pub fn merchant(&mut self, slug: &str, terms: ContractTerms) -> MerchantIx {
        let merchant = MerchantIx(self.global.merchants().len() as u32);
        let roles = Roles {
            earn: true,
            burn: true,
            affiliate: false,
        };
        self.fact(Fact::MerchantOnboarded {
            slug: slug.into(),
            name: slug.to_uppercase(),
            roles,
        });
        self.fact(Fact::Contract {
            merchant,
            effective_at: at("2000-01-01T00:00:00Z"),
            terms,
        });
        self.fact(Fact::MerchantState {
            merchant,
            state: MerchantState::Active,
        });
        self.merchants.push(merchant);
        merchant
    }

    fn next_pos(&mut self) -> Pos {
        self.seq += 1;
        Pos::new(self.seq, 0)
    }

    pub fn try_fact(&mut self, fact: Fact) -> Result<(), FactRefusal> {
        let ctx = Context {
            decided_at: self.now,
            pos: self.next_pos(),
        };
        self.global.apply_fact(&fact, &ctx)?;
        self.log.push(Step::Fact(fact, ctx));
        self.check();
        Ok(())
    }

    pub fn fact(&mut self, fact: Fact) {
        self.try_fact(fact.clone())
            .unwrap_or_else(|e| panic!("{fact:?}: {e}"));
    }

    pub fn member(&self, id: MemberId) -> Member {
        Member::decode(self.members.get(&id).map_or(&[], Vec::as_slice)).unwrap()
    }

    /// Stores a member and posts its effects; the recorded bytes are what counts.
    fn record(
        &mut self,
        id: MemberId,
        before: &Member,
        after: &Member,
        effects: Vec<Effect>,
        pos: Pos,
    ) {
        let recorded = Recorded {
            index: pos.index(),
            member: id,
            effects,
        };
        let bytes = encode_effects(std::slice::from_ref(&recorded));
        assert_eq!(
            decode_effects(&bytes).unwrap(),
            std::slice::from_ref(&recorded)
        );
        let mut replayed = before.clone();
        for effect in &recorded.effects {
            let sum: i128 = journal(&effect.change, self.global.book(), pos)
                .iter()
                .map(|leg| leg.micros)
                .sum();
            assert_eq!(sum, 0, "a journal does not sum to 0: {effect:?}");
            apply_member(&mut replayed, effect, pos);
            apply_global(&mut self.global, effect, pos);
        }
        assert_eq!(
            replayed, *after,
            "effects do not lead to the decided member"
        );
        for lot in after.lots() {
            assert!(
                lot.remaining > 0 && lot.held >= 0 && lot.unheld() >= 0,
                "{lot:?}"
            );
        }
        let packed = after.encode();
        assert_eq!(Member::decode(&packed).unwrap(), *after);
        let mut applied = PackedMember::new(self.members.get(&id).cloned().unwrap_or_default());
        apply_packed(&mut applied, &recorded.effects, pos, &mut Vec::new()).unwrap();
        assert_eq!(
            applied.as_bytes(),
            packed,
            "effects do not lead to the member's bytes"
        );
        assert_eq!(applied.next_due(), Ok(after.next_due()));
        self.members.insert(id, packed);
        self.log.push(Step::Effects(recorded, pos));
    }

    /// Plays a message at an instant, with the cuts that are due before it. Due work of other members waits.
    pub fn send(
        &mut self,
        decided_at: Instant,
        event_time: Instant,
        sender: MerchantIx,
        member: MemberId,
        body: Body,
    ) -> (Pos, Outcome) {
        self.send_with(decided_at, event_time, sender, Some(member), body, None)
    }

    /// The same; `None` as member: a conversion's own account, with what the merchant says of it.
    pub fn send_with(
        &mut self,
        decided_at: Instant,
        event_time: Instant,
        sender: MerchantIx,
        member: Option<MemberId>,
        body: Body,
        claim: Option<commission::Claim>,
    ) -> (Pos, Outcome) {
        self.cut_until(decided_at);
        self.now = self.now.max(decided_at);
        let pos = self.next_pos();
        let member = member.unwrap_or(MemberId::of_conversion(pos));
        let mut message_id = [0; 16];
        message_id[..8].copy_from_slice(&pos.0.to_be_bytes());
        let message = Message {
            sender,
            message_id,
            event_time,
            member: Some(member).filter(|m| m.0 != 0),
            body,
            claim: claim.map(Box::new),
        };
        let before = self.member(member);
        let mut after = before.clone();
        let ctx = Context {
            decided_at: self.now,
            pos,
        };
        let decision = decide_mut(&self.global, &mut after, &ctx, &message);
        assert_eq!(decide(&self.global, &before, &ctx, &message), decision);
        let mut packed = PackedMember::new(self.members.get(&member).cloned().unwrap_or_default());
        assert_eq!(
            decide_packed(&self.global, &mut packed, &ctx, &message, &mut Vec::new()).unwrap(),
            decision,
            "decided otherwise than the long way"
        );
        assert_eq!(
            packed.as_bytes(),
            after.encode(),
            "other bytes than the long way"
        );
        self.record(member, &before, &after, decision.effects, pos);
        let overdue = after.next_due().is_some_and(|due| due <= self.now);
        assert!(
            !overdue || member.0 == 0,
            "something is overdue after a decision"
        );
        self.check();
        (pos, decision.outcome)
    }

    /// Plays a message whose event time is the hub's clock.
    pub fn play(
        &mut self,
        time: &str,
        sender: MerchantIx,
        member: MemberId,
        body: Body,
    ) -> (Pos, Outcome) {
        self.send(at(time), at(time), sender, member, body)
    }

    /// Plays a message that must be accepted.
    pub fn ok(
        &mut self,
        time: &str,
        sender: MerchantIx,
        member: MemberId,
        body: Body,
    ) -> (Pos, Outcome) {
        let (pos, outcome) = self.play(time, sender, member, body);
        assert_eq!(outcome.code, OutcomeCode::Accepted, "{body:?}");
        (pos, outcome)
    }

    /// Plays a message that must be refused with a code, and leave lots, debts and aggregates alone.
    pub fn refused(
        &mut self,
        time: &str,
        sender: MerchantIx,
        member: MemberId,
        body: Body,
        code: OutcomeCode,
    ) {
        self.sweep(at(time));
        let (lots, debts) = (
            self.member(member).lots().to_vec(),
            self.member(member).debts().to_vec(),
        );
        let lines = self.global.open_cycle().lines.clone();
        let (_, outcome) = self.play(time, sender, member, body);
        assert_eq!(
            (outcome.code, outcome.state),
            (code, MessageState::Rejected),
            "{body:?}"
        );
        assert_eq!(self.member(member).lots(), lots);
        assert_eq!(self.member(member).debts(), debts);
        assert_eq!(self.global.open_cycle().lines, lines);
    }

    /// Cuts every scheduled cycle that is due.
    pub fn cut_until(&mut self, until: Instant) {
        while let Some(closes_at) = self.global.next_close().filter(|close| *close <= until) {
            self.now = self.now.max(closes_at);
            self.fact(Fact::CycleCut { closes_at });
        }
    }

    /// Cuts, sweeps every member up to an instant, and closes what can be closed.
    pub fn sweep(&mut self, until: Instant) {
        self.cut_until(until);
        self.now = self.now.max(until);
        for id in self.members.keys().copied().collect::<Vec<_>>() {
            let before = self.member(id);
            let mut after = before.clone();
            let pos = self.next_pos();
            let effects = due_mut(&self.global, &mut after, self.now, pos);
            assert_eq!(due(&self.global, &before, self.now, pos), effects);
            self.record(id, &before, &after, effects, pos);
        }
        assert_eq!(self.global.due_count(self.now), 0);
        while let Some(cycle) = self.global.closable_cycle() {
            let digest = self.digest(cycle);
            self.fact(Fact::CycleClosed { cycle, digest });
        }
        self.check();
    }

    pub fn member_fact(
        &mut self,
        member: MemberId,
        fact: MemberFact,
    ) -> Result<Pos, MemberFactRefusal> {
        let pos = self.next_pos();
        let before = self.member(member);
        let mut after = before.clone();
        let effects = decide_member_fact(
            &self.global,
            &mut after,
            &Context {
                decided_at: self.now,
                pos,
            },
            &fact,
        )?;
        self.record(member, &before, &after, effects, pos);
        self.check();
        Ok(pos)
    }

    /// Decides about a conversion.
    pub fn commission_fact(
        &mut self,
        conversion: Pos,
        fact: CommissionFact,
    ) -> Result<(), CommissionFactRefusal> {
        let account = MemberId::of_conversion(conversion);
        let pos = self.next_pos();
        let before = self.member(account);
        let mut after = before.clone();
        let ctx = Context {
            decided_at: self.now,
            pos,
        };
        let decided = decide_commission_fact(&self.global, &mut after, &ctx, &fact);
        if decided.is_err() {
            assert_eq!(after, before, "a refused fact changed the account");
        }
        self.record(account, &before, &after, decided?, pos);
        self.check();
        Ok(())
    }

    pub fn merge(&mut self, from: MemberId, into: MemberId) -> Result<(), MemberFactRefusal> {
        let pos = self.next_pos();
        let (from_before, into_before) = (self.member(from), self.member(into));
        let (mut from_after, mut into_after) = (from_before.clone(), into_before.clone());
        let ctx = Context {
            decided_at: self.now,
            pos,
        };
        let (out, gained) = decide_merge(
            &self.global,
            (from, &mut from_after),
            (into, &mut into_after),
            &ctx,
        )?;
        self.record(from, &from_before, &from_after, out, pos);
        self.record(into, &into_before, &into_after, gained, pos);
        self.check();
        Ok(())
    }

    /// What must hold between any two steps.
    pub fn check(&self) {
        self.global
            .check_invariants()
            .unwrap_or_else(|violation| panic!("{violation}"));
        let members: Vec<Member> = self.members.keys().map(|id| self.member(*id)).collect();
        let lots = members.iter().flat_map(Member::lots);
        let value: i128 = lots
            .map(|lot| (self.global.book().get(lot.price), lot.remaining))
            .filter(|(price, _)| price.mode_at(Pos(u64::MAX)) == FundingMode::Issue)
            .map(|(price, points)| price.value(points))
            .sum();
        assert_eq!(
            -self.global.hub_balances().reserve_micros,
            value,
            "2100 is not the value of all ISSUE lots"
        );
        let points: i64 = members
            .iter()
            .flat_map(Member::lots)
            .map(|lot| lot.remaining)
            .sum();
        assert_eq!(self.global.counts().outstanding_points(), points);
        let dues = members.iter().map(|m| m.dues().count() as i64).sum::<i64>();
        assert_eq!(
            self.global.due_count(Instant::NEVER),
            dues,
            "the due calendar is not that of the members"
        );
        assert_eq!(
            Global::restore(&self.global.snapshot()).unwrap(),
            self.global
        );
    }

    /// Restart: replays the record over a snapshot of each side taken at any earlier step.
    pub fn replayed(
        &self,
        global_from: usize,
        member_from: impl Fn(MemberId) -> usize,
    ) -> (Global, BTreeMap<MemberId, Member>) {
        let mut global = Global::new(&self.genesis);
        let mut members: BTreeMap<MemberId, Member> = BTreeMap::new();
        for (i, step) in self.log.iter().enumerate() {
            if i == global_from {
                global = Global::restore(&global.snapshot()).unwrap();
            }
            match step {
                Step::Fact(fact, ctx) => global.apply_fact(fact, ctx).unwrap(),
                Step::Finance(fact, ctx) => global.apply_finance(fact, ctx).unwrap(),
                Step::Effects(recorded, pos) => {
                    let member = members.entry(recorded.member).or_default();
                    if i == member_from(recorded.member) {
                        *member = Member::decode(&member.encode()).unwrap();
                    }
                    for effect in &recorded.effects {
                        apply_member(member, effect, *pos);
                        apply_global(&mut global, effect, *pos);
                    }
                }
            }
        }
        (global, members)
    }

    /// Points and micro-units of a line, late or not.
    pub fn line(
        &self,
        cycle: u32,
        merchant: MerchantIx,
        kind: LineKind,
        counterparty: Option<MerchantIx>,
    ) -> (i64, i128) {
        let totals = self.global.cycle(CycleNo(cycle)).unwrap();
        let of = totals
            .lines_of(merchant)
            .filter(|(key, _)| key.kind == kind && key.counterparty == counterparty);
        of.fold((0, 0), |(points, micros), (_, total)| {
            (points + total.points, micros + total.micros)
        })
    }
}

pub fn buy(amount: &str) -> Body {
    Body::Accrual {
        currency: Currency::EUR,
        amount_micros: micros(amount),
        points: None,
    }
}

pub fn give_back(original: Pos, amount: &str) -> Body {
    Body::AccrualReversal {
        original: Some(original),
        currency: Currency::EUR,
        amount_micros: micros(amount),
    }
}

pub fn authorise(points: i64) -> Body {
    Body::Authorisation { points }
}

pub fn capture(authorisation: Pos, points: i64) -> Body {
    Body::Capture {
        authorisation: Some(authorisation),
        points,
    }
}

pub fn void(authorisation: Pos) -> Body {
    Body::Void {
        authorisation: Some(authorisation),
    }
}

pub fn refund(capture: Pos, points: i64) -> Body {
    Body::Refund {
        capture: Some(capture),
        points,
    }
}

/// The golden alliance in ISSUE mode, lots living a year.
pub fn issue(change: impl Fn(&mut ContractTerms)) -> World {
    World::golden(
        FundingMode::Issue,
        ExpiryRule::RollingMonths(12),
        NegativeBalance::Debt,
        change,
    )
}

/// Funders and points of a member's lots, in burn order.
pub fn funders(world: &World, member: MemberId) -> Vec<(MerchantIx, i64)> {
    world
        .member(member)
        .lots()
        .iter()
        .map(|lot| (world.global.book().get(lot.price).funder, lot.remaining))
        .collect()
}

/// A promotion at A in February.
pub fn promotion(
    slug: &str,
    bonus: Bonus,
    shares: Vec<(MerchantIx, u32)>,
    cap_points: Option<i64>,
) -> Fact {
    let (starts_at, ends_at) = (at("2026-02-01T00:00:00Z"), at("2026-03-01T00:00:00Z"));
    Fact::Promotion(Promotion {
        slug: slug.into(),
        bonus,
        shares,
        cap_points,
        starts_at,
        ends_at,
        merchants: vec![A],
    })
}
