//! A merchant's batch: each message repeated or decided, and held against its recorded outcome.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use hansa_proto::v1;
use prost::Message as _;

use crate::{
    auditor::{Auditor, Place, Stop, Trouble},
    decide::{self, Here},
    finding::{Mismatch, What},
    keys::Holder,
    source::{Entry, MerchantNo, Source},
    terms::micros,
};

/// A message of a batch, decoded.
pub(crate) struct Element {
    bytes: Bytes,
    message: v1::Message,
    id: [u8; 16],
    reference: [u8; 16],
}

/// The first time that a message was decided.
struct First {
    bytes: Bytes,
    outcome: v1::Outcome,
}

type Firsts = HashMap<(u64, u32), First>;

impl Auditor {
    pub(crate) fn batch(
        &mut self,
        entry: &Entry,
        merchant: MerchantNo,
        elements: &[Element],
        source: &mut dyn Source,
        place: &mut Place,
    ) -> Result<(), Trouble> {
        self.not_past_close(entry.decided_at)?;
        let recorded = v1::Outcomes::decode(entry.outcomes.clone())
            .map_err(|_| Mismatch::new(What::Payload, "hansa.v1.Outcomes", "other bytes"))?
            .outcomes;
        if recorded.len() != elements.len() {
            let expected = format!("{} outcomes", elements.len());
            return Err(Mismatch::new(What::Outcome, expected, recorded.len()).into());
        }
        let firsts = self.fetch_firsts(entry, merchant, elements, &recorded, source, place)?;
        let references = elements.iter().map(|element| (merchant, element.reference));
        self.fetch_references(references, source)?;
        let numbers: Vec<Option<u64>> = elements
            .iter()
            .map(|element| self.memory.reference(&(merchant, element.reference)))
            .collect();
        self.fetch_members(numbers.iter().flatten().copied(), source)?;
        let mut fresh = false;
        for (position, element) in (0..).zip(elements) {
            let at = position as usize;
            place.position = Some(position);
            place.message_id = Some(element.id);
            let found = &recorded[at];
            if let Some(leaf) = found.leaf_index {
                let earlier = if leaf == entry.leaf {
                    Some(&elements[found.entry_position as usize].bytes)
                        .zip(recorded.get(found.entry_position as usize))
                } else {
                    firsts
                        .get(&(leaf, found.entry_position))
                        .map(|first| (&first.bytes, &first.outcome))
                };
                repetition(element, found, earlier)?;
                continue;
            }
            fresh = true;
            if !self.memory.note((merchant, element.id)) {
                let expected = "the first outcome of this id";
                return Err(
                    Mismatch::new(What::Repetition, expected, "it is decided again").into(),
                );
            }
            self.message(entry, merchant, position, element, numbers[at], found)?;
        }
        if !fresh {
            *place = Place {
                merchant: place.merchant.take(),
                ..Place::default()
            };
            let found = "only what was decided before";
            return Err(Mismatch::new(What::Repetition, "something new in a batch", found).into());
        }
        let again = v1::Outcomes { outcomes: recorded };
        if again.encode_to_vec() != entry.outcomes {
            let found = "bytes beside them";
            return Err(Mismatch::new(What::Outcome, "the outcomes' own bytes", found).into());
        }
        Ok(())
    }

    fn message(
        &mut self,
        entry: &Entry,
        merchant: MerchantNo,
        position: u32,
        element: &Element,
        number: Option<u64>,
        found: &v1::Outcome,
    ) -> Result<(), Mismatch> {
        let Some(body) = &element.message.body else {
            return Err(Mismatch::new(
                What::Payload,
                "a message with a body",
                "none",
            ));
        };
        let event_time = element.message.event_time.as_ref().map_or(0, micros);
        let small = &mut self.small;
        let open = small.books.open_cycle()?;
        let here = Here {
            sender: merchant,
            key: (merchant, element.id),
            place: (entry.leaf, position),
            event_time,
            now: entry.decided_at,
            cycle: open.number,
            late: event_time < open.opens,
            limited: found.code() == v1::ResultCode::LimitExceeded,
        };
        let prefunded = small.books.standing.prefunded();
        let mut member = number.map(|number| self.memory.take(number, prefunded));
        let decided = decide::message(&small.terms, &mut small.books, member.as_mut(), &here, body);
        if let (Some(number), Some(member)) = (number, member) {
            self.memory.put(number, member);
        }
        let (mut made, either) = decided?;
        if let Some(code) = either.filter(|code| *code == found.code()) {
            made.set_code(code);
        }
        if made != *found {
            return Err(Mismatch::new(What::Outcome, tell(&made), tell(found)));
        }
        self.keep_journal(position, true);
        Ok(())
    }

