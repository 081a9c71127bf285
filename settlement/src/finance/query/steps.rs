//! What each step of a query needs, and what it does. A refused one changes nothing.

use super::{
    MAX_AHEAD_MICROS, MAX_NAME, NewQuery, Query, QueryFact, QueryRefusal, QueryRemedy, QueryState,
    QuerySubject,
};
use crate::finance::action::{Adjustment, Party};
use crate::finance::adjustment::Basis;
use crate::finance::case::{
    ESCALABLE, Evidence, check_evidence, check_more_evidence, in_time, may_escalate,
};
use crate::finance::fact::Actor;
use crate::finance::refusal::{FinanceRefusal, ensure, named};
use crate::finance::trail::Step;
use crate::finance::{check_number, check_positive, check_step, check_words};
use crate::global::Global;
use crate::ids::{Instant, MerchantIx, QueryNo};
use crate::message::Context;

type Checked = Result<(), FinanceRefusal>;

fn unfit(text: &'static str) -> FinanceRefusal {
    QueryRefusal::Unfit(text).into()
}

fn too_late(deadline: Instant) -> FinanceRefusal {
    QueryRefusal::too_late(deadline).into()
}

impl Global {
    pub(crate) fn check_query_fact(&self, fact: &QueryFact, ctx: &Context) -> Checked {
        match fact {
            QueryFact::Raised(new) => self.check_new_query(new, ctx),
            QueryFact::Answered {
                query,
                remedy,
                answer,
            } => {
                check_words(answer)?;
                self.check_query_answer(*query, *remedy, ctx)
            }
            QueryFact::Escalated {
                query,
                text,
                evidence,
            } => {
                check_words(text)?;
                self.check_query_escalation(*query, evidence, ctx)
            }
            QueryFact::Ruled {
                query,
                remedy,
                ruling,
                actor,
            } => {
                check_step(ruling, actor)?;
                self.check_query_ruling(*query, *remedy, ctx)
            }
        }
    }

    /// Takes a checked step in.
    pub(crate) fn apply_query_fact(&mut self, fact: &QueryFact, ctx: &Context) {
        match fact {
            QueryFact::Raised(new) => self.raise_query(new, ctx),
            QueryFact::Answered {
                query,
                remedy,
                answer,
            } => self.answer_query(*query, *remedy, answer, ctx),
            QueryFact::Escalated {
                query,
                text,
                evidence,
            } => self.escalate_query(*query, text, evidence, ctx),
            QueryFact::Ruled {
                query,
                remedy,
                ruling,
                actor,
            } => self.rule_query(*query, *remedy, ruling, actor, ctx),
        }
    }

    fn check_new_query(&self, new: &NewQuery, ctx: &Context) -> Checked {
        check_words(&new.text)?;
        check_evidence(&new.evidence)?;
        check_number(new.number.0, self.finance.queries.len())?;
        let (affiliate, merchant) = (new.affiliate, new.merchant);
        self.check_adjusted(affiliate)?;
        self.check_adjusted(merchant)?;
        ensure(
            self.affiliates().profile(affiliate).is_some() && merchant != affiliate,
            || unfit("an affiliate queries what a merchant owes it"),
        )?;
        check_positive(new.claimed_micros)?;
        self.check_subject(new, ctx)?;
        let at = ctx.decided_at;
        let days = self.dispute_days(merchant, at);
        ensure(days > 0, || {
            QueryRefusal::Excluded(named(self, Party::Merchant(merchant))).into()
        })?;
        in_time(at, Some(self.limit(new.since, days)), too_late)?;
        let mut queries = self.finance.queries.iter();
        let same = queries.find(|query| {
            let raised = &query.raised;
            (raised.affiliate, raised.merchant) == (affiliate, merchant)
                && raised.subject.is_over_the_same(&new.subject)
                && query.is_open_at(at)
        });
        match same {
            None => Ok(()),
            Some(query) => Err(QueryRefusal::Open(query.raised.number).into()),
        }
    }

