//! Tests of the proof module against two implementations that are not ours: `ct-merkle` and `tlog_tiles` (a port of
//! Go's `sumdb/tlog`).

use bytes::Bytes;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use hansa_proto::BATCH_PAYLOAD_TYPE;
use sha2::Sha256;
use tlog_tiles::tlog;

use super::*;
use crate::dsse;
use crate::keys::SigningKey;

const BOUND: u64 = 33;

type ForeignTree = MemoryBackedTree<Sha256, Vec<u8>>;

/// Hashes as `tlog_tiles` stores them.
#[derive(Default)]
struct Stored(Vec<tlog::Hash>);

impl tlog::HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        Ok(indexes
            .iter()
            .map(|i| self.0[usize::try_from(*i).unwrap()])
            .collect())
    }
}

fn leaf(n: u64) -> Vec<u8> {
    format!("leaf {n}").into_bytes()
}

/// Trees of 0..=BOUND leaves: the foreign tree, its root.
fn trees() -> Vec<(ForeignTree, Hash)> {
    (0..=BOUND)
        .map(|size| {
            let mut tree = ForeignTree::new();
            (0..size).for_each(|n| tree.push(leaf(n)));
            let root = (*tree.root().as_bytes()).into();
            (tree, root)
        })
        .collect()
}

fn stored() -> Stored {
    let mut stored = Stored::default();
    for n in 0..BOUND {
        let hashes = tlog::stored_hashes(n, &leaf(n), &stored).unwrap();
        stored.0.extend(hashes);
    }
    stored
}

fn chunks(bytes: &[u8]) -> Vec<Hash> {
    bytes.chunks(32).map(|c| c.try_into().unwrap()).collect()
}

fn ours(proof: &[tlog::Hash]) -> Vec<Hash> {
    proof.iter().map(|h| h.0).collect()
}

#[test]
fn inclusion_proofs_of_two_foreign_trees_verify() {
    let stored = stored();
    let mut checked = 0;
    for (tree, root) in trees().into_iter().skip(1) {
        let size = tree.len();
        assert_eq!(tlog::tree_hash(size, &stored).unwrap().0, root);
        for index in 0..size {
            let hash = leaf_hash(&leaf(index));
            let proof = chunks(
                tree.prove_inclusion(usize::try_from(index).unwrap())
                    .as_bytes(),
            );
            let second = ours(&tlog::prove_record(size, index, &stored).unwrap());
            assert_eq!(proof, second);
            assert_eq!(verify_inclusion(&hash, index, size, &proof, &root), Ok(()));
            checked += 1;
        }
    }
    assert_eq!(checked, BOUND * (BOUND + 1) / 2);
}

#[test]
fn wrong_inclusion_proofs_fail() {
    for (tree, root) in trees().into_iter().skip(1) {
        let size = tree.len();
        for index in 0..size {
            let hash = leaf_hash(&leaf(index));
            let proof = chunks(
                tree.prove_inclusion(usize::try_from(index).unwrap())
                    .as_bytes(),
            );
            let verify = |hash: &Hash, index, size, proof: &[Hash], root: &Hash| {
                verify_inclusion(hash, index, size, proof, root).is_ok()
            };
            for other in (0..size).filter(|i| *i != index) {
                assert!(!verify(&hash, other, size, &proof, &root));
            }
            assert!(!verify(&leaf_hash(b"x"), index, size, &proof, &root));
            assert!(!verify(&hash, index, size, &proof, &[0; 32]));
            assert_eq!(
                verify_inclusion(&hash, size, size, &proof, &root),
                Err(ProofError::Range)
            );
            let mut longer = proof.clone();
            longer.push([0; 32]);
            assert!(!verify(&hash, index, size, &longer, &root));
            for at in 0..proof.len() {
                let mut changed = proof.clone();
                changed[at][0] ^= 1;
                assert_eq!(
                    verify_inclusion(&hash, index, size, &changed, &root),
                    Err(ProofError::Root)
                );
                let mut shorter = proof.clone();
                shorter.remove(at);
                assert!(!verify(&hash, index, size, &shorter, &root));
            }
        }
    }
}

#[test]
fn consistency_proofs_of_two_foreign_trees_verify() {
    let stored = stored();
    let trees = trees();
    let mut checked = 0;
    for (new, new_root) in &trees {
        let new_size = new.len();
        for (old, old_root) in &trees[1..=usize::try_from(new_size).unwrap()] {
            let old_size = old.len();
            let added = usize::try_from(new_size - old_size).unwrap();
            let proof = chunks(new.prove_consistency(added).as_bytes());
            let second = ours(&tlog::prove_tree(new_size, old_size, &stored).unwrap());
            assert_eq!(proof, second, "{old_size} {new_size}");
            assert_eq!(
                verify_consistency(old_size, old_root, new_size, new_root, &proof),
                Ok(())
            );
            checked += 1;
        }
    }
    assert_eq!(checked, BOUND * (BOUND + 1) / 2);
}

