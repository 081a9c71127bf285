use super::*;
use crate::{
    books::Cycle,
    source::MerchantNo,
    terms::timestamp,
    touch::{self, Touch},
};

const DAY: i64 = 86_400_000_000;
/// 2026-01-31T12:00:00Z.
const NOW: i64 = 1_769_860_800_000_000;
const SHOP: MerchantNo = 0;
const P: MerchantNo = 1;
const Q: MerchantNo = 2;

/// A shop that pays 5 % and 0.25, two affiliates, and cycles from ten days ago to a day and to two days from now.
struct World {
    terms: Terms,
    books: Books,
    account: Option<Box<Conversion>>,
    now: i64,
    late: bool,
}

impl World {
    fn new(locking: v1::LockingMethod, lock_seconds: u64) -> Self {
        let mut terms = Terms::default();
        let programme = v1::Programme {
            currency_code: "EUR".into(),
            time_zone: "UTC".into(),
            reserve_per_point: "0.01".into(),
            expiry_rule: v1::ExpiryRule::None.into(),
            ..v1::Programme::default()
        };
        terms.take_programme(&programme, NOW - 10 * DAY).unwrap();
        let pay = v1::CommissionPay {
            share_bps: 500,
            fixed: "0.25".into(),
        };
        let shop = v1::Merchant {
            merchant_id: "shop".into(),
            roles: vec![v1::MerchantRole::Affiliate.into()],
            contract: Some(v1::Contract {
                funding_mode: v1::FundingMode::Issue.into(),
                earn_rate: "1".into(),
                ..v1::Contract::default()
            }),
            commission_terms: Some(v1::CommissionTerms {
                click_window_seconds: 86_400,
                locking_method: locking.into(),
                lock_seconds,
                rates: vec![v1::CommissionRate {
                    first_sale: Some(pay),
                    ..v1::CommissionRate::default()
                }],
                ..v1::CommissionTerms::default()
            }),
            ..v1::Merchant::default()
        };
        terms.take_merchant(&shop, NOW - 10 * DAY).unwrap();
        for slug in ["p", "q"] {
            let affiliate = v1::Merchant {
                merchant_id: slug.into(),
                affiliate: Some(v1::AffiliateProfile::default()),
                ..v1::Merchant::default()
            };
            terms.take_merchant(&affiliate, NOW - 10 * DAY).unwrap();
        }
        let mut books = Books::default();
        let first = Cycle::new(1, NOW - 10 * DAY, Some(NOW + DAY));
        let second = Cycle::new(2, NOW + DAY, Some(NOW + 2 * DAY));
        books.cycles.extend([first, second]);
        Self {
            terms,
            books,
            account: None,
            now: NOW,
            late: false,
        }
    }

    fn say(&mut self, body: &Body, request: Request<'_>) -> v1::Outcome {
        let here = Here {
            sender: SHOP,
            key: (SHOP, [1; 16]),
            place: (7, 0),
            event_time: self.now,
            now: self.now,
            cycle: if self.now < NOW + DAY { 1 } else { 2 },
            late: self.late,
            limited: false,
        };
        let (terms, books) = (&self.terms, &mut self.books);
        let said = message(terms, books, &mut self.account, &here, (body, &request));
        said.unwrap().0
    }

    fn convert(&mut self, asked: Asked) -> v1::Outcome {
        let said = v1::Conversion {
            amount: Some(eur(100_000_000)),
            ..v1::Conversion::default()
        };
        let body = Body::Conversion(said.clone());
        self.say(&body, Request::New(&said, asked))
    }

    fn returns(&mut self, micros: i64, reference: &str) -> v1::Outcome {
        let said = v1::ConversionReturn {
            returned_amount: Some(eur(micros)),
            return_reference: reference.into(),
            ..v1::ConversionReturn::default()
        };
        let body = Body::ConversionReturn(said.clone());
        self.say(&body, Request::Return(&said))
    }

    fn approve(&mut self) -> v1::Outcome {
        let body = Body::ConversionApproval(v1::ConversionApproval::default());
        self.say(&body, Request::Approval)
    }

    /// What a participant owes of a cycle, and the change of 2200 in it.
    fn net(&self, cycle: usize, of: &str) -> (i128, i128) {
        let totals = self.books.cycles[cycle].totals(&self.terms);
        let net = totals.nets.get(of).copied().unwrap_or(0);
        (net, totals.hub.commission)
    }
}

fn eur(micros: i64) -> v1::Money {
    v1::Money {
        currency_code: "EUR".into(),
        micros,
    }
}

fn click(id: u8, affiliate: MerchantNo) -> Touch {
    Touch {
        id: [id; 16],
        kind: touch::Kind::Click,
        flags: 0,
        affiliate,
        at: NOW - i64::from(id),
    }
}

/// Free touches.
fn asked(touches: &[Touch]) -> Asked {
    Asked {
        touches: touches.iter().map(|touch| (*touch, None)).collect(),
        ..Asked::default()
    }
}