    /// What the ledger knows without the conversion's account.
    fn check_subject(&self, new: &NewQuery, ctx: &Context) -> Checked {
        let ahead = ctx.decided_at.plus_micros(MAX_AHEAD_MICROS);
        ensure(new.since.is_sane() && new.since <= ahead, || {
            unfit("the order lies ahead of the hub's clock: name when it was made")
        })?;
        match &new.subject {
            QuerySubject::Untracked {
                order,
                click_id,
                code,
            } => {
                ensure((1..=MAX_NAME).contains(&order.len()), || {
                    unfit("name the merchant's reference of the order, at most 64 bytes")
                })?;
                ensure(!click_id.is_empty() || !code.is_empty(), || {
                    unfit("name the click id or the code that the shopper came with")
                })?;
                let held = self.affiliates().code(new.merchant, code, new.since);
                let own = held.is_some_and(|(holder, _)| holder == new.affiliate);
                ensure(code.is_empty() || (code.len() <= MAX_NAME && own), || {
                    unfit("the code was not yours at this merchant at that time")
                })
            }
            QuerySubject::Incorrect(pos) | QuerySubject::Declined(pos) => {
                ensure(*pos < ctx.pos, || {
                    FinanceRefusal::OriginalNotFound("the log has no such place yet")
                })
            }
        }
    }

    fn raise_query(&mut self, new: &NewQuery, ctx: &Context) {
        let at = ctx.decided_at;
        let deadline = self.limit(at, self.dispute_days(new.merchant, at));
        self.finance.queries.push(Query {
            raised: new.clone(),
            raised_at: at,
            state: QueryState::Raised,
            deadline: Some(deadline),
            answer: String::new(),
            ruling: String::new(),
            ruled_by: String::new(),
            remedy: None,
            proposal: None,
            adjusted_by: None,
        });
        self.trace_of(new.affiliate, Step::QueryRaised(new.number), ctx);
    }

    fn trace_of(&mut self, participant: MerchantIx, step: Step, ctx: &Context) {
        let who = named(self, Party::Merchant(participant));
        self.trace(&who, step, ctx);
    }

    fn existing_query(&self, number: QueryNo) -> Result<&Query, FinanceRefusal> {
        let found = self.finance.query(number);
        found.ok_or_else(|| QueryRefusal::NotFound(number).into())
    }

    /// The merchant may answer for as long as the affiliate has not escalated, late or not.
    fn check_query_answer(
        &self,
        number: QueryNo,
        remedy: Option<QueryRemedy>,
        ctx: &Context,
    ) -> Checked {
        let query = self.existing_query(number)?;
        ensure(query.state == QueryState::Raised, || {
            refused_state(query, ctx.decided_at, "RAISED")
        })?;
        self.check_query_remedy(query, remedy, ctx)
    }

    /// An amount, or the conversion of an order that was never reported.
    fn check_query_remedy(
        &self,
        query: &Query,
        remedy: Option<QueryRemedy>,
        ctx: &Context,
    ) -> Checked {
        let Some(remedy) = remedy else {
            return Ok(());
        };
        let Some(adjustment) = query.adjustment_of(remedy) else {
            let untracked = matches!(query.raised.subject, QuerySubject::Untracked { .. });
            ensure(untracked, || {
                unfit(
                    "say how much is owed: only an order that was never reported can be sent instead",
                )
            })?;
            return ensure(remedy.conversion.is_none_or(|pos| pos < ctx.pos), || {
                FinanceRefusal::OriginalNotFound("the log has no such place yet")
            });
        };
        ensure(remedy.conversion.is_none(), || {
            unfit("say how much is owed, or which conversion was sent, and not both")
        })?;
        let basis = Basis::Query(query.raised.number);
        self.check_adjustment(&adjustment, Some(basis))
    }

    /// An adjustment with a query behind it: of the query's merchant to its affiliate. `decided_now`: it is what the answer grants.
    pub(crate) fn check_queried(
        &self,
        adjustment: &Adjustment,
        number: QueryNo,
        decided_now: bool,
    ) -> Checked {
        let query = self.existing_query(number)?;
        let raised = &query.raised;
        let parties = (adjustment.merchant, adjustment.counterparty);
        ensure(
            parties == (raised.merchant, Party::Merchant(raised.affiliate)),
            || {
                FinanceRefusal::AdjustmentUnfit(
                    "what a query grants is owed by its merchant to its affiliate",
                )
            },
        )?;
        check_positive(adjustment.amount_micros)?;
        let waits = query.adjustment().is_some() && query.adjusted_by.is_none();
        ensure(decided_now || waits, || {
            QueryRefusal::State {
                query: number,
                state: query.state,
                needed: "a query that was decided for an amount and is not adjusted yet",
            }
            .into()
        })
    }

