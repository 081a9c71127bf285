//! Queries over commissions: what they name must stand in the log, and what is granted is derived here as an adjustment of the query's
//! merchant to its affiliate, whatever the hub made of it. Time limits are for `hansa verify`.
//!
//! Costs the read of an entry where a refused message is queried; about 30 bytes for each query.

use hansa_proto::v1::{self, QueryKind, fact::Fact as F, message::Body};
use prost::Message as _;
use serde::{Deserialize, Serialize};

use crate::{
    auditor::{Auditor, Stop, Trouble},
    claim,
    conversion::{self, Conversion, State},
    finding::Mismatch,
    keys::Holder,
    source::{MerchantNo, Source},
    terms::micros,
    touch,
};

/// A query as far as money hangs on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Query {
    pub(crate) merchant: MerchantNo,
    pub(crate) affiliate: MerchantNo,
    untracked: bool,
    /// It was decided for the affiliate with an amount that is not posted yet.
    pub(crate) waits: bool,
}

/// The accounts of the conversions that a fact about a query names.
pub(crate) fn number(fact: &F) -> Option<u64> {
    let (leaf, position) = match fact {
        F::QueryRaised(raised) => {
            let subject = raised.subject.as_ref()?;
            (subject.leaf_index?, subject.entry_position)
        }
        F::QueryAnswered(v1::QueryAnswered { remedy, .. })
        | F::QueryRuled(v1::QueryRuled { remedy, .. }) => {
            let remedy = remedy.as_ref()?;
            (remedy.leaf_index?, remedy.entry_position)
        }
        _ => return None,
    };
    conversion::number((leaf, position))
}

/// What a query must be over: a merchant, and from when the time to raise counts.
type Standing = (MerchantNo, i64);

impl Conversion {
    /// Whether an affiliate may query it as this, and from when.
    fn queried(&self, kind: QueryKind, affiliate: MerchantNo) -> Option<Standing> {
        let own = self.attribution.affiliate == affiliate;
        let reversed = self.state == State::Reversed;
        let touches = self.claim.touches.iter();
        let mut lost = touches
            .filter(|touch| touch.affiliate == affiliate)
            .filter(|touch| self.claim.invalid.contains(&touch.id));
        let may = match kind {
            QueryKind::Incorrect => own && !reversed,
            QueryKind::Declined => (own && reversed) || lost.next().is_some(),
            QueryKind::Untracked | QueryKind::Unspecified => false,
        };
        let since = self
            .claim
            .event_time
            .max(self.reduced_at.unwrap_or(i64::MIN));
        may.then_some((self.claim.merchant, since))
    }
}

impl Auditor {
    /// What a raised query says of the log; before it is taken in.
    pub(crate) fn check_query(
        &self,
        raised: &v1::QueryRaised,
        leaf: u64,
        source: &mut dyn Source,
    ) -> Result<(), Trouble> {
        let terms = &self.small.terms;
        let affiliate = terms.number(&raised.affiliate_id)?;
        let merchant = terms.number(&raised.merchant_id)?;
        let subject = raised.subject.clone().unwrap_or_default();
        let since = raised.subject_time.as_ref().map_or(i64::MIN, micros);
        if terms.merchant(affiliate)?.traffic.profile.is_none() || raised.claimed_micros <= 0 {
            let found = format!("{} for {}", raised.claimed_micros, raised.affiliate_id);
            return Err(Mismatch::fact("a claim of an affiliate", found).into());
        }
        let found = match (subject.kind(), subject.leaf_index) {
            (QueryKind::Untracked, None) => {
                let fits = self.order_is_own(&subject, merchant, affiliate, since);
                fits.then_some((merchant, since))
            }
            (kind @ (QueryKind::Incorrect | QueryKind::Declined), Some(at)) => {
                let place = (at, subject.entry_position);
                let account = conversion::number(place).and_then(|n| self.memory.conversion(n));
                match account {
                    Some(conversion) => conversion.queried(kind, affiliate),
                    None if kind == QueryKind::Declined && at < leaf => {
                        self.refused(place, affiliate, source)?
                    }
                    None => None,
                }
            }
            _ => None,
        };
        if found != Some((merchant, since)) {
            let found = format!("{found:?}, the query says {:?}", (merchant, since));
            return Err(Mismatch::fact("a query over what stands in the log", found).into());
        }
        Ok(())
    }

    /// An order that was never reported came by the affiliate's own click, or its code.
    fn order_is_own(
        &self,
        subject: &v1::QuerySubject,
        merchant: MerchantNo,
        affiliate: MerchantNo,
        since: i64,
    ) -> bool {
        let (click, code) = (&subject.click_id, &subject.code);
        let hub = self.hub_key();
        let touch = hub.and_then(|hub| touch::read(click, merchant, hub));
        let clicked = click.is_empty() || touch.is_some_and(|t| t.affiliate == affiliate);
        let holder = self.small.terms.code(merchant, code, since);
        let held = code.is_empty() || holder == Some(affiliate);
        clicked && held && !(click.is_empty() && code.is_empty())
    }

