//! Conversions, attribution, commissions, holds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
use common::*;
use hansa_settlement::commission::{
    Claim, ClaimedTouch, CommissionRate, CommissionState, Locking, Pay, Placement, Site, TouchKind,
};
use hansa_settlement::*;

/// The affiliates.
const BLOG: MerchantIx = MerchantIx(3);
const DEALS: MerchantIx = MerchantIx(4);

const DAY: i64 = 86_400_000_000;

fn pay(share_bps: u32, fixed: &str) -> Pay {
    Pay {
        share_bps,
        fixed_micros: micros(fixed),
    }
}

fn terms(locking: Locking) -> CommissionTerms {
    let rate = |tier: &str, share| CommissionRate {
        tier: tier.into(),
        first_sale: pay(share, "0"),
        recurring: pay(100, "0"),
        ..CommissionRate::default()
    };
    CommissionTerms {
        click_window_micros: 30 * DAY,
        view_window_micros: DAY,
        codes_win: false,
        locking,
        recurring_micros: 365 * DAY,
        placement: Placement {
            refused_flags: 1,
            ..Placement::default()
        },
        rates: vec![rate("gold", 800), rate("", 500)],
    }
}

/// The golden merchants, of whom A takes conversions, and two affiliates.
fn world(locking: Locking) -> World {
    let mut world = issue(|_| {});
    world.fact(Fact::MerchantChanged {
        merchant: A,
        name: "A".into(),
        roles: Roles {
            earn: true,
            burn: true,
            affiliate: true,
        },
    });
    for (affiliate, slug, tier) in [(BLOG, "blog", ""), (DEALS, "deals", "gold")] {
        world.fact(Fact::MerchantOnboarded {
            slug: slug.into(),
            name: slug.into(),
            roles: Roles::default(),
        });
        world.fact(Fact::Contract {
            merchant: affiliate,
            effective_at: at("2000-01-01T00:00:00Z"),
            terms: contract(FundingMode::Issue, 0),
        });
        world.fact(Fact::MerchantState {
            merchant: affiliate,
            state: MerchantState::Active,
        });
        world.fact(Fact::Affiliate {
            affiliate,
            profile: Affiliate {
                manager: "ana".into(),
                tier: tier.into(),
                sites: vec![Site {
                    number: 1,
                    name: "site".into(),
                    url: "https://site.example".into(),
                    vertical: "CONTENT".into(),
                }],
            },
        });
    }
    world.fact(Fact::CommissionTerms {
        merchant: A,
        effective_at: at("2000-01-01T00:00:00Z"),
        terms: terms(locking),
    });
    world
}

fn touch(n: u8, affiliate: MerchantIx, time: &str) -> ClaimedTouch {
    ClaimedTouch {
        id: [n; 16],
        kind: TouchKind::Click,
        flags: 0,
        affiliate,
        site: 1,
        at: at(time),
    }
}

fn claim(amount: &str, touches: &[ClaimedTouch]) -> Claim {
    Claim {
        currency: Currency::EUR,
        amount_micros: micros(amount),
        country: String::new(),
        category: String::new(),
        touches: touches.iter().map(|touch| (*touch, None)).collect(),
        forged: false,
        code: String::new(),
        order_known: false,
        recurs: None,
    }
}

fn convert(world: &mut World, time: &str, claim: Claim) -> (Pos, Outcome) {
    world.send_with(at(time), at(time), A, None, Body::Conversion, Some(claim))
}

fn converted(world: &mut World, time: &str, claim: Claim) -> Pos {
    let (pos, outcome) = convert(world, time, claim);
    assert_eq!(outcome.code, OutcomeCode::Accepted);
    pos
}

fn refused(world: &mut World, time: &str, claim: Claim, code: OutcomeCode) {
    world.cut_until(at(time));
    let lines = world.global.open_cycle().lines.clone();
    let (pos, outcome) = convert(world, time, claim);
    assert_eq!(
        (outcome.code, outcome.state),
        (code, MessageState::Rejected)
    );
    assert_eq!(world.global.open_cycle().lines, lines);
    assert!(world.member(MemberId::of_conversion(pos)).is_empty());
}

