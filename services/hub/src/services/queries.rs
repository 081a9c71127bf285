//! Queries over commissions, of `AffiliateService`. Every step may be sent again after a lost answer, as with disputes.
//!
//! A merchant sees those to it, an affiliate its own, its manager those of its book, other operators all; to everybody else a query does
//! not exist. Raising over a place in the log costs the read of that entry; nothing else is asked of the store.

use hansa_proto::v1::{self, QueryKind, fact::Fact as F};
use hansa_settlement::{
    Instant, Member, MemberId, MerchantIx, Pos, QueryNo,
    finance::{Query, QueryRefusal, QuerySubject},
};
use hansa_store::EvidenceRow;
use prost::Message as _;

use super::{
    Api,
    affiliates::in_book,
    disputes::attachments,
    finance::{fact, newest_first},
    page,
};
use crate::{
    auth::Caller,
    commissions,
    convert::{micros, timestamp},
    error::HubError,
    finance::refused,
    queries::{self, Refused, Standing},
    sequencer::{View, group::kind},
};

fn number(wire: u64) -> QueryNo {
    QueryNo(u32::try_from(wire).unwrap_or(u32::MAX))
}

fn may_see(view: &View<'_>, caller: &Caller, query: &Query) -> bool {
    let raised = &query.raised;
    match caller {
        Caller::Operator { .. } => in_book(caller, view, raised.affiliate).is_ok(),
        Caller::Merchant { index, .. } => {
            let own = MerchantIx(*index);
            own == raised.merchant || own == raised.affiliate
        }
    }
}

/// The query, where the caller may see it.
fn seen<'a>(view: &View<'a>, caller: &Caller, number: QueryNo) -> Result<&'a Query, HubError> {
    let found = view.global.finance().query(number);
    let found = found.filter(|query| may_see(view, caller, query));
    found.ok_or_else(|| refused(&QueryRefusal::NotFound(number).into()))
}

/// The query, where the caller is the party that takes the step.
fn acts<'a>(
    view: &View<'a>,
    caller: &Caller,
    number: QueryNo,
    party: impl Fn(&Query) -> MerchantIx,
    denied: &'static str,
) -> Result<&'a Query, HubError> {
    let found = seen(view, caller, number)?;
    match caller {
        Caller::Merchant { index, .. } if party(found).0 == *index => Ok(found),
        Caller::Merchant { .. } | Caller::Operator { .. } => {
            Err(HubError::permission_denied(denied))
        }
    }
}

/// A subject with an instant that the ledger can keep: whole microseconds.
fn normal(mut subject: v1::QuerySubject) -> v1::QuerySubject {
    subject.order_time = subject.order_time.map(|at| timestamp(micros(&at)));
    subject
}

/// What a request names by its place; `None`: an order, or nothing that the ledger will take.
fn placed(subject: &v1::QuerySubject) -> Result<Option<(Pos, QuerySubject)>, HubError> {
    let Some(leaf) = subject.leaf_index else {
        return Ok(None);
    };
    let pos = commissions::place(leaf, subject.entry_position)?;
    Ok(match subject.kind() {
        QueryKind::Incorrect => Some((pos, QuerySubject::Incorrect(pos))),
        QueryKind::Declined => Some((pos, QuerySubject::Declined(pos))),
        QueryKind::Untracked | QueryKind::Unspecified => None,
    })
}

/// The query that an affiliate has raised already with these very words; it waits for an answer.
fn raised_before(view: &View<'_>, affiliate: u32, raised: &v1::QueryRaised) -> Option<QueryNo> {
    let queries = view.global.finance().queries().iter();
    let mut own = queries.filter(|query| query.raised.affiliate.0 == affiliate);
    let same = own.find(|query| {
        let shown = queries::show(view.registry, query, query.raised_at.0);
        shown.state() == v1::QueryState::Raised
            && shown.merchant_id == raised.merchant_id
            && shown.subject == raised.subject
            && shown.claimed_micros == raised.claimed_micros
            && shown.text == raised.text
            && shown.evidence == raised.evidence
    });
    same.map(|query| query.raised.number)
}

impl Api {
    async fn query(&self, number: QueryNo) -> Result<v1::Query, HubError> {
        self.read(move |view| {
            let found = view.global.finance().query(number);
            let found = found.ok_or_else(|| refused(&QueryRefusal::NotFound(number).into()))?;
            Ok(queries::show(view.registry, found, view.now))
        })
        .await
    }

