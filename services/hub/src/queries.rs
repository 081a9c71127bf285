//! Queries over commissions beside the ledger: how they are shown, and what they say of conversions and refused messages, compared with the
//! log. The ledger knows neither; whoever writes a query and whoever verifies the log asks here.

use bytes::Bytes;
use hansa_client::dsse;
use hansa_proto::{BATCH_PAYLOAD_TYPE, v1};
use hansa_settlement::{
    Commission, Global, Instant, MerchantIx, Pos,
    commission::ClaimedTouch,
    finance::{Query, QueryParty, QueryRemedy, QueryState, QuerySubject},
};
use prost::Message as _;

use crate::{
    convert::timestamp,
    error::HubError,
    finance::show,
    intake,
    registry::{Owner, Registry},
};

/// A conversion's message that was refused.
#[derive(Debug, Clone)]
pub struct Refused {
    merchant: MerchantIx,
    event_time: Instant,
    decided_at: Instant,
    touches: Vec<ClaimedTouch>,
    code: String,
}

/// What stands at a place of the log.
#[derive(Debug, Clone)]
pub enum Standing {
    /// An accepted conversion.
    Conversion(Box<Commission>),
    /// A conversion's message that was refused.
    Refused(Box<Refused>),
}

impl Refused {
    /// The refused message at a position of an entry; `None` where there is none, or where only a repetition of one stands there.
    pub fn read(
        envelope: &v1::Envelope,
        outcomes: &Bytes,
        decided_at: i64,
        position: u32,
        registry: &Registry,
    ) -> Option<Self> {
        let signature = dsse::signature(envelope, BATCH_PAYLOAD_TYPE).ok()?;
        let Owner::Merchant(slug) = &registry.keys.get(&signature.keyid)?.owner else {
            return None;
        };
        let merchant = registry.merchant(slug)?;
        let position = usize::try_from(position).ok()?;
        let outcomes = v1::Outcomes::decode(outcomes.clone()).ok()?;
        let outcome = outcomes.outcomes.get(position)?;
        if outcome.code() == v1::ResultCode::Accepted || outcome.leaf_index.is_some() {
            return None;
        }
        let elements = intake::elements(&envelope.payload).ok()?;
        let element = elements.into_iter().nth(position)?;
        let message = intake::element(element, merchant, registry)?;
        let claim = message.claim?;
        Some(Self {
            merchant: MerchantIx(merchant),
            event_time: Instant(message.event_time),
            decided_at: Instant(decided_at),
            touches: claim.touches,
            code: claim.code,
        })
    }

    /// Whether one of its click ids is the affiliate's, or its code was.
    fn concerns(&self, global: &Global, affiliate: MerchantIx) -> bool {
        let affiliates = global.affiliates();
        let holder = affiliates.code(self.merchant, &self.code, self.event_time);
        self.touches
            .iter()
            .any(|touch| touch.affiliate == affiliate)
            || holder.is_some_and(|(holder, _)| holder == affiliate)
    }
}

impl Standing {
    /// Whose conversion it is, and from when the time to raise counts; a refusal where the affiliate may not query it so.
    pub fn subject(
        &self,
        subject: &QuerySubject,
        affiliate: MerchantIx,
        global: &Global,
    ) -> Result<(MerchantIx, Instant), HubError> {
        let (merchant, since, other) = match self {
            Self::Conversion(conversion) => {
                let other = match subject {
                    QuerySubject::Untracked { .. } => None,
                    QuerySubject::Incorrect(pos) => Some(QuerySubject::Declined(*pos)),
                    QuerySubject::Declined(pos) => Some(QuerySubject::Incorrect(*pos)),
                };
                let other = other.filter(|other| other.since(conversion, affiliate).is_some());
                (
                    conversion.conversion.merchant,
                    subject.since(conversion, affiliate),
                    other,
                )
            }
            Self::Refused(refused) => {
                let own = refused.concerns(global, affiliate);
                let since = Some(refused.decided_at).filter(|_| own);
                match subject {
                    QuerySubject::Declined(_) => (refused.merchant, since, None),
                    QuerySubject::Untracked { .. } => (refused.merchant, None, None),
                    QuerySubject::Incorrect(pos) => {
                        let other = since.map(|_| QuerySubject::Declined(*pos));
                        (refused.merchant, None, other)
                    }
                }
            }
        };
        match (since, other) {
            (Some(since), _) => Ok((merchant, since)),
            (None, Some(other)) => {
                let text = format!(
                    "as the conversion stands, it is queried as {}",
                    other.code()
                );
                Err(HubError::field("subject.kind", "KIND", text))
            }
            (None, None) => Err(not_yours()),
        }
    }
}