fn returned(world: &mut World, time: &str, of: Pos, amount: &str, reference: u8) -> Outcome {
    let body = Body::ConversionReturn {
        currency: Currency::EUR,
        amount_micros: micros(amount),
        reason: CommissionReason::ItemReturned,
        reference: Some([reference; 16]),
    };
    let account = MemberId::of_conversion(of);
    world.send(at(time), at(time), A, account, body).1
}

fn account(world: &World, pos: Pos) -> Commission {
    let member = world.member(MemberId::of_conversion(pos));
    member.commission().unwrap().clone()
}

fn net(world: &World, merchant: MerchantIx) -> i128 {
    world.global.clearing(merchant)
}

const CLICKED: &str = "2026-02-02T09:00:00Z";
const BOUGHT: &str = "2026-02-02T10:00:00Z";

#[test]
fn a_commission_is_the_merchants_debt_until_it_locks_and_then_the_affiliates() {
    let mut world = world(Locking::FixedDuration(14 * DAY));
    let pos = converted(
        &mut world,
        BOUGHT,
        claim("80.00", &[touch(1, BLOG, CLICKED)]),
    );
    let accrued = account(&world, pos);
    assert_eq!(
        (accrued.micros, accrued.state),
        (4_000_000, CommissionState::Accrued)
    );
    assert_eq!((net(&world, A), net(&world, BLOG)), (4_000_000, 0));
    assert_eq!(world.global.commission_reserve(A), 4_000_000);
    world.sweep(at("2026-02-16T09:59:59Z"));
    assert_eq!(net(&world, BLOG), 0);
    world.sweep(at("2026-02-16T10:00:00Z"));
    assert_eq!((net(&world, A), net(&world, BLOG)), (4_000_000, -4_000_000));
    assert_eq!(world.global.commission_reserve(A), 0);
    assert_eq!(account(&world, pos).state, CommissionState::Payable);
    let cycle = world.global.open_cycle();
    assert_eq!(cycle.hub.commission_micros, 0);
    let total = cycle.commissions[&(BLOG, A)];
    assert_eq!(
        (total.accrued_micros, total.payable_micros),
        (4_000_000, 4_000_000)
    );
}

#[test]
fn each_locking_method_has_its_own_date() {
    let cases = [
        (Locking::Immediate, Some("2026-02-02T10:00:00Z")),
        (
            Locking::FixedDate { day: 31, months: 2 },
            Some("2026-04-29T22:00:00Z"),
        ),
        (Locking::FixedDuration(DAY), Some("2026-02-03T10:00:00Z")),
        (Locking::OpenEnded, None),
    ];
    for (locking, locks_at) in cases {
        let mut world = world(locking);
        let pos = converted(
            &mut world,
            BOUGHT,
            claim("80.00", &[touch(1, BLOG, CLICKED)]),
        );
        let expected = locks_at.map_or(Instant::NEVER, at);
        assert_eq!(
            account(&world, pos).conversion.locks_at,
            expected,
            "{locking:?}"
        );
        let payable = account(&world, pos).state == CommissionState::Payable;
        assert_eq!(payable, locking == Locking::Immediate);
    }
}

#[test]
fn an_open_ended_commission_waits_for_its_approval_and_is_approved_once() {
    let mut world = world(Locking::OpenEnded);
    let pos = converted(
        &mut world,
        BOUGHT,
        claim("80.00", &[touch(1, BLOG, CLICKED)]),
    );
    world.sweep(at("2027-02-02T10:00:00Z"));
    assert_eq!(net(&world, BLOG), 0);
    let account = MemberId::of_conversion(pos);
    let now = world.now;
    let (_, outcome) = world.send(now, now, A, account, Body::ConversionApproval);
    assert_eq!(
        (outcome.code, outcome.state, outcome.commission_micros),
        (OutcomeCode::Accepted, MessageState::Payable, 4_000_000)
    );
    assert_eq!(net(&world, BLOG), -4_000_000);
    let (_, again) = world.send(now, now, A, account, Body::ConversionApproval);
    assert_eq!(again.code, OutcomeCode::AlreadyLocked);
    let (_, foreign) = world.send(now, now, F, account, Body::ConversionApproval);
    assert_eq!(foreign.code, OutcomeCode::OriginalNotFound);
}

