//! Hansa's settlement core: the fold over the log that keeps points, cycles and statements.
//!
//! Pure: no IO, no clock, no randomness; facts, instants and resolved references come in as arguments, decisions come out. All numbers are
//! integers (points, micro-units, basis points), all maps are ordered, so the same log gives the same bytes on every machine.
//!
//! A hub calls, per message in log order: [`Global::next_close`] (append a [`Fact::CycleCut`] first where it has come), [`decide_mut`] with
//! the member, [`apply_global`] for each effect, and records the effects. Restart: [`Global::restore`] and packed members, then
//! [`apply_member`] and [`apply_global`] for recorded effects behind each one's position, [`Global::apply_fact`] for facts; nothing is decided.
//!
//! What it may not do: hold members in [`Global`], read aggregates in [`apply_member`], read members in [`apply_global`].

mod accrual;
mod calendar;
mod cycle;
mod debt;
mod decide;
mod effect;
mod exposure;
mod fact;
mod global;
mod global_apply;
mod ids;
mod journal;
mod lot;
mod member;
mod member_apply;
mod message;
pub mod money;
mod outcome;
mod packed;
mod price;
mod promotion;
mod redemption;
mod statement;
mod terms;

pub use accrual::{Accrual, Part};
pub use calendar::{CycleSchedule, ExpiryRule, Zone};
pub use cycle::{Counts, CycleState, CycleTotals, HubTotals, LineKey, LineTotal, PairTotal};
pub use debt::Debt;
pub use decide::{
    Decision, MAX_AHEAD_MICROS, MemberFact, MemberFactRefusal, decide, decide_member_fact,
    decide_merge, decide_mut, due, due_mut,
};
pub use effect::{
    Change, Corrupt, Effect, Holdings, NewAccrual, PartPoints, Parts, Recorded, Release,
    append_effects, decode_effect_stream, decode_effects, encode_effects,
};
pub use fact::{Fact, FactRefusal};
pub use global::{Genesis, Global, HubBalances, Violation};
pub use global_apply::apply_global;
pub use ids::{
    ContractIx, CycleNo, Instant, LotKey, MemberId, MerchantIx, Pos, PriceId, PromotionIx,
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
pub use price::{Price, PriceBook};
pub use promotion::{Bonus, Promotion};
pub use redemption::{Redemption, Status, Use, Uses};
pub use statement::{Payment, Statement, payments, statement};
pub use terms::{
    ContractTerms, ContractVersion, FundingMode, Merchant, MerchantState, NegativeBalance,
    PointsComputedBy, ProgrammeTerms, ProgrammeVersion, Roles,
};
