//! Queries in words, tables and JSON, and whose turn it is.

use std::fmt::Write as _;

use hansa_client::hub::Hub;
use hansa_proto::v1::{self, QueryParty, QueryState};
use serde_json::{Value, json};

use crate::cli::{
    finance::json as finance_json,
    render::{self, Column, Format},
    session,
};

fn kind(subject: &v1::QuerySubject) -> &'static str {
    render::name(subject.kind().as_str_name(), "QUERY_KIND_")
}

fn state(query: &v1::Query) -> &'static str {
    render::name(query.state().as_str_name(), "QUERY_STATE_")
}

/// `MERCHANT`; empty: nobody need act.
fn awaits(query: &v1::Query) -> &'static str {
    match query.awaits() {
        QueryParty::Unspecified => "",
        party => render::name(party.as_str_name(), "QUERY_PARTY_"),
    }
}

/// What a query is over: `untracked order o-1`, `declined entry 17 message 2`.
fn over(query: &v1::Query) -> String {
    let subject = query.subject.clone().unwrap_or_default();
    let kind = kind(&subject).to_lowercase();
    match subject.leaf_index {
        Some(leaf) => format!("{kind} entry {leaf} message {}", subject.entry_position),
        None => format!("{kind} order {}", subject.order_reference),
    }
}

/// Tells one query.
pub(super) async fn tell(
    hub: &Hub,
    format: Format,
    query: Option<v1::Query>,
) -> anyhow::Result<()> {
    let query = query.unwrap_or_default();
    if format.json {
        return render::print_json(&json!({ "query": query_json(&query) }));
    }
    let currency = session::currency(hub).await?;
    render::print(&query_text(&query, &currency))
}

/// Tells many.
pub(super) async fn list(hub: &Hub, format: Format, queries: &[v1::Query]) -> anyhow::Result<()> {
    if format.json {
        let document = finance_json::list("queries", queries, query_json);
        return render::print_json(&document);
    }
    if queries.is_empty() {
        return render::print("No queries.\n");
    }
    let currency = session::currency(hub).await?;
    let mut table = render::table(&[
        Column::Right("query"),
        Column::Left("affiliate"),
        Column::Left("merchant"),
        Column::Left("state"),
        Column::Left("over"),
        Column::Right("claims"),
        Column::Left("raised"),
        Column::Left("next step by"),
        Column::Left("before"),
        Column::Left("text"),
    ]);
    for query in queries {
        table.add_row([
            query.query_number.to_string(),
            query.affiliate_id.clone(),
            query.merchant_id.clone(),
            state(query).to_owned(),
            over(query),
            render::amount(query.claimed_micros, &currency),
            render::instant(query.raised_at.as_ref()),
            awaits(query).to_owned(),
            render::instant(query.deadline.as_ref()),
            query.text.clone(),
        ]);
    }
    render::print(&format!(
        "{}\nhansa affiliate query show N tells what was said, and whose turn it is.\n",
        table.trim_fmt()
    ))
}

/// One query with all that was said.
fn query_text(query: &v1::Query, currency: &str) -> String {
    let mut text = format!(
        "Query {} of {} to {}, {}: {}, claims {}\nraised {}: {}\n",
        query.query_number,
        query.affiliate_id,
        query.merchant_id,
        state(query).to_lowercase(),
        over(query),
        render::amount(query.claimed_micros, currency),
        render::instant(query.raised_at.as_ref()),
        query.text,
    );
    let subject = query.subject.clone().unwrap_or_default();
    for (name, said) in [("click", &subject.click_id), ("code", &subject.code)] {
        if !said.is_empty() {
            let _ = writeln!(text, "with {name} {said}");
        }
    }
    for evidence in &query.evidence {
        let size = render::number(evidence.size);
        let _ = writeln!(text, "with {} ({size} bytes)", evidence.file_name);
    }
    if !query.answer.is_empty() {
        let _ = writeln!(text, "answered by {}: {}", query.merchant_id, query.answer);
    }
    if !query.ruling.is_empty() {
        let _ = writeln!(text, "ruled by {}: {}", query.ruled_by, query.ruling);
    }
    if let Some(remedy) = &query.remedy {
        text += &granted(query, remedy, currency);
    }
    if let Some(deadline) = &query.deadline {
        let deadline = render::instant(Some(deadline));
        let _ = writeln!(text, "The next step must be taken before {deadline}.");
    }
    text + &next(query)
}

fn granted(query: &v1::Query, remedy: &v1::QueryRemedy, currency: &str) -> String {
    let (merchant, affiliate) = (&query.merchant_id, &query.affiliate_id);
    match (remedy.amount_micros, remedy.leaf_index) {
        (0, None) => format!("{merchant} sends the conversion.\n"),
        (0, Some(leaf)) => format!(
            "{merchant} sent the conversion: entry {leaf} message {}.\n",
            remedy.entry_position
        ),
        (micros, _) => format!(
            "{merchant} owes {affiliate} {} more.\n",
            render::amount(micros, currency)
        ),
    }
}