#[test]
fn partial_returns_add_up_to_the_full_one_and_a_second_notice_changes_nothing() {
    let mut world = world(Locking::FixedDuration(14 * DAY));
    let pos = converted(
        &mut world,
        BOUGHT,
        claim("10.01", &[touch(1, BLOG, CLICKED)]),
    );
    assert_eq!(account(&world, pos).micros, 500_500);
    let first = returned(&mut world, BOUGHT, pos, "3.33", 1);
    assert_eq!(
        (first.code, first.commission_micros),
        (OutcomeCode::Accepted, 166_500)
    );
    let second = returned(&mut world, BOUGHT, pos, "3.33", 1);
    assert_eq!(second.code, OutcomeCode::DuplicateReturn);
    let more = returned(&mut world, BOUGHT, pos, "6.69", 2);
    assert_eq!(more.code, OutcomeCode::ReturnExceedsPurchase);
    let rest = returned(&mut world, BOUGHT, pos, "6.68", 3);
    assert_eq!(
        (rest.code, rest.state, rest.commission_micros),
        (OutcomeCode::Accepted, MessageState::Reversed, 334_000)
    );
    assert_eq!((net(&world, A), world.global.commission_reserve(A)), (0, 0));
    world.sweep(at("2026-03-16T10:00:00Z"));
    assert_eq!(net(&world, BLOG), 0);
}

#[test]
fn a_return_after_it_became_payable_is_one_negative_line() {
    let mut world = world(Locking::Immediate);
    let pos = converted(
        &mut world,
        BOUGHT,
        claim("80.00", &[touch(1, BLOG, CLICKED)]),
    );
    assert_eq!(net(&world, BLOG), -4_000_000);
    assert_eq!(
        returned(&mut world, BOUGHT, pos, "80.00", 1).code,
        OutcomeCode::Accepted
    );
    assert_eq!(
        returned(&mut world, BOUGHT, pos, "80.00", 1).code,
        OutcomeCode::DuplicateReturn
    );
    assert_eq!(
        returned(&mut world, BOUGHT, pos, "80.00", 2).code,
        OutcomeCode::ReturnExceedsPurchase
    );
    assert_eq!((net(&world, A), net(&world, BLOG)), (0, 0));
    let clawed: Vec<_> = world
        .global
        .open_cycle()
        .lines_of(BLOG)
        .filter(|(key, _)| key.kind == LineKind::CommissionClawback)
        .map(|(key, total)| (key.counterparty, total.count, total.micros))
        .collect();
    assert_eq!(clawed, [(Some(A), 1, 4_000_000)]);
    assert_eq!(
        account(&world, pos).reason,
        Some(CommissionReason::ItemReturned)
    );
}

#[test]
fn the_last_touch_that_counts_wins() {
    let mut world = world(Locking::OpenEnded);
    let old = touch(1, BLOG, "2026-02-01T09:00:00Z");
    let new = touch(2, DEALS, "2026-02-02T08:00:00Z");
    let paid = ClaimedTouch {
        flags: 1,
        ..touch(3, BLOG, CLICKED)
    };
    let view = ClaimedTouch {
        kind: TouchKind::View,
        ..touch(4, BLOG, CLICKED)
    };
    // However the merchant lists them; a paid click and a view behind it do not count.
    for touches in [[old, new, paid, view], [view, paid, new, old]] {
        let pos = converted(&mut world, BOUGHT, claim("100.00", &touches));
        let account = account(&world, pos);
        assert_eq!(account.attribution.affiliate, DEALS);
        // Gold.
        assert_eq!(account.micros, 8_000_000);
        assert_eq!(account.conversion.touches, touches);
    }
    let pos = converted(&mut world, BOUGHT, claim("100.00", &[view]));
    assert_eq!(account(&world, pos).attribution.affiliate, BLOG);
}

