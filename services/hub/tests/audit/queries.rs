//! Queries over commissions: what the auditor derives from an answer, and what it does not let stand.

use hansa_auditor::What;
use hansa_client::time::timestamp;
use hansa_proto::v1::{
    self, QueryKind, ResultCode, commission_decision::Decision, fact::Fact as F, message::Body as B,
};
use hansa_settlement::Pos;

use super::{
    commissions::{HOUR, P, Play, Q, click, lines, terms},
    forge::audit,
    shop::{DAY, NOW},
};

fn order(order_reference: &str, click_id: String, at: i64) -> v1::QuerySubject {
    v1::QuerySubject {
        kind: QueryKind::Untracked.into(),
        order_reference: order_reference.into(),
        order_time: Some(timestamp(at)),
        click_id,
        ..v1::QuerySubject::default()
    }
}

fn over(kind: QueryKind, at: Pos) -> v1::QuerySubject {
    v1::QuerySubject {
        kind: kind.into(),
        leaf_index: Some(at.seq()),
        entry_position: at.index(),
        ..v1::QuerySubject::default()
    }
}

fn raised(query_number: u64, affiliate: &str, subject: v1::QuerySubject, since: i64) -> F {
    F::QueryRaised(v1::QueryRaised {
        query_number,
        affiliate_id: affiliate.into(),
        merchant_id: "shop".into(),
        subject: Some(subject),
        subject_time: Some(timestamp(since)),
        claimed_micros: 100,
        text: "we brought it".into(),
        evidence: Vec::new(),
    })
}

fn answered(query_number: u64, remedy: Option<v1::QueryRemedy>) -> F {
    F::QueryAnswered(v1::QueryAnswered {
        query_number,
        remedy,
        answer: "so it is".into(),
    })
}

fn remedy(amount_micros: i64, at: Option<Pos>) -> Option<v1::QueryRemedy> {
    Some(v1::QueryRemedy {
        amount_micros,
        leaf_index: at.map(Pos::seq),
        entry_position: at.map_or(0, Pos::index),
    })
}

fn approved(proposal_number: u64) -> F {
    F::ProposalDecided(v1::ProposalDecided {
        proposal_number,
        approved: true,
        reason: "checked".into(),
        holder: "checker".into(),
    })
}

fn proposed(change: impl Fn(&mut v1::Adjustment)) -> F {
    let mut adjustment = v1::Adjustment {
        merchant_id: "shop".into(),
        counterparty_merchant_id: "p".into(),
        amount_micros: 60,
        reason: v1::AdjustmentReason::CommissionQuery.into(),
        query_number: 1,
        ..v1::Adjustment::default()
    };
    change(&mut adjustment);
    F::ProposalMade(v1::ProposalMade {
        proposal_number: 2,
        action: Some(v1::Action {
            action: Some(v1::action::Action::Adjustment(adjustment)),
        }),
        reason: "again".into(),
        holder: "test".into(),
    })
}

/// A conversion of p, and the place of one that was refused after it.
fn play() -> (Play, Vec<u8>, Pos, Pos) {
    let mut play = Play::new(terms(v1::LockingMethod::FixedDuration));
    let id = play.converts("1", &[click(P, NOW - HOUR)]);
    let sold = play.forge.place("shop", &id).unwrap();
    let again = play.conversion("1", &[click(P, NOW - 2 * HOUR)]);
    let (refused, outcome) = play.say(B::Conversion(again));
    assert_eq!(outcome.code(), ResultCode::DuplicateOrder);
    let refused = play.forge.place("shop", &refused).unwrap();
    (play, id, sold, refused)
}

impl Play {
    fn p_raises(&mut self, number: u64, subject: v1::QuerySubject, since: i64) {
        let raised = raised(number, "p", subject, since);
        self.forge.fact_of(raised, "merchant:p").unwrap();
    }

    fn shop_answers(&mut self, number: u64, granted: Option<v1::QueryRemedy>) {
        let answered = answered(number, granted);
        self.forge.fact_of(answered, "merchant:shop").unwrap();
    }

    fn checker_approves(&mut self, proposal: u64) {
        let approved = approved(proposal);
        self.forge.fact_of(approved, "operator:checker").unwrap();
    }

    fn own_click(&self) -> String {
        self.forge.click_id(&click(P, NOW - 3 * HOUR))
    }
}

#[test]
fn what_a_query_grants_is_a_line_of_both_sides() {
    let (mut play, id, sold, refused) = play();
    let mine = play.own_click();
    play.p_raises(1, order("9", mine, NOW), NOW);
    play.p_raises(2, over(QueryKind::Incorrect, sold), NOW);
    play.p_raises(3, over(QueryKind::Declined, refused), NOW);
    play.shop_answers(1, remedy(0, Some(sold)));
    play.shop_answers(2, remedy(70, None));
    play.shop_answers(3, None);
    play.checker_approves(1);
    // Ruled for the affiliate, who approves it is somebody else.
    let escalated = F::QueryEscalated(v1::QueryEscalated {
        query_number: 3,
        text: "it is ours".into(),
        evidence: Vec::new(),
    });
    play.forge.fact_of(escalated, "merchant:p").unwrap();
    let ruled = F::QueryRuled(v1::QueryRuled {
        query_number: 3,
        remedy: remedy(5, None),
        ruling: "halves".into(),
        holder: "test".into(),
    });
    play.forge.fact(ruled).unwrap();
    play.checker_approves(2);
    // Taken back, by the operator and by the merchant: the time counts from then.
    play.wait(DAY);
    let why = v1::CommissionReason::FraudConfirmed.into();
    play.decides(&id, Decision::Reverse(why)).unwrap();
    play.p_raises(4, over(QueryKind::Declined, sold), NOW + DAY);
    play.close();
    let totals = play.totals();
    let adjusted: Vec<_> = lines(&totals[0])
        .into_iter()
        .filter(|(_, kind, ..)| *kind == "ADJUSTMENT")
        .map(|(merchant, _, with, micros)| (merchant, with, micros))
        .collect();
    assert_eq!(adjusted, [("p", "shop", -75), ("shop", "p", 75)]);
    assert_eq!(totals[0].hub.adjustments, 0);
}

