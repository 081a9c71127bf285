//! A small log of several cycles, proved by a tree that is not ours (`ct-merkle`).

use bytes::Bytes;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use hansa_proto::{BATCH_PAYLOAD_TYPE, CYCLE_CERTIFICATE_PAYLOAD_TYPE};
use sha2::Sha256;

use super::*;
use crate::certificate::{CertificateError, verify_certificate};
use crate::dsse;
use crate::json::base64_text;
use crate::keys::SigningKey;
use crate::leaf::{LEAF_DATA_LEN, leaf_data};
use crate::note::Checkpoint;
use crate::proof::hashes;
use crate::time::timestamp;

const ORIGIN: &str = "test.example/log";
const NOW: i64 = 1_772_000_000_000_000;

type Leaf = [u8; LEAF_DATA_LEN];

/// A log with what its hub signed.
struct Log {
    hub: SigningKey,
    merchant: SigningKey,
    leaves: Vec<Leaf>,
    /// Leaves of cuts, and of the entries that closed the cycles.
    cuts: Vec<(u64, u64)>,
}

fn chunks(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.chunks(32).map(<[u8]>::to_vec).collect()
}

fn message(id: u8) -> Bytes {
    let message = Message {
        message_id: vec![id; 16],
        ..Message::default()
    };
    message.encode_to_vec().into()
}

fn outcome(code: v1::ResultCode, cycle_number: u32) -> v1::Outcome {
    v1::Outcome {
        code: code.into(),
        cycle_number,
        ..v1::Outcome::default()
    }
}

impl Log {
    fn new() -> Self {
        Self {
            hub: SigningKey::generate().unwrap(),
            merchant: SigningKey::generate().unwrap(),
            leaves: Vec::new(),
            cuts: Vec::new(),
        }
    }

    fn verifier(&self) -> LogVerifier {
        LogVerifier::new(ORIGIN, self.hub.verifying_key()).unwrap()
    }

    fn tree(&self, size: u64) -> MemoryBackedTree<Sha256, Vec<u8>> {
        let mut tree = MemoryBackedTree::new();
        let leaves = &self.leaves[..usize::try_from(size).unwrap()];
        leaves.iter().for_each(|leaf| tree.push(leaf.to_vec()));
        tree
    }

    fn note(&self, size: u64) -> String {
        let root = *self.tree(size).root().as_bytes();
        let text = format!("{ORIGIN}\n{size}\n{}\n", base64_text(&root));
        let mut signature = self.verifier().key_hash().to_be_bytes().to_vec();
        signature.extend(self.hub.sign(text.as_bytes()));
        format!("{text}\n\u{2014} {ORIGIN} {}\n", base64_text(&signature))
    }

    fn inclusion(&self, leaf: u64, size: u64) -> Vec<Vec<u8>> {
        let proof = self
            .tree(size)
            .prove_inclusion(usize::try_from(leaf).unwrap());
        chunks(proof.as_bytes())
    }

    fn consistency(&self, from: u64, to: u64) -> Vec<Vec<u8>> {
        let added = usize::try_from(to - from).unwrap();
        chunks(self.tree(to).prove_consistency(added).as_bytes())
    }

    /// An entry of somebody else's.
    fn other(&mut self) -> u64 {
        let number = self.leaves.len() as u64;
        self.leaves
            .push([u8::try_from(number).unwrap(); LEAF_DATA_LEN]);
        number
    }

    /// A batch of the merchant's.
    fn batch(&mut self, ids: &[u8], outcomes: Vec<v1::Outcome>) -> KeptReceipt {
        let batch = v1::Batch {
            messages: ids.iter().copied().map(message).collect(),
        };
        let payload = batch.encode_to_vec().into();
        let envelope = dsse::sign(BATCH_PAYLOAD_TYPE, payload, &self.merchant);
        let outcomes: Bytes = Outcomes { outcomes }.encode_to_vec().into();
        let leaf_index = self.leaves.len() as u64;
        let leaf = leaf_data(&envelope, NOW, &outcomes);
        self.leaves.push(leaf);
        KeptReceipt {
            envelope,
            outcomes,
            receipt: v1::Receipt {
                leaf_index,
                decided_at: Some(timestamp(NOW)),
                leaf_data: leaf.to_vec(),
                inclusion_proof: self.inclusion(leaf_index, leaf_index + 1),
                checkpoint: self.note(leaf_index + 1),
            },
        }
    }

