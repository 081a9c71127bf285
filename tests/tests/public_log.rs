//! The log in public: what a merchant proves with it, without trust in the hub.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use hansa_client::{
    keys::SigningKey,
    leaf::{Hash, LEAF_DATA_LEN, leaf_hash},
    note::{Checkpoint, LogVerifier},
    proof::{hashes, node_hash, verify_consistency, verify_inclusion},
};
use hansa_proto::v1;
use hansa_tests::{
    alliance, body,
    check::{answered, refused, verifier},
    database::Database,
    for_each_database,
    hub::TestHub,
    merchant::Merchant,
};
use tonic::Code;

/// The log as this merchant sees it.
struct Log {
    shop: Merchant,
    verifier: LogVerifier,
    checkpoint: Checkpoint,
    /// Hash of each leaf.
    leaves: Vec<Hash>,
    /// Data of each leaf.
    data: Vec<Vec<u8>>,
}

impl Log {
    async fn read(shop: &Merchant) -> Self {
        let newest = shop.hub.checkpoint().await.unwrap();
        let verifier = verifier(&newest.verifier_key);
        let checkpoint = verifier.open(&newest.checkpoint).unwrap();
        let (mut data, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListEntriesRequest {
                page_token,
                page_size: 200,
                ..v1::ListEntriesRequest::default()
            };
            let page = answered(shop.hub.log().list_entries(request).await);
            for entry in page.entries {
                assert_eq!(entry.leaf_index, data.len() as u64, "no entry is left out");
                data.push(entry.leaf_data);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        data.truncate(usize::try_from(checkpoint.size).unwrap());
        Self {
            shop: shop.clone(),
            verifier,
            checkpoint,
            leaves: data.iter().map(|data| leaf_hash(data)).collect(),
            data,
        }
    }

    async fn tile(&self, level: i32, index: u64, width: u32) -> Result<Vec<u8>, tonic::Status> {
        let request = v1::GetTileRequest {
            level,
            index,
            width,
        };
        let answer = self.shop.hub.log().get_tile(request).await?;
        Ok(answer.into_inner().data)
    }

    async fn assert_tiles(&self) {
        let size = self.leaves.len();
        let rest = u32::try_from(size % 256).unwrap();
        assert!(size > 256 && rest > 0, "a full tile and a partial one");
        let (full, partial) = self.leaves.split_at(256);
        assert_eq!(self.tile(0, 0, 0).await.unwrap(), full.concat());
        assert_eq!(self.tile(0, 1, rest).await.unwrap(), partial.concat());
        assert_eq!(self.tile(0, 0, 17).await.unwrap(), full[..17].concat());
        assert_eq!(self.tile(1, 0, 1).await.unwrap(), root(full));
        let bundle = |data: &[Vec<u8>]| -> Vec<u8> {
            let len = u16::try_from(LEAF_DATA_LEN).unwrap().to_be_bytes();
            data.iter()
                .flat_map(|leaf| [&len[..], leaf].concat())
                .collect()
        };
        assert_eq!(
            self.tile(-1, 0, 0).await.unwrap(),
            bundle(&self.data[..256])
        );
        assert_eq!(
            self.tile(-1, 1, rest).await.unwrap(),
            bundle(&self.data[256..])
        );
        for (level, index, width) in [
            (0, 1, 0),
            (0, 2, 1),
            (1, 0, 2),
            (2, 0, 1),
            (-2, 0, 1),
            (64, 0, 1),
            (0, 0, 257),
            (0, u64::MAX, 1),
        ] {
            let tile = self.tile(level, index, width).await;
            refused(tile, Code::NotFound, "NOT_FOUND");
        }
    }

    async fn assert_proofs(&self) {
        let size = self.checkpoint.size;
        for index in [0, 1, 2, 100, 255, 256, 257, size - 1] {
            for tree_size in [index + 1, 256.max(index + 1), size, 0] {
                let request = v1::GetInclusionProofRequest {
                    leaf_index: index,
                    tree_size,
                };
                let proof = answered(self.shop.hub.log().get_inclusion_proof(request).await);
                let of = if tree_size == 0 {
                    proof.tree_size
                } else {
                    tree_size
                };
                let leaf = self.leaves[usize::try_from(index).unwrap()];
                assert_eq!(proof.leaf_hash, leaf);
                let root = root(&self.leaves[..usize::try_from(of).unwrap()]);
                verify_inclusion(&leaf, index, of, &hashes(&proof.hashes).unwrap(), &root).unwrap();
            }
        }
        for from in [1, 2, 7, 128, 255, 256, 257, size - 1, size] {
            for to in [from, 256.max(from), size] {
                let proof = self.shop.hub.consistency_proof(from, to).await.unwrap();
                let root_of = |n: u64| root(&self.leaves[..usize::try_from(n).unwrap()]);
                verify_consistency(
                    from,
                    &root_of(from),
                    to,
                    &root_of(to),
                    &hashes(&proof).unwrap(),
                )
                .unwrap();
            }
        }
        for (leaf_index, tree_size) in [(size, size), (0, size + 1), (5, 5), (u64::MAX, 0)] {
            let request = v1::GetInclusionProofRequest {
                leaf_index,
                tree_size,
            };
            let proof = self.shop.hub.log().get_inclusion_proof(request).await;
            refused(proof, Code::NotFound, "NOT_FOUND");
        }
        for (from, to) in [(3, 2), (1, size + 1)] {
            refused(
                self.shop.hub.consistency_proof(from, to).await,
                Code::NotFound,
                "NOT_FOUND",
            );
        }
    }
}

/// Root of a tree by the definition of RFC 6962: split at the largest power of two below the size.
fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => hansa_client::proof::empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&root(left), &root(right))
        }
    }
}

