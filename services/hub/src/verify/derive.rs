//! The documents of one cycle, made again from nothing but the log: statements, general ledger, payment files; and compared,
//! byte for byte, with those that a hub served.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, anyhow};
use hansa_client::{keys::hex, proof::verify_consistency};
use hansa_proto::v1;
use hansa_report::{CommissionStatement, Format, Proof, StatementDocument};
use hansa_settlement::{
    CycleNo, CycleTotals, Global, MerchantIx, Pos, Recorded, decode_effect_stream, finance::Party,
};
use prost::Message as _;
use ring::digest::{SHA256, digest};
use serde::Serialize;
use serde_json::Value;

use super::{
    Verification,
    fold::Opened,
    report::{Failure, Mismatch},
    source::Item,
};
use crate::{
    convert::{cycle_no, cycle_number},
    documents::{
        breakdown::{Breakdown, Head},
        commission::{self, Changes, Told},
        file::File,
        ledger,
        proof::Place,
        statement::{self, Source},
        terms::Terms,
    },
    error::HubError,
    finance::order,
    intake::Prepared,
};

const FORMS: [Format; 4] = [Format::Json, Format::Csv, Format::Xlsx, Format::Pdf];

/// A document that was made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Document {
    /// Its name, as the hub proposes it.
    pub name: String,
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
    /// Its bytes.
    #[serde(skip)]
    pub content: Vec<u8>,
}

impl Document {
    fn new(name: String, content: Vec<u8>) -> Self {
        Self {
            sha256: hex(digest(&SHA256, &content).as_ref()),
            name,
            content,
        }
    }
}

/// What is added up of a cycle while the log is decided.
#[derive(Debug)]
pub(super) struct Derivation {
    cycle: CycleNo,
    breakdown: Breakdown,
    /// As of the last facts.
    terms: Option<Terms>,
    /// Of commissions.
    changes: Changes,
    /// What lines say of conversions, of all that were accepted so far: a later cycle may change them.
    told: BTreeMap<Pos, Told>,
}

impl Derivation {
    /// Of the cycle with this number.
    pub(super) fn new(number: u32) -> Self {
        let cycle = cycle_no(number);
        Self {
            cycle,
            breakdown: Breakdown::new(cycle),
            terms: None,
            changes: Changes::new(cycle, None),
            told: BTreeMap::new(),
        }
    }

    /// Takes in what an entry was decided to do. `global`: behind it.
    pub(super) fn entry(
        &mut self,
        item: &Item,
        opened: &Opened,
        effects: &[u8],
        global: &Global,
    ) -> Result<(), Mismatch> {
        let sender = match opened {
            Opened::Batch { merchant, .. } => Some(*merchant),
            Opened::Facts(_) => {
                self.terms = None;
                None
            }
        };
        let closed = global.cycle(self.cycle).and_then(|cycle| cycle.closed_seq);
        if closed.is_some_and(|closed| closed < item.seq) {
            return Ok(());
        }
        let records = decode_effect_stream(effects)
            .map_err(|error| Mismatch::new("the effects", error, "effects that decode"))?;
        let head = Head {
            seq: item.seq,
            decided_at: item.decided_at,
            sender,
        };
        let terms = self.terms.get_or_insert_with(|| Terms::of(global));
        self.breakdown.entry(head, &records, terms);
        self.changes.entry(item.seq, item.decided_at, &records);
        if let Opened::Batch { messages, .. } = opened {
            self.tell(item.seq, messages, &records)?;
        }
        Ok(())
    }