#[test]
fn partial_returns_add_up_and_a_fixed_part_stays_until_nothing_is_left() {
    let mut world = World::new(v1::LockingMethod::OpenEnded, 0);
    let outcome = world.convert(asked(&[click(1, P)]));
    assert_eq!(outcome.state(), MessageState::Accrued);
    assert_eq!(outcome.commission_micros, 5_250_000);
    assert_eq!(outcome.attributed_click, Some(0));
    assert_eq!(world.net(0, "shop"), (5_250_000, 5_250_000));
    assert_eq!(world.returns(30_000_000, "a").commission_micros, 1_500_000);
    let second = world.returns(30_000_000, "a");
    assert_eq!(second.code(), ResultCode::DuplicateReturn);
    let beyond = world.returns(70_000_001, "b");
    assert_eq!(beyond.code(), ResultCode::ReturnExceedsPurchase);
    let last = world.returns(70_000_000, "b");
    assert_eq!(last.commission_micros, 3_750_000);
    assert_eq!(last.state(), MessageState::Reversed);
    assert_eq!(world.net(0, "shop"), (0, 0));
    assert_eq!(world.approve().code(), ResultCode::CommissionReversed);
}

#[test]
fn a_date_that_is_over_belongs_to_the_cycle_that_holds_it() {
    let mut world = World::new(v1::LockingMethod::FixedDuration, 43_200);
    let outcome = world.convert(asked(&[click(1, P)]));
    assert_eq!(outcome.due_time, Some(timestamp(NOW + DAY / 2)));
    assert_eq!(world.books.next_due(), Some(NOW + DAY / 2));
    world.now = NOW + DAY + 1;
    world.late = true;
    // Found by a message of the next cycle, which claws back; its lines are late, the commission's is not.
    let outcome = world.returns(100_000_000, "");
    assert_eq!(outcome.commission_micros, 5_250_000);
    assert_eq!(world.net(0, "p"), (-5_250_000, 0));
    assert_eq!(world.net(1, "p"), (5_250_000, 0));
    assert_eq!(world.net(1, "shop"), (-5_250_000, 0));
    assert_eq!(world.books.next_due(), None);
    let late = |cycle: usize| {
        let totals = world.books.cycles[cycle].totals(&world.terms);
        totals.lines.keys().all(|key| key.late == (cycle == 1))
    };
    assert!(late(0) && late(1));
}

#[test]
fn an_approval_makes_it_final_once() {
    let mut world = World::new(v1::LockingMethod::OpenEnded, 0);
    assert_eq!(world.approve().code(), ResultCode::OriginalNotFound);
    assert_eq!(world.convert(asked(&[click(1, P)])).due_time, None);
    let outcome = world.approve();
    assert_eq!(outcome.state(), MessageState::Payable);
    assert_eq!(outcome.commission_micros, 5_250_000);
    assert_eq!(world.approve().code(), ResultCode::AlreadyLocked);
    assert_eq!(world.net(0, "p"), (-5_250_000, 0));
}

#[test]
fn a_click_and_an_order_are_used_once() {
    let used = |by, recurs, first| Asked {
        touches: vec![(click(1, P), by)],
        recurs,
        first,
        ..Asked::default()
    };
    let cases = [
        (used(Some(8), false, None), ResultCode::ClickUsed),
        (used(Some(8), true, Some(9)), ResultCode::ClickUsed),
        (used(None, true, Some(9)), ResultCode::ClickUsed),
        (used(Some(8), true, None), ResultCode::OriginalNotFound),
        (
            Asked {
                order_known: true,
                ..asked(&[click(1, P)])
            },
            ResultCode::DuplicateOrder,
        ),
        (
            Asked {
                forged: true,
                ..asked(&[click(1, P)])
            },
            ResultCode::ClickForged,
        ),
    ];
    for (asked, code) in cases {
        let mut world = World::new(v1::LockingMethod::OpenEnded, 0);
        // What recurs has a window of its own here.
        world.terms.merchants[0].traffic.terms[0].recurring_window = DAY;
        assert_eq!(world.convert(asked).code(), code);
        assert!(world.account.is_none());
        let totals = world.books.cycles[0].totals(&world.terms);
        assert!(totals.lines.is_empty());
        assert_eq!(totals.counts.refused["conversion"], 1);
    }
}

#[test]
fn a_hold_outlasts_the_date_and_an_invalid_touch_passes_it_on() {
    let mut world = World::new(v1::LockingMethod::FixedDuration, 60);
    world.convert(asked(&[click(1, P), click(2, Q)]));
    let conversion = world.account.as_mut().unwrap();
    conversion.flags.insert(3);
    assert!(conversion.run(&mut world.books, NOW + DAY).unwrap());
    assert_eq!(conversion.state, State::Locked);
    let (mut journal, at) = (Journal::default(), NOW + DAY);
    conversion
        .invalidate(&world.terms, [1; 16], at, &mut journal)
        .unwrap();
    assert_eq!(conversion.attribution.affiliate, Q);
    assert_eq!(conversion.state, State::Locked, "the hold stays");
    let again = conversion.invalidate(&world.terms, [1; 16], at, &mut journal);
    assert!(again.is_err());
    conversion.flags.clear();
    conversion.pay_if_free(&mut journal);
    assert_eq!(conversion.state, State::Payable);
    // Nobody is left.
    conversion
        .invalidate(&world.terms, [2; 16], at, &mut journal)
        .unwrap();
    assert_eq!((conversion.state, conversion.micros), (State::Reversed, 0));
    world.books.post(1, &journal).unwrap();
    assert_eq!(world.net(0, "shop"), (0, 0));
    assert_eq!(world.net(0, "p"), (0, 0));
    assert_eq!(world.net(0, "q"), (0, 0));
}

#[test]
fn numbers_are_places_and_apart_from_members() {
    assert_eq!(number((3, 5)), Some(1 << 62 | 3 << 12 | 5));
    assert!(is_number(number((0, 0)).unwrap()) && !is_number(1 << 48));
    assert_eq!(number((1 << 48, 0)), None);
    assert_eq!(number((0, 1 << 12)), None);
}
