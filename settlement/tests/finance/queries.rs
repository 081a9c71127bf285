//! Queries over commissions: stages, time limits, who may query what, and what comes of it.

use crate::common::*;
use hansa_settlement::commission::{
    Claim, ClaimedTouch, CommissionRate, CommissionState, Locking, Pay, Placement, Site, TouchKind,
};
use hansa_settlement::finance::{
    Action, Actor, Adjustment, AdjustmentReason, Evidence, FinanceFact, FinanceRefusal,
    NettingMethod, NewQuery, Party, Query, QueryFact, QueryParty, QueryRefusal, QueryRemedy,
    QueryState, QuerySubject, SettleCycle, preview_settlement,
};
use hansa_settlement::*;

/// The affiliates.
const BLOG: MerchantIx = MerchantIx(3);
const DEALS: MerchantIx = MerchantIx(4);

const DAY: i64 = 86_400;

/// A pays commissions, and holds queries of 14 days.
fn world() -> World {
    let mut world = World::by_hand(|_| {});
    world.fact(Fact::MerchantChanged {
        merchant: A,
        name: "A".into(),
        roles: Roles {
            earn: true,
            burn: true,
            affiliate: true,
        },
    });
    for (affiliate, slug) in [(BLOG, "blog"), (DEALS, "deals")] {
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
                tier: String::new(),
                sites: vec![Site {
                    number: 1,
                    name: "site".into(),
                    url: "https://site.example".into(),
                    vertical: "CONTENT".into(),
                }],
            },
        });
    }
    world.fact(Fact::AffiliateCode {
        merchant: A,
        code: "SPRING".into(),
        held: AffiliateCode {
            affiliate: BLOG,
            site: 1,
            from: world.now,
            until: at("2027-01-01T00:00:00Z"),
        },
    });
    world.fact(Fact::CommissionTerms {
        merchant: A,
        effective_at: at("2000-01-01T00:00:00Z"),
        terms: CommissionTerms {
            click_window_micros: 30 * DAY * 1_000_000,
            view_window_micros: 0,
            codes_win: false,
            recurring_micros: 0,
            placement: Placement::default(),
            locking: Locking::FixedDuration(14 * DAY * 1_000_000),
            rates: vec![CommissionRate {
                first_sale: Pay {
                    share_bps: 500,
                    fixed_micros: 0,
                },
                ..CommissionRate::default()
            }],
        },
    });
    world
}

fn untracked(order: &str) -> QuerySubject {
    QuerySubject::Untracked {
        order: order.into(),
        click_id: String::new(),
        code: "spring".into(),
    }
}

fn new(world: &World, subject: QuerySubject) -> NewQuery {
    NewQuery {
        number: world.global.finance().next_query(),
        affiliate: BLOG,
        merchant: A,
        subject,
        since: world.now,
        claimed_micros: 2_000_000,
        text: "we brought this order".into(),
        evidence: vec![evidence()],
    }
}

fn evidence() -> Evidence {
    Evidence {
        file_name: "order.pdf".into(),
        media_type: "application/pdf".into(),
        sha256: [1; 32],
        size: 99,
    }
}

fn try_raise(world: &mut World, new: NewQuery) -> Result<QueryNo, FinanceRefusal> {
    let number = new.number;
    world.try_finance(FinanceFact::Query(QueryFact::Raised(Box::new(new))))?;
    Ok(number)
}

/// A query over an order that was never reported.
fn raised(world: &mut World, order: &str) -> QueryNo {
    let new = new(world, untracked(order));
    try_raise(world, new).unwrap()
}

const fn owes(amount_micros: i64) -> Option<QueryRemedy> {
    Some(QueryRemedy {
        amount_micros,
        conversion: None,
    })
}

fn answer(query: QueryNo, remedy: Option<QueryRemedy>) -> FinanceFact {
    FinanceFact::Query(QueryFact::Answered {
        query,
        remedy,
        answer: "we looked".into(),
    })
}

fn escalate(query: QueryNo) -> FinanceFact {
    FinanceFact::Query(QueryFact::Escalated {
        query,
        text: "look again".into(),
        evidence: vec![],
    })
}

