//! Facts of finance, and of a log that goes on under another name: what the auditor posts for them, and what it does not let stand.

use hansa_auditor::{Auditor, Bounds, Finding, What};
use hansa_proto::v1::{self, ResultCode, action::Action as A, fact::Fact as F};

use super::{
    forge::audit,
    shop::{Shop, eur},
};

fn shop() -> Shop {
    let contract = v1::Contract {
        net_debit_cap: "3".into(),
        ..v1::Contract::default()
    };
    Shop::new(contract, v1::NegativeBalancePolicy::Debt)
}

fn proposal(proposal_number: u64, action: A) -> F {
    F::ProposalMade(v1::ProposalMade {
        proposal_number,
        action: Some(v1::Action {
            action: Some(action),
        }),
        reason: "month's end".into(),
        holder: "Ana".into(),
    })
}

fn approval(proposal_number: u64, holder: &str) -> F {
    F::ProposalDecided(v1::ProposalDecided {
        proposal_number,
        approved: true,
        reason: "checked".into(),
        holder: holder.into(),
    })
}

fn settle(cycle_number: u32) -> A {
    A::SettleCycle(v1::SettleCycle {
        cycle_number,
        ..v1::SettleCycle::default()
    })
}

fn adjustment(counterparty: &str, amount_micros: i64) -> A {
    A::Adjustment(v1::Adjustment {
        merchant_id: "shop".into(),
        counterparty_merchant_id: counterparty.into(),
        amount_micros,
        ..v1::Adjustment::default()
    })
}

fn audited(cycle_number: u32, digest: &[u8], audited_size: u64) -> F {
    F::CycleAudited(v1::CycleAudited {
        cycle_number,
        digest: digest.to_vec(),
        audited_size,
    })
}

impl Shop {
    fn write(&mut self, fact: F) {
        self.forge.write_unchecked(vec![fact], "operator:test");
    }

    fn size(&self) -> u64 {
        self.forge.entries.len() as u64
    }

    fn audit(&self) -> Result<Auditor, Finding> {
        audit(&self.forge.entries, 2).map(|(auditor, _)| auditor)
    }

    /// The finding at the last entry, which is one about a fact.
    fn refused(&self) -> Finding {
        let finding = self.audit().unwrap_err();
        assert_eq!(finding.what, What::Fact, "{finding}");
        assert_eq!(finding.leaf, self.size() - 1, "{finding}");
        finding
    }
}

#[test]
fn an_approved_adjustment_is_a_line_of_both_sides_in_the_open_cycle() {
    let mut shop = shop();
    let other = v1::Merchant {
        merchant_id: "other".into(),
        state: v1::MerchantState::Active.into(),
        ..v1::Merchant::default()
    };
    shop.forge.merchant(other).unwrap();
    shop.write(proposal(1, adjustment("other", 70)));
    shop.write(proposal(2, adjustment("", -5)));
    shop.write(proposal(3, adjustment("", 1_000)));
    shop.write(approval(1, "Ben"));
    shop.write(approval(2, "Ben"));
    let rejected = F::ProposalDecided(v1::ProposalDecided {
        proposal_number: 3,
        approved: false,
        holder: "Ana".into(),
        ..v1::ProposalDecided::default()
    });
    shop.write(rejected);
    let totals = shop.audit().unwrap().open_cycles().pop().unwrap();
    let net = |merchant: &str| totals.nets.get(merchant).copied();
    assert_eq!((net("shop"), net("other")), (Some(65), Some(-70)));
    assert_eq!(totals.hub.adjustments, -5);
    let lines = totals.lines.keys().filter(|line| line.kind == "ADJUSTMENT");
    assert_eq!(lines.count(), 3);
}

#[test]
fn a_step_is_approved_once_and_by_another_person() {
    let mut same = shop();
    same.write(proposal(1, adjustment("", 5)));
    same.write(approval(1, "Ana"));
    assert!(same.refused().expected.contains("somebody else than Ana"));
    let mut twice = shop();
    twice.write(proposal(1, adjustment("", 5)));
    twice.write(approval(1, "Ben"));
    twice.write(approval(1, "Ben"));
    assert_eq!(twice.refused().expected, "a proposal that waits");
    let mut gap = shop();
    gap.write(proposal(2, adjustment("", 5)));
    assert_eq!(gap.refused().expected, "proposal 1");
}

#[test]
fn a_settlement_is_approved_when_the_log_says_that_its_cycle_was_audited() {
    let mut early = shop();
    early.close();
    early.write(proposal(1, settle(1)));
    early.write(approval(1, "Ben"));
    assert!(early.refused().expected.contains("audited"));

    let mut good = shop();
    let digest = good.close();
    good.write(audited(1, &digest, good.size()));
    good.write(proposal(1, settle(1)));
    good.write(approval(1, "Ben"));
    good.audit().unwrap();
    good.write(proposal(2, settle(1)));
    good.write(approval(2, "Ben"));
    assert!(good.refused().expected.contains("is not settled"));
}