/// What is answered where nothing of the caller's stands.
pub fn not_yours() -> HubError {
    HubError::not_found("a conversion of yours at this place")
}

/// The conversion that a merchant says it has sent for an order: its own, attributed to who raised the query.
pub fn check_sent(sent: Option<&Commission>, query: &Query) -> Result<(), HubError> {
    let raised = &query.raised;
    let fits = sent.is_some_and(|sent| {
        let parties = (sent.conversion.merchant, sent.attribution.affiliate);
        parties == (raised.merchant, raised.affiliate)
    });
    if fits {
        return Ok(());
    }
    let text = "no conversion of the query's merchant and affiliate stands there; leave it out where it is still to be sent";
    Err(HubError::field("remedy.leaf_index", "CONVERSION", text))
}

/// The place of the conversion that a remedy names.
pub fn sent_place(remedy: Option<&v1::QueryRemedy>) -> Option<Pos> {
    let remedy = remedy?;
    crate::commissions::place_of(remedy.leaf_index?, remedy.entry_position)
}

/// A subject on the wire.
pub fn subject(subject: &QuerySubject, since: Instant) -> v1::QuerySubject {
    let (kind, place) = match subject {
        QuerySubject::Untracked {
            order,
            click_id,
            code,
        } => {
            return v1::QuerySubject {
                kind: v1::QueryKind::Untracked.into(),
                order_reference: order.clone(),
                order_time: Some(timestamp(since.0)),
                click_id: click_id.clone(),
                code: code.clone(),
                ..v1::QuerySubject::default()
            };
        }
        QuerySubject::Incorrect(place) => (v1::QueryKind::Incorrect, place),
        QuerySubject::Declined(place) => (v1::QueryKind::Declined, place),
    };
    v1::QuerySubject {
        kind: kind.into(),
        leaf_index: Some(place.seq()),
        entry_position: place.index(),
        ..v1::QuerySubject::default()
    }
}

fn remedy(remedy: &QueryRemedy) -> v1::QueryRemedy {
    v1::QueryRemedy {
        amount_micros: remedy.amount_micros,
        leaf_index: remedy.conversion.map(Pos::seq),
        entry_position: remedy.conversion.map_or(0, Pos::index),
    }
}

/// A state of a query.
pub fn state(state: QueryState) -> v1::QueryState {
    match state {
        QueryState::Raised => v1::QueryState::Raised,
        QueryState::Accepted => v1::QueryState::Accepted,
        QueryState::Rejected => v1::QueryState::Rejected,
        QueryState::Escalated => v1::QueryState::Escalated,
        QueryState::Ruled => v1::QueryState::Ruled,
        QueryState::Lapsed => v1::QueryState::Lapsed,
    }
}

/// A query as it stands at an instant, microseconds.
pub fn show(registry: &Registry, query: &Query, now: i64) -> v1::Query {
    let (raised, now) = (&query.raised, Instant(now));
    v1::Query {
        query_number: raised.number.0.into(),
        affiliate_id: registry.slug(raised.affiliate.0).to_owned(),
        merchant_id: registry.slug(raised.merchant.0).to_owned(),
        subject: Some(subject(&raised.subject, raised.since)),
        subject_time: Some(timestamp(raised.since.0)),
        claimed_micros: raised.claimed_micros,
        text: raised.text.clone(),
        evidence: show::evidence(&raised.evidence),
        state: state(query.state_at(now)).into(),
        deadline: query.deadline.map(|at| timestamp(at.0)),
        awaits: match query.awaits(now) {
            None => v1::QueryParty::Unspecified,
            Some(QueryParty::Merchant) => v1::QueryParty::Merchant,
            Some(QueryParty::Affiliate) => v1::QueryParty::Affiliate,
            Some(QueryParty::Operator) => v1::QueryParty::Operator,
        }
        .into(),
        answer: query.answer.clone(),
        ruling: query.ruling.clone(),
        ruled_by: query.ruled_by.clone(),
        remedy: query.remedy.as_ref().map(remedy),
        proposal_number: query.proposal.map_or(0, |number| number.0.into()),
        adjusted_by_proposal_number: query.adjusted_by.map_or(0, |number| number.0.into()),
        raised_at: Some(timestamp(query.raised_at.0)),
    }
}