fn rule(query: QueryNo, remedy: Option<QueryRemedy>) -> FinanceFact {
    FinanceFact::Query(QueryFact::Ruled {
        query,
        remedy,
        ruling: "so be it".into(),
        actor: Actor::new(MAKER),
    })
}

fn query(world: &World, number: QueryNo) -> Query {
    world.global.finance().query(number).unwrap().clone()
}

fn state(world: &World, number: QueryNo) -> (QueryState, Option<QueryParty>) {
    let query = query(world, number);
    (query.state_at(world.now), query.awaits(world.now))
}

fn too_late(deadline: Instant) -> FinanceRefusal {
    QueryRefusal::TooLate {
        deadline_micros: deadline.0,
    }
    .into()
}

#[track_caller]
fn assert_code<T: std::fmt::Debug>(result: Result<T, FinanceRefusal>, code: &str) {
    let refusal = result.unwrap_err();
    assert_eq!(refusal.code(), code, "{refusal}");
    assert!(refusal.to_string().len() > 10, "{refusal:?}");
}

#[test]
fn what_a_merchant_accepts_is_owed_when_finance_approves() {
    let mut world = world();
    let number = raised(&mut world, "o-1");
    assert_eq!(
        state(&world, number),
        (QueryState::Raised, Some(QueryParty::Merchant))
    );
    world.finance(answer(number, owes(1_500_000)));
    assert_eq!(
        state(&world, number),
        (QueryState::Accepted, Some(QueryParty::Operator))
    );
    let accepted = query(&world, number);
    assert_eq!(
        (accepted.deadline, accepted.answer.as_str()),
        (None, "we looked")
    );
    let proposal = accepted.proposal.unwrap();
    let made = world.global.finance().proposal(proposal).unwrap().clone();
    assert_eq!(made.maker, "merchant a");
    let Action::Adjustment(adjustment) = made.action else {
        panic!("an adjustment")
    };
    assert_eq!(
        (
            adjustment.merchant,
            adjustment.counterparty,
            adjustment.amount_micros
        ),
        (A, Party::Merchant(BLOG), 1_500_000)
    );
    assert_eq!(
        (adjustment.reason, adjustment.query),
        (AdjustmentReason::CommissionQuery, Some(number))
    );
    let open = world.global.open_cycle();
    assert_eq!((open.net(A), open.net(BLOG)), (0, 0), "not before approval");
    world.try_approve(proposal).unwrap();
    let open = world.global.open_cycle();
    assert_eq!((open.net(A), open.net(BLOG)), (1_500_000, -1_500_000));
    assert_eq!(open.hub.adjustment_micros, 0);
    assert_eq!(query(&world, number).adjusted_by, Some(proposal));
    assert_eq!(state(&world, number), (QueryState::Accepted, None));
    let again = world.try_propose(Action::Adjustment(adjustment));
    assert_code(again, "QUERY_STATE");
    for fact in [answer(number, None), escalate(number), rule(number, None)] {
        assert_code(world.try_finance(fact), "QUERY_STATE");
    }
}