    /// Accepted messages of a cycle.
    fn bought(&mut self, cycle: u32, ids: &[u8]) -> KeptReceipt {
        let outcomes = ids.iter().map(|_| outcome(v1::ResultCode::Accepted, cycle));
        self.batch(ids, outcomes.collect())
    }

    fn cut(&mut self) {
        let cut = self.other();
        let closed = self.other();
        self.cuts.push((cut, closed));
    }

    fn unsigned(&self, number: u32) -> CertificateParts {
        let at = number as usize - 1;
        let (cut, closed) = self.cuts[at];
        let before = at.checked_sub(1).map(|before| self.cuts[before].0);
        let opening = before.map_or(0, |before| before + 1);
        v1::CycleCertificate {
            cycle: Some(v1::Cycle {
                cycle_number: number,
                state: v1::CycleState::Closed.into(),
                cut_leaf_index: Some(cut),
                closed_leaf_index: Some(closed),
                digest: "0".repeat(64),
                messages_accepted: 7,
                messages_refused: 2,
                ..v1::Cycle::default()
            }),
            opening_cut_leaf_index: before,
            opening_checkpoint: before.map(|_| self.note(opening)).unwrap_or_default(),
            cut_checkpoint: self.note(cut + 1),
            closed_checkpoint: self.note(closed + 1),
            opening_to_cut_proof: before
                .map(|_| self.consistency(opening, cut + 1))
                .unwrap_or_default(),
            cut_to_closed_proof: self.consistency(cut + 1, closed + 1),
            messages: 9,
            ..v1::CycleCertificate::default()
        }
    }

    fn sign(&self, certificate: &CertificateParts) -> v1::Envelope {
        let payload = certificate.encode_to_vec().into();
        dsse::sign(CYCLE_CERTIFICATE_PAYLOAD_TYPE, payload, &self.hub)
    }

    fn certificate(&self, number: u32) -> CertifiedCycle {
        verify_certificate(&self.sign(&self.unsigned(number)), &self.verifier()).unwrap()
    }

    fn proof(&self, number: u32, kept: &KeptReceipt) -> ((u32, u64), Vec<Hash>) {
        let leaf = kept.receipt.leaf_index;
        let proof = self.inclusion(leaf, self.cuts[number as usize - 1].0 + 1);
        ((number, leaf), hashes(&proof).unwrap())
    }
}

type CertificateParts = v1::CycleCertificate;

/// Two cycles that are closed and a third one that is open, a receipt in each.
fn story() -> (Log, Vec<KeptReceipt>) {
    let mut log = Log::new();
    log.other();
    let mut receipts = vec![log.bought(1, &[1, 2])];
    log.other();
    log.cut();
    receipts.push(log.batch(
        &[3, 4],
        vec![
            outcome(v1::ResultCode::Accepted, 2),
            outcome(v1::ResultCode::InsufficientPoints, 2),
        ],
    ));
    log.cut();
    receipts.push(log.bought(3, &[5]));
    (log, receipts)
}

#[test]
fn each_message_is_in_the_cycle_whose_cuts_enclose_it() {
    let (log, receipts) = story();
    let cycles = [log.certificate(2), log.certificate(1)];
    let proofs = CutProofs::from([log.proof(1, &receipts[0])]);
    let found = assign(&receipts, &cycles, &proofs, &log.verifier()).unwrap();
    let first = InCycle {
        batches: 1,
        proven_batches: 1,
        accepted: 2,
        refused: 0,
    };
    let second = InCycle {
        batches: 1,
        proven_batches: 0,
        accepted: 1,
        refused: 1,
    };
    assert_eq!(found.cycles, BTreeMap::from([(1, first), (2, second)]));
    assert_eq!((found.outside, found.messages()), (1, 5));
    // Without a certificate a cycle's messages are outside, never in another one.
    let found = assign(&receipts, &cycles[..1], &proofs, &log.verifier()).unwrap();
    assert_eq!((found.cycles.len(), found.outside), (1, 3));
}

