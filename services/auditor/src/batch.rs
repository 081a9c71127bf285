//! A merchant's batch: each message repeated or decided, and held against its recorded outcome.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use hansa_proto::v1::{self, CommissionReason as Reason, message::Body};
use prost::Message as _;

use crate::{
    auditor::{Auditor, Place, Stop, Trouble},
    claim::{self, Request},
    conversion,
    decide::{self, Here},
    finding::{Mismatch, What},
    keys::Holder,
    source::{Entry, MerchantNo, Source},
    terms::micros,
    touch::Touch,
};

/// A message of a batch, decoded.
pub(crate) struct Element {
    bytes: Bytes,
    message: v1::Message,
    id: [u8; 16],
    /// None: it concerns a conversion, which names no member.
    reference: Option<[u8; 16]>,
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
        let hub = self.hub_key();
        let touches = elements.iter().zip(&recorded).map(|(element, found)| {
            // What was decided before is not looked at again.
            let body = element.message.body.as_ref();
            claim::touches(body.filter(|_| found.leaf_index.is_none()), merchant, hub)
        });
        let touches: Vec<Vec<Option<Touch>>> = touches.collect();
        let references = elements
            .iter()
            .zip(&touches)
            .flat_map(|(element, touches)| {
                let of_member = element.reference.map(|reference| (merchant, reference));
                let body = element.message.body.as_ref();
                of_member
                    .into_iter()
                    .chain(claim::wanted(merchant, body, touches))
            });
        self.fetch_references(references, source)?;
        let numbers = elements.iter().filter_map(|e| self.account(merchant, e));
        let numbers: Vec<u64> = numbers.collect();
        self.fetch_members(numbers.into_iter(), source)?;
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
            self.message(entry, merchant, position, element, &touches[at], found)?;
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

    /// The member or the earlier conversion that a message concerns, if there is one.
    fn account(&self, merchant: MerchantNo, element: &Element) -> Option<u64> {
        match element.reference {
            Some(reference) => self.memory.reference(&(merchant, reference)),
            None => claim::target(&self.memory, merchant, element.message.body.as_ref()),
        }
    }

    fn message(
        &mut self,
        entry: &Entry,
        merchant: MerchantNo,
        position: u32,
        element: &Element,
        touches: &[Option<Touch>],
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
        // Asked only now: an earlier message of the same batch may be the conversion.
        let number = self.account(merchant, element);
        let request = claim::request(&self.memory, merchant, body, touches);
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
        let decided = match &request {
            Some(request) => self.conversion(&here, number, (body, request))?,
            None => {
                let prefunded = small.books.standing.prefunded();
                let mut member = number.map(|number| self.memory.take(number, prefunded));
                let (terms, books) = (&small.terms, &mut small.books);
                let decided = decide::message(terms, books, member.as_mut(), &here, body);
                if let (Some(number), Some(member)) = (number, member) {
                    self.memory.put(number, member);
                }
                decided?
            }
        };
        let (mut made, either) = decided;
        if let Some(code) = either.filter(|code| *code == found.code()) {
            made.set_code(code);
        }
        if made != *found {
            return Err(Mismatch::new(What::Outcome, tell(&made), tell(found)));
        }
        self.keep_journal(position, true);
        Ok(())
    }

    /// Decides a message about a conversion; `number` is that of an earlier one.
    fn conversion(
        &mut self,
        here: &Here,
        number: Option<u64>,
        (body, request): (&Body, &Request<'_>),
    ) -> Result<(v1::Outcome, Option<v1::ResultCode>), Mismatch> {
        let small = &mut self.small;
        let mut account = number.and_then(|number| self.memory.take_conversion(number));
        let (terms, books) = (&small.terms, &mut small.books);
        let decided = conversion::message(terms, books, &mut account, here, (body, request))?;
        let new = match request {
            Request::New(said, asked) => Some((*said, asked)),
            Request::Return(_) | Request::Approval => None,
        };
        let number = number.or_else(|| conversion::number(here.place));
        if let (Some(number), Some(account)) = (number, account) {
            if let Some(new) = new {
                self.use_up(here.key, number, new, &account.attribution)?;
            }
            self.memory.put_conversion(number, account);
        }
        Ok(decided)
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
        let reference = match &message.body {
            Some(Body::Conversion(_) | Body::ConversionReturn(_) | Body::ConversionApproval(_)) => {
                if !message.member_reference.is_empty() {
                    return Err(broken(format!("a conversion without a member at {at}")));
                }
                None
            }
            Some(_) | None => Some(sixteen(&message.member_reference)?),
        };
        if let Some(Body::ConversionReturn(said)) = &message.body
            && matches!(
                said.reason(),
                Reason::Unspecified | Reason::TouchInvalidated | Reason::FraudConfirmed
            )
        {
            return Err(broken(format!("a merchant's reason of the return at {at}")));
        }
        Ok(Element {
            id: sixteen(&message.message_id)?,
            reference,
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
        ("commission", outcome.commission_micros),
    ];
    for (name, number) in numbers.iter().filter(|(_, number)| *number != 0) {
        let _ = write!(text, " {name}={number}");
    }
    if let Some(click) = outcome.attributed_click {
        let _ = write!(text, " click={click}");
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
