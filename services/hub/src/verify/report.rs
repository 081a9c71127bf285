//! What a verification found: the first mismatch, or what was verified.

use std::{collections::BTreeMap, fmt};

use hansa_client::{hub::CallError, keys::hex};
use hansa_proto::v1;
use hansa_settlement::{CycleTotals, Instant};
use hansa_store::StoreError;
use serde::Serialize;

use super::derive::Document;
use crate::{convert::cycle_number, registry::Registry};

/// Where the record and its recomputation part for the first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// The entry, from 0; absent where no single entry is concerned.
    pub entry: Option<u64>,
    /// The message within the entry, from 0; absent where no single message is concerned.
    pub message: Option<u32>,
    /// What was compared.
    pub what: String,
    /// What the log, the database or the hub says.
    pub recorded: String,
    /// What follows from the entries before.
    pub recomputed: String,
}

impl Mismatch {
    /// A mismatch of no single entry.
    pub(super) fn new(
        what: impl Into<String>,
        recorded: impl fmt::Display,
        recomputed: impl fmt::Display,
    ) -> Self {
        Self {
            entry: None,
            message: None,
            what: what.into(),
            recorded: recorded.to_string(),
            recomputed: recomputed.to_string(),
        }
    }

    /// The same, at an entry.
    pub(super) fn at(mut self, entry: u64) -> Self {
        self.entry = Some(entry);
        self
    }

    /// The same, at a message of its entry.
    pub(super) fn of_message(mut self, message: u32) -> Self {
        self.message = Some(message);
        self
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(entry) = self.entry {
            write!(f, "entry {entry}, ")?;
        }
        if let Some(message) = self.message {
            write!(f, "message {message}, ")?;
        }
        write!(
            f,
            "{}: recorded {}, recomputed {}",
            self.what, self.recorded, self.recomputed
        )
    }
}

/// Fails with a mismatch unless two values are equal.
pub(super) fn same<T: PartialEq + fmt::Debug>(
    what: &str,
    recorded: &T,
    recomputed: &T,
) -> Result<(), Mismatch> {
    if recorded == recomputed {
        return Ok(());
    }
    Err(Mismatch::new(
        what,
        format_args!("{recorded:?}"),
        format_args!("{recomputed:?}"),
    ))
}

/// Why a verification did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The record contradicts itself.
    #[error("{0}")]
    Mismatch(Box<Mismatch>),
    /// The log could not be read.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl From<Mismatch> for Failure {
    fn from(mismatch: Mismatch) -> Self {
        Self::Mismatch(Box::new(mismatch))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            // Somebody wrote into a column what the hub never writes.
            StoreError::Corrupt(text) => {
                Mismatch::new("the database's columns", text, "what the schema says").into()
            }
            other => Self::Other(other.into()),
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Other(error.into())
    }
}

/// What was verified. Serialised, it is the document of `--json`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Name of the log.
    pub origin: String,
    /// Verifier key of the log in C2SP form, as its entries say.
    pub verifier_key: String,
    /// What was signed under an earlier name and is lost, oldest first.
    pub lost: Vec<Loss>,
    /// Number of entries.
    pub size: u64,
    /// Root of the tree over them, hexadecimal.
    pub root: String,
    /// Unit of all amounts of money: 1e-6 of this.
    pub currency: String,
    /// Numbers.
    pub counts: Counts,
    /// Signed checkpoints whose root and signature were verified.
    pub checkpoints: u64,
    /// Entries under the checkpoint that is kept outside the database; absent: there was none to compare.
    pub anchored_size: Option<u64>,
    /// Whether recorded effects were compared: only the store has them.
    pub effects_compared: bool,
    /// The stored projection, where there was one to compare.
    pub projection: Option<ProjectionReport>,
    /// Cycles, oldest first.
    pub cycles: Vec<CycleReport>,
    /// Documents of the cycle that was asked for, made again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Document>,
}

/// Entries that a log signed under an earlier name, and lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The name.
    pub origin: String,
    /// The first entry that is lost. In the log as it is now, the entry at this place says so.
    pub first: u64,
    /// Number of entries that are lost, as far as is known.
    pub entries: u64,
}

/// Numbers of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Entries that are batches of merchants.
    pub batches: u64,
    /// Entries that are facts of the hub.
    pub facts: u64,
    /// Messages.
    pub messages: u64,
    /// Messages that took effect.
    pub accepted: u64,
    /// Messages that repeat an earlier one.
    pub replayed: u64,
    /// Messages that were refused, by code.
    pub refused: BTreeMap<String, u64>,
    /// Members.
    pub members: u64,
    /// Merchants.
    pub merchants: u64,
    /// References that merchants have of members.
    pub references: u64,
    /// Points in lots. Unit: whole points.
    pub outstanding_points: i64,
}