    /// Keeps what lines say of the conversions that a batch brought.
    fn tell(
        &mut self,
        seq: u64,
        messages: &[Prepared],
        records: &[Recorded],
    ) -> Result<(), Mismatch> {
        for (index, prepared) in (0..).zip(messages) {
            let pos = Pos::new(seq, index);
            let claimed = prepared.claim.as_ref();
            let Some(conversion) = claimed.and_then(|_| commission::accepted(records, pos)) else {
                continue;
            };
            let broken = |error: &dyn std::fmt::Display| {
                Mismatch::new(format!("the conversion at {pos:?}"), error, "a conversion")
            };
            let message = v1::Message::decode(prepared.bytes.clone()).map_err(|e| broken(&e))?;
            let told = Told::of(conversion, &message).map_err(|e| broken(&e))?;
            self.told.insert(pos, told);
        }
        Ok(())
    }
}

/// A document that could not be made; the hub would not serve it either.
fn unfit(what: &str) -> impl Fn(HubError) -> Failure + '_ {
    move |error| Mismatch::new(what, "the log", error).into()
}

impl Verification {
    /// The documents of the cycle that was asked for.
    pub(super) async fn derived(&mut self) -> Result<Vec<Document>, Failure> {
        let Some(derivation) = self.fold.derivation.take() else {
            return Ok(Vec::new());
        };
        let (global, registry) = (&self.fold.global, &self.fold.registry);
        let number = cycle_number(derivation.cycle);
        let cycle = global.cycle(derivation.cycle);
        let cycle = cycle.filter(|cycle| cycle.digest.is_some());
        let cycle = cycle.with_context(|| format!("cycle {number} is not closed in this log"))?;
        let terms = Terms::of(global);
        let breakdown = derivation.breakdown.finish(global, &terms);
        let breakdown =
            breakdown.map_err(|error| Mismatch::new(error.what, error.said, error.found))?;
        let place = Place::of(global, registry, cycle)
            .with_context(|| format!("cycle {number} has no entries"))?;
        let proof = self.cycle_proof(&place).await?;
        let source = Source {
            global,
            registry,
            cycle,
            breakdown: &breakdown,
            terms: &terms,
        };
        let mut documents = Vec::new();
        for merchant in statement::merchants(global, cycle) {
            let files = statements(&source, merchant, proof.clone());
            documents.extend(files.map_err(unfit("a statement"))?);
        }
        let export = ledger::export(&source).map_err(unfit("the general ledger"))?;
        for form in FORMS.into_iter().filter(|form| *form != Format::Pdf) {
            let file = File::ledger(&export, number, form).map_err(unfit("the general ledger"))?;
            documents.push(Document::new(file.name, file.content));
        }
        documents.extend(payment_files(&source, cycle));
        let source = commission::Source {
            global,
            registry,
            cycle,
            changes: &derivation.changes,
            told: &derivation.told,
        };
        for affiliate in commission::affiliates(global) {
            let files = commissions(&source, affiliate, proof.clone());
            documents.extend(files.map_err(unfit("a commission statement"))?);
        }
        Ok(documents)
    }

    /// The log's proof of the cycle: its notes are this log's, and lead to the tree that was built here.
    async fn cycle_proof(&self, place: &Place) -> Result<Proof, Failure> {
        let trees = place.trees();
        let mut notes = Vec::with_capacity(trees.len());
        for (_, size) in &trees {
            let note = self.source.checkpoint(*size).await?;
            // Notes from before a loss have the earlier name; their roots are compared all the same.
            if let (Some(verifier), []) = (self.chain.verifier(), self.chain.lost()) {
                let what = format!("the checkpoint of {size} leaves");
                verifier
                    .open(&note)
                    .map_err(|error| Mismatch::new(what, error, verifier))?;
            }
            notes.push(note);
        }
        let mut extensions = Vec::with_capacity(trees.len());
        for pair in trees.windows(2) {
            extensions.push(self.source.extension(pair[0].1, pair[1].1).await?);
        }
        let proof = place.proof(&notes, extensions).map_err(|e| anyhow!(e))?;
        let roots = proof.checkpoints.iter().map(|c| (c.size, c.root.0));
        let roots: Vec<_> = roots.chain([(self.size, self.chain.root())]).collect();
        for pair in roots.windows(2) {
            let [(from, old), (to, new)] = [pair[0], pair[1]];
            let hashes = self.source.extension(from, to).await?;
            verify_consistency(from, &old, to, &new, &hashes).map_err(|error| {
                let what = format!("that {to} leaves extend the {from} of a signed checkpoint");
                Mismatch::new(what, error, "the tree of this log")
            })?;
        }
        Ok(proof)
    }
}

