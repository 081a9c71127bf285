//! Hansa's settlement core: the fold over the log that keeps points, cycles and statements.
//!
//! Pure: no IO, no clock, no randomness; facts, instants and resolved references come in as arguments, decisions come out. All numbers are
//! integers (points, micro-units, basis points), all maps are ordered, so the same log gives the same bytes on every machine.
//!
//! A hub calls, per message in log order: [`Global::next_close`] (append a [`Fact::CycleCut`] first where it has come), [`decide_packed`]
//! with the member, [`apply_global`] for each effect, and records the effects. Restart: [`Global::restore`] and packed members, then
//! [`apply_packed`] and [`apply_global`] for recorded effects behind each one's position, [`Global::apply_fact`] for facts; nothing is
//! decided. [`decide_mut`] and [`apply_member`] define what is decided and applied; the packed ones do the same in fewer steps where a
//! message is a plain accrual, and verification decides by the long way.
//!
//! # Where the domain text leaves a choice
//!
//! - **Windows.** A return or refund is accepted while its event time lies before 00:00 (programme's zone) of the purchase's date +
//!   `return_days` + 1: full days. Pending accruals post at that instant. `max_late` is that of the contract in force at `decided_at`.
//!   What was over once stays over: from the end of the window and the longer `max_late` of its own contract and of the one in force, a
//!   purchase, capture, or ended hold takes no message any more, however late a contract of afterwards lets events be.
//! - **Cycles by calendar.** A cycle's close is fixed when it opens, by the calendar in force at its first instant. A cut-off time that clocks
//!   skip is the end of the gap, one that they show twice the first of the two. A closing day that rests moves forward, over month ends too.
//! - **Returns while pending** leave what the accrual would have been on the amount left, each funder's share split anew; the points
//!   are those that it becomes less by, at least 0.
//! - **Own lots.** In a return every part first takes from its own lots (child lots of refunds included), then from the accrual's other lots,
//!   then from the member's other lots; so no part uses up another one's points. Service fees that a contract refunds come back per
//!   recovered point, with repaid debts too.
//! - **Born expired.** Points whose expiry has passed when they post expire in the same decision, in the cycle that they post to.
//! - **Order of ids.** Promotions and funders are ordered by their slugs, the ids that the outside sees.
//! - **Promotions** apply only while every funder is ACTIVE and has a contract. A claimed number is compared with the base points.
//! - **Earn cap**: base points that a merchant's accruals may earn in one cycle. **Exposure** counts a credit balance of 1100.m as 0 and what
//!   has been posted: overdue expiries of BURN points lower it when they are swept.
//! - **Inactivity**: accruals (pending ones too) and captures count, by event time, never backwards; only unexpired lots move.
//! - **Grace** of refunds and reinstatements is counted from the date of `decided_at`.
//! - **Opening balances** and reinstatements are facts about a member; ISSUE points brought in come with their reserve in cash (1200).
//!
//! # What it may not do
//!
//! It may not hold members in [`Global`], read aggregates in [`apply_member`], read members in [`apply_global`].

mod accrual;
mod calendar;
pub mod commission;
mod cycle;
mod debt;
mod decide;
mod effect;
mod exposure;
mod fact;
pub mod finance;
mod global;
mod global_apply;
mod ids;
mod journal;
mod lot;
mod member;
mod member_apply;
mod message;
mod outcome;
mod packed;
mod price;
mod promotion;
mod redemption;
mod schedule;
mod statement;
mod terms;

pub use accrual::{Accrual, Part, Whole};
pub use calendar::{ExpiryRule, Zone};
pub use commission::{
    Affiliate, AffiliateCode, Commission, CommissionChange, CommissionReason, CommissionTerms,
};
pub use cycle::{
    CommissionTotal, Counts, CycleState, CycleTotals, HubTotals, LineKey, LineTotal, PairTotal,
};
pub use debt::Debt;
pub use decide::{
    CommissionFact, CommissionFactRefusal, Decision, MAX_AHEAD_MICROS, MAX_TOUCHES, MemberFact,
    MemberFactRefusal, decide, decide_commission_fact, decide_member_fact, decide_merge,
    decide_mut, decide_packed, due, due_mut,
};
pub use effect::{
    Change, Corrupt, Effect, Holdings, NewAccrual, PartPoints, Parts, Recorded, Release,
    append_effects, decode_effect_stream, decode_effects, encode_effects,
};
pub use fact::{Fact, FactRefusal};
pub use global::{Genesis, Global, HubBalances, Violation};
pub use global_apply::apply_global;
pub use hansa_money as money;
pub use ids::{
    ContractIx, CycleNo, DisputeNo, ExceptionNo, Instant, LotKey, MemberId, MerchantIx, PaymentNo,
    Pos, PriceId, PromotionIx, ProposalNo, QueryNo, ReportNo,
};
pub use journal::{
    Account, Leg, Legs, LineKind, PairMove, journal, pair_moves, prefunding_journal,
};
pub use lot::Lot;
pub use member::{Due, DueKind, Member};
pub use member_apply::apply_member;
pub use message::{Body, Context, Message, MessageKind};
pub use money::{Currency, Rate};
pub use outcome::{MessageState, Outcome, OutcomeCode};
pub use packed::{PackedMember, apply_packed};
pub use price::{Price, PriceBook};
pub use promotion::{Bonus, Promotion};
pub use redemption::{Redemption, Status, Use, Uses};
pub use schedule::{CutOff, CycleCalendar, CycleSchedule, MAX_HOLIDAYS};
pub use statement::{Payment, Statement, payments, positions, statement};
pub use terms::{
    BankDetails, ContractTerms, ContractVersion, FundingMode, LossShare, Merchant, MerchantState,
    NegativeBalance, PointsComputedBy, ProgrammeTerms, ProgrammeVersion, Roles, SettlementTerms,
};