#[test]
fn an_adjustment_that_finance_refused_is_proposed_anew() {
    let (mut play, ..) = play();
    let mine = play.own_click();
    play.p_raises(1, order("9", mine, NOW), NOW);
    play.shop_answers(1, remedy(70, None));
    let refused = F::ProposalDecided(v1::ProposalDecided {
        proposal_number: 1,
        approved: false,
        reason: "too much".into(),
        holder: "checker".into(),
    });
    play.forge.fact_of(refused, "operator:checker").unwrap();
    play.forge.fact(proposed(|_| {})).unwrap();
    play.checker_approves(2);
    play.close();
    let totals = play.totals();
    assert!(lines(&totals[0]).contains(&("p", "ADJUSTMENT", "shop", -60)));
}

#[test]
fn a_query_over_what_the_log_does_not_have_cannot_stand() {
    let (_, _, sold, refused) = play();
    let foreign = |play: &Play| play.forge.click_id(&click(Q, NOW - HOUR));
    type Make = Box<dyn Fn(&Play) -> F>;
    let cases: Vec<(&str, Make)> = vec![
        (
            "another's conversion",
            Box::new(move |_| raised(1, "q", over(QueryKind::Incorrect, sold), NOW)),
        ),
        (
            "another time",
            Box::new(move |_| raised(1, "p", over(QueryKind::Incorrect, sold), NOW + 1)),
        ),
        (
            "not taken back",
            Box::new(move |_| raised(1, "p", over(QueryKind::Declined, sold), NOW)),
        ),
        (
            "another's refused message",
            Box::new(move |_| raised(1, "q", over(QueryKind::Declined, refused), NOW)),
        ),
        (
            "a refused message is no conversion",
            Box::new(move |_| raised(1, "p", over(QueryKind::Incorrect, refused), NOW)),
        ),
        (
            "no message",
            Box::new(|_| raised(1, "p", over(QueryKind::Declined, Pos::new(0, 0)), NOW)),
        ),
        (
            "another's click",
            Box::new(move |play| raised(1, "p", order("9", foreign(play), NOW), NOW)),
        ),
        (
            "neither click nor code",
            Box::new(|_| raised(1, "p", order("9", String::new(), NOW), NOW)),
        ),
        (
            "no affiliate",
            Box::new(|play| raised(1, "shop", order("9", play.own_click(), NOW), NOW)),
        ),
        (
            "not the next number",
            Box::new(|play| raised(2, "p", order("9", play.own_click(), NOW), NOW)),
        ),
    ];
    for (what, make) in cases {
        let (mut play, ..) = play();
        let fact = make(&play);
        play.forge.write_unchecked(vec![fact], "merchant:p");
        let finding = audit(&play.forge.entries, 2).map(drop).unwrap_err();
        let last = play.forge.entries.len() as u64 - 1;
        assert_eq!(finding.what, What::Fact, "{what}: {finding}");
        assert_eq!(finding.leaf, last, "{what}: {finding}");
    }
}

#[test]
fn only_what_a_query_grants_is_adjusted_for_it_and_once() {
    let (start, ..) = play();
    let mine = start.own_click();
    type Wrong = Vec<F>;
    let granted = |micros| answered(1, remedy(micros, None));
    let cases: Vec<(&str, Wrong)> = vec![
        ("an unknown query", vec![answered(2, remedy(70, None))]),
        ("less than nothing", vec![granted(-70)]),
        ("both", vec![answered(1, remedy(70, Some(Pos::new(1, 0))))]),
        (
            "no conversion",
            vec![answered(1, remedy(0, Some(Pos::new(1, 0))))],
        ),
        (
            "nothing was granted",
            vec![proposed(|a| a.amount_micros = 1)],
        ),
        (
            "to somebody else",
            vec![
                granted(70),
                proposed(|a| a.counterparty_merchant_id = "q".into()),
            ],
        ),
        (
            "of another reason",
            vec![
                granted(70),
                proposed(|a| a.reason = v1::AdjustmentReason::Goodwill.into()),
            ],
        ),
        (
            "approved again",
            vec![granted(70), approved(1), approved(1)],
        ),
        (
            "adjusted twice",
            vec![granted(70), proposed(|_| {}), approved(1), approved(2)],
        ),
    ];
    for (what, facts) in cases {
        let (mut play, ..) = play();
        play.p_raises(1, order("9", mine.clone(), NOW), NOW);
        for fact in facts {
            play.forge.write_unchecked(vec![fact], "operator:test");
        }
        let finding = audit(&play.forge.entries, 2).map(drop).unwrap_err();
        assert_eq!(finding.what, What::Fact, "{what}: {finding}");
        assert_eq!(finding.leaf, play.forge.entries.len() as u64 - 1, "{what}");
    }
}