fn statements(
    source: &Source<'_>,
    merchant: MerchantIx,
    proof: Proof,
) -> Result<Vec<Document>, HubError> {
    let parts = statement::parts(source, merchant, proof)?;
    let document = StatementDocument::new(parts)?;
    FORMS
        .into_iter()
        .map(|form| {
            let file = File::statement(&document, form)?;
            Ok(Document::new(file.name, file.content))
        })
        .collect()
}

fn commissions(
    source: &commission::Source<'_>,
    affiliate: MerchantIx,
    proof: Proof,
) -> Result<Vec<Document>, HubError> {
    let parts = commission::parts(source, affiliate, proof)?;
    let document = CommissionStatement::new(parts)?;
    FORMS
        .into_iter()
        .filter(|form| *form != Format::Xlsx)
        .map(|form| {
            let file = File::commission(&document, form)?;
            Ok(Document::new(file.name, file.content))
        })
        .collect()
}

/// Payment files of everybody who pays, in both forms; of terms that banks do not take there is none.
fn payment_files(source: &Source<'_>, cycle: &CycleTotals) -> Vec<Document> {
    let (global, registry) = (source.global, source.registry);
    let finance = global.finance();
    let of_cycle = finance.payments().iter().filter(|p| p.cycle == cycle.no);
    let mut orders: Vec<(Party, Option<_>)> = of_cycle
        .map(|payment| (payment.payer, payment.replaces.map(|_| payment.number)))
        .collect();
    orders.sort_unstable();
    orders.dedup();
    let forms = [v1::PaymentFileFormat::Pain001, v1::PaymentFileFormat::Csv];
    let files = orders.into_iter().flat_map(|(payer, again)| {
        forms.into_iter().filter_map(move |form| {
            let batch = order::batch(global, cycle.no, payer, again).ok()?;
            order::file(global, registry, &batch, form).ok()
        })
    });
    files
        .map(|file| Document::new(file.name, file.content))
        .collect()
}

/// Compares documents with the files of a folder that have their names; answers how many there are. A file that is named like a
/// document of the cycle and is none of them differs too.
pub fn compare(documents: &[Document], number: u32, folder: &Path) -> Result<u64, Failure> {
    let entries = fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let mut compared = 0;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.context("a folder's entry")?;
        names.extend(entry.file_name().to_str().map(str::to_owned));
    }
    names.sort();
    for name in names.iter().filter(|name| is_of(name, number)) {
        let path = folder.join(name);
        let found = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let made = documents.iter().find(|document| document.name == *name);
        let Some(made) = made else {
            let what = format!("the document {name}");
            return Err(Mismatch::new(what, "a file", "no such document in this cycle").into());
        };
        if made.content != found {
            return Err(difference(name, &found, &made.content).into());
        }
        compared += 1;
    }
    if compared == 0 {
        let text = format!(
            "{} holds no document of cycle {number}: keep them under the names that the hub proposes",
            folder.display()
        );
        return Err(Failure::Other(anyhow!(text)));
    }
    Ok(compared)
}

/// Whether a file is named like a document of the cycle.
fn is_of(name: &str, number: u32) -> bool {
    let Some((stem, ending)) = name.rsplit_once('.') else {
        return false;
    };
    let known = ["json", "csv", "xlsx", "pdf", "xml"].contains(&ending);
    let ends = |prefix: &str| {
        let rest = stem.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.rsplit('-').next() == Some(number.to_string().as_str()))
    };
    let pays = format!("HANSA-{number}-");
    known
        && (ends("statement-")
            || ends("commissions-")
            || ends("ledger-")
            || stem.starts_with(&pays))
}