#[test]
fn an_adjustment_that_finance_refused_can_be_proposed_again_between_the_same() {
    let mut world = world();
    let number = raised(&mut world, "o-1");
    let remedy = |change: fn(&mut Adjustment)| {
        let mut adjustment = Adjustment {
            counterparty: Party::Merchant(BLOG),
            reason: AdjustmentReason::CommissionQuery,
            query: Some(QueryNo(1)),
            ..World::adjustment(A, 1_000_000)
        };
        change(&mut adjustment);
        Action::Adjustment(adjustment)
    };
    assert_code(world.try_propose(remedy(|_| {})), "QUERY_STATE");
    world.finance(answer(number, owes(1_500_000)));
    let proposal = query(&world, number).proposal.unwrap();
    assert_eq!(
        world.try_propose(remedy(|_| {})),
        Err(FinanceRefusal::AlreadyProposed(proposal))
    );
    world.finance(FinanceFact::ProposalDecided {
        proposal,
        approved: false,
        reason: "too much".into(),
        actor: Actor::new(CHECKER),
    });
    assert_eq!(state(&world, number).1, Some(QueryParty::Operator));
    for (action, code) in [
        (remedy(|a| a.merchant = F), "ADJUSTMENT_UNFIT"),
        (remedy(|a| a.counterparty = Party::Hub), "ADJUSTMENT_UNFIT"),
        (
            remedy(|a| a.counterparty = Party::Merchant(DEALS)),
            "ADJUSTMENT_UNFIT",
        ),
        (remedy(|a| a.query = None), "ADJUSTMENT_UNFIT"),
        (
            remedy(|a| a.reason = AdjustmentReason::Goodwill),
            "ADJUSTMENT_UNFIT",
        ),
        (
            remedy(|a| a.dispute = Some(DisputeNo(1))),
            "ADJUSTMENT_UNFIT",
        ),
        (remedy(|a| a.amount_micros = -1), "AMOUNT_OUT_OF_RANGE"),
        (remedy(|a| a.query = Some(QueryNo(9))), "QUERY_NOT_FOUND"),
    ] {
        assert_code(world.try_propose(action), code);
    }
    world.carry_out(remedy(|_| {}));
    assert_eq!(world.global.open_cycle().net(BLOG), -1_000_000);
}

#[test]
fn a_rejection_is_escalated_and_ruled() {
    for upheld in [true, false] {
        let mut world = world();
        let number = raised(&mut world, "o-1");
        assert_code(world.try_finance(rule(number, None)), "QUERY_STATE");
        world.finance(answer(number, None));
        assert_eq!(
            state(&world, number),
            (QueryState::Rejected, Some(QueryParty::Affiliate))
        );
        world.now = world.now.plus_seconds(14 * DAY);
        world.finance(escalate(number));
        assert_eq!(
            state(&world, number),
            (QueryState::Escalated, Some(QueryParty::Operator))
        );
        let text = query(&world, number).raised.text;
        assert_eq!(text, "we brought this order\nlook again");
        assert_code(world.try_finance(answer(number, None)), "QUERY_STATE");
        // It waits as long as it takes.
        world.now = world.now.plus_seconds(90 * DAY);
        let remedy = owes(2_000_000).filter(|_| upheld);
        world.finance(rule(number, remedy));
        let ruled = query(&world, number);
        assert_eq!(
            (ruled.state, ruled.remedy, ruled.ruled_by.as_str()),
            (QueryState::Ruled, remedy, MAKER)
        );
        assert_eq!(
            (ruled.answer.as_str(), ruled.ruling.as_str()),
            ("we looked", "so be it")
        );
        assert_eq!(ruled.proposal.is_some(), upheld);
        if let Some(proposal) = ruled.proposal {
            // Who ruled proposes: another person approves.
            let own = world.try_finance(FinanceFact::ProposalDecided {
                proposal,
                approved: true,
                reason: "mine".into(),
                actor: Actor::new(MAKER),
            });
            assert_eq!(own, Err(FinanceRefusal::SamePerson(MAKER.into())));
            world.try_approve(proposal).unwrap();
            assert_eq!(world.global.open_cycle().net(BLOG), -2_000_000);
        }
        assert_eq!(state(&world, number), (QueryState::Ruled, None));
    }
}

