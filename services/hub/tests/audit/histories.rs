//! Random alliances with random histories: the auditor finds nothing, and its totals are the fold's.

use std::collections::BTreeSet;

use chrono::{NaiveDate, TimeDelta};
use hansa_client::time::timestamp;
use hansa_proto::v1;
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

use super::{
    forge::{Forge, audit, reference},
    traffic::{self, Traffic},
};

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const HOUR: i64 = 3_600 * SECOND;
pub(super) const DAY: i64 = 24 * HOUR;
/// 2026-01-31T23:00:00Z, midnight in Berlin.
const START: i64 = 1_769_900_400 * SECOND;
pub(super) const MERCHANTS: [&str; 4] = ["m", "b", "z", "a"];
const MEMBERS: u64 = 3;

/// Terms of one merchant, as far as they vary.
#[derive(Clone, Debug)]
struct Deal {
    burn: bool,
    rate: usize,
    fee: usize,
    bps: u32,
    breakage: u32,
    computes: bool,
    pending: bool,
    return_days: u32,
    late_days: u64,
    ttl_hours: u64,
    returns_fee: bool,
    minimum: i64,
    earn_cap: i64,
    cap: usize,
    exposure_bps: u32,
}

#[derive(Clone, Debug)]
struct Rules {
    zone: usize,
    expiry: usize,
    months: u32,
    policy: i32,
    price: usize,
    schedule: i32,
    cut_off: Option<CutOff>,
}

/// When on a closing day the cycle closes; holidays in days behind the start, close together.
#[derive(Clone, Debug)]
struct CutOff {
    zone: usize,
    minute: u32,
    business_days_only: bool,
    holidays: BTreeSet<i64>,
}

/// One step; numbers are taken modulo what exists.
#[derive(Clone, Debug)]
pub(super) struct Step {
    wait: i64,
    late: i64,
    kind: u8,
    pub(super) merchant: usize,
    member: u64,
    pub(super) size: i64,
    pub(super) target: usize,
    pub(super) join: bool,
    deal: usize,
}

fn deal() -> impl Strategy<Value = Deal> {
    (
        (
            any::<bool>(),
            0_usize..6,
            0_usize..5,
            0_u32..2_000,
            0_u32..=10_000,
        ),
        (
            prop::bool::weighted(0.2),
            prop::bool::weighted(0.3),
            0_u32..12,
            1_u64..50,
            1_u64..200,
        ),
        (
            any::<bool>(),
            0_i64..5,
            prop_oneof![4 => Just(0_i64), 1 => 100_i64..600],
            0_usize..8,
            0_u32..=10_000,
        ),
    )
        .prop_map(|(a, b, c)| Deal {
            burn: a.0,
            rate: a.1,
            fee: a.2,
            bps: a.3,
            breakage: a.4,
            computes: b.0,
            pending: b.1 && b.2 > 0,
            return_days: b.2,
            late_days: b.3,
            ttl_hours: b.4,
            returns_fee: c.0,
            minimum: c.1,
            earn_cap: c.2,
            cap: c.3,
            exposure_bps: c.4,
        })
}

fn rules() -> impl Strategy<Value = Rules> {
    (
        0_usize..3,
        0_usize..5,
        1_u32..4,
        0_i32..4,
        0_usize..4,
        1_i32..=4,
        prop::option::of(cut_off()),
    )
        .prop_map(
            |(zone, expiry, months, policy, price, schedule, cut_off)| Rules {
                zone,
                expiry,
                months,
                policy,
                price,
                schedule,
                cut_off,
            },
        )
}