#[test]
fn a_message_behind_the_cut_is_not_in_the_cycle_that_the_hub_names() {
    let (mut log, mut receipts) = story();
    // The hub says cycle 2, by its own clock perhaps; the cut stands before the leaf.
    receipts.push(log.bought(2, &[6]));
    let cycles = [log.certificate(1), log.certificate(2)];
    let wrong = assign(&receipts, &cycles, &CutProofs::new(), &log.verifier()).unwrap_err();
    let AssignmentError::OtherCycle { leaf, told, .. } = &wrong else {
        panic!("{wrong}");
    };
    assert_eq!((*leaf, *told), (receipts[3].receipt.leaf_index, 2));
    log.cut();
    let cycles = [log.certificate(1), log.certificate(2), log.certificate(3)];
    let wrong = assign(&receipts, &cycles, &CutProofs::new(), &log.verifier()).unwrap_err();
    assert!(
        wrong.to_string().ends_with("the cuts put it into cycle 3"),
        "{wrong}"
    );
}

#[test]
fn a_message_that_was_decided_twice_is_found() {
    let (mut log, mut receipts) = story();
    receipts.push(log.bought(3, &[2]));
    let wrong = assign(&receipts, &[], &CutProofs::new(), &log.verifier()).unwrap_err();
    let AssignmentError::DecidedTwice { first, second, .. } = wrong else {
        panic!("{wrong}");
    };
    assert_eq!((first, second), (1, receipts[3].receipt.leaf_index));
}

#[test]
fn a_repeated_message_is_where_it_was_first() {
    let (mut log, mut receipts) = story();
    let repeated = |leaf| v1::Outcome {
        replayed: true,
        leaf_index: Some(leaf),
        ..outcome(v1::ResultCode::Accepted, 1)
    };
    let new = outcome(v1::ResultCode::Accepted, 3);
    receipts.push(log.batch(&[1, 9, 8], vec![repeated(1), repeated(0), new]));
    let found = assign(
        &receipts,
        &[log.certificate(1)],
        &CutProofs::new(),
        &log.verifier(),
    );
    let found = found.unwrap();
    assert_eq!((found.messages(), found.repeated), (6, 2));
    // The receipt of leaf 0 is not at hand.
    assert_eq!(found.missing_leaves, [0]);
}

#[test]
fn receipts_that_do_not_hold_or_contradict_each_other_are_found() {
    let (log, receipts) = story();
    let verifier = log.verifier();
    let none = CutProofs::new();
    let mut other = receipts[0].clone();
    other.outcomes = Outcomes {
        outcomes: vec![outcome(v1::ResultCode::Accepted, 2); 2],
    }
    .encode_to_vec()
    .into();
    let wrong = assign(&[other.clone()], &[], &none, &verifier).unwrap_err();
    let leaf = receipts[0].receipt.leaf_index;
    let error = ProofError::LeafData;
    assert_eq!(wrong, AssignmentError::Receipt { leaf, error });
    let wrong = assign(&[receipts[0].clone(), other], &[], &none, &verifier).unwrap_err();
    assert_eq!(wrong, AssignmentError::TwoReceipts(leaf));
    // A leaf that is not in the tree of the cut.
    let cycle = log.certificate(1);
    let (key, mut proof) = log.proof(1, &receipts[0]);
    proof[0][0] ^= 1;
    let wrong = assign(
        &receipts,
        &[cycle],
        &CutProofs::from([(key, proof)]),
        &verifier,
    );
    assert!(
        matches!(wrong, Err(AssignmentError::NotInCut { cycle: 1, .. })),
        "{wrong:?}"
    );
}