#[test]
fn time_limits_are_whole_days_of_the_programmes_zone_to_the_microsecond() {
    // An order of 1 February 00:00 in Berlin; 14 days: until 16 February 00:00.
    let limit = at("2026-02-15T23:00:00Z");
    let mut world = world();
    let order = NewQuery {
        since: at("2026-01-31T23:00:00Z"),
        ..new(&world, untracked("o-1"))
    };
    world.now = limit;
    assert_eq!(try_raise(&mut world, order.clone()), Err(too_late(limit)));
    world.now = limit.plus_micros(-1);
    let number = try_raise(&mut world, order).unwrap();
    // Raised on 15 February: the merchant has until 2 March 00:00.
    let silence = at("2026-03-01T23:00:00Z");
    assert_eq!(query(&world, number).deadline, Some(silence));
    world.now = silence.plus_micros(-1);
    assert_eq!(state(&world, number).0, QueryState::Raised);
    let early = world.try_finance(escalate(number)).unwrap_err();
    assert_eq!(
        early.to_string(),
        "query 1 is RAISED: this needs REJECTED, or RAISED without an answer in time"
    );
    world.now = silence;
    assert_eq!(
        state(&world, number),
        (QueryState::Lapsed, Some(QueryParty::Affiliate))
    );
    // The merchant is late, but not too late while the affiliate has not escalated.
    world.finance(answer(number, None));
    let lapse = at("2026-03-16T23:00:00Z");
    assert_eq!(query(&world, number).deadline, Some(lapse));
    world.now = lapse.plus_micros(-1);
    assert_eq!(state(&world, number).1, Some(QueryParty::Affiliate));
    world.now = lapse;
    assert_eq!(state(&world, number), (QueryState::Lapsed, None));
    assert_eq!(world.try_finance(escalate(number)), Err(too_late(lapse)));
}

#[test]
fn silence_is_the_affiliates_to_escalate() {
    let mut world = world();
    let number = raised(&mut world, "o-1");
    world.now = world.now.plus_seconds(15 * DAY);
    world.finance(escalate(number));
    assert_code(world.try_finance(answer(number, None)), "QUERY_STATE");
    world.finance(rule(number, None));
    for fact in [answer(number, None), escalate(number), rule(number, None)] {
        assert_code(world.try_finance(fact), "QUERY_STATE");
    }
}

#[test]
fn one_query_at_a_time_over_the_same() {
    let mut world = world();
    let first = raised(&mut world, "o-1");
    let place = Pos::new(3, 0);
    let over = |world: &World, subject| new(world, subject);
    let again = over(&world, untracked("o-1"));
    assert_eq!(
        try_raise(&mut world, again),
        Err(QueryRefusal::Open(first).into())
    );
    // Another order, another affiliate's order of the same name, a place in the log: all beside it.
    raised(&mut world, "o-2");
    let incorrect = over(&world, QuerySubject::Incorrect(place));
    let second = try_raise(&mut world, incorrect).unwrap();
    let declined = over(&world, QuerySubject::Declined(place));
    assert_eq!(
        try_raise(&mut world, declined.clone()),
        Err(QueryRefusal::Open(second).into()),
        "the same conversion, whatever is wrong with it"
    );
    // Still open while it is rejected and may be escalated, and when nobody answered.
    world.finance(answer(second, None));
    let still = NewQuery {
        number: world.global.finance().next_query(),
        ..declined
    };
    assert_code(try_raise(&mut world, still.clone()), "QUERY_OPEN");
    world.now = world.now.plus_seconds(15 * DAY);
    let late = NewQuery {
        since: world.now,
        ..still
    };
    try_raise(&mut world, late).unwrap();
    let unanswered = over(&world, untracked("o-1"));
    assert_code(try_raise(&mut world, unanswered), "QUERY_OPEN");
    world.finance(answer(first, owes(1)));
    raised(&mut world, "o-1");
}