fn cut_off() -> impl Strategy<Value = CutOff> {
    let holidays = prop::collection::btree_set(0_i64..150, 0..40);
    (0_usize..4, 0_u32..1_440, any::<bool>(), holidays).prop_map(
        |(zone, minute, business_days_only, holidays)| CutOff {
            zone,
            minute,
            business_days_only,
            holidays,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let wait = prop_oneof![4 => 0_i64..3_600, 2 => 0_i64..400_000, 1 => 0_i64..3_000_000];
    let late = prop_oneof![4 => Just(0_i64), 1 => -400_i64..3_000_000];
    let kind = prop_oneof![
        8 => Just(0_u8), 6 => Just(1), 5 => Just(2), 6 => Just(3), 2 => Just(4), 4 => Just(5),
        2 => Just(6), 1 => 7_u8..15, 6 => Just(15), 4 => Just(16), 1 => Just(17), 4 => Just(18),
        1 => Just(19)
    ];
    (
        (wait, late, kind, 0_usize..4, 1..=MEMBERS),
        (1_i64..400, any::<usize>(), any::<bool>(), 0_usize..8),
    )
        .prop_map(
            |((wait, late, kind, merchant, member), (size, target, join, deal))| Step {
                wait,
                late,
                kind,
                merchant,
                member,
                size,
                target,
                join,
                deal,
            },
        )
}

/// A random alliance and its history.
#[derive(Clone)]
struct Case {
    rules: Rules,
    deals: Vec<Deal>,
    steps: Vec<Step>,
    every: usize,
}

/// A line for each part: a failing case is read by people.
impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "saved every {} entries\n{:?}", self.every, self.rules)?;
        for deal in &self.deals {
            writeln!(f, "{deal:?}")?;
        }
        for step in &self.steps {
            writeln!(f, "{step:?}")?;
        }
        Ok(())
    }
}

fn case() -> impl Strategy<Value = Case> {
    let (deals, steps) = (
        prop::collection::vec(deal(), 8),
        prop::collection::vec(step(), 1..120),
    );
    (rules(), deals, steps, 1_usize..40).prop_map(|(rules, deals, steps, every)| Case {
        rules,
        deals,
        steps,
        every,
    })
}

fn programme(rules: &Rules) -> v1::Programme {
    let expiry = [
        v1::ExpiryRule::RollingMonths,
        v1::ExpiryRule::Inactivity,
        v1::ExpiryRule::FixedSweep,
        v1::ExpiryRule::None,
        v1::ExpiryRule::RollingMonths,
    ][rules.expiry];
    v1::Programme {
        name: "Random".into(),
        currency_code: "EUR".into(),
        time_zone: ["Europe/Berlin", "America/Sao_Paulo", "Pacific/Auckland"][rules.zone].into(),
        reserve_per_point: ["0.008", "0.01", "0.000001", "0.007777"][rules.price].into(),
        expiry_rule: expiry.into(),
        expiry_months: rules.months,
        sweep_dates: vec!["03-31".into(), "02-29".into(), "05-15".into()],
        negative_balance: rules.policy,
        cycle_schedule: rules.schedule,
        cut_off: rules.cut_off.as_ref().map(cut_off_terms),
        ..v1::Programme::default()
    }
}

fn cut_off_terms(cut_off: &CutOff) -> v1::CutOff {
    let first = NaiveDate::from_ymd_opt(2026, 2, 1).unwrap();
    let day = |days: &i64| (first + TimeDelta::days(*days)).to_string();
    let holidays = cut_off.holidays.iter().map(day);
    v1::CutOff {
        time_zone: ["", "America/New_York", "Australia/Lord_Howe", "UTC"][cut_off.zone].into(),
        local_time: format!("{:02}:{:02}", cut_off.minute / 60, cut_off.minute % 60),
        business_days_only: cut_off.business_days_only,
        holidays: holidays.filter(|_| cut_off.business_days_only).collect(),
    }
}

fn contract(deal: &Deal) -> v1::Contract {
    let mode = if deal.burn {
        v1::FundingMode::Burn
    } else {
        v1::FundingMode::Issue
    };
    v1::Contract {
        funding_mode: mode.into(),
        earn_rate: ["1", "1.5", "0.75", "0.333333", "2.12345678", "10"][deal.rate].into(),
        service_fee_per_point: ["", "0.0015", "0.001735", "0.000001", "0.02"][deal.fee].into(),
        redemption_fee_bps: deal.bps,
        breakage_share_bps: deal.breakage,
        merchant_computes_points: deal.computes,
        max_late_seconds: deal.late_days * 86_400,
        pending_until_return_window_ends: deal.pending,
        return_days: deal.return_days,
        authorisation_ttl_seconds: deal.ttl_hours * 3_600,
        refund_service_fee: deal.returns_fee,
        minimum_burn_points: deal.minimum,
        earn_cap_points: deal.earn_cap,
        net_debit_cap: ["", "", "", "", "", "0.5", "2", "5"][deal.cap].into(),
        collateral: ["", "1"][deal.cap % 2].into(),
        exposure_redemption_bps: (deal.cap.is_multiple_of(3)).then_some(deal.exposure_bps),
        ..v1::Contract::default()
    }
}