#[test]
fn what_cannot_be_attributed_is_refused_with_its_reason() {
    let mut world = world(Locking::OpenEnded);
    let good = touch(1, BLOG, CLICKED);
    let with = |change: &dyn Fn(&mut Claim)| {
        let mut claim = claim("10.00", &[good]);
        change(&mut claim);
        claim
    };
    use OutcomeCode as C;
    let forged = with(&|c| c.forged = true);
    refused(&mut world, BOUGHT, forged, C::ClickForged);
    let used = with(&|c| c.touches[0].1 = Some(Pos::new(1, 0)));
    refused(&mut world, BOUGHT, used, C::ClickUsed);
    let order = with(&|c| c.order_known = true);
    refused(&mut world, BOUGHT, order, C::DuplicateOrder);
    let nothing = with(&|c| c.touches.clear());
    refused(&mut world, BOUGHT, nothing, C::NotAttributed);
    let paid = with(&|c| c.touches[0].0.flags = 1);
    refused(&mut world, BOUGHT, paid, C::PlacementRefused);
    let foreign = with(&|c| c.currency = Currency::new("USD").unwrap());
    refused(&mut world, BOUGHT, foreign, C::CurrencyMismatch);
    let no_affiliate = with(&|c| c.touches[0].0.affiliate = F);
    refused(&mut world, BOUGHT, no_affiliate, C::AffiliateNotActive);
    // A window ends to the microsecond.
    let late = at(CLICKED).plus_micros(30 * DAY);
    let (_, outcome) = world.send_with(late, late, A, None, Body::Conversion, Some(with(&|_| {})));
    assert_eq!(outcome.code, C::Accepted);
    let later = late.plus_micros(1);
    let claim = with(&|c| c.touches[0].0.id = [9; 16]);
    let (_, outcome) = world.send_with(later, later, A, None, Body::Conversion, Some(claim));
    assert_eq!(outcome.code, C::OutsideAttributionWindow);
    // F takes no part.
    let claim = with(&|_| {});
    let (_, outcome) = world.send_with(later, later, F, None, Body::Conversion, Some(claim));
    assert_eq!(outcome.code, C::RoleMissing);
}

#[test]
fn a_suspended_affiliate_earns_nothing_any_more_and_keeps_what_it_has() {
    let mut world = world(Locking::FixedDuration(14 * DAY));
    converted(
        &mut world,
        BOUGHT,
        claim("80.00", &[touch(1, BLOG, CLICKED)]),
    );
    world.fact(Fact::MerchantState {
        merchant: BLOG,
        state: MerchantState::Suspended,
    });
    let claim = claim("80.00", &[touch(2, BLOG, CLICKED)]);
    refused(&mut world, BOUGHT, claim, OutcomeCode::AffiliateNotActive);
    world.sweep(at("2026-02-16T10:00:00Z"));
    assert_eq!(net(&world, BLOG), -4_000_000);
}

#[test]
fn a_hold_keeps_money_out_of_the_net_until_the_last_flag_is_gone() {
    let mut world = world(Locking::FixedDuration(14 * DAY));
    let pos = converted(
        &mut world,
        BOUGHT,
        claim("80.00", &[touch(1, BLOG, CLICKED)]),
    );
    for flag in [7, 8] {
        world
            .commission_fact(pos, CommissionFact::Hold { flag })
            .unwrap();
    }
    assert_eq!(
        world.commission_fact(pos, CommissionFact::Hold { flag: 7 }),
        Err(CommissionFactRefusal::FlagState)
    );
    // Its lock date passes, and a year with it.
    world.sweep(at("2027-02-16T10:00:00Z"));
    assert_eq!(account(&world, pos).state, CommissionState::Locked);
    assert_eq!(
        (net(&world, BLOG), world.global.commission_reserve(A)),
        (0, 4_000_000)
    );
    world
        .commission_fact(pos, CommissionFact::Release { flag: 7 })
        .unwrap();
    assert_eq!(net(&world, BLOG), 0);
    world
        .commission_fact(pos, CommissionFact::Release { flag: 8 })
        .unwrap();
    assert_eq!(
        (net(&world, BLOG), world.global.commission_reserve(A)),
        (-4_000_000, 0)
    );
    assert_eq!(
        world.commission_fact(pos, CommissionFact::Hold { flag: 9 }),
        Err(CommissionFactRefusal::Payable)
    );
    let held: i128 = world
        .global
        .cycles()
        .iter()
        .filter_map(|cycle| cycle.commissions.get(&(BLOG, A)))
        .map(|total| total.held_micros)
        .sum();
    assert_eq!(held, 0);
}