    /// The refused message at a place; `None`: what stands there is for the conversion's account to say.
    async fn refused_at(&self, pos: Pos) -> Result<Option<Refused>, HubError> {
        let row = self.0.store.entry(pos.seq()).await?;
        let Some(row) = row.filter(|row| row.kind == kind::BATCH) else {
            return Ok(None);
        };
        let envelope = v1::Envelope::decode(row.envelope).map_err(HubError::internal)?;
        let registry = self.0.registry.get();
        let at = row.decided_at;
        Ok(Refused::read(
            &envelope,
            &row.outcomes,
            at,
            pos.index(),
            &registry,
        ))
    }

    pub(super) async fn query_raised(
        &self,
        caller: &Caller,
        request: v1::RaiseQueryRequest,
    ) -> Result<v1::Query, HubError> {
        let (affiliate_id, affiliate) = caller.merchant()?;
        let affiliate_id = affiliate_id.to_owned();
        let _place = self.0.limits.admit(&affiliate_id)?;
        let (evidence, rows) = attachments(request.evidence)?;
        let subject = normal(request.subject.unwrap_or_default());
        let placed = placed(&subject)?;
        let refused = match &placed {
            Some((pos, _)) => self.refused_at(*pos).await?,
            None => None,
        };
        let place = placed
            .iter()
            .map(|(pos, _)| MemberId::of_conversion(*pos).0);
        let accounts = place.collect();
        let build = move |view: &View<'_>, accounts: &[Member]| {
            let mut raised = v1::QueryRaised {
                query_number: view.global.finance().next_query().0.into(),
                affiliate_id,
                merchant_id: request.merchant_id,
                subject_time: subject.order_time,
                subject: Some(subject),
                claimed_micros: request.claimed_micros,
                text: request.text,
                evidence,
            };
            if let Some((_, subject)) = &placed {
                let account = accounts.first().and_then(Member::commission);
                let conversion = account.cloned().map(|c| Standing::Conversion(Box::new(c)));
                let standing =
                    conversion.or_else(|| refused.map(|r| Standing::Refused(Box::new(r))));
                let standing = standing.ok_or_else(queries::not_yours)?;
                let own = MerchantIx(affiliate);
                let (merchant, since) = standing.subject(subject, own, view.global)?;
                let slug = view.registry.slug(merchant.0);
                if !raised.merchant_id.is_empty() && raised.merchant_id != slug {
                    let text = format!("it is of {slug}: leave this empty, or name that merchant");
                    return Err(HubError::field("merchant_id", "MERCHANT", text));
                }
                slug.clone_into(&mut raised.merchant_id);
                raised.subject_time = Some(timestamp(since.0));
            }
            if let Some(before) = raised_before(view, affiliate, &raised) {
                return Ok((Vec::new(), before));
            }
            let next = number(raised.query_number);
            Ok((vec![fact(F::QueryRaised(raised))], next))
        };
        let raised = self
            .write_about(caller.actor(), rows, accounts, build)
            .await?;
        self.query(raised).await
    }

    pub(super) async fn query_answered(
        &self,
        caller: &Caller,
        request: v1::AnswerQueryRequest,
    ) -> Result<v1::Query, HubError> {
        let _place = self.0.limits.admit(caller.merchant()?.0)?;
        let query = number(request.query_number);
        let answers = caller.clone();
        self.granted(caller, request.remedy, move |view, sent| {
            let denied = "only the merchant that it was raised to answers a query";
            let found = acts(view, &answers, query, |q| q.raised.merchant, denied)?;
            let shown = queries::show(view.registry, found, view.now);
            let answered = !found.answer.is_empty() && found.answer == request.answer;
            if answered && (shown.remedy == request.remedy || !shown.ruling.is_empty()) {
                return Ok(Vec::new());
            }
            sent.check(found)?;
            let answered = v1::QueryAnswered {
                query_number: request.query_number,
                remedy: request.remedy,
                answer: request.answer,
            };
            Ok(vec![fact(F::QueryAnswered(answered))])
        })
        .await?;
        self.query(query).await
    }

    pub(super) async fn query_escalated(
        &self,
        caller: &Caller,
        request: v1::EscalateQueryRequest,
    ) -> Result<v1::Query, HubError> {
        let _place = self.0.limits.admit(caller.merchant()?.0)?;
        let (evidence, rows) = attachments(request.evidence)?;
        let query = number(request.query_number);
        let speaks = caller.clone();
        self.write(caller.actor(), rows, move |view| {
            let denied = "only the affiliate that raised it escalates a query";
            let found = acts(view, &speaks, query, |q| q.raised.affiliate, denied)?;
            let shown = queries::show(view.registry, found, view.now);
            let escalated = shown.state() == v1::QueryState::Escalated;
            if escalated && shown.text.ends_with(&format!("\n{}", request.text)) {
                return Ok((Vec::new(), ()));
            }
            let escalated = v1::QueryEscalated {
                query_number: request.query_number,
                text: request.text,
                evidence,
            };
            Ok((vec![fact(F::QueryEscalated(escalated))], ()))
        })
        .await?;
        self.query(query).await
    }

    pub(super) async fn query_ruled(
        &self,
        caller: &Caller,
        request: v1::RuleQueryRequest,
    ) -> Result<v1::Query, HubError> {
        let holder = caller.finance()?.to_owned();
        let query = number(request.query_number);
        let rules = caller.clone();
        self.granted(caller, request.remedy, move |view, sent| {
            let found = seen(view, &rules, query)?;
            let shown = queries::show(view.registry, found, view.now);
            let ruled = shown.ruled_by == holder && shown.ruling == request.ruling;
            if ruled && shown.remedy == request.remedy {
                return Ok(Vec::new());
            }
            sent.check(found)?;
            let ruled = v1::QueryRuled {
                query_number: request.query_number,
                remedy: request.remedy,
                ruling: request.ruling,
                holder,
            };
            Ok(vec![fact(F::QueryRuled(ruled))])
        })
        .await?;
        self.query(query).await
    }

    /// Writes a step that may grant something; the conversion that it names is looked up for it.
    async fn granted(
        &self,
        caller: &Caller,
        remedy: Option<v1::QueryRemedy>,
        build: impl FnOnce(&View<'_>, Sent<'_>) -> Result<Vec<v1::Fact>, HubError> + Send + 'static,
    ) -> Result<(), HubError> {
        let place = queries::sent_place(remedy.as_ref());
        let accounts = place.iter().map(|pos| MemberId::of_conversion(*pos).0);
        let accounts = accounts.collect();
        let build = move |view: &View<'_>, accounts: &[Member]| {
            let facts = build(view, Sent(place.and(accounts.first())))?;
            Ok::<_, HubError>((facts, ()))
        };
        let none: Vec<EvidenceRow> = Vec::new();
        self.write_about(caller.actor(), none, accounts, build)
            .await
    }

    pub(super) async fn query_seen(
        &self,
        caller: Caller,
        request: v1::GetQueryRequest,
    ) -> Result<v1::Query, HubError> {
        let number = number(request.query_number);
        self.read(move |view| {
            let found = seen(view, &caller, number)?;
            Ok(queries::show(view.registry, found, view.now))
        })
        .await
    }

    pub(super) async fn queries_seen(
        &self,
        caller: Caller,
        request: v1::ListQueriesRequest,
    ) -> Result<v1::ListQueriesResponse, HubError> {
        let size = page::size(request.page_size, 100)?;
        let start = page::start(&request.page_token, "queries")?;
        self.read(move |view| {
            let any = request.state() == v1::QueryState::Unspecified;
            let wanted = |query: &Query| {
                let state = queries::state(query.state_at(Instant(view.now)));
                (any || state == request.state()) && may_see(view, &caller, query)
            };
            let all = view.global.finance().queries();
            let (page, next) = newest_first(all, start, size, wanted);
            Ok(v1::ListQueriesResponse {
                queries: page
                    .into_iter()
                    .map(|query| queries::show(view.registry, query, view.now))
                    .collect(),
                next_page_token: next.map_or_else(String::new, |next| page::token("queries", next)),
            })
        })
        .await
    }

    pub(super) async fn query_evidence(
        &self,
        caller: Caller,
        request: v1::GetQueryEvidenceRequest,
    ) -> Result<v1::Evidence, HubError> {
        let asked = v1::GetQueryRequest {
            query_number: request.query_number,
        };
        let query = self.query_seen(caller, asked).await?;
        self.attachment(query.evidence, &request.sha256).await
    }
}

/// The account of the conversion that a remedy names; `None`: it names none.
struct Sent<'a>(Option<&'a Member>);

impl Sent<'_> {
    fn check(&self, query: &Query) -> Result<(), HubError> {
        match self.0 {
            None => Ok(()),
            Some(account) => queries::check_sent(account.commission(), query),
        }
    }
}
