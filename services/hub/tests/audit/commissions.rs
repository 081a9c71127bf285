//! Conversions one rule at a time: the auditor's figures are those that the rules' text gives, the fold's are the same, and what is
//! changed afterwards is named by its message.

use hansa_auditor::{CycleTotals, What};
use hansa_client::{
    time::timestamp,
    touch_id::{TouchFlags, TouchId, TouchKind, time_ordered_id},
};
use hansa_proto::v1::{self, ResultCode, commission_decision::Decision, message::Body as B};
use prost::Message as _;

use super::{
    forge::{Forge, audit, reference},
    shop::{DAY, NOW, eur, programme},
    traffic::AFFILIATES,
};

pub(super) const HOUR: i64 = DAY / 24;
/// Both affiliates, by their numbers in the log.
pub(super) const P: u32 = 1;
pub(super) const Q: u32 = 2;

/// A shop that affiliates bring customers; cycles by hand, five per cent for p, eight for q, which is of the golden tier.
pub(super) struct Play {
    pub(super) forge: Forge,
    next_id: u64,
}

fn row(tier: &str, share_bps: u32) -> v1::CommissionRate {
    let pay = |share_bps| {
        Some(v1::CommissionPay {
            share_bps,
            fixed: String::new(),
        })
    };
    v1::CommissionRate {
        tier: tier.into(),
        first_sale: pay(share_bps),
        recurring: pay(100),
        ..v1::CommissionRate::default()
    }
}

pub(super) fn terms(locking: v1::LockingMethod) -> v1::CommissionTerms {
    v1::CommissionTerms {
        effective_time: Some(timestamp(NOW - 90 * DAY)),
        click_window_seconds: 10 * 86_400,
        locking_method: locking.into(),
        lock_seconds: 5 * 86_400,
        recurring_seconds: 300 * 86_400,
        placement: Some(v1::Placement {
            refused: vec!["COUPON_SITE".into()],
            ..v1::Placement::default()
        }),
        rates: vec![row("gold", 800), row("", 500)],
        ..v1::CommissionTerms::default()
    }
}

pub(super) fn click(affiliate: u32, at: i64) -> TouchId {
    TouchId {
        kind: TouchKind::Click,
        flags: TouchFlags::NONE,
        merchant: 0,
        affiliate,
        site: 1,
        id: time_ordered_id((at / 1_000) as u64, [affiliate as u8; 10]),
    }
}

fn affiliate(slug: &str, state: v1::MerchantState) -> v1::Merchant {
    v1::Merchant {
        merchant_id: slug.into(),
        state: state.into(),
        affiliate: Some(v1::AffiliateProfile {
            tier: if slug == "q" { "gold" } else { "" }.into(),
            sites: vec![v1::AffiliateSite {
                site_number: 1,
                ..v1::AffiliateSite::default()
            }],
            codes: vec![v1::AffiliateCode {
                merchant_id: "shop".into(),
                code: "Spring".into(),
                site_number: 1,
                ..v1::AffiliateCode::default()
            }],
            ..v1::AffiliateProfile::default()
        }),
        ..v1::Merchant::default()
    }
}

impl Play {
    pub(super) fn new(terms: v1::CommissionTerms) -> Self {
        let mut forge = Forge::new(NOW);
        let programme = programme(v1::NegativeBalancePolicy::Debt);
        forge.fact(v1::fact::Fact::Programme(programme)).unwrap();
        let shop = v1::Merchant {
            merchant_id: "shop".into(),
            state: v1::MerchantState::Active.into(),
            roles: vec![
                v1::MerchantRole::Earn.into(),
                v1::MerchantRole::Affiliate.into(),
            ],
            contract: Some(v1::Contract {
                funding_mode: v1::FundingMode::Issue.into(),
                earn_rate: "1".into(),
                effective_time: Some(timestamp(NOW - 90 * DAY)),
                dispute_days: 14,
                ..v1::Contract::default()
            }),
            commission_terms: Some(terms),
            ..v1::Merchant::default()
        };
        forge.merchant(shop).unwrap();
        for slug in AFFILIATES {
            let active = affiliate(slug, v1::MerchantState::Active);
            forge.merchant(active).unwrap();
        }
        forge.enrol(&["shop"], 1);
        Self { forge, next_id: 0 }
    }

    pub(super) fn say(&mut self, body: B) -> (Vec<u8>, v1::Outcome) {
        self.next_id += 1;
        let mut id = vec![8; 16];
        id[..8].copy_from_slice(&self.next_id.to_be_bytes());
        let of_member = matches!(body, B::Accrual(_));
        let message = v1::Message {
            message_id: id.clone(),
            event_time: Some(timestamp(self.forge.now)),
            member_reference: if of_member {
                reference(0, 1).to_vec()
            } else {
                Vec::new()
            },
            body: Some(body),
            ..v1::Message::default()
        };
        (id, self.forge.batch("shop", &[message]).remove(0))
    }