    fn answer_query(
        &mut self,
        number: QueryNo,
        remedy: Option<QueryRemedy>,
        answer: &str,
        ctx: &Context,
    ) {
        let Some(query) = self.finance.query(number) else {
            return;
        };
        let merchant = query.raised.merchant;
        let adjustment = remedy.and_then(|remedy| query.adjustment_of(remedy));
        self.trace_of(merchant, Step::QueryAnswered(number), ctx);
        // No person has this name: whoever of finance approves it is another one.
        let maker = Actor::new(query_maker(&named(self, Party::Merchant(merchant))));
        let proposal = self.propose_remedy(adjustment, answer, &maker, ctx);
        let at = ctx.decided_at;
        let deadline = self.limit(at, self.dispute_days(merchant, at));
        if let Some(query) = self.query_mut(number) {
            (query.state, query.deadline) = match remedy {
                Some(_) => (QueryState::Accepted, None),
                None => (QueryState::Rejected, Some(deadline)),
            };
            answer.clone_into(&mut query.answer);
            query.remedy = remedy;
            query.proposal = proposal;
        }
    }

    /// The affiliate escalates a rejection in time, or a query that was not answered in time.
    fn check_query_escalation(
        &self,
        number: QueryNo,
        evidence: &[Evidence],
        ctx: &Context,
    ) -> Checked {
        let query = self.existing_query(number)?;
        let at = ctx.decided_at;
        if !may_escalate(query.state, query.deadline, at) {
            let rejected = query.state == QueryState::Rejected;
            in_time(at, query.deadline.filter(|_| rejected), too_late)?;
            return Err(refused_state(query, at, ESCALABLE));
        }
        check_more_evidence(&query.raised.evidence, evidence)
    }

    fn escalate_query(
        &mut self,
        number: QueryNo,
        text: &str,
        evidence: &[Evidence],
        ctx: &Context,
    ) {
        let Some(query) = self.query_mut(number) else {
            return;
        };
        query.state = QueryState::Escalated;
        query.deadline = None;
        query.raised.text.push('\n');
        query.raised.text.push_str(text);
        query.raised.evidence.extend_from_slice(evidence);
        let affiliate = query.raised.affiliate;
        self.trace_of(affiliate, Step::QueryEscalated(number), ctx);
    }

    /// The merchant answered, so any person of finance rules; another one approves what that grants.
    fn check_query_ruling(
        &self,
        number: QueryNo,
        remedy: Option<QueryRemedy>,
        ctx: &Context,
    ) -> Checked {
        let query = self.existing_query(number)?;
        ensure(query.state == QueryState::Escalated, || {
            refused_state(query, ctx.decided_at, "ESCALATED")
        })?;
        self.check_query_remedy(query, remedy, ctx)
    }

    fn rule_query(
        &mut self,
        number: QueryNo,
        remedy: Option<QueryRemedy>,
        ruling: &str,
        actor: &Actor,
        ctx: &Context,
    ) {
        self.trace(&actor.holder, Step::QueryRuled(number), ctx);
        let query = self.finance.query(number);
        let adjustment = query.and_then(|query| query.adjustment_of(remedy?));
        let proposal = self.propose_remedy(adjustment, ruling, actor, ctx);
        if let Some(query) = self.query_mut(number) {
            query.state = QueryState::Ruled;
            ruling.clone_into(&mut query.ruling);
            query.ruled_by.clone_from(&actor.holder);
            query.remedy = remedy;
            query.proposal = proposal;
        }
    }

    pub(crate) fn query_mut(&mut self, number: QueryNo) -> Option<&mut Query> {
        self.finance
            .queries
            .get_mut((number.0 as usize).checked_sub(1)?)
    }
}

/// Who proposes what a merchant's acceptance grants.
fn query_maker(slug: &str) -> String {
    format!("merchant {slug}")
}

fn refused_state(query: &Query, at: Instant, needed: &'static str) -> FinanceRefusal {
    QueryRefusal::State {
        query: query.raised.number,
        state: query.state_at(at),
        needed,
    }
    .into()
}
