//! What queries say of conversions and refused messages, compared with the log.

use hansa_proto::v1::{self, fact::Fact as F};
use hansa_settlement::{
    Commission, Instant, MemberId, MerchantIx, Pos, QueryNo,
    finance::{Query, QuerySubject},
};

use super::{
    Verification,
    fold::Fold,
    report::{Failure, Mismatch},
    source::Item,
};
use crate::{
    commissions,
    convert::micros,
    queries::{self, Refused, Standing},
};

impl Fold {
    fn conversion(&self, pos: Pos) -> Result<Option<Commission>, Mismatch> {
        let account = self.member(Some(MemberId::of_conversion(pos).0))?;
        Ok(account.commission().cloned())
    }

    /// The conversion that an answer or a ruling says was sent is one of the query's parties.
    fn check_sent(&self, number: u64, remedy: Option<&v1::QueryRemedy>) -> Result<(), Mismatch> {
        let Some(pos) = queries::sent_place(remedy) else {
            return Ok(());
        };
        let number = QueryNo(u32::try_from(number).unwrap_or(u32::MAX));
        let query: Option<&Query> = self.global.finance().query(number);
        let Some(query) = query else {
            return Ok(());
        };
        let sent = self.conversion(pos)?;
        queries::check_sent(sent.as_ref(), query)
            .map_err(|refusal| Mismatch::new("the conversion of a query", "in the log", refusal))
    }

    /// The merchant and the time of what is queried, as the log has them.
    fn check_raised(
        &self,
        raised: &v1::QueryRaised,
        subject: &QuerySubject,
        standing: &Standing,
    ) -> Result<(), Mismatch> {
        let what = "what a query is over";
        let broken = |why: &dyn std::fmt::Display| Mismatch::new(what, "in the log", why);
        let affiliate = self.registry.merchant(&raised.affiliate_id).map(MerchantIx);
        let affiliate = affiliate.ok_or_else(|| broken(&"no such affiliate"))?;
        let known = standing
            .subject(subject, affiliate, &self.global)
            .map_err(|refusal| broken(&refusal))?;
        let merchant = self.registry.merchant(&raised.merchant_id).map(MerchantIx);
        let said = (merchant, raised.subject_time.as_ref().map(micros));
        let (merchant, Instant(since)) = known;
        super::report::same(what, &said, &(Some(merchant), Some(since)))
    }
}

impl Verification {
    /// Before the facts of an entry are applied: what they are about stands in entries in front of it.
    pub(super) async fn compare_queries(
        &self,
        item: &Item,
        written: &v1::Facts,
    ) -> Result<(), Failure> {
        for fact in &written.facts {
            match &fact.fact {
                Some(F::QueryRaised(raised)) => self.compare_raised(item, raised).await?,
                Some(F::QueryAnswered(answered)) => self
                    .fold
                    .check_sent(answered.query_number, answered.remedy.as_ref())
                    .map_err(|mismatch| mismatch.at(item.seq))?,
                Some(F::QueryRuled(ruled)) => self
                    .fold
                    .check_sent(ruled.query_number, ruled.remedy.as_ref())
                    .map_err(|mismatch| mismatch.at(item.seq))?,
                _ => {}
            }
        }
        Ok(())
    }

    async fn compare_raised(&self, item: &Item, raised: &v1::QueryRaised) -> Result<(), Failure> {
        let subject = raised.subject.clone().unwrap_or_default();
        let Some(leaf) = subject.leaf_index else {
            return Ok(());
        };
        let at = |mismatch: Mismatch| mismatch.at(item.seq);
        let gone = || {
            let place = format!("entry {leaf}, position {}", subject.entry_position);
            at(Mismatch::new(
                "what a query is over",
                place,
                "no conversion stands there",
            ))
        };
        let pos = commissions::place_of(leaf, subject.entry_position).ok_or_else(gone)?;
        let known = if subject.kind() == v1::QueryKind::Incorrect {
            QuerySubject::Incorrect(pos)
        } else {
            QuerySubject::Declined(pos)
        };
        let standing = match self.fold.conversion(pos).map_err(at)? {
            Some(conversion) => Standing::Conversion(Box::new(conversion)),
            None if leaf < item.seq => {
                let earlier = self.source.entry(leaf).await?;
                let envelope = earlier.envelope.as_ref().ok_or_else(gone)?;
                let refused = Refused::read(
                    envelope,
                    &earlier.outcomes,
                    earlier.decided_at,
                    pos.index(),
                    &self.fold.registry,
                );
                Standing::Refused(Box::new(refused.ok_or_else(gone)?))
            }
            None => return Err(gone().into()),
        };
        Ok(self
            .fold
            .check_raised(raised, &known, &standing)
            .map_err(at)?)
    }
}