#[test]
fn confirmed_fraud_goes_back_to_the_merchant_once() {
    let mut world = world(Locking::FixedDuration(14 * DAY));
    let pos = converted(
        &mut world,
        BOUGHT,
        claim("80.00", &[touch(1, BLOG, CLICKED)]),
    );
    let reason = CommissionReason::FraudConfirmed;
    world
        .commission_fact(pos, CommissionFact::Hold { flag: 7 })
        .unwrap();
    world
        .commission_fact(pos, CommissionFact::Reverse { reason })
        .unwrap();
    assert_eq!((net(&world, A), net(&world, BLOG)), (0, 0));
    assert_eq!(
        world.commission_fact(pos, CommissionFact::Reverse { reason }),
        Err(CommissionFactRefusal::Reversed)
    );
    // The goods come back afterwards: nothing is left to take.
    let outcome = returned(&mut world, BOUGHT, pos, "80.00", 1);
    assert_eq!(
        (outcome.code, outcome.commission_micros),
        (OutcomeCode::Accepted, 0)
    );
    world.sweep(at("2026-03-16T10:00:00Z"));
    assert_eq!(net(&world, BLOG), 0);
    let unknown = world.commission_fact(Pos::new(9_999, 0), CommissionFact::Hold { flag: 1 });
    assert_eq!(unknown, Err(CommissionFactRefusal::ConversionNotFound));
}

#[test]
fn an_invalid_touch_leaves_the_conversion_to_the_next_one() {
    for locking in [Locking::OpenEnded, Locking::Immediate] {
        let mut world = world(locking);
        let touches = [
            touch(1, BLOG, "2026-02-01T09:00:00Z"),
            touch(2, DEALS, CLICKED),
        ];
        let pos = converted(&mut world, BOUGHT, claim("100.00", &touches));
        returned(&mut world, BOUGHT, pos, "50.00", 1);
        let invalid = |n: u8| CommissionFact::InvalidateTouch { touch: [n; 16] };
        world.commission_fact(pos, invalid(2)).unwrap();
        let account = account(&world, pos);
        assert_eq!(account.attribution.affiliate, BLOG);
        // 5 % of what is left.
        assert_eq!((account.micros, net(&world, A)), (2_500_000, 2_500_000));
        let paid = if locking == Locking::Immediate {
            -2_500_000
        } else {
            0
        };
        assert_eq!((net(&world, BLOG), net(&world, DEALS)), (paid, 0));
        assert_eq!(
            world.commission_fact(pos, invalid(2)),
            Err(CommissionFactRefusal::TouchNotFound)
        );
        world.commission_fact(pos, invalid(1)).unwrap();
        assert_eq!(
            (net(&world, A), net(&world, BLOG), net(&world, DEALS)),
            (0, 0, 0)
        );
    }
}