impl Counts {
    /// Counts an outcome.
    pub(super) fn count(&mut self, outcome: &v1::Outcome) {
        self.messages += 1;
        if outcome.replayed {
            self.replayed += 1;
        } else if outcome.code() == v1::ResultCode::Accepted {
            self.accepted += 1;
        } else {
            *self.refused.entry(code(outcome).to_owned()).or_default() += 1;
        }
    }
}

/// What of the projection was compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ProjectionReport {
    /// Member rows, each compared with the member's state at the entry that the row names.
    pub members: u64,
    /// Whether the alliance's state was there and compared.
    pub global: bool,
    /// Entries that the projection covers completely.
    pub covered_size: u64,
}

/// A cycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CycleReport {
    /// Number, from 1.
    pub number: u32,
    /// First instant.
    pub opens_at: Option<String>,
    /// First instant behind it.
    pub closes_at: Option<String>,
    /// OPEN, CLOSING or CLOSED.
    pub state: &'static str,
    /// SHA-256 of its totals as recorded when it closed, hexadecimal.
    pub digest: Option<String>,
    /// Messages between its two cuts that took effect.
    pub messages_accepted: u64,
    /// Messages between its two cuts that were refused.
    pub messages_refused: u64,
    /// What each merchant owes (positive) or is owed; zero nets are left out. Unit: micro-units.
    pub net_micros: BTreeMap<String, i128>,
    /// The hub's side, in the sign of the nets' sum. Unit: micro-units.
    pub hub_micros: HubMicros,
}

/// The hub's side of a cycle. Unit: micro-units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HubMicros {
    /// Change of the points reserve.
    pub reserve: i128,
    /// Service fees.
    pub service_fee: i128,
    /// Redemption fees.
    pub redemption_fee: i128,
    /// Breakage.
    pub breakage: i128,
}

impl CycleReport {
    /// The report of a cycle; `digest` as its CLOSED entry recorded it.
    pub(super) fn new(cycle: &CycleTotals, registry: &Registry, digest: Option<&[u8]>) -> Self {
        let nets = cycle.nets().into_iter().filter(|(_, micros)| *micros != 0);
        Self {
            number: cycle_number(cycle.no),
            opens_at: instant(cycle.opens_at),
            closes_at: cycle.closes_at.and_then(instant),
            state: cycle.state.code(),
            digest: digest.map(hex),
            messages_accepted: cycle.counts.accepted.values().sum(),
            messages_refused: cycle.counts.refused.values().sum(),
            net_micros: nets
                .map(|(merchant, micros)| (registry.slug(merchant.0).to_owned(), micros))
                .collect(),
            hub_micros: HubMicros {
                reserve: cycle.hub.reserve_micros,
                service_fee: cycle.hub.service_fee_micros,
                redemption_fee: cycle.hub.redemption_fee_micros,
                breakage: cycle.hub.breakage_micros,
            },
        }
    }
}

/// An instant as text; `None` for those at the ends of time.
pub(super) fn instant(at: Instant) -> Option<String> {
    let at = chrono::DateTime::from_timestamp_micros(at.0)?;
    Some(at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
}

/// An instant of the log as text.
pub(super) fn micros_text(micros: i64) -> String {
    instant(Instant(micros)).unwrap_or_else(|| format!("{micros} micros"))
}

fn code(outcome: &v1::Outcome) -> &'static str {
    let name = outcome.code().as_str_name();
    name.strip_prefix("RESULT_CODE_").unwrap_or(name)
}

/// An outcome in one line: code, state, and what is not 0.
pub(super) fn describe(outcome: &v1::Outcome) -> String {
    use fmt::Write as _;
    let state = outcome.state().as_str_name();
    let mut text = format!(
        "{} {}",
        code(outcome),
        state.strip_prefix("MESSAGE_STATE_").unwrap_or(state)
    );
    let numbers = [
        ("points", outcome.points),
        ("owed", outcome.owed_points),
        ("available", outcome.available_points),
        ("debt", outcome.debt_points),
        ("bonus", outcome.bonus_points),
        ("forgiven", outcome.forgiven_points),
        ("cycle", outcome.cycle_number.into()),
    ];
    for (name, number) in numbers.iter().filter(|(_, number)| *number != 0) {
        let _ = write!(text, " {name}={number}");
    }
    if let Some(due) = &outcome.due_time {
        let _ = write!(text, " due={}", micros_text(crate::convert::micros(due)));
    }
    if let Some(leaf) = outcome.leaf_index {
        let _ = write!(text, " first at {leaf}/{}", outcome.entry_position);
    }
    for (name, set) in [("replayed", outcome.replayed), ("late", outcome.late)] {
        if set {
            let _ = write!(text, " {name}");
        }
    }
    text
}

/// When a member next has something to do.
pub(super) fn describe_due(next: Option<Instant>) -> String {
    match next {
        None => "nothing is due".to_owned(),
        Some(Instant(at)) => format!("nothing is due before {}", micros_text(at)),
    }
}