#[test]
fn what_cannot_be_queried_is_refused() {
    let mut world = world();
    let order = new(&world, untracked("o-1"));
    let subject = |order: &str, click: &str, code: &str| QuerySubject::Untracked {
        order: order.into(),
        click_id: click.into(),
        code: code.into(),
    };
    let with = |change: &dyn Fn(&mut NewQuery)| {
        let mut new = order.clone();
        change(&mut new);
        new
    };
    let ahead = world.now.plus_seconds(301);
    for (new, code) in [
        (with(&|q| q.number = QueryNo(2)), "NUMBER_OUT_OF_ORDER"),
        (with(&|q| q.text = " ".into()), "REASON_MISSING"),
        (with(&|q| q.text = "x".repeat(4_001)), "TEXT_TOO_LONG"),
        (with(&|q| q.claimed_micros = 0), "AMOUNT_OUT_OF_RANGE"),
        (with(&|q| q.claimed_micros = -1), "AMOUNT_OUT_OF_RANGE"),
        (
            with(&|q| q.claimed_micros = i64::MAX),
            "AMOUNT_OUT_OF_RANGE",
        ),
        (
            with(&|q| q.evidence = vec![evidence(); 9]),
            "TOO_MUCH_EVIDENCE",
        ),
        (with(&|q| q.affiliate = F), "QUERY_UNFIT"),
        (with(&|q| q.merchant = BLOG), "QUERY_UNFIT"),
        (with(&|q| q.merchant = MerchantIx(9)), "MERCHANT_NOT_FOUND"),
        (with(&|q| q.since = ahead), "QUERY_UNFIT"),
        (with(&|q| q.since = Instant::MIN), "QUERY_UNFIT"),
        (
            with(&|q| q.subject = subject("", "", "SPRING")),
            "QUERY_UNFIT",
        ),
        (
            with(&|q| q.subject = subject(&"o".repeat(65), "", "SPRING")),
            "QUERY_UNFIT",
        ),
        (with(&|q| q.subject = subject("o-1", "", "")), "QUERY_UNFIT"),
        (
            with(&|q| q.subject = subject("o-1", "", "WINTER")),
            "QUERY_UNFIT",
        ),
        (with(&|q| q.affiliate = DEALS), "QUERY_UNFIT"),
        (
            with(&|q| q.subject = QuerySubject::Declined(Pos::new(1 << 40, 0))),
            "ORIGINAL_NOT_FOUND",
        ),
    ] {
        assert_code(try_raise(&mut world, new), code);
    }
    try_raise(&mut world, order).unwrap();
    for fact in [
        answer(QueryNo(9), None),
        escalate(QueryNo(0)),
        rule(QueryNo(2), None),
    ] {
        assert_code(world.try_finance(fact), "QUERY_NOT_FOUND");
    }
}

#[test]
fn a_contract_without_dispute_days_takes_no_queries() {
    let mut world = world();
    world.fact(Fact::Contract {
        merchant: A,
        effective_at: world.now,
        terms: contract(FundingMode::Burn, 1_500),
    });
    let new = new(&world, untracked("o-1"));
    assert_eq!(
        try_raise(&mut world, new),
        Err(QueryRefusal::Excluded("a".into()).into())
    );
}

#[test]
fn only_an_order_that_was_never_reported_can_be_sent_instead_of_paid() {
    let mut world = world();
    let number = raised(&mut world, "o-1");
    let sent = |amount_micros, pos| {
        Some(QueryRemedy {
            amount_micros,
            conversion: Some(pos),
        })
    };
    let place = Pos::new(3, 0);
    for (remedy, code) in [
        (owes(-1), "AMOUNT_OUT_OF_RANGE"),
        (owes(i64::MAX), "AMOUNT_OUT_OF_RANGE"),
        (sent(1, place), "QUERY_UNFIT"),
        (sent(0, Pos::new(1 << 40, 0)), "ORIGINAL_NOT_FOUND"),
    ] {
        assert_code(world.try_finance(answer(number, remedy)), code);
    }
    world.finance(answer(number, sent(0, place)));
    let accepted = query(&world, number);
    assert_eq!(
        (accepted.proposal, accepted.awaits(world.now)),
        (None, None)
    );
    let incorrect = new(&world, QuerySubject::Incorrect(place));
    let number = try_raise(&mut world, incorrect).unwrap();
    assert_code(world.try_finance(answer(number, owes(0))), "QUERY_UNFIT");
    assert_code(
        world.try_finance(answer(number, sent(0, place))),
        "QUERY_UNFIT",
    );
    world.finance(answer(number, owes(1)));
}