    /// A conversion's message that was refused at a place, where the affiliate's touch or code is in it.
    fn refused(
        &self,
        (leaf, position): (u64, u32),
        affiliate: MerchantNo,
        source: &mut dyn Source,
    ) -> Result<Option<Standing>, Trouble> {
        let entry = source.entry(leaf).map_err(Stop::Source)?;
        let gone = || Mismatch::fact(format_args!("entry {leaf}"), "it is gone");
        let entry = entry.filter(|entry| entry.leaf == leaf).ok_or_else(gone)?;
        let Holder::Merchant(slug) = self.small.keys.earlier(&entry.envelope)? else {
            return Ok(None);
        };
        let merchant = self.small.terms.number(slug)?;
        let batch = v1::Batch::decode(entry.envelope.payload.clone()).map_err(|_| gone())?;
        let outcomes = v1::Outcomes::decode(entry.outcomes.clone()).map_err(|_| gone())?;
        let at = position as usize;
        let pair = batch.messages.get(at).zip(outcomes.outcomes.get(at));
        let Some((bytes, outcome)) = pair else {
            return Ok(None);
        };
        let message = v1::Message::decode(bytes.clone()).map_err(|_| gone())?;
        let Some(body @ Body::Conversion(said)) = &message.body else {
            return Ok(None);
        };
        let first = outcome.leaf_index.is_none();
        let refused = first && outcome.code() != v1::ResultCode::Accepted;
        let touches = claim::touches(Some(body), merchant, self.hub_key());
        let clicked = touches.iter().flatten().any(|t| t.affiliate == affiliate);
        let event_time = message.event_time.as_ref().map_or(0, micros);
        let holder = self.small.terms.code(merchant, &said.code, event_time);
        let own = clicked || holder == Some(affiliate);
        Ok((refused && own).then_some((merchant, entry.decided_at)))
    }

    pub(crate) fn query_raised(&mut self, raised: &v1::QueryRaised) -> Result<(), Mismatch> {
        let terms = &self.small.terms;
        let query = Query {
            merchant: terms.number(&raised.merchant_id)?,
            affiliate: terms.number(&raised.affiliate_id)?,
            untracked: raised
                .subject
                .as_ref()
                .is_some_and(|s| s.leaf_index.is_none()),
            waits: false,
        };
        let queries = &mut self.small.finance.queries;
        let next = queries.len() as u64 + 1;
        if raised.query_number != next {
            let expected = format!("query {next}");
            return Err(Mismatch::fact(expected, raised.query_number));
        }
        queries.push(query);
        Ok(())
    }

    /// A query was decided; `holder`: the person who ruled, where it was not the merchant's answer.
    pub(crate) fn query_decided(
        &mut self,
        number: u64,
        remedy: Option<&v1::QueryRemedy>,
        holder: Option<&str>,
    ) -> Result<(), Mismatch> {
        let query = self.query(number)?.clone();
        let Some(remedy) = remedy else {
            return Ok(());
        };
        let wrong = |found: String| {
            let expected = "an amount, or the conversion of an order that was never reported";
            Err(Mismatch::fact(expected, found))
        };
        if remedy.amount_micros != 0 {
            if remedy.amount_micros < 0 || remedy.leaf_index.is_some() {
                return wrong(remedy.amount_micros.to_string());
            }
            let maker = match holder {
                Some(holder) => holder.to_owned(),
                None => format!("merchant {}", self.small.terms.slug(query.merchant)),
            };
            let parties = (query.merchant, query.affiliate);
            self.grant(&maker, parties, number, remedy.amount_micros);
            return Ok(());
        }
        let Some(leaf) = remedy.leaf_index.filter(|_| query.untracked) else {
            return if query.untracked {
                Ok(())
            } else {
                wrong("nothing".into())
            };
        };
        let account = conversion::number((leaf, remedy.entry_position));
        let sent = account.and_then(|number| self.memory.conversion(number));
        let fits = sent.is_some_and(|sent| {
            (sent.claim.merchant, sent.attribution.affiliate) == (query.merchant, query.affiliate)
        });
        if fits {
            return Ok(());
        }
        wrong(format!("entry {leaf}, position {}", remedy.entry_position))
    }

    /// A query by its number.
    pub(crate) fn query(&mut self, number: u64) -> Result<&mut Query, Mismatch> {
        let at = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
        let queries = &mut self.small.finance.queries;
        let found = at.and_then(|at| queries.get_mut(at));
        found.ok_or_else(|| Mismatch::fact("a query that was raised", number))
    }
}
