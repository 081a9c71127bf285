//! Rows of a file: read, checked, and nothing sent. Every row that cannot be used is told with its line and what to do.

use std::io::Read;

use hansa_client::message::{Kind, Money};

use crate::cli::{
    member::card_key,
    render,
    sheet::{self, Cells, Check, Columns, Form, Problem},
};

/// Names of the columns.
pub(super) const COLUMNS: Columns<11> = Columns {
    names: [
        "kind",
        "receipt",
        "running",
        "event_time",
        "member",
        "card",
        "amount",
        "currency",
        "points",
        "original",
        "lane",
    ],
    needed: &["kind", "receipt", "event_time"],
};

const KINDS: [(&str, Kind); 6] = [
    ("accrual", Kind::Accrual),
    ("accrual_reversal", Kind::AccrualReversal),
    ("redemption_authorisation", Kind::RedemptionAuthorisation),
    ("redemption_capture", Kind::RedemptionCapture),
    ("redemption_void", Kind::RedemptionVoid),
    ("redemption_refund", Kind::RedemptionRefund),
];

/// How a row names its member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Member {
    /// The merchant's reference.
    Reference([u8; 16]),
    /// The enrolment key of a card number.
    Card([u8; 32]),
}

/// How a row names the message that it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Original {
    /// By id.
    Id([u8; 16]),
    /// By the receipt of a row above.
    Receipt(String),
}

/// A row whose every cell is in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// Line of the file, from 1.
    pub line: u64,
    /// Kind of message.
    pub kind: Kind,
    /// Receipt number.
    pub receipt: String,
    /// Running number of the kind on the receipt, from 1.
    pub running: u32,
    /// Unit: microseconds since 1970.
    pub event_time: i64,
    /// Whose points.
    pub member: Member,
    /// Amount bought or returned.
    pub amount: Option<Money>,
    /// Unit: whole points.
    pub points: Option<i64>,
    /// What it refers to.
    pub original: Option<Original>,
    /// The sending unit; may be empty.
    pub lane: String,
}

/// Reads every row; where rows have problems, all problems instead.
pub(super) fn read(from: impl Read, form: Form) -> Result<Vec<Row>, Vec<Problem>> {
    let mut rows = Vec::new();
    let mut problems = Vec::new();
    sheet::read(from, form, &COLUMNS, |line, cells| {
        match cells
            .map_err(|problem| vec![problem])
            .and_then(|cells| row(line, cells))
        {
            Ok(row) => rows.push(row),
            Err(mut found) => problems.append(&mut found),
        }
    });
    if problems.is_empty() {
        Ok(rows)
    } else {
        Err(problems)
    }
}

/// What a kind of message has beside receipt, time and member.
struct Shape {
    amount: bool,
    points: Points,
    original: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Points {
    Needed,
    Optional,
    None,
}

const fn shape(kind: Kind) -> Shape {
    let (amount, points, original) = match kind {
        Kind::Accrual => (true, Points::Optional, false),
        Kind::AccrualReversal => (true, Points::None, true),
        Kind::RedemptionAuthorisation => (false, Points::Needed, false),
        Kind::RedemptionCapture | Kind::RedemptionRefund => (false, Points::Needed, true),
        Kind::RedemptionVoid => (false, Points::None, true),
        // Not in the list of kinds that a file may have.
        Kind::Conversion | Kind::ConversionReturn | Kind::ConversionApproval => {
            (false, Points::None, false)
        }
    };
    Shape {
        amount,
        points,
        original,
    }
}

/// Name of a kind, as in the column.
pub(super) fn kind_name(kind: Kind) -> &'static str {
    KINDS
        .iter()
        .find(|(_, known)| *known == kind)
        .map_or("", |(name, _)| name)
}

fn row(line: u64, cells: Cells<11>) -> Result<Row, Vec<Problem>> {
    let mut check = Check::new(line);
    let [
        kind,
        receipt,
        running,
        event_time,
        member,
        card,
        amount,
        currency,
        points,
        original,
        lane,
    ] = cells;
    let empty = kind.is_none();
    let kind = check.read("kind", kind, read_kind);
    let kind = check.needed("kind", empty, kind);
    let receipt = check.needed("receipt", receipt.is_none(), receipt);
    let running = check.read("running", running, |text| match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err("a number from 1".to_owned()),
    });
    let empty = event_time.is_none();
    let event_time = check.read("event_time", event_time, sheet::instant);
    let event_time = check.needed("event_time", empty, event_time);
    let member = read_member(&mut check, member, card);
    if let Some(kind) = kind {
        check_shape(
            &mut check,
            kind,
            [
                amount.is_some(),
                currency.is_some(),
                points.is_some(),
                original.is_some(),
            ],
        );
    }
    let amount = match (amount, currency) {
        (Some(amount), Some(currency)) => check.read("amount", Some(amount), |text| {
            Money::parse(text, &currency).map_err(|error| error.to_string())
        }),
        _ => None,
    };
    let points = check.read("points", points, |text| {
        text.parse()
            .map_err(|_| "a whole number of points".to_owned())
    });
    let original = original.map(|text| match render::id16(&text) {
        Some(id) => Original::Id(id),
        None => Original::Receipt(text),
    });
    match (kind, receipt, event_time, member) {
        (Some(kind), Some(receipt), Some(event_time), Some(member))
            if check.problems.is_empty() =>
        {
            Ok(Row {
                line,
                kind,
                receipt,
                running: running.unwrap_or(1),
                event_time,
                member,
                amount,
                points,
                original,
                lane: lane.unwrap_or_default(),
            })
        }
        _ => Err(check.problems),
    }
}

/// `filled`: whether amount, currency, points and original are there.
fn check_shape(check: &mut Check, kind: Kind, filled: [bool; 4]) {
    let shape = shape(kind);
    let points = match shape.points {
        Points::Needed => Some(true),
        Points::Optional => None,
        Points::None => Some(false),
    };
    let wanted = [
        Some(shape.amount),
        Some(shape.amount),
        points,
        Some(shape.original),
    ];
    let columns = ["amount", "currency", "points", "original"];
    for ((column, wanted), filled) in columns.into_iter().zip(wanted).zip(filled) {
        match (wanted, filled) {
            (Some(true), false) => {
                check.broken(column, format!("is empty; {} needs it", kind_name(kind)))
            }
            (Some(false), true) => {
                let text = format!("has no meaning for {}; leave it empty", kind_name(kind));
                check.broken(column, text);
            }
            _ => {}
        }
    }
}

fn read_kind(text: &str) -> Result<Kind, String> {
    KINDS
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, kind)| *kind)
        .ok_or_else(|| {
            let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
            format!("none of {}", names.join(", "))
        })
}

fn read_member(check: &mut Check, member: Option<String>, card: Option<String>) -> Option<Member> {
    match (member, card) {
        (Some(member), None) => check.read("member", Some(member), |text| {
            render::id16(text)
                .map(Member::Reference)
                .ok_or_else(|| "a reference has 32 hexadecimal digits".to_owned())
        }),
        (None, Some(card)) => Some(Member::Card(card_key(&card))),
        (Some(_), Some(_)) => {
            check.broken("card", "give member or card, not both");
            None
        }
        (None, None) => {
            check.broken(
                "member",
                "is empty; give member (a reference) or card (a number)",
            );
            None
        }
    }
}