fn merchant(
    slug: &str,
    deal: Option<&Deal>,
    state: v1::MerchantState,
    roles: usize,
) -> v1::Merchant {
    let roles = match roles {
        1 => vec![v1::MerchantRole::Earn.into()],
        2 => vec![v1::MerchantRole::Burn.into()],
        3 => Vec::new(),
        _ => {
            use v1::MerchantRole::{Affiliate, Burn, Earn};
            [Earn, Burn, Affiliate].map(i32::from).to_vec()
        }
    };
    v1::Merchant {
        merchant_id: slug.into(),
        display_name: slug.to_uppercase(),
        state: state.into(),
        roles,
        contract: deal.map(contract),
        ..v1::Merchant::default()
    }
}

pub(super) struct Play<'a> {
    pub(super) forge: Forge,
    deals: &'a [Deal],
    rules: &'a Rules,
    /// Merchant, member, message.
    pub(super) sent: Vec<(usize, u64, v1::Message)>,
    pub(super) traffic: Traffic,
    waiting: Option<(usize, Vec<v1::Message>)>,
    next_id: u64,
    promotions: usize,
    contracts: Vec<Deal>,
}

impl Play<'_> {
    pub(super) fn flush(&mut self) {
        if let Some((merchant, messages)) = self.waiting.take() {
            self.forge.batch(MERCHANTS[merchant], &messages);
        }
    }

    pub(super) fn id(&mut self) -> Vec<u8> {
        self.next_id += 1;
        let mut id = [3; 16];
        id[..8].copy_from_slice(&self.next_id.to_be_bytes());
        id.to_vec()
    }

    /// An earlier message of a kind, preferably of this member.
    fn pick(
        &self,
        step: &Step,
        like: impl Fn(&v1::message::Body) -> bool,
    ) -> Option<(usize, u64, Vec<u8>)> {
        let all: Vec<_> = self
            .sent
            .iter()
            .filter(|(_, member, m)| *member == step.member && m.body.as_ref().is_some_and(&like))
            .collect();
        let found = all.get(step.target % all.len().max(1))?;
        Some((found.0, found.1, found.2.message_id.clone()))
    }

    fn say(&mut self, merchant: usize, member: u64, at: i64, body: v1::message::Body, join: bool) {
        let number = self.forge.registry.merchant(MERCHANTS[merchant]).unwrap();
        let message = v1::Message {
            message_id: self.id(),
            event_time: Some(timestamp(at)),
            member_reference: reference(number, member).to_vec(),
            body: Some(body),
            ..v1::Message::default()
        };
        self.sent.push((merchant, member, message.clone()));
        self.send(merchant, message, join);
    }

    pub(super) fn send(&mut self, merchant: usize, message: v1::Message, join: bool) {
        match &mut self.waiting {
            Some((same, messages)) if *same == merchant && join => messages.push(message),
            _ => {
                self.flush();
                self.waiting = Some((merchant, vec![message]));
            }
        }
    }

    fn step(&mut self, step: &Step) {
        use v1::message::Body as B;
        if step.wait > 60 || !step.join {
            self.flush();
            self.forge.wait_until(self.forge.now + step.wait * SECOND);
        }
        let at = self.forge.now - step.late * SECOND;
        let money = |micros: i64, odd: bool| v1::Money {
            currency_code: if odd { "USD" } else { "EUR" }.into(),
            micros,
        };
        let odd = step.target.is_multiple_of(97);
        let other = |merchant: usize| {
            if step.target.is_multiple_of(89) {
                (merchant + 1) % 4
            } else {
                merchant
            }
        };
        let somebody = |member: u64| {
            if step.target.is_multiple_of(83) {
                9
            } else {
                member
            }
        };
        match step.kind {
            0 => {
                let deal = &self.contracts[step.merchant];
                let points =
                    (deal.computes || step.target.is_multiple_of(41)).then_some(step.size * 3 / 2);
                let body = B::Accrual(v1::Accrual {
                    eligible_amount: Some(money(step.size * 330_000, odd)),
                    points,
                });
                self.say(step.merchant, somebody(step.member), at, body, step.join);
            }
            1 => {
                let like = |b: &B| matches!(b, B::Accrual(_)) || odd;
                if let Some((merchant, member, id)) = self.pick(step, like) {
                    let body = B::AccrualReversal(v1::AccrualReversal {
                        accrual_message_id: id,
                        returned_amount: Some(money(step.size * 110_000, odd)),
                    });
                    self.say(other(merchant), somebody(member), at, body, step.join);
                }
            }
            2 => {
                let points = step.size / 4 + 1;
                let body = B::RedemptionAuthorisation(v1::RedemptionAuthorisation { points });
                self.say(step.merchant, somebody(step.member), at, body, step.join);
            }
            3 => {
                let like = |b: &B| matches!(b, B::RedemptionAuthorisation(_)) || odd;
                if let Some((merchant, member, id)) = self.pick(step, like) {
                    let body = B::RedemptionCapture(v1::RedemptionCapture {
                        authorisation_message_id: id,
                        points: step.size / 8 + 1,
                    });
                    self.say(other(merchant), member, at, body, step.join);
                }
            }
            4 => {
                let like = |b: &B| matches!(b, B::RedemptionAuthorisation(_)) || odd;
                if let Some((merchant, member, id)) = self.pick(step, like) {
                    let body = B::RedemptionVoid(v1::RedemptionVoid {
                        authorisation_message_id: id,
                    });
                    self.say(other(merchant), member, at, body, step.join);
                }
            }
            5 => {
                let like = |b: &B| matches!(b, B::RedemptionCapture(_)) || odd;
                if let Some((merchant, member, id)) = self.pick(step, like) {
                    let body = B::RedemptionRefund(v1::RedemptionRefund {
                        capture_message_id: id,
                        points: step.size / 16 + 1,
                    });
                    self.say(other(merchant), member, at, body, step.join);
                }
            }
            6 => {
                if let Some((merchant, _, message)) =
                    self.sent.get(step.target % self.sent.len().max(1)).cloned()
                {
                    let mut message = message;
                    if step.size % 3 == 0 {
                        message.lane = "another".into();
                    }
                    self.send(merchant, message, step.join);
                }
            }
            15 => self.convert(step, at),
            16 => self.give_back(step, at),
            17 => self.approve(step, at),
            _ => {
                self.flush();
                self.change(step);
            }
        }
    }

    /// A fact. Those that the fold refuses are not in the log.
    fn change(&mut self, step: &Step) {
        let slug = MERCHANTS[step.merchant];
        let state = [
            v1::MerchantState::Active,
            v1::MerchantState::Active,
            v1::MerchantState::BurnOnly,
            v1::MerchantState::WindingDown,
            v1::MerchantState::Suspended,
        ][step.target % 5];
        match step.kind {
            7 | 8 => self.forge.sweep(None),
            9 => self.forge.sweep(Some(step.member)),
            10 => drop(self.forge.cut()),
            11 => {
                let deal = &self.deals[step.deal % self.deals.len()];
                let changed = v1::Merchant {
                    commission_terms: Some(traffic::terms(step.target, None)),
                    ..merchant(slug, Some(deal), state, step.target % 7)
                };
                if self.forge.merchant(changed).is_ok() {
                    self.contracts[step.merchant] = deal.clone();
                }
            }
            12 => {
                let changed = programme(&Rules {
                    price: step.target % 4,
                    expiry: step.deal % 5,
                    policy: (step.target % 4) as i32,
                    months: 1 + step.member as u32,
                    schedule: 1 + (step.deal % 4) as i32,
                    cut_off: self.rules.cut_off.clone().filter(|_| step.join),
                    ..self.rules.clone()
                });
                drop(self.forge.fact(v1::fact::Fact::Programme(changed)));
            }
            14 => {
                let leaves = merchant(slug, None, v1::MerchantState::BurnOnly, 0);
                drop(self.forge.merchant(leaves));
                // Refused where it has no open points, or did so before.
                drop(self.forge.prefund(slug));
            }
            18 => self.review(step),
            19 => self.change_affiliate(step, state),
            _ => self.promote(step),
        }
    }

    fn promote(&mut self, step: &Step) {
        self.promotions += 1;
        let share = |at: usize, share_bps| v1::FundingShare {
            merchant_id: MERCHANTS[at % 4].into(),
            share_bps,
        };
        let first = (step.size * 25) as u32;
        let bonus = if step.join {
            v1::promotion::Bonus::Multiplier(["1.7", "2", "1.000001"][step.target % 3].into())
        } else {
            v1::promotion::Bonus::Rate(["0.5", "0.123", "1"][step.target % 3].into())
        };
        let everywhere = step.target.is_multiple_of(2);
        let promotion = v1::Promotion {
            promotion_id: format!("{}-{}", step.target % 10, self.promotions),
            merchant_ids: if everywhere {
                MERCHANTS.map(String::from).to_vec()
            } else {
                vec![MERCHANTS[step.deal % 4].into()]
            },
            start_time: Some(timestamp(self.forge.now - 20 * DAY)),
            end_time: Some(timestamp(self.forge.now + step.size * DAY / 4)),
            bonus: Some(bonus),
            shares: vec![
                share(step.merchant, first),
                share(step.merchant + 1, 3),
                share(step.merchant + 2, 9_997 - first),
            ],
            cap_points: if step.target.is_multiple_of(3) {
                step.size * 3
            } else {
                0
            },
        };
        self.forge
            .fact(v1::fact::Fact::Promotion(promotion))
            .unwrap();
    }
}