async fn the_log_in_public(database: Database) {
    let mut hub = TestHub::on(&database)
        .test_clock("2026-03-02T09:00:00Z")
        .start()
        .await;
    let shop = hub.onboard("shop", alliance::contract()).await;
    let other = hub.onboard("other", alliance::contract()).await;
    let members = shop.enrol_many("m", 10).await;
    let there = other.enrol_many("m", 10).await;
    let key = shop.hub.checkpoint().await.unwrap().verifier_key;
    let log = verifier(&key);
    let mut receipts = Vec::new();
    for n in 0..300 {
        let (till, member) = if n % 3 == 0 {
            (&other, there[n % 10])
        } else {
            (&shop, members[n % 10])
        };
        let batch = till.batch(&[till.message(&member, body::accrual("1.00"))]);
        let answer = till.hub.submit(&batch).await.unwrap();
        let checkpoint = answer.verify(&batch, &log).unwrap().unwrap();
        if let Some(receipt) = answer.receipt.filter(|_| n % 3 != 0) {
            receipts.push((receipt, checkpoint));
        }
    }
    let mut seen = Vec::new();
    for restart in [false, true] {
        if restart {
            hub.kill();
            hub.start().await;
        }
        let log = Log::read(&shop).await;
        assert_eq!(log.verifier.name(), hub.status().await.origin);
        assert_eq!(root(&log.leaves), log.checkpoint.root);
        log.assert_tiles().await;
        log.assert_proofs().await;
        // Every receipt that was given is of this very log, and is given again as it was.
        for (receipt, checkpoint) in receipts.iter().step_by(20) {
            assert_eq!(
                root(&log.leaves[..usize::try_from(checkpoint.size).unwrap()]),
                checkpoint.root
            );
            let again = shop
                .hub
                .receipt(receipt.leaf_index)
                .await
                .unwrap()
                .receipt
                .unwrap();
            assert_eq!(again, *receipt);
            let request = v1::GetCheckpointRequest {
                tree_size: checkpoint.size,
            };
            let note = answered(shop.hub.log().get_checkpoint(request).await);
            assert_eq!(
                (note.checkpoint, note.verifier_key),
                (receipt.checkpoint.clone(), key.clone())
            );
        }
        let beyond = v1::GetCheckpointRequest {
            tree_size: log.checkpoint.size + 1,
        };
        refused(
            shop.hub.log().get_checkpoint(beyond).await,
            Code::NotFound,
            "NOT_FOUND",
        );
        seen.push(log.leaves);
    }
    assert!(seen[1].starts_with(&seen[0]), "a restart changes nothing");
}

/// A receipt of something else proves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_is_of_one_batch() {
    let hub = TestHub::on(&Database::sqlite()).start().await;
    let shop = hub.onboard("shop", alliance::contract()).await;
    let member = shop.enrol("u").await;
    let log = verifier(&shop.hub.checkpoint().await.unwrap().verifier_key);
    let batches =
        ["1.00", "2.00"].map(|amount| shop.batch(&[shop.message(&member, body::accrual(amount))]));
    let first = shop.hub.submit(&batches[0]).await.unwrap();
    let second = shop.hub.submit(&batches[1]).await.unwrap();
    first.verify(&batches[0], &log).unwrap().unwrap();
    assert!(first.verify(&batches[1], &log).is_err());
    let mut mixed = first.clone();
    mixed.outcomes_bytes = second.outcomes_bytes;
    assert!(mixed.verify(&batches[0], &log).is_err());
    let mut moved = first.clone();
    if let Some(receipt) = &mut moved.receipt {
        receipt.leaf_index += 1;
    }
    assert!(moved.verify(&batches[0], &log).is_err());
    let stranger = SigningKey::generate().unwrap().verifying_key();
    let stranger = LogVerifier::new(log.name(), stranger).unwrap();
    assert!(first.verify(&batches[0], &stranger).is_err());
}

for_each_database!(the_log_in_public);