#[test]
fn a_hold_stays_with_a_conversion_that_somebody_else_gets() {
    let mut world = world(Locking::OpenEnded);
    let touches = [
        touch(1, BLOG, "2026-02-01T09:00:00Z"),
        touch(2, DEALS, CLICKED),
    ];
    let pos = converted(&mut world, BOUGHT, claim("100.00", &touches));
    let held = |world: &World, affiliate| {
        let totals = &world.global.open_cycle().commissions;
        totals
            .get(&(affiliate, A))
            .map_or(0, |total| total.held_micros)
    };
    world
        .commission_fact(pos, CommissionFact::Hold { flag: 7 })
        .unwrap();
    assert_eq!(held(&world, DEALS), 8_000_000);
    let invalid = CommissionFact::InvalidateTouch { touch: [2; 16] };
    world.commission_fact(pos, invalid).unwrap();
    assert_eq!((held(&world, DEALS), held(&world, BLOG)), (0, 5_000_000));
    world
        .commission_fact(pos, CommissionFact::Release { flag: 7 })
        .unwrap();
    assert_eq!((held(&world, DEALS), held(&world, BLOG)), (0, 0));
}

#[test]
fn what_recurs_names_its_first_conversion_and_earns_its_own_rate() {
    let mut world = world(Locking::OpenEnded);
    let click = touch(1, BLOG, CLICKED);
    let first = converted(&mut world, BOUGHT, claim("100.00", &[click]));
    let mut again = claim("100.00", &[click]);
    again.touches[0].1 = Some(first);
    again.recurs = Some(Some(first));
    // Long after the window for a first sale.
    let pos = converted(&mut world, "2026-08-02T10:00:00Z", again.clone());
    assert_eq!(account(&world, pos).micros, 1_000_000);
    again.recurs = Some(Some(Pos::new(first.seq() + 1, 0)));
    refused(
        &mut world,
        "2026-08-02T10:00:00Z",
        again.clone(),
        OutcomeCode::ClickUsed,
    );
    again.recurs = Some(None);
    refused(
        &mut world,
        "2026-08-02T10:00:00Z",
        again,
        OutcomeCode::OriginalNotFound,
    );
}

#[test]
fn a_code_counts_where_no_click_does_or_where_codes_win() {
    let mut world = world(Locking::OpenEnded);
    let now = world.now;
    world.fact(Fact::AffiliateCode {
        merchant: A,
        code: "Spring".into(),
        held: AffiliateCode {
            affiliate: DEALS,
            site: 1,
            from: now,
            until: at("2026-06-01T00:00:00Z"),
        },
    });
    let with_code = |touches: &[ClaimedTouch]| Claim {
        code: "SPRING".into(),
        ..claim("100.00", touches)
    };
    let click = touch(1, BLOG, CLICKED);
    let pos = converted(&mut world, BOUGHT, with_code(&[click]));
    assert_eq!(account(&world, pos).attribution.affiliate, BLOG);
    let pos = converted(&mut world, BOUGHT, with_code(&[]));
    assert_eq!(account(&world, pos).attribution.affiliate, DEALS);
    world.fact(Fact::CommissionTerms {
        merchant: A,
        effective_at: world.now,
        terms: CommissionTerms {
            codes_win: true,
            ..terms(Locking::OpenEnded)
        },
    });
    let pos = converted(&mut world, "2026-02-03T10:00:00Z", with_code(&[click]));
    assert_eq!(account(&world, pos).attribution.affiliate, DEALS);
    let ended = with_code(&[]);
    refused(
        &mut world,
        "2026-06-02T10:00:00Z",
        ended,
        OutcomeCode::NotAttributed,
    );
}

#[test]
fn terms_of_the_event_time_count_and_none_are_made_backwards() {
    let mut world = world(Locking::OpenEnded);
    world.sweep(at("2026-02-10T00:00:00Z"));
    let doubled = CommissionTerms {
        rates: vec![CommissionRate {
            first_sale: pay(1_000, "0.25"),
            ..CommissionRate::default()
        }],
        ..terms(Locking::OpenEnded)
    };
    let fact = |time: &str| Fact::CommissionTerms {
        merchant: A,
        effective_at: at(time),
        terms: doubled.clone(),
    };
    assert_eq!(
        world.try_fact(fact("2026-02-09T00:00:00Z")),
        Err(FactRefusal::EffectiveTooEarly)
    );
    world.fact(fact("2026-02-10T00:00:00Z"));
    // An event of the day before, sent now.
    let now = at("2026-02-10T01:00:00Z");
    let claimed = claim("100.00", &[touch(1, BLOG, CLICKED)]);
    let before = at("2026-02-09T23:00:00Z");
    let (pos, outcome) = world.send_with(
        now,
        before,
        A,
        None,
        Body::Conversion,
        Some(claimed.clone()),
    );
    assert_eq!(outcome.code, OutcomeCode::Accepted, "{outcome:?}");
    assert_eq!(account(&world, pos).micros, 5_000_000);
    let (pos, _) = world.send_with(now, now, A, None, Body::Conversion, Some(claimed));
    assert_eq!(account(&world, pos).micros, 10_250_000);
}