#[test]
fn a_query_does_not_hold_the_cycle_up() {
    let mut world = world();
    world.cycle_of(&[(A, 5_000_000)]);
    raised(&mut world, "o-1");
    let settle = SettleCycle::new(CycleNo(0), NettingMethod::Multilateral);
    let preview = preview_settlement(&world.global, &settle, world.now).unwrap();
    assert_eq!((preview.blockers.len(), preview.warnings.len()), (0, 0));
    world.approved(settle);
    assert_eq!(world.state(0), CycleState::Approved);
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

const BOUGHT: &str = "2026-02-02T10:00:00Z";

/// A conversion that DEALS' click brought, behind one of BLOG.
fn converted(world: &mut World) -> Pos {
    let touches = [
        touch(1, BLOG, "2026-02-02T08:00:00Z"),
        touch(2, DEALS, "2026-02-02T09:00:00Z"),
    ];
    let claim = Claim {
        currency: Currency::EUR,
        amount_micros: micros("80.00"),
        country: String::new(),
        category: String::new(),
        touches: touches.iter().map(|touch| (*touch, None)).collect(),
        forged: false,
        code: String::new(),
        order_known: false,
        recurs: None,
    };
    let sent = world.send_with(
        at(BOUGHT),
        at(BOUGHT),
        A,
        None,
        Body::Conversion,
        Some(claim),
    );
    assert_eq!(sent.1.code, OutcomeCode::Accepted);
    sent.0
}

fn returned(world: &mut World, time: &str, of: Pos, amount: &str) {
    let body = Body::ConversionReturn {
        currency: Currency::EUR,
        amount_micros: micros(amount),
        reason: CommissionReason::ItemReturned,
        reference: None,
    };
    let account = MemberId::of_conversion(of);
    let (_, outcome) = world.send(at(time), at(time), A, account, body);
    assert_eq!(outcome.code, OutcomeCode::Accepted);
}

#[test]
fn a_conversion_is_queried_by_whom_it_is_or_was_taken_from() {
    let mut world = world();
    let pos = converted(&mut world);
    let since = |world: &World, subject: QuerySubject| {
        let member = world.member(MemberId::of_conversion(pos));
        let conversion = member.commission().unwrap();
        [BLOG, DEALS, A].map(|who| subject.since(conversion, who))
    };
    let (incorrect, declined) = (QuerySubject::Incorrect(pos), QuerySubject::Declined(pos));
    let bought = Some(at(BOUGHT));
    assert_eq!(since(&world, incorrect.clone()), [None, bought, None]);
    assert_eq!(since(&world, declined.clone()), [None; 3]);
    assert_eq!(since(&world, untracked("o-1")), [None; 3]);
    // The time to raise counts from a return; what is returned whole was declined.
    let later = "2026-02-20T10:00:00Z";
    returned(&mut world, later, pos, "20.00");
    assert_eq!(
        since(&world, incorrect.clone()),
        [None, Some(at(later)), None]
    );
    let last = "2026-02-21T10:00:00Z";
    returned(&mut world, last, pos, "60.00");
    assert_eq!(since(&world, incorrect), [None; 3]);
    assert_eq!(since(&world, declined), [None, Some(at(last)), None]);
}

#[test]
fn whose_touch_was_declared_invalid_may_query_that() {
    let mut world = world();
    let pos = converted(&mut world);
    let mut member = world.member(MemberId::of_conversion(pos));
    let invalid_at = at("2026-02-10T10:00:00Z");
    let ctx = Context {
        decided_at: invalid_at,
        pos: Pos::new(900, 0),
    };
    let fact = CommissionFact::InvalidateTouch { touch: [2; 16] };
    decide_commission_fact(&world.global, &mut member, &ctx, &fact).unwrap();
    let conversion = member.commission().unwrap();
    assert_eq!(conversion.attribution.affiliate, BLOG);
    assert_eq!(conversion.state, CommissionState::Accrued);
    let declined = QuerySubject::Declined(pos);
    assert_eq!(
        [BLOG, DEALS].map(|who| declined.since(conversion, who)),
        [None, Some(invalid_at)]
    );
    let incorrect = QuerySubject::Incorrect(pos);
    assert_eq!(
        [BLOG, DEALS].map(|who| incorrect.since(conversion, who)),
        [Some(invalid_at), None]
    );
}