#[test]
fn the_word_that_a_cycle_was_audited_is_true_and_said_once() {
    let closed = || {
        let mut shop = shop();
        let digest = shop.close();
        (shop, digest)
    };
    let (mut other, _) = closed();
    other.write(audited(1, &[7; 32], other.size()));
    assert!(other.refused().expected.contains("digest"));
    let (mut open, digest) = closed();
    open.write(audited(2, &digest, open.size()));
    open.refused();
    let (mut twice, digest) = closed();
    twice.write(audited(1, &digest, twice.size()));
    twice.audit().unwrap();
    twice.write(audited(1, &digest, twice.size()));
    twice.refused();
    // Of an auditor that had not come to the close, or that was ahead of the log.
    for ahead in [false, true] {
        let (mut shop, digest) = closed();
        let size = if ahead {
            shop.size() + 1
        } else {
            shop.size() - 1
        };
        shop.write(audited(1, &digest, size));
        assert!(shop.refused().expected.contains("entries audited"));
    }
}

/// Turns what a limit said about the last message round.
fn other_way_round(shop: &mut Shop) {
    let last = shop.forge.entries.last_mut().unwrap();
    let mut outcomes: v1::Outcomes = prost::Message::decode(last.outcomes.clone()).unwrap();
    let outcome = &mut outcomes.outcomes[0];
    assert_eq!(outcome.code(), ResultCode::LimitExceeded);
    let points = 200;
    *outcome = v1::Outcome {
        points,
        available_points: outcome.available_points + points,
        cycle_number: outcome.cycle_number,
        ..v1::Outcome::default()
    };
    outcome.set_code(ResultCode::Accepted);
    outcome.set_state(v1::MessageState::Posted);
    last.outcomes = prost::Message::encode_to_vec(&outcomes).into();
    last.leaf_data =
        hansa_client::leaf::leaf_data(&last.envelope, last.decided_at, &last.outcomes).to_vec();
}

#[test]
fn a_limit_is_exact_until_money_may_have_been_paid() {
    let purchase = |shop: &mut Shop, euro: i64| {
        let body = v1::message::Body::Accrual(v1::Accrual {
            eligible_amount: Some(eur(euro * 1_000_000)),
            points: None,
        });
        shop.say(shop.forge.now, body).1
    };
    for (settled, other_passes) in [(false, false), (true, true)] {
        let mut shop = shop();
        // Two euro of three.
        assert_eq!(purchase(&mut shop, 200), ResultCode::Accepted);
        let digest = shop.close();
        if settled {
            shop.write(audited(1, &digest, shop.size()));
            shop.write(proposal(1, settle(1)));
            shop.write(approval(1, "Ben"));
        }
        // The fold, which never heard of a payment, refuses what would make it four; with two paid it would be two.
        assert_eq!(purchase(&mut shop, 200), ResultCode::LimitExceeded);
        shop.audit().unwrap();
        other_way_round(&mut shop);
        let found = shop.audit().map(drop).map_err(|finding| finding.what);
        let expected = if other_passes {
            Ok(())
        } else {
            Err(What::Outcome)
        };
        assert_eq!(found, expected, "settled: {settled}");
    }
    // Beyond the limit whatever was paid.
    let mut shop = shop();
    let digest = shop.close();
    shop.write(audited(1, &digest, shop.size()));
    shop.write(proposal(1, settle(1)));
    shop.write(approval(1, "Ben"));
    assert_eq!(purchase(&mut shop, 200), ResultCode::Accepted);
    assert_eq!(purchase(&mut shop, 200), ResultCode::LimitExceeded);
    shop.audit().unwrap();
    other_way_round(&mut shop);
    assert_eq!(shop.audit().unwrap_err().what, What::Outcome);
}

fn reopened(origin: &str, of: &str, size: u64) -> F {
    let root = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    F::LogReopened(v1::LogReopened {
        origin: origin.into(),
        lost_checkpoint: format!("{of}\n{size}\n{root}\n\n\u{2014} {of} AAAA\n"),
    })
}

#[test]
fn a_log_that_goes_on_under_another_name_is_followed_under_that() {
    const OLD: &str = "forge.example/log";
    const NEW: &str = "forge.example/log-2";
    let mut shop = shop();
    shop.write(reopened(NEW, OLD, shop.size() + 5));
    shop.buy(100_000_000);
    assert_eq!(shop.audit().unwrap().origin(), NEW);
    let next = shop.size() + 9;
    for (origin, of, size) in [
        (NEW, NEW, next),         // its own name
        (OLD, NEW, next),         // one that it had
        ("", NEW, next),          // none
        ("other", OLD, next),     // a checkpoint of the log under a name before
        ("other", NEW, next - 9), // nothing is lost
    ] {
        let entries = shop.forge.entries.len();
        shop.write(reopened(origin, of, size));
        shop.refused();
        shop.forge.entries.truncate(entries);
    }
    let both = vec![reopened("other", NEW, next), adjustment_fact()];
    shop.forge.write_unchecked(both, "hub");
    shop.refused();
    // What was saved before a release that keeps more is refused by name.
    let mut older = Auditor::new(Bounds::default()).save().state;
    older[0] -= 1;
    let error = Auditor::resume(&older, Bounds::default()).unwrap_err();
    assert!(error.to_string().contains("version"), "{error}");
}

fn adjustment_fact() -> F {
    proposal(1, adjustment("", 5))
}