    /// Reads the entries in which repeated messages were decided first.
    fn fetch_firsts(
        &self,
        entry: &Entry,
        merchant: MerchantNo,
        elements: &[Element],
        recorded: &[v1::Outcome],
        source: &mut dyn Source,
        place: &mut Place,
    ) -> Result<Firsts, Trouble> {
        let mut named: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for (position, outcome) in (0..).zip(recorded) {
            let Some(leaf) = outcome.leaf_index else {
                continue;
            };
            let first = (leaf, outcome.entry_position);
            if first >= (entry.leaf, position) {
                place.position = Some(position);
                place.message_id = elements.get(position as usize).map(|e| e.id);
                let found = format!("entry {leaf}, position {}", first.1);
                return Err(Mismatch::new(What::Repetition, "an earlier message", found).into());
            }
            if leaf != entry.leaf {
                named.entry(leaf).or_default().push(first.1);
            }
        }
        let mut firsts = Firsts::new();
        for (leaf, positions) in named {
            let earlier = source.entry(leaf).map_err(Stop::Source)?;
            let gone =
                || Mismatch::new(What::Repetition, format_args!("entry {leaf}"), "it is gone");
            let earlier = earlier.filter(|e| e.leaf == leaf).ok_or_else(gone)?;
            let holder = self.small.keys.earlier(&earlier.envelope)?;
            let own =
                matches!(holder, Holder::Merchant(slug) if *slug == self.merchant_id(merchant));
            let batch = v1::Batch::decode(earlier.envelope.payload.clone()).map_err(|_| gone())?;
            let outcomes = v1::Outcomes::decode(earlier.outcomes.clone()).map_err(|_| gone())?;
            for position in positions {
                let at = position as usize;
                let pair = batch.messages.get(at).zip(outcomes.outcomes.get(at));
                if let Some((bytes, outcome)) = pair.filter(|_| own) {
                    let first = First {
                        bytes: bytes.clone(),
                        outcome: *outcome,
                    };
                    firsts.insert((leaf, position), first);
                }
            }
        }
        Ok(firsts)
    }
}

/// The messages of a batch.
pub(crate) fn elements(payload: &Bytes) -> Result<Vec<Element>, Mismatch> {
    let broken = |what: String| Mismatch::new(What::Payload, what, "other bytes");
    let batch = v1::Batch::decode(payload.clone()).map_err(|_| broken("hansa.v1.Batch".into()))?;
    let elements = batch.messages.into_iter().enumerate().map(|(at, bytes)| {
        let message = v1::Message::decode(bytes.clone())
            .map_err(|_| broken(format!("hansa.v1.Message at {at}")))?;
        let sixteen = |bytes: &[u8]| {
            <[u8; 16]>::try_from(bytes).map_err(|_| broken(format!("ids of 16 bytes at {at}")))
        };
        Ok(Element {
            id: sixteen(&message.message_id)?,
            reference: sixteen(&message.member_reference)?,
            bytes,
            message,
        })
    });
    elements.collect()
}

/// A message whose id was decided before: the same bytes repeat the first outcome, others are refused.
fn repetition(
    element: &Element,
    found: &v1::Outcome,
    earlier: Option<(&Bytes, &v1::Outcome)>,
) -> Result<(), Mismatch> {
    let at = |outcome: v1::Outcome| v1::Outcome {
        leaf_index: found.leaf_index,
        entry_position: found.entry_position,
        ..outcome
    };
    let first = earlier.filter(|(bytes, outcome)| {
        let id = v1::Message::decode((*bytes).clone()).map(|message| message.message_id);
        outcome.leaf_index.is_none() && id.is_ok_and(|id| id == element.id)
    });
    let Some((bytes, outcome)) = first else {
        let found = format!(
            "entry {:?}, position {}, which is another message",
            found.leaf_index, found.entry_position
        );
        return Err(Mismatch::new(
            What::Repetition,
            "the first of this id",
            found,
        ));
    };
    let expected = if *bytes == element.bytes {
        at(v1::Outcome {
            replayed: true,
            ..*outcome
        })
    } else {
        at(v1::Outcome {
            code: v1::ResultCode::ModifiedRequest.into(),
            ..v1::Outcome::default()
        })
    };
    if expected == *found {
        return Ok(());
    }
    Err(Mismatch::new(
        What::Repetition,
        tell(&expected),
        tell(found),
    ))
}

/// An outcome in one line: code, state, and what is not 0.
fn tell(outcome: &v1::Outcome) -> String {
    use std::fmt::Write as _;
    let short = |name: &'static str, prefix: &str| name.strip_prefix(prefix).unwrap_or(name);
    let mut text = format!(
        "{} {}",
        short(outcome.code().as_str_name(), "RESULT_CODE_"),
        short(outcome.state().as_str_name(), "MESSAGE_STATE_")
    );
    let numbers = [
        ("points", outcome.points),
        ("bonus", outcome.bonus_points),
        ("owed", outcome.owed_points),
        ("forgiven", outcome.forgiven_points),
        ("available", outcome.available_points),
        ("debt", outcome.debt_points),
        ("cycle", outcome.cycle_number.into()),
    ];
    for (name, number) in numbers.iter().filter(|(_, number)| *number != 0) {
        let _ = write!(text, " {name}={number}");
    }
    if let Some(due) = &outcome.due_time {
        let _ = write!(text, " due={due}");
    }
    if let Some(leaf) = outcome.leaf_index {
        let _ = write!(text, " first={leaf}/{}", outcome.entry_position);
    }
    for (name, set) in [("replayed", outcome.replayed), ("late", outcome.late)] {
        if set {
            let _ = write!(text, " {name}");
        }
    }
    text
}
