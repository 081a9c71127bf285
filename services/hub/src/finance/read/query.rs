//! Queries over commissions, read. A click id is believed only when the hub made it for this affiliate and this merchant.

use hansa_proto::v1::{self, QueryKind, fact::Fact as F};
use hansa_settlement::{
    Instant, MerchantIx, Pos, QueryNo,
    finance::{Actor, NewQuery, QueryFact, QueryRemedy, QuerySubject},
};

use super::{Reader, number};
use crate::{commissions, convert::micros, intake};

impl Reader<'_> {
    /// A step of a query; `None` where a field is broken, and for every other fact.
    pub(super) fn query_fact(&mut self, fact: &F) -> Option<QueryFact> {
        Some(match fact {
            F::QueryRaised(raised) => QueryFact::Raised(Box::new(self.raised(raised)?)),
            F::QueryAnswered(answered) => QueryFact::Answered {
                query: QueryNo(number(answered.query_number)),
                remedy: self.query_remedy(answered.remedy.as_ref()),
                answer: answered.answer.clone(),
            },
            F::QueryEscalated(escalated) => QueryFact::Escalated {
                query: QueryNo(number(escalated.query_number)),
                text: escalated.text.clone(),
                evidence: self.evidence(&escalated.evidence),
            },
            F::QueryRuled(ruled) => QueryFact::Ruled {
                query: QueryNo(number(ruled.query_number)),
                remedy: self.query_remedy(ruled.remedy.as_ref()),
                ruling: ruled.ruling.clone(),
                actor: Actor::new(&ruled.holder),
            },
            _ => return None,
        })
    }

    fn raised(&mut self, raised: &v1::QueryRaised) -> Option<NewQuery> {
        let affiliate = self.merchant("affiliate_id", &raised.affiliate_id);
        let merchant = self.merchant("merchant_id", &raised.merchant_id);
        let subject = self.subject(raised.subject.as_ref(), affiliate, merchant);
        let instant = |at: &prost_types::Timestamp| Instant(micros(at));
        let since = raised.subject_time.as_ref().map(instant);
        let named = raised.subject.as_ref().and_then(|s| s.order_time.as_ref());
        if since.is_none() || named.is_some_and(|at| since != Some(instant(at))) {
            let text = "say when the order was made";
            self.fields.broken("subject.order_time", "REQUIRED", text);
        }
        Some(NewQuery {
            number: QueryNo(number(raised.query_number)),
            affiliate,
            merchant,
            subject: subject?,
            since: since?,
            claimed_micros: raised.claimed_micros,
            text: raised.text.clone(),
            evidence: self.evidence(&raised.evidence),
        })
    }

    fn subject(
        &mut self,
        subject: Option<&v1::QuerySubject>,
        affiliate: MerchantIx,
        merchant: MerchantIx,
    ) -> Option<QuerySubject> {
        let kind = subject.map_or(QueryKind::Unspecified, v1::QuerySubject::kind);
        let Some(subject) = subject.filter(|_| kind != QueryKind::Unspecified) else {
            let text = "say what is wrong: UNTRACKED, INCORRECT or DECLINED";
            self.fields.broken("subject.kind", "REQUIRED", text);
            return None;
        };
        let untracked = kind == QueryKind::Untracked;
        let order = [&subject.order_reference, &subject.click_id, &subject.code];
        let names_order = order.iter().any(|text| !text.is_empty()) || subject.order_time.is_some();
        if untracked == subject.leaf_index.is_some() || (!untracked && names_order) {
            let text = "UNTRACKED names the order, its time, and a click id or a code; INCORRECT and DECLINED name a place in the log, \
                        and nothing else";
            self.fields.broken("subject", "KIND", text);
            return None;
        }
        if !untracked {
            let place = self.place(
                "subject.leaf_index",
                subject.leaf_index,
                subject.entry_position,
            )?;
            return Some(if kind == QueryKind::Incorrect {
                QuerySubject::Incorrect(place)
            } else {
                QuerySubject::Declined(place)
            });
        }
        self.check_click(&subject.click_id, affiliate, merchant);
        Some(QuerySubject::Untracked {
            order: subject.order_reference.clone(),
            click_id: subject.click_id.clone(),
            code: subject.code.clone(),
        })
    }

    fn check_click(&mut self, click_id: &str, affiliate: MerchantIx, merchant: MerchantIx) {
        if click_id.is_empty() {
            return;
        }
        let touch = intake::touch(click_id, merchant.0, self.registry);
        if touch.is_none_or(|touch| touch.affiliate != affiliate) {
            let text = "the hub made no such click id for you at this merchant; pass it as it came, or leave it out";
            self.fields.broken("subject.click_id", "CLICK_ID", text);
        }
    }

    fn query_remedy(&mut self, remedy: Option<&v1::QueryRemedy>) -> Option<QueryRemedy> {
        let remedy = remedy?;
        let conversion = remedy
            .leaf_index
            .and_then(|leaf| self.place("remedy.leaf_index", Some(leaf), remedy.entry_position));
        Some(QueryRemedy {
            amount_micros: remedy.amount_micros,
            conversion,
        })
    }

    fn place(&mut self, field: &str, leaf: Option<u64>, position: u32) -> Option<Pos> {
        let place = leaf.and_then(|leaf| commissions::place_of(leaf, position));
        if place.is_none() {
            self.fields
                .broken(field, "OUT_OF_RANGE", commissions::NO_PLACE);
        }
        place
    }
}