#[test]
fn an_affiliate_has_no_roles() {
    let mut world = world(Locking::OpenEnded);
    let profile = Affiliate::default();
    assert_eq!(
        world.try_fact(Fact::Affiliate {
            affiliate: F,
            profile
        }),
        Err(FactRefusal::AffiliateHasRoles)
    );
    let roles = Roles {
        earn: true,
        ..Roles::default()
    };
    assert_eq!(
        world.try_fact(Fact::MerchantChanged {
            merchant: BLOG,
            name: "blog".into(),
            roles
        }),
        Err(FactRefusal::AffiliateHasRoles)
    );
}

#[test]
fn a_window_of_nothing_lets_nothing_count() {
    let mut world = world(Locking::OpenEnded);
    world.fact(Fact::CommissionTerms {
        merchant: A,
        effective_at: world.now,
        terms: CommissionTerms {
            view_window_micros: 0,
            recurring_micros: 0,
            ..terms(Locking::OpenEnded)
        },
    });
    // At the very instant of the event, and a little ahead of it, as clocks differ.
    for time in [BOUGHT, "2026-02-02T10:04:00Z"] {
        let view = ClaimedTouch {
            kind: TouchKind::View,
            ..touch(1, BLOG, time)
        };
        let viewed = claim("100.00", &[view]);
        let code = OutcomeCode::OutsideAttributionWindow;
        refused(&mut world, BOUGHT, viewed, code);
    }
    let click = touch(2, BLOG, BOUGHT);
    let first = converted(&mut world, BOUGHT, claim("100.00", &[click]));
    let mut again = claim("100.00", &[click]);
    again.touches[0].1 = Some(first);
    again.recurs = Some(Some(first));
    let code = OutcomeCode::OutsideAttributionWindow;
    refused(&mut world, BOUGHT, again, code);
}

#[test]
fn a_touch_that_is_named_twice_is_invalid_at_once() {
    let mut world = world(Locking::OpenEnded);
    let (first, last) = (touch(1, BLOG, CLICKED), touch(2, DEALS, BOUGHT));
    let pos = converted(&mut world, BOUGHT, claim("100.00", &[last, first, last]));
    assert_eq!(account(&world, pos).attribution.affiliate, DEALS);
    let invalid = CommissionFact::InvalidateTouch { touch: [2; 16] };
    world.commission_fact(pos, invalid).unwrap();
    assert_eq!(account(&world, pos).attribution.affiliate, BLOG);
    assert_eq!(
        world.commission_fact(pos, invalid),
        Err(CommissionFactRefusal::TouchNotFound)
    );
}

#[test]
fn a_return_of_no_conversion_is_refused_by_the_first_code_that_fits() {
    let mut world = world(Locking::OpenEnded);
    let nothing = |currency| Body::ConversionReturn {
        currency,
        amount_micros: 1,
        reason: CommissionReason::ItemReturned,
        reference: None,
    };
    let usd = Currency::new("USD").unwrap();
    // An account that nothing was put into, and none at all.
    for member in [MemberId::of_conversion(Pos::new(1, 0)), MemberId(0)] {
        for (currency, code) in [
            (usd, OutcomeCode::CurrencyMismatch),
            (Currency::EUR, OutcomeCode::OriginalNotFound),
        ] {
            let body = nothing(currency);
            let (_, outcome) = world.send(at(BOUGHT), at(BOUGHT), A, member, body);
            assert_eq!(outcome.code, code);
        }
    }
}