#[test]
fn wrong_consistency_proofs_fail() {
    let trees = trees();
    for (new, new_root) in &trees {
        let new_size = new.len();
        for (old, old_root) in &trees[1..=usize::try_from(new_size).unwrap()] {
            let old_size = old.len();
            let added = usize::try_from(new_size - old_size).unwrap();
            let proof = chunks(new.prove_consistency(added).as_bytes());
            let verify = |old_root: &Hash, new_root: &Hash, proof: &[Hash]| {
                verify_consistency(old_size, old_root, new_size, new_root, proof).is_ok()
            };
            assert!(!verify(&[0; 32], new_root, &proof));
            assert!(!verify(old_root, &[0; 32], &proof));
            let mut longer = proof.clone();
            longer.push([0; 32]);
            assert!(!verify(old_root, new_root, &longer));
            for at in 0..proof.len() {
                let mut changed = proof.clone();
                changed[at][0] ^= 1;
                assert!(!verify(old_root, new_root, &changed));
                let mut shorter = proof.clone();
                shorter.remove(at);
                assert!(!verify(old_root, new_root, &shorter));
            }
            // The other sizes' roots do not fit.
            for (other, other_root) in trees.iter().filter(|(t, _)| t.len() != old_size) {
                let result = verify_consistency(other.len(), old_root, new_size, new_root, &proof);
                assert!(result.is_err() || other_root == old_root);
            }
        }
    }
}

#[test]
fn the_empty_tree_is_extended_by_every_tree() {
    let (_, root) = &trees()[5];
    assert_eq!(verify_consistency(0, &empty_root(), 5, root, &[]), Ok(()));
    assert_eq!(
        verify_consistency(0, root, 5, root, &[]),
        Err(ProofError::Root)
    );
    assert_eq!(
        verify_consistency(0, &empty_root(), 5, root, &[*root]),
        Err(ProofError::Shape)
    );
    assert_eq!(
        verify_consistency(6, root, 5, root, &[]),
        Err(ProofError::Range)
    );
}

/// A log of `size` entries with a receipt of entry 2, made with a foreign tree.
fn receipt() -> (Receipt, Envelope, LogVerifier) {
    let merchant = SigningKey::generate().unwrap();
    let hub = SigningKey::generate().unwrap();
    let envelope = dsse::sign(BATCH_PAYLOAD_TYPE, Bytes::from_static(b"batch"), &merchant);
    let decided_at = 1_772_000_000_123_456;
    let data = leaf_data(&envelope, decided_at, b"outcomes");
    let mut tree = ForeignTree::new();
    for n in 0..5 {
        tree.push(if n == 2 { data.to_vec() } else { leaf(n) });
    }
    let log = LogVerifier::new("log.example", hub.verifying_key()).unwrap();
    let root = *tree.root().as_bytes();
    let text = {
        use base64::Engine as _;
        let root = base64::engine::general_purpose::STANDARD.encode(root);
        format!("log.example\n5\n{root}\n")
    };
    let receipt = Receipt {
        leaf_index: 2,
        decided_at: Some(time::timestamp(decided_at)),
        leaf_data: data.to_vec(),
        inclusion_proof: chunks(tree.prove_inclusion(2).as_bytes())
            .iter()
            .map(|h| h.to_vec())
            .collect(),
        checkpoint: sign_note(&text, &log, &hub),
    };
    (receipt, envelope, log)
}

fn sign_note(text: &str, log: &LogVerifier, key: &SigningKey) -> String {
    use base64::Engine as _;
    let vkey = log.to_string();
    let hash = u32::from_str_radix(vkey.split('+').nth(1).unwrap(), 16).unwrap();
    let blob = [&hash.to_be_bytes()[..], &key.sign(text.as_bytes())].concat();
    let blob = base64::engine::general_purpose::STANDARD.encode(blob);
    format!("{text}\n\u{2014} {} {blob}\n", log.name())
}

#[test]
fn a_receipt_proves_envelope_time_and_outcomes() {
    let (receipt, envelope, log) = receipt();
    let checkpoint = verify_receipt(&receipt, &envelope, b"outcomes", &log).unwrap();
    assert_eq!(checkpoint.size, 5);
    assert_eq!(
        verify_receipt_outcomes(&receipt, b"outcomes", &log),
        Ok(checkpoint)
    );
}

#[test]
fn a_receipt_of_anything_else_fails() {
    let (receipt, envelope, log) = receipt();
    let check = |receipt: &Receipt, envelope: &Envelope, outcomes: &[u8]| {
        verify_receipt(receipt, envelope, outcomes, &log).map(|_| ())
    };
    assert_eq!(
        check(&receipt, &envelope, b"other"),
        Err(ProofError::LeafData)
    );
    assert_eq!(
        verify_receipt_outcomes(&receipt, b"other", &log),
        Err(ProofError::LeafData)
    );
    let mut other = envelope.clone();
    other.payload = Bytes::from_static(b"Batch");
    assert_eq!(
        check(&receipt, &other, b"outcomes"),
        Err(ProofError::LeafData)
    );

    let mut changed = receipt.clone();
    changed.decided_at = Some(time::timestamp(1_772_000_000_123_457));
    assert_eq!(
        check(&changed, &envelope, b"outcomes"),
        Err(ProofError::LeafData)
    );
    changed.decided_at = None;
    assert_eq!(
        check(&changed, &envelope, b"outcomes"),
        Err(ProofError::DecidedAt)
    );

    let mut changed = receipt.clone();
    changed.leaf_index = 3;
    assert_eq!(
        check(&changed, &envelope, b"outcomes"),
        Err(ProofError::Root)
    );
    let mut changed = receipt.clone();
    changed.inclusion_proof[0].pop();
    assert_eq!(
        check(&changed, &envelope, b"outcomes"),
        Err(ProofError::Shape)
    );
    let mut changed = receipt.clone();
    changed.checkpoint = changed.checkpoint.replacen("\n5\n", "\n6\n", 1);
    assert_eq!(
        check(&changed, &envelope, b"outcomes"),
        Err(ProofError::Checkpoint(NoteError::BadSignature))
    );
}
