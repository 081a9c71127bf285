//! Affiliates in random histories: their profiles and codes, merchants' terms, and conversions good and bad with their returns, approvals
//! and reviews. A step draws from a sequence of its own, so that it says the same when the steps before it are left out.

use std::collections::{BTreeMap, BTreeSet};

use hansa_client::{
    time::timestamp,
    touch_id::{TouchFlags, TouchId, TouchKind, time_ordered_id},
};
use hansa_proto::v1::{self, commission_decision::Decision, message::Body as B};
use hansa_settlement::{Change, CommissionChange, LineKind, decode_effect_stream};
use prost::Message as _;

use super::{
    forge::Forge,
    histories::{self, DAY, HOUR, MERCHANTS, Play, SECOND, Step},
};

/// They follow the merchants in the log.
pub(super) const AFFILIATES: [&str; 2] = ["p", "q"];

/// What was shown and said.
#[derive(Default)]
pub(super) struct Traffic {
    /// By merchant.
    touches: Vec<(usize, TouchId)>,
    orders: usize,
}

/// Numbers that look random and follow from the first.
struct Draw(u64);

impl Draw {
    fn of(step: &Step) -> Self {
        Self(step.target as u64 ^ (step.size as u64) << 20)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn of_these<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

fn pay(share_bps: u32, fixed: &str) -> Option<v1::CommissionPay> {
    Some(v1::CommissionPay {
        share_bps,
        fixed: fixed.into(),
    })
}

/// A merchant's terms for affiliates, of many.
pub(super) fn terms(number: usize, from: Option<prost_types::Timestamp>) -> v1::CommissionTerms {
    let mut draw = Draw(number as u64);
    let row = |country: &str, category: &str, tier: &str, share, fixed: &str| v1::CommissionRate {
        country_code: country.into(),
        category: category.into(),
        tier: tier.into(),
        first_sale: pay(share, fixed),
        recurring: pay(share / 2, "").filter(|_| share % 2 == 0),
    };
    let mut rates = vec![
        row("DE", "shoes", "", 1_234, "0.5"),
        row("", "", "gold", 900, ""),
        row("FR", "", "", 0, "1.25"),
    ];
    // Sometimes nothing fits.
    if draw.below(4) > 0 {
        rates.push(row("", "", "", 501, ""));
    }
    v1::CommissionTerms {
        effective_time: from,
        click_window_seconds: 86_400 * (1 + draw.below(30)),
        view_window_seconds: 43_200 * draw.below(4),
        codes_win: draw.below(3) == 0,
        locking_method: 1 + draw.below(4) as i32,
        lock_day: 1 + draw.below(31) as u32,
        lock_months: draw.below(3) as u32,
        lock_seconds: 50_000 * draw.below(30),
        recurring_seconds: 86_400 * 50 * draw.below(3),
        placement: Some(v1::Placement {
            refused: vec!["PAID_CLICK".into(), "BRAND_BIDDING".into()],
            ..v1::Placement::default()
        }),
        rates,
    }
}

/// An affiliate, of many.
pub(super) fn affiliate(slug: &str, number: usize, state: v1::MerchantState) -> v1::Merchant {
    let mut draw = Draw(number as u64);
    let codes = MERCHANTS.iter().map(|merchant| v1::AffiliateCode {
        merchant_id: (*merchant).into(),
        code: format!("{}{}", draw.of_these(&["Code", "CODE"]), draw.below(3)),
        site_number: 1,
        ..v1::AffiliateCode::default()
    });
    v1::Merchant {
        merchant_id: slug.into(),
        display_name: slug.to_uppercase(),
        state: state.into(),
        affiliate: Some(v1::AffiliateProfile {
            codes: codes.collect(),
            tier: ["", "gold"][number % 2].into(),
            sites: vec![v1::AffiliateSite {
                site_number: 1,
                ..v1::AffiliateSite::default()
            }],
            ..v1::AffiliateProfile::default()
        }),
        ..v1::Merchant::default()
    }
}

impl Play<'_> {
    /// A message that names no member.
    fn say_conversion(&mut self, merchant: usize, at: i64, body: B, join: bool) {
        let message = v1::Message {
            message_id: self.id(),
            event_time: Some(timestamp(at)),
            body: Some(body),
            ..v1::Message::default()
        };
        self.sent.push((merchant, 0, message.clone()));
        self.send(merchant, message, join);
    }

    /// A click id, new or shown before, whole or not.
    fn click_id(&mut self, draw: &mut Draw, merchant: usize, event: i64) -> String {
        let own = self
            .traffic
            .touches
            .iter()
            .filter(|(of, _)| *of == merchant);
        let known: Vec<TouchId> = own.map(|(_, touch)| *touch).collect();
        let touch = if !known.is_empty() && draw.below(2) == 0 {
            draw.of_these(&known[known.len().saturating_sub(3)..])
        } else {
            let before = draw.of_these(&[SECOND, HOUR, HOUR, HOUR, HOUR, DAY]);
            let at = event - before * draw.below(8) as i64
                + draw.of_these(&[0, 0, 0, 200 * SECOND, 400 * SECOND]);
            let mut random = [0; 10];
            random[2..].copy_from_slice(&(draw.below(1 << 30) << 20).to_be_bytes());
            let of = if draw.below(120) == 0 {
                merchant + 1
            } else {
                merchant
            };
            TouchId {
                kind: draw.of_these(&[TouchKind::Click, TouchKind::Click, TouchKind::View]),
                flags: TouchFlags::from_bits(draw.of_these(&[0, 0, 0, 1, 4, 8, 48])),
                merchant: (of % MERCHANTS.len()) as u32,
                // One in twenty is nobody's.
                affiliate: draw.of_these(&[4, 4, 5]) + 2 * (draw.below(20) / 19) as u32,
                site: 1,
                id: time_ordered_id((at / 1_000) as u64, random),
            }
        };
        if touch.merchant as usize == merchant {
            self.traffic.touches.push((merchant, touch));
        }
        let mut text = self.forge.click_id(&touch);
        if draw.below(150) == 0 {
            text.truncate(100);
        }
        text
    }

    /// An earlier conversion, mostly one that was accepted.
    fn pick_conversion(&self, draw: &mut Draw) -> Option<(usize, v1::Message, v1::Conversion)> {
        let conversions = self.sent.iter().filter_map(|(merchant, _, message)| {
            let Some(B::Conversion(said)) = &message.body else {
                return None;
            };
            Some((*merchant, message, said))
        });
        let mut all: Vec<_> = conversions.collect();
        if draw.below(6) > 0 {
            all.retain(|(merchant, message, _)| {
                let place = self.forge.place(MERCHANTS[*merchant], &message.message_id);
                place.is_some_and(|place| self.forge.is_conversion(place))
            });
        }
        // Preferably a late one: it may still change.
        let back = draw.below(all.len().clamp(1, 8) as u64) as usize;
        let (merchant, message, said) = all.get(all.len().checked_sub(back + 1)?)?;
        Some((*merchant, (*message).clone(), (*said).clone()))
    }

    pub(super) fn convert(&mut self, step: &Step, at: i64) {
        let draw = &mut Draw::of(step);
        let merchant = step.merchant;
        let touches = draw.of_these(&[0, 1, 1, 1, 2, 3]);
        let mut click_ids: Vec<String> = (0..touches)
            .map(|_| self.click_id(draw, merchant, at))
            .collect();
        let mut recurring_of = Vec::new();
        if draw.below(4) == 0
            && let Some((_, message, said)) = self.pick_conversion(draw)
        {
            click_ids = said.click_ids;
            recurring_of = message.message_id;
        }
        // No conversion, mostly.
        if draw.below(30) == 0
            && let Some((_, _, message)) = self.sent.last()
        {
            recurring_of = message.message_id.clone();
        }
        self.traffic.orders += 1;
        let mut order_reference = format!("order {}", self.traffic.orders);
        if draw.below(12) == 0
            && let Some((_, _, said)) = self.pick_conversion(draw)
        {
            order_reference = said.order_reference;
        }
        let code = draw.below(3);
        let said = v1::Conversion {
            amount: Some(v1::Money {
                currency_code: if draw.below(50) == 0 { "USD" } else { "EUR" }.into(),
                micros: step.size * 330_007 * draw.of_these(&[1, 1, 1, 1, 1, 0]),
            }),
            order_reference,
            click_ids,
            code: if draw.below(3) == 0 {
                format!("cOde{code}")
            } else {
                String::new()
            },
            country_code: draw.of_these(&["", "DE", "FR"]).into(),
            category: draw.of_these(&["", "shoes"]).into(),
            recurring_of,
            ..v1::Conversion::default()
        };
        self.say_conversion(merchant, at, B::Conversion(said), step.join);
    }

    pub(super) fn give_back(&mut self, step: &Step, at: i64) {
        let draw = &mut Draw::of(step);
        let Some((merchant, message, said)) = self.pick_conversion(draw) else {
            return;
        };
        let whole = said.amount.map_or(0, |amount| amount.micros);
        let micros = [whole, whole / 2, whole / 3, step.size * 110_000];
        let sender = if draw.below(30) == 0 {
            (merchant + 1) % 4
        } else {
            merchant
        };
        let reference = draw.below(4);
        let returned = v1::ConversionReturn {
            conversion_message_id: message.message_id,
            returned_amount: Some(v1::Money {
                currency_code: if draw.below(30) == 0 { "USD" } else { "EUR" }.into(),
                micros: draw.of_these(&micros).max(1),
            }),
            reason: 1 + draw.below(8) as i32,
            return_reference: if draw.below(3) > 0 {
                format!("return {reference}")
            } else {
                String::new()
            },
        };
        self.say_conversion(sender, at, B::ConversionReturn(returned), step.join);
    }

    pub(super) fn approve(&mut self, step: &Step, at: i64) {
        if let Some((merchant, message, _)) = self.pick_conversion(&mut Draw::of(step)) {
            let approval = v1::ConversionApproval {
                conversion_message_id: message.message_id,
            };
            self.say_conversion(merchant, at, B::ConversionApproval(approval), step.join);
        }
    }

    /// One fact with up to three decisions about one conversion or several; refused where one is.
    pub(super) fn review(&mut self, step: &Step) {
        let draw = &mut Draw::of(step);
        let mut decisions = Vec::new();
        for _ in 0..=draw.below(3) {
            let Some((merchant, message, said)) = self.pick_conversion(draw) else {
                continue;
            };
            let place = self.forge.place(MERCHANTS[merchant], &message.message_id);
            let touch = said.click_ids.last().and_then(|text| {
                let touch = hansa_client::touch_id::SignedTouchId::decode(text).ok()?;
                Some(touch.unverified().id.to_vec())
            });
            let decision = match (draw.below(8), touch) {
                (0..3, _) => Decision::HoldForFlag(draw.below(2)),
                (3..5, _) => Decision::ReleaseFromFlag(draw.below(2)),
                (5..7, Some(touch)) => Decision::InvalidateTouch(touch),
                _ => Decision::Reverse(v1::CommissionReason::FraudConfirmed.into()),
            };
            decisions.extend(place.map(|place| v1::CommissionDecision {
                leaf_index: place.seq(),
                entry_position: place.index(),
                decision: Some(decision),
            }));
        }
        drop(self.forge.review(decisions));
    }

    pub(super) fn change_affiliate(&mut self, step: &Step, state: v1::MerchantState) {
        let slug = AFFILIATES[step.merchant % 2];
        let state = if step.join {
            v1::MerchantState::Active
        } else {
            state
        };
        let mut changed = affiliate(slug, step.target, state);
        if step.target.is_multiple_of(5) {
            // It stays one.
            changed.affiliate = None;
        }
        drop(self.forge.merchant(changed));
    }
}

/// Outcomes of messages about conversions, and how often each stands in a log.
fn outcomes(forge: &Forge, seen: &mut BTreeMap<(&'static str, v1::ResultCode), u32>) {
    for entry in &forge.entries {
        let Ok(batch) = v1::Batch::decode(entry.envelope.payload.clone()) else {
            continue;
        };
        let outcomes = v1::Outcomes::decode(entry.outcomes.clone())
            .unwrap()
            .outcomes;
        for (bytes, outcome) in batch.messages.iter().zip(outcomes) {
            let kind = match v1::Message::decode(bytes.clone()).unwrap().body {
                Some(B::Conversion(_)) => "conversion",
                Some(B::ConversionReturn(_)) => "return",
                Some(B::ConversionApproval(_)) => "approval",
                _ => continue,
            };
            if outcome.leaf_index.is_none() {
                *seen.entry((kind, outcome.code())).or_default() += 1;
            }
        }
    }
}

#[test]
fn random_histories_come_to_every_outcome_of_a_conversion() {
    use v1::ResultCode as R;
    let mut seen = BTreeMap::new();
    let mut reviews = [0; 4];
    let mut lines = BTreeSet::new();
    for seed in 0..60 {
        let forge = histories::sample(seed);
        outcomes(&forge, &mut seen);
        for bytes in &forge.effects {
            for record in decode_effect_stream(bytes).unwrap() {
                for effect in &record.effects {
                    let Change::Commission(change) = &effect.change else {
                        continue;
                    };
                    lines.extend(change.journal().iter().filter_map(|leg| leg.line));
                    let of = match change {
                        CommissionChange::Held { .. } => 0,
                        CommissionChange::Released { .. } => 1,
                        CommissionChange::Invalidated { .. } => 2,
                        CommissionChange::Reattributed { .. } => 3,
                        _ => continue,
                    };
                    reviews[of] += 1;
                }
            }
        }
    }
    let conversions = [
        R::Accepted,
        R::CommissionTermsNotFound,
        R::ClickForged,
        R::OriginalNotFound,
        R::DuplicateOrder,
        R::ClickUsed,
        R::OutsideAttributionWindow,
        R::PlacementRefused,
        R::AffiliateNotActive,
        R::NotAttributed,
    ];
    let returns = [
        R::Accepted,
        R::DuplicateReturn,
        R::ReturnExceedsPurchase,
        R::OriginalNotFound,
        R::CurrencyMismatch,
    ];
    let approvals = [R::Accepted, R::AlreadyLocked, R::CommissionReversed];
    let wanted = [
        ("conversion", &conversions[..]),
        ("return", &returns),
        ("approval", &approvals),
    ];
    for (kind, codes) in wanted {
        for code in codes {
            assert!(
                seen.contains_key(&(kind, *code)),
                "{kind} {code:?}: {seen:?}"
            );
        }
    }
    assert!(reviews.iter().all(|count| *count > 0), "{reviews:?}");
    let kinds: BTreeSet<LineKind> = lines.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
}
