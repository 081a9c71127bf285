//! From rows to messages: ids, references to rows above, doubles.

use std::collections::HashMap;

use hansa_client::{
    ids::message_id,
    keys::hex,
    message::{Draft, Kind, MemberReference, MessageError, MessageId},
};
use hansa_proto::v1;
use prost::Message as _;

use super::rows::{Member, Original, Row, kind_name};
use crate::cli::sheet::Problem;

/// A row with its id and, where it refers to another message, that one's id.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    /// The row.
    pub row: Row,
    /// Made from the receipt: the same file gives the same ids.
    pub id: MessageId,
    original: Option<MessageId>,
}

impl Planned {
    /// The message's bytes, the same each time.
    pub(super) fn message(&self, member: MemberReference) -> Result<Vec<u8>, MessageError> {
        Ok(self.build(member)?.encode_to_vec())
    }

    fn build(&self, member: MemberReference) -> Result<v1::Message, MessageError> {
        let row = &self.row;
        let draft =
            Draft::with_receipt(&row.receipt, row.running, row.event_time, member).lane(&row.lane);
        // The row was checked to have what its kind needs; the field rules refuse the rest.
        let original = self.original.unwrap_or_default();
        let points = row.points.unwrap_or_default();
        match (row.kind, row.amount) {
            (Kind::Accrual, Some(amount)) => match row.points {
                Some(points) => draft.accrual_with_points(amount, points),
                None => draft.accrual(amount),
            },
            (Kind::AccrualReversal, Some(amount)) => draft.accrual_reversal(original, amount),
            (Kind::Accrual | Kind::AccrualReversal, None) => Err(MessageError::Invalid(Vec::new())),
            (Kind::RedemptionAuthorisation, _) => draft.redemption_authorisation(points),
            (Kind::RedemptionCapture, _) => draft.redemption_capture(original, points),
            (Kind::RedemptionVoid, _) => draft.redemption_void(original),
            (Kind::RedemptionRefund, _) => draft.redemption_refund(original, points),
            // No row has one of these kinds.
            (Kind::Conversion | Kind::ConversionReturn | Kind::ConversionApproval, _) => {
                Err(MessageError::Invalid(Vec::new()))
            }
        }
    }
}

/// Kind of the message that a kind refers to.
const fn original_kind(kind: Kind) -> Option<Kind> {
    match kind {
        Kind::Accrual | Kind::RedemptionAuthorisation => None,
        Kind::AccrualReversal => Some(Kind::Accrual),
        Kind::RedemptionCapture | Kind::RedemptionVoid => Some(Kind::RedemptionAuthorisation),
        Kind::RedemptionRefund => Some(Kind::RedemptionCapture),
        Kind::Conversion | Kind::ConversionReturn | Kind::ConversionApproval => None,
    }
}

/// Where messages of a receipt stand, by (kind, lane, receipt).
type ByReceipt = HashMap<(u8, String, String), Vec<usize>>;

/// Plans every row; where rows have problems, all problems instead.
pub(super) fn plan(rows: Vec<Row>) -> Result<Vec<Planned>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut ids: Vec<MessageId> = Vec::with_capacity(rows.len());
    let mut lines: HashMap<MessageId, u64> = HashMap::with_capacity(rows.len());
    let mut by_receipt = ByReceipt::new();
    for (index, row) in rows.iter().enumerate() {
        let id = message_id(
            row.event_time,
            &row.lane,
            &row.receipt,
            row.kind,
            row.running,
        );
        let id = id.unwrap_or_else(|error| {
            problems.push(Problem::of_row(row.line, error.to_string()));
            MessageId::default()
        });
        ids.push(id);
        if let Some(first) = lines.insert(id, row.line) {
            lines.insert(id, first);
            let text = format!(
                "the same message as line {first}: same {} of receipt {}; number them with the column running, or \
                 take one out",
                kind_name(row.kind),
                row.receipt
            );
            problems.push(Problem::of_row(row.line, text));
        }
        let key = (row.kind as u8, row.lane.clone(), row.receipt.clone());
        by_receipt.entry(key).or_default().push(index);
    }
    let mut originals = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let original = original(index, &rows, &ids, &by_receipt);
        originals.push(original.unwrap_or_else(|text| {
            problems.push(Problem {
                line: row.line,
                column: Some("original"),
                text,
            });
            None
        }));
    }
    let mut planned = Vec::with_capacity(rows.len());
    for ((row, id), original) in rows.into_iter().zip(ids).zip(originals) {
        let plan = Planned { row, id, original };
        // With any reference the fields are as good or as bad as with the right one.
        if let Err(error) = plan.build([0; 16]) {
            problems.push(Problem::of_row(plan.row.line, error.to_string()));
        }
        planned.push(plan);
    }
    if problems.is_empty() {
        return Ok(planned);
    }
    problems.sort_by_key(|problem| problem.line);
    Err(problems)
}

fn original(
    index: usize,
    rows: &[Row],
    ids: &[MessageId],
    by_receipt: &ByReceipt,
) -> Result<Option<MessageId>, String> {
    let row = &rows[index];
    let (Some(kind), Some(original)) = (original_kind(row.kind), &row.original) else {
        return Ok(None);
    };
    let receipt = match original {
        Original::Id(id) => return Ok(Some(*id)),
        Original::Receipt(receipt) => receipt,
    };
    let key = (kind as u8, row.lane.clone(), receipt.clone());
    let name = kind_name(kind);
    match by_receipt.get(&key).map_or(&[][..], Vec::as_slice) {
        [found] if *found < index => Ok(Some(ids[*found])),
        [found] => Err(format!(
            "the {name} of receipt {receipt} is below, in line {}; move it above this one",
            rows[*found].line
        )),
        [] => Err(format!(
            "no {name} with receipt {receipt} and the same lane in this file; give its message id (the results of the \
             run that sent it have it)"
        )),
        [first, second, ..] => Err(format!(
            "receipt {receipt} has more than one {name}, in lines {} and {}; give the message id: {} or {}",
            rows[*first].line,
            rows[*second].line,
            hex(&ids[*first]),
            hex(&ids[*second])
        )),
    }
}

/// Enrolment keys of the cards, each once.
pub(super) fn cards(planned: &[Planned]) -> Vec<[u8; 32]> {
    let mut cards: Vec<[u8; 32]> = planned
        .iter()
        .filter_map(|plan| match plan.row.member {
            Member::Card(key) => Some(key),
            Member::Reference(_) => None,
        })
        .collect();
    cards.sort_unstable();
    cards.dedup();
    cards
}