#[test]
fn certificates_that_contradict_each_other_are_found() {
    let (log, _) = story();
    let (first, second) = (log.certificate(1), log.certificate(2));
    let forked = Checkpoint {
        root: [7; 32],
        ..first.cut.clone()
    };
    let other = CertifiedCycle {
        cut: forked.clone(),
        ..first.clone()
    };
    let assign = |cycles: &[CertifiedCycle]| {
        super::assign(&[], cycles, &CutProofs::new(), &log.verifier()).unwrap_err()
    };
    assert_eq!(
        assign(&[first.clone(), other.clone()]),
        AssignmentError::TwoCertificates(1)
    );
    assert_eq!(assign(&[other, second.clone()]), AssignmentError::Chain(2));
    let far = CertifiedCycle {
        number: 9,
        ..second.clone()
    };
    assert_eq!(assign(&[second, far]), AssignmentError::Overlap(2, 9));
}

#[test]
fn a_certificate_is_what_the_log_signed_and_nothing_else() {
    let (log, _) = story();
    let verifier = log.verifier();
    let good = log.unsigned(2);
    let check = |change: &dyn Fn(&mut CertificateParts)| {
        let mut changed = good.clone();
        change(&mut changed);
        verify_certificate(&log.sign(&changed), &verifier)
    };
    assert_eq!(check(&|_| {}).unwrap().leaves, 4..=6);
    type Change = dyn Fn(&mut CertificateParts);
    let contradictions: [&Change; 8] = [
        &|c| c.cycle = None,
        &|c| c.cycle.as_mut().unwrap().cut_leaf_index = None,
        &|c| c.cycle.as_mut().unwrap().set_state(v1::CycleState::Closing),
        &|c| c.cycle.as_mut().unwrap().cycle_number = 1,
        &|c| c.opening_cut_leaf_index = None,
        &|c| c.opening_cut_leaf_index = Some(4),
        &|c| c.cycle.as_mut().unwrap().closed_leaf_index = Some(6),
        &|c| c.messages += 1,
    ];
    for change in contradictions {
        let found = check(change);
        assert!(
            matches!(found, Err(CertificateError::Contradiction(_))),
            "{found:?}"
        );
    }
    let unsigned = check(&|c| c.cut_checkpoint = c.cut_checkpoint.replace("\n7\n", "\n8\n"));
    assert!(
        matches!(unsigned, Err(CertificateError::Checkpoint { .. })),
        "{unsigned:?}"
    );
    let shorter = check(&|c| drop(c.opening_to_cut_proof.pop()));
    assert!(
        matches!(shorter, Err(CertificateError::NotExtended { .. })),
        "{shorter:?}"
    );
    // Signed by somebody else, altered, or something else.
    let mut altered = log.sign(&good);
    altered.signatures[0].sig[0] ^= 1;
    let other = Log::new().sign(&good);
    for envelope in [altered, other] {
        let found = verify_certificate(&envelope, &verifier);
        assert!(
            matches!(found, Err(CertificateError::Envelope(_))),
            "{found:?}"
        );
    }
    let none = dsse::sign(
        CYCLE_CERTIFICATE_PAYLOAD_TYPE,
        Bytes::from_static(b"\xff"),
        &log.hub,
    );
    assert_eq!(
        verify_certificate(&none, &verifier),
        Err(CertificateError::Undecodable)
    );
}

#[test]
fn a_receipt_is_the_same_behind_its_text() {
    let (log, receipts) = story();
    for kept in &receipts {
        let read = KeptReceipt::from_text(&kept.to_text().unwrap()).unwrap();
        assert_eq!(&read, kept);
        read.verify(&log.verifier()).unwrap();
    }
    assert_eq!(KeptReceipt::file_name_of(42), "receipt-000000000042.json");
    // Protobuf's JSON leaves zeros out; a number may be one.
    let text = receipts[0].to_text().unwrap();
    let bare = text.replace("\"leafIndex\": \"1\",", "");
    assert_eq!(KeptReceipt::from_text(&bare).unwrap().receipt.leaf_index, 0);
    let number = text.replace("\"leafIndex\": \"1\"", "\"leafIndex\": 1");
    assert_eq!(KeptReceipt::from_text(&number).unwrap(), receipts[0]);
    for wrong in ["", "{}", &text.replace("decidedAt", "decided")] {
        assert!(KeptReceipt::from_text(wrong).is_err());
    }
}