/// What whoever acts next may do.
fn next(query: &v1::Query) -> String {
    let number = query.query_number;
    match (query.awaits(), query.state()) {
        (QueryParty::Merchant, _) => format!(
            "{} answers: hansa affiliate query answer {number} --accept --amount AMOUNT --reason TEXT, or --reject.\n",
            query.merchant_id
        ),
        (QueryParty::Affiliate, state) => {
            let late = if state == QueryState::Lapsed {
                "Nobody answered in time. "
            } else {
                ""
            };
            format!(
                "{late}{} may go on: hansa affiliate query escalate {number} --text TEXT\n",
                query.affiliate_id
            )
        }
        (QueryParty::Operator, QueryState::Escalated) => format!(
            "Finance rules: hansa affiliate query rule {number} --uphold --amount AMOUNT --reason TEXT, or --dismiss.\n"
        ),
        (QueryParty::Operator, _) => {
            let proposal = query.proposal_number;
            format!(
                "Its adjustment is proposal {proposal}; while it is pending, finance decides: hansa finance approve {proposal} \
                 --reason TEXT, or reject.\n"
            )
        }
        (QueryParty::Unspecified, QueryState::Lapsed) => {
            "It was not escalated in time: the rejection stands.\n".to_owned()
        }
        (QueryParty::Unspecified, _) => match query.adjusted_by_proposal_number {
            0 => String::new(),
            proposal => format!("It was adjusted by proposal {proposal}.\n"),
        },
    }
}

fn query_json(query: &v1::Query) -> Value {
    let subject = query.subject.clone().unwrap_or_default();
    json!({
        "query_number": query.query_number,
        "affiliate_id": query.affiliate_id,
        "merchant_id": query.merchant_id,
        "subject": {
            "kind": kind(&subject),
            "leaf_index": subject.leaf_index,
            "entry_position": subject.entry_position,
            "order_reference": subject.order_reference,
            "order_time": render::json_instant(subject.order_time.as_ref()),
            "click_id": subject.click_id,
            "code": subject.code,
        },
        "subject_time": render::json_instant(query.subject_time.as_ref()),
        "claimed_micros": query.claimed_micros,
        "text": query.text,
        "evidence": finance_json::evidence(&query.evidence),
        "state": state(query),
        "deadline": render::json_instant(query.deadline.as_ref()),
        "awaits": awaits(query),
        "answer": query.answer,
        "ruling": query.ruling,
        "ruled_by": query.ruled_by,
        "remedy": query.remedy.as_ref().map(|remedy| json!({
            "amount_micros": remedy.amount_micros,
            "leaf_index": remedy.leaf_index,
            "entry_position": remedy.entry_position,
        })),
        "proposal_number": query.proposal_number,
        "adjusted_by_proposal_number": query.adjusted_by_proposal_number,
        "raised_at": render::json_instant(query.raised_at.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(state: QueryState, awaits: QueryParty) -> v1::Query {
        v1::Query {
            query_number: 9,
            affiliate_id: "blog".into(),
            merchant_id: "bakery".into(),
            subject: Some(v1::QuerySubject {
                kind: v1::QueryKind::Declined.into(),
                leaf_index: Some(17),
                entry_position: 2,
                ..v1::QuerySubject::default()
            }),
            claimed_micros: 1_250_000,
            text: "it was paid".into(),
            state: state.into(),
            awaits: awaits.into(),
            ..v1::Query::default()
        }
    }

    #[test]
    fn a_query_reads_as_a_story() {
        let query = v1::Query {
            answer: "seen".into(),
            remedy: Some(v1::QueryRemedy {
                amount_micros: 1_000_000,
                ..v1::QueryRemedy::default()
            }),
            proposal_number: 4,
            ..query(QueryState::Accepted, QueryParty::Operator)
        };
        let text = query_text(&query, "EUR");
        for part in [
            "Query 9 of blog to bakery, accepted: declined entry 17 message 2, claims 1.25 EUR",
            "answered by bakery: seen",
            "bakery owes blog 1.00 EUR more",
            "hansa finance approve 4",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn a_query_tells_whose_turn_it_is() {
        for (state, awaits, part) in [
            (QueryState::Raised, QueryParty::Merchant, "query answer 9"),
            (
                QueryState::Rejected,
                QueryParty::Affiliate,
                "query escalate 9",
            ),
            (
                QueryState::Lapsed,
                QueryParty::Affiliate,
                "Nobody answered in time",
            ),
            (
                QueryState::Lapsed,
                QueryParty::Unspecified,
                "the rejection stands",
            ),
            (QueryState::Escalated, QueryParty::Operator, "query rule 9"),
        ] {
            let text = next(&query(state, awaits));
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert_eq!(next(&query(QueryState::Ruled, QueryParty::Unspecified)), "");
    }
}