fn play(rules: &Rules, deals: &[Deal], steps: &[Step]) -> Forge {
    let mut forge = Forge::new(START);
    forge
        .fact(v1::fact::Fact::Programme(programme(rules)))
        .unwrap();
    for (at, slug) in MERCHANTS.iter().enumerate() {
        let contract = v1::Contract {
            effective_time: Some(timestamp(START - 40 * DAY)),
            ..contract(&deals[at])
        };
        let effective = timestamp(START - 40 * DAY);
        let merchant = v1::Merchant {
            contract: Some(contract),
            commission_terms: Some(traffic::terms(at, Some(effective))),
            ..merchant(slug, None, v1::MerchantState::Active, 0)
        };
        forge.merchant(merchant).unwrap();
    }
    for (at, slug) in traffic::AFFILIATES.iter().enumerate() {
        let affiliate = traffic::affiliate(slug, at, v1::MerchantState::Active);
        forge.merchant(affiliate).unwrap();
    }
    forge.enrol(&MERCHANTS, MEMBERS);
    let mut play = Play {
        forge,
        deals,
        rules,
        sent: Vec::new(),
        traffic: Traffic::default(),
        waiting: None,
        next_id: 0,
        promotions: 0,
        contracts: deals[..4].to_vec(),
    };
    for step in steps {
        play.step(step);
    }
    play.flush();
    let mut forge = play.forge;
    for days in [1, 40, 160] {
        forge.wait_until(forge.now + days * DAY);
        forge.sweep(None);
    }
    if forge.global.next_close().is_none() {
        forge.cut().unwrap();
        forge.sweep(None);
    }
    forge
}