    pub(super) fn conversion(&self, order: &str, clicks: &[TouchId]) -> v1::Conversion {
        v1::Conversion {
            amount: Some(eur(100_000_000)),
            order_reference: order.into(),
            click_ids: clicks.iter().map(|c| self.forge.click_id(c)).collect(),
            ..v1::Conversion::default()
        }
    }

    pub(super) fn converts(&mut self, order: &str, clicks: &[TouchId]) -> Vec<u8> {
        let said = self.conversion(order, clicks);
        let (id, outcome) = self.say(B::Conversion(said));
        assert_eq!(outcome.code(), ResultCode::Accepted);
        id
    }

    fn refused(&mut self, said: v1::Conversion, code: ResultCode) {
        assert_eq!(self.say(B::Conversion(said)).1.code(), code);
    }

    fn returns(&mut self, of: &[u8], micros: i64, reference: &str) -> v1::Outcome {
        let said = v1::ConversionReturn {
            conversion_message_id: of.to_vec(),
            returned_amount: Some(eur(micros)),
            reason: v1::CommissionReason::ItemReturned.into(),
            return_reference: reference.into(),
        };
        self.say(B::ConversionReturn(said)).1
    }

    pub(super) fn decides(&mut self, of: &[u8], decision: Decision) -> Result<(), String> {
        let place = self.forge.place("shop", of).unwrap();
        self.forge.review(vec![v1::CommissionDecision {
            leaf_index: place.seq(),
            entry_position: place.index(),
            decision: Some(decision),
        }])
    }

    pub(super) fn wait(&mut self, micros: i64) {
        self.forge.wait_until(self.forge.now + micros);
    }

    /// Closes the open cycle.
    pub(super) fn close(&mut self) {
        self.forge.cut().unwrap();
        self.forge.sweep(None);
    }

    /// The totals of closed cycles, on which auditor and fold agree however often the auditor is saved.
    pub(super) fn totals(&self) -> Vec<CycleTotals> {
        let mut last = Vec::new();
        for every in [1_000, 3, 1] {
            let audited = audit(&self.forge.entries, every);
            let (_, certificates) = audited.unwrap_or_else(|finding| panic!("{every}: {finding}"));
            last = certificates.into_iter().map(|c| c.totals).collect();
            for totals in &last {
                assert_eq!(totals.difference(&self.forge.totals(totals.number)), None);
            }
        }
        last
    }
}

/// Lines of a cycle as (merchant, kind, with, micros).
pub(super) fn lines(totals: &CycleTotals) -> Vec<(&str, &str, &str, i128)> {
    let lines = totals.lines.iter();
    lines
        .map(|(key, line)| {
            let with = key.counterparty.as_deref().unwrap_or("");
            (key.merchant.as_str(), key.kind.as_str(), with, line.micros)
        })
        .collect()
}

#[test]
fn a_commission_is_funded_reduced_paid_and_clawed_back() {
    let mut play = Play::new(terms(v1::LockingMethod::FixedDuration));
    let id = play.converts("1", &[click(P, NOW - HOUR)]);
    assert_eq!(
        play.returns(&id, 40_000_000, "r1").commission_micros,
        2_000_000
    );
    assert_eq!(
        play.returns(&id, 40_000_000, "r1").code(),
        ResultCode::DuplicateReturn
    );
    play.close();
    play.wait(6 * DAY);
    play.forge.sweep(None);
    let last = play.returns(&id, 60_000_000, "");
    assert_eq!(last.commission_micros, 3_000_000);
    assert_eq!(last.state(), v1::MessageState::Reversed);
    assert_eq!(
        play.returns(&id, 1, "r2").code(),
        ResultCode::ReturnExceedsPurchase
    );
    play.close();
    let totals = play.totals();
    assert_eq!(
        lines(&totals[0]),
        [
            ("shop", "COMMISSION_FUNDED", "p", 5_000_000),
            ("shop", "COMMISSION_REVERSED", "p", -2_000_000)
        ]
    );
    assert_eq!(totals[0].hub.commission, 3_000_000);
    assert_eq!(
        lines(&totals[1]),
        [
            ("p", "COMMISSION", "shop", -3_000_000),
            ("p", "COMMISSION_CLAWBACK", "shop", 3_000_000),
            ("shop", "COMMISSION_REVERSED", "p", -3_000_000)
        ]
    );
    assert_eq!(totals[1].hub.commission, -3_000_000);
    assert_eq!(totals[1].nets.get("shop"), Some(&-3_000_000));
    assert_eq!(totals[0].counts.accepted["conversion"], 1);
    assert_eq!(totals[0].counts.refused["conversion_return"], 1);
}