/// Names the first figure that differs.
fn difference(name: &str, found: &[u8], made: &[u8]) -> Mismatch {
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    if let (Some(found), Some(made)) = (json(found), json(made))
        && let Some((path, found, made)) = first_difference("", &found, &made)
    {
        return Mismatch::new(format!("{name}: {path}"), found, made);
    }
    if let (Ok(found), Ok(made)) = (std::str::from_utf8(found), std::str::from_utf8(made)) {
        let lines = found.lines().zip(made.lines()).zip(1_u32..);
        for ((found, made), line) in lines {
            if found != made {
                return Mismatch::new(format!("{name}: line {line}"), found, made);
            }
        }
    }
    let at = found.iter().zip(made).take_while(|(a, b)| a == b).count();
    let what = format!("{name}: byte {at}");
    Mismatch::new(what, hex(&tail(found, at)), hex(&tail(made, at)))
}

fn tail(bytes: &[u8], at: usize) -> Vec<u8> {
    bytes.iter().skip(at).take(16).copied().collect()
}

/// The path of the first value that differs, and the two values.
fn first_difference(path: &str, found: &Value, made: &Value) -> Option<(String, String, String)> {
    match (found, made) {
        (Value::Object(found), Value::Object(made)) => made
            .iter()
            .map(|(key, value)| (format!("{path}.{key}"), found.get(key), Some(value)))
            .chain(
                found
                    .iter()
                    .filter(|(key, _)| !made.contains_key(*key))
                    .map(|(key, value)| (format!("{path}.{key}"), Some(value), None)),
            )
            .find_map(|(path, found, made)| in_both(&path, found, made)),
        (Value::Array(found), Value::Array(made)) => (0..found.len().max(made.len()))
            .find_map(|at| in_both(&format!("{path}[{at}]"), found.get(at), made.get(at))),
        (found, made) if found == made => None,
        (found, made) => Some((
            path.trim_start_matches('.').to_owned(),
            found.to_string(),
            made.to_string(),
        )),
    }
}

fn in_both(
    path: &str,
    found: Option<&Value>,
    made: Option<&Value>,
) -> Option<(String, String, String)> {
    match (found, made) {
        (Some(found), Some(made)) => first_difference(path, found, made),
        (found, made) => {
            let text = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
            let path = path.trim_start_matches('.').to_owned();
            (found != made).then(|| (path, text(found), text(made)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_named_by_its_figure() {
        let made = br#"{"statement":{"lines":[{"amount":{"decimal":"1.0"}}],"net":2}}"#;
        let found = br#"{"statement":{"lines":[{"amount":{"decimal":"1.1"}}],"net":2}}"#;
        let mismatch = difference("statement-a-2.json", found, made);
        assert_eq!(
            mismatch.to_string(),
            "statement-a-2.json: statement.lines[0].amount.decimal: recorded \"1.1\", recomputed \"1.0\""
        );
        let mismatch = difference("ledger-2.csv", b"a,b\n1,2\n", b"a,b\n1,3\n");
        assert_eq!(
            mismatch.to_string(),
            "ledger-2.csv: line 2: recorded 1,2, recomputed 1,3"
        );
        let mismatch = difference("a.pdf", &[0xff, 1], &[0xff, 2]);
        assert_eq!(
            mismatch.to_string(),
            "a.pdf: byte 1: recorded 01, recomputed 02"
        );
    }

    #[test]
    fn documents_are_known_by_their_names() {
        for name in [
            "statement-a-2.pdf",
            "statement-a-b-2.json",
            "commissions-a-2.csv",
            "ledger-2.csv",
            "HANSA-2-H.xml",
        ] {
            assert!(is_of(name, 2), "{name}");
        }
        for name in [
            "statement-a-2.pdf.signature.json",
            "statement-a-12.pdf",
            "HANSA-22-H.xml",
            "notes.txt",
        ] {
            assert!(!is_of(name, 2), "{name}");
        }
    }
}