/// One random history of monthly cycles, the same for the same seed.
pub(crate) fn sample(seed: u8) -> Forge {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let steps = prop::collection::vec(step(), 100..101);
    let case = (rules(), prop::collection::vec(deal(), 8), steps);
    let (mut rules, deals, mut steps) = case.new_tree(&mut runner).unwrap().current();
    // Few cycles: each is certified by itself, and the samples are audited again and again.
    rules.schedule = v1::CycleSchedule::Monthly.into();
    rules.cut_off = None;
    steps.retain(|step| step.kind != 12);
    play(&rules, &deals, &steps)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("HANSA_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(64),
        failure_persistence: None,
        max_shrink_iters: std::env::var("HANSA_SHRINK").ok().and_then(|n| n.parse().ok()).unwrap_or(400),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_history_is_certified(case in case()) {
        let forge = play(&case.rules, &case.deals, &case.steps);
        let (auditor, certificates) = match audit(&forge.entries, case.every) {
            Ok(audited) => audited,
            Err(finding) => return Err(TestCaseError::fail(finding.to_string())),
        };
        prop_assert!(!certificates.is_empty());
        for certificate in &certificates {
            let number = certificate.totals.number;
            prop_assert_eq!(certificate.totals.difference(&forge.totals(number)), None, "cycle {}", number);
        }
        prop_assert_eq!(auditor.reserve_micros(), -forge.global.hub_balances().reserve_micros);
    }
}