#[test]
fn a_lock_belongs_to_the_cycle_that_holds_its_date_whoever_finds_it() {
    // Found by a sweep, by a message, by a review.
    for found in 0..3 {
        let mut play = Play::new(terms(v1::LockingMethod::FixedDuration));
        let id = play.converts("1", &[click(Q, NOW - HOUR)]);
        play.wait(7 * DAY);
        play.forge.cut().unwrap();
        play.wait(DAY);
        match found {
            1 => assert_eq!(
                play.returns(&id, 1_000_000, "").state(),
                v1::MessageState::Payable
            ),
            // Too late to hold it; only its end is a decision that finds it.
            2 => {
                assert!(play.decides(&id, Decision::HoldForFlag(1)).is_err());
                let why = v1::CommissionReason::FraudConfirmed.into();
                play.decides(&id, Decision::Reverse(why)).unwrap();
            }
            _ => {}
        }
        play.forge.sweep(None);
        play.close();
        let totals = play.totals();
        assert_eq!(totals[0].nets.get("q"), Some(&-8_000_000), "{found}");
    }
}

#[test]
fn what_cannot_be_attributed_is_refused_with_its_reason() {
    let mut play = Play::new(terms(v1::LockingMethod::OpenEnded));
    let good = click(P, NOW - HOUR);
    let used = play.converts("1", &[good]);
    let said = |play: &Play, order: &str, clicks: &[TouchId]| play.conversion(order, clicks);
    let case = said(&play, "2", &[good]);
    play.refused(case, ResultCode::ClickUsed);
    let case = said(&play, "1", &[click(P, NOW - 2 * HOUR)]);
    play.refused(case, ResultCode::DuplicateOrder);
    let case = said(&play, "2", &[click(P, NOW - 11 * DAY)]);
    play.refused(case, ResultCode::OutsideAttributionWindow);
    let coupon = TouchId {
        flags: TouchFlags::COUPON_SITE,
        ..click(Q, NOW - HOUR)
    };
    let case = said(&play, "2", &[coupon]);
    play.refused(case, ResultCode::PlacementRefused);
    let view = TouchId {
        kind: TouchKind::View,
        ..click(Q, NOW)
    };
    let case = said(&play, "2", &[view]);
    play.refused(case, ResultCode::OutsideAttributionWindow);
    let foreign = TouchId {
        merchant: 1,
        ..click(P, NOW - 2 * HOUR)
    };
    let case = said(&play, "2", &[click(P, NOW - 2 * HOUR), foreign]);
    play.refused(case, ResultCode::ClickForged);
    let case = said(&play, "2", &[]);
    play.refused(case, ResultCode::NotAttributed);
    let suspended = affiliate("q", v1::MerchantState::Suspended);
    play.forge.merchant(suspended).unwrap();
    let case = said(&play, "2", &[click(Q, NOW - 2 * HOUR)]);
    play.refused(case, ResultCode::AffiliateNotActive);
    // The code that both had is that of the one who was given it last.
    let case = v1::Conversion {
        code: "SPRING".into(),
        ..said(&play, "2", &[])
    };
    play.refused(case, ResultCode::AffiliateNotActive);
    // The last touch that counts wins, whatever was tried with it before.
    let both = [click(Q, NOW - HOUR), click(P, NOW - 3 * HOUR), coupon];
    let case = said(&play, "2", &both);
    let (_, outcome) = play.say(B::Conversion(case));
    assert_eq!(outcome.attributed_click, Some(1));
    assert_eq!(outcome.commission_micros, 5_000_000);
    assert_eq!(play.returns(&used, 1, "").code(), ResultCode::Accepted);
    play.close();
    play.totals();
}

#[test]
fn what_recurs_or_is_returned_is_an_accepted_conversion_and_no_other_message() {
    let mut play = Play::new(terms(v1::LockingMethod::OpenEnded));
    let accrual = v1::Accrual {
        eligible_amount: Some(eur(1_000_000)),
        points: None,
    };
    let (bought, _) = play.say(B::Accrual(accrual));
    let first = play.converts("1", &[click(P, NOW - HOUR)]);
    let of = |play: &Play, order: &str, id: &[u8]| v1::Conversion {
        code: "Spring".into(),
        recurring_of: id.to_vec(),
        ..play.conversion(order, &[])
    };
    let case = of(&play, "2", &bought);
    play.refused(case, ResultCode::OriginalNotFound);
    let case = of(&play, "2", &[7; 16]);
    play.refused(case, ResultCode::OriginalNotFound);
    let case = of(&play, "2", &first);
    let (_, outcome) = play.say(B::Conversion(case));
    assert_eq!(outcome.commission_micros, 1_000_000, "the recurring rate");
    for id in [&bought[..], &[7; 16]] {
        assert_eq!(play.returns(id, 1, "").code(), ResultCode::OriginalNotFound);
        let dollars = v1::ConversionReturn {
            conversion_message_id: id.to_vec(),
            returned_amount: Some(v1::Money {
                currency_code: "USD".into(),
                micros: 1,
            }),
            reason: v1::CommissionReason::ItemReturned.into(),
            return_reference: String::new(),
        };
        let (_, outcome) = play.say(B::ConversionReturn(dollars));
        assert_eq!(outcome.code(), ResultCode::CurrencyMismatch);
    }
    play.close();
    play.totals();
}

#[test]
fn holds_keep_money_back_and_an_invalid_touch_leaves_it_to_the_next() {
    let mut play = Play::new(terms(v1::LockingMethod::FixedDuration));
    let touches = [click(P, NOW - 2 * HOUR), click(Q, NOW - HOUR)];
    // Named twice, and gone at once.
    let id = play.converts("1", &[touches[1], touches[0], touches[1]]);
    play.decides(&id, Decision::HoldForFlag(7)).unwrap();
    play.decides(&id, Decision::HoldForFlag(8)).unwrap();
    play.wait(6 * DAY);
    play.forge.sweep(None);
    play.decides(&id, Decision::ReleaseFromFlag(7)).unwrap();
    assert!(play.decides(&id, Decision::ReleaseFromFlag(7)).is_err());
    play.close();
    play.decides(&id, Decision::ReleaseFromFlag(8)).unwrap();
    play.close();
    let invalid = |touch: &TouchId| Decision::InvalidateTouch(touch.id.to_vec());
    play.decides(&id, invalid(&touches[1])).unwrap();
    assert!(play.decides(&id, invalid(&touches[1])).is_err());
    play.close();
    let why = v1::CommissionReason::FraudConfirmed;
    play.decides(&id, Decision::Reverse(why.into())).unwrap();
    assert!(play.decides(&id, Decision::Reverse(why.into())).is_err());
    play.close();
    let totals = play.totals();
    let net = |cycle: usize, of: &str| totals[cycle].nets.get(of).copied().unwrap_or(0);
    assert_eq!((net(0, "shop"), net(0, "q")), (8_000_000, 0), "held");
    assert_eq!((net(1, "shop"), net(1, "q")), (0, -8_000_000), "released");
    let moved = (net(2, "shop"), net(2, "q"), net(2, "p"));
    assert_eq!(moved, (-3_000_000, 8_000_000, -5_000_000));
    assert_eq!((net(3, "shop"), net(3, "p")), (-5_000_000, 5_000_000));
}

#[test]
fn a_changed_outcome_of_a_conversion_is_named_by_its_message() {
    let mut play = Play::new(terms(v1::LockingMethod::FixedDuration));
    let id = play.converts("1", &[click(P, NOW - HOUR)]);
    let leaf = play.forge.entries.len() - 1;
    let changes: [fn(&mut v1::Outcome); 4] = [
        |outcome| outcome.commission_micros += 1,
        |outcome| outcome.attributed_click = None,
        |outcome| outcome.due_time = None,
        |outcome| outcome.set_state(v1::MessageState::Locked),
    ];
    for change in changes {
        let mut entries = play.forge.entries.clone();
        let mut outcomes = v1::Outcomes::decode(entries[leaf].outcomes.clone()).unwrap();
        change(&mut outcomes.outcomes[0]);
        entries[leaf].outcomes = outcomes.encode_to_vec().into();
        let finding = audit(&entries, 1).unwrap_err();
        assert_eq!(finding.what, What::Outcome, "{finding}");
        assert_eq!((finding.leaf, finding.position), (leaf as u64, Some(0)));
        assert_eq!(finding.message_id.unwrap()[..], id[..]);
    }
}

#[test]
fn a_review_that_the_rules_refuse_cannot_stand_in_the_log() {
    let decisions = [
        (0, Decision::ReleaseFromFlag(1)),
        (0, Decision::InvalidateTouch(vec![1; 16])),
        (0, Decision::Reverse(0)),
        (1, Decision::HoldForFlag(1)),
    ];
    for (position, decision) in decisions {
        let mut play = Play::new(terms(v1::LockingMethod::OpenEnded));
        let id = play.converts("1", &[click(P, NOW - HOUR)]);
        let place = play.forge.place("shop", &id).unwrap();
        let decided = v1::CommissionsDecided {
            decisions: vec![v1::CommissionDecision {
                leaf_index: place.seq(),
                entry_position: position,
                decision: Some(decision),
            }],
            note: String::new(),
        };
        let fact = v1::fact::Fact::CommissionsDecided(decided);
        play.forge.write_unchecked(vec![fact], "operator:test");
        let finding = audit(&play.forge.entries, 2).unwrap_err();
        assert_eq!(finding.what, What::Fact, "{finding}");
        assert_eq!(finding.leaf, play.forge.entries.len() as u64 - 1);
    }
}
