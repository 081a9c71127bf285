//! The tree against implementations that others wrote: `tlog_tiles` and `signed_note` (Cloudflare's, after Go's
//! checksum database) and `ct-merkle` (on its own). What they compute from the same leaves must be ours to the byte,
//! and they must accept our proofs, tiles and checkpoints and refuse altered ones.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use sha2::Sha256;
use signed_note::{Note, StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles as tiles;

use super::note::tests::signer;
use super::note::{Checkpoint, LogVerifier};
use super::*;

const ORIGIN: &str = "hansa.example/points";

/// The largest tree of the random tests. Unit: leaves.
const LARGE: u64 = 100_000;

fn leaf_data(n: u64) -> [u8; LEAF_DATA_LEN] {
    let mut data = [n as u8; LEAF_DATA_LEN];
    data[..8].copy_from_slice(&n.to_be_bytes());
    data
}

/// Our tree: the rows of all leaves, and the root at every size.
struct Ours {
    rows: Vec<Vec<u8>>,
    roots: Vec<Hash>,
}

impl Ours {
    fn new(size: u64) -> Self {
        let mut frontier = Frontier::new();
        let mut roots = vec![frontier.root()];
        let rows = (0..size).map(|n| {
            let row = frontier.append(leaf_hash(&leaf_data(n)));
            roots.push(frontier.root());
            row
        });
        let rows = rows.collect();
        Self { rows, roots }
    }

    fn root(&self, size: u64) -> Hash {
        self.roots[size as usize]
    }

    fn fetch(&self, needed: &[Location]) -> Vec<Hash> {
        pick(needed, |seq| self.rows.get(seq as usize).map(Vec::as_slice)).unwrap()
    }

    fn inclusion(&self, leaf: u64, size: u64) -> Vec<Hash> {
        let plan = inclusion_plan(leaf, size).unwrap();
        plan.assemble(&self.fetch(plan.needed())).unwrap()
    }

    fn consistency(&self, from: u64, to: u64) -> Vec<Hash> {
        let plan = consistency_plan(from, to).unwrap();
        plan.assemble(&self.fetch(plan.needed())).unwrap()
    }

    fn tile(&self, level: i32, index: u64, width: u32, size: u64) -> Vec<u8> {
        match tile_plan(level, index, width, size).unwrap() {
            TilePlan::Hashes(needed) => assemble_tile(&self.fetch(&needed)),
            TilePlan::Entries(entries) => {
                let data: Vec<_> = entries.clone().map(leaf_data).collect();
                assemble_bundle(&entries, &data).unwrap()
            }
        }
    }
}

/// The stored hashes as `tlog_tiles` computes and orders them.
struct Theirs(Vec<tiles::Hash>);

impl Theirs {
    fn new(size: u64) -> Self {
        let mut stored = Self(Vec::new());
        for n in 0..size {
            let more = tiles::stored_hashes(n, &leaf_data(n), &stored).unwrap();
            stored.0.extend(more);
        }
        stored
    }

    fn root(&self, size: u64) -> Hash {
        tiles::tree_hash(size, self).unwrap().0
    }
}

impl tiles::HashReader for Theirs {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tiles::Hash>, tiles::Error> {
        Ok(indexes.iter().map(|&at| self.0[at as usize]).collect())
    }
}

static OURS: LazyLock<Ours> = LazyLock::new(|| Ours::new(LARGE));
static THEIRS: LazyLock<Theirs> = LazyLock::new(|| Theirs::new(LARGE));

fn wrapped(hashes: &[Hash]) -> Vec<tiles::Hash> {
    hashes.iter().copied().map(tiles::Hash).collect()
}

fn ct_root(size: u64) -> RootHash<Sha256> {
    RootHash::new(OURS.root(size).into(), size)
}

/// Numbers that look random and are the same in every run (Knuth's MMIX generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[test]
fn stored_rows_and_their_coordinates_are_those_of_tlog_tiles() {
    let ours: Vec<u8> = OURS.rows.concat();
    let theirs: Vec<u8> = THEIRS.0.iter().flat_map(|hash| hash.0).collect();
    assert!(ours == theirs);
    for number in 0..THEIRS.0.len() as u64 {
        let (level, index) = tiles::split_stored_hash_index(number);
        let location = locate(level, index).unwrap();
        // Go's order is ours: a leaf's row begins where the hashes of all leaves before it end.
        let start = tiles::stored_hash_count(location.seq);
        assert_eq!(start + u64::from(location.position), number);
    }
}

#[test]
fn all_small_trees_have_the_roots_and_proofs_of_both_crates() {
    let mut tree = MemoryBackedTree::<Sha256, [u8; LEAF_DATA_LEN]>::new();
    for size in 1..=300 {
        tree.push(leaf_data(size - 1));
        assert_eq!(OURS.root(size), THEIRS.root(size));
        assert_eq!(OURS.root(size)[..], tree.root().as_bytes()[..]);
        for leaf in 0..size {
            let proof = OURS.inclusion(leaf, size);
            let theirs = tree.prove_inclusion(leaf as usize);
            assert_eq!(proof.concat(), theirs.as_bytes(), "{leaf} in {size}");
            let theirs = tiles::prove_record(size, leaf, &*THEIRS).unwrap();
            assert_eq!(wrapped(&proof), theirs, "{leaf} in {size}");
        }
        for from in 1..=size {
            let proof = OURS.consistency(from, size);
            let theirs = tree.prove_consistency((size - from) as usize);
            assert_eq!(proof.concat(), theirs.as_bytes(), "{from} to {size}");
            let theirs = tiles::prove_tree(size, from, &*THEIRS).unwrap();
            assert_eq!(wrapped(&proof), theirs, "{from} to {size}");
        }
    }
}

#[test]
fn both_crates_verify_inclusion_in_large_trees() {
    let mut numbers = Numbers(1);
    for _ in 0..1_000 {
        let size = 1 + numbers.below(LARGE);
        let leaf = numbers.below(size);
        let mut proof = wrapped(&OURS.inclusion(leaf, size));
        let root = tiles::Hash(THEIRS.root(size));
        let hash = tiles::record_hash(&leaf_data(leaf));
        tiles::check_record(&proof, size, root, leaf, hash).unwrap();

        let ct_proof = |proof: &[tiles::Hash]| {
            InclusionProof::from_bytes(proof.iter().flat_map(|hash| hash.0).collect())
        };
        let verify = |leaf, proof| ct_root(size).verify_inclusion(&leaf_data(leaf), leaf, &proof);
        verify(leaf, ct_proof(&proof)).unwrap();

        let Some(first) = proof.first_mut() else {
            continue;
        };
        first.0[numbers.below(32) as usize] ^= 1;
        assert!(tiles::check_record(&proof, size, root, leaf, hash).is_err());
        assert!(verify(leaf, ct_proof(&proof)).is_err());
    }
}

#[test]
fn both_crates_verify_consistency_of_large_trees() {
    let mut numbers = Numbers(2);
    for _ in 0..1_000 {
        let to = 1 + numbers.below(LARGE);
        let from = 1 + numbers.below(to);
        let mut proof = wrapped(&OURS.consistency(from, to));
        let old = tiles::Hash(THEIRS.root(from));
        let new = tiles::Hash(THEIRS.root(to));
        tiles::check_tree(&proof, to, new, from, old).unwrap();

        let ct_proof = |proof: &[tiles::Hash]| {
            let bytes = proof.iter().flat_map(|hash| hash.0).collect();
            ConsistencyProof::try_from_bytes(bytes).unwrap()
        };
        let verify = |proof| ct_root(to).verify_consistency(&ct_root(from), &proof);
        verify(ct_proof(&proof)).unwrap();

        let Some(last) = proof.last_mut() else {
            continue;
        };
        last.0[numbers.below(32) as usize] ^= 1;
        assert!(tiles::check_tree(&proof, to, new, from, old).is_err());
        assert!(verify(ct_proof(&proof)).is_err());
    }
}

/// Serves our tiles of a tree of one size, as a hub does.
struct Server {
    size: u64,
    /// Flips a bit of every tile of this level.
    altered_level: Option<u8>,
}

impl tiles::TileReader for Server {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, wanted: &[tiles::Tile]) -> Result<Vec<Vec<u8>>, tiles::Error> {
        let serve = |tile: &tiles::Tile| {
            let width = tile.width() % 256;
            let level = i32::from(tile.level());
            let mut data = OURS.tile(level, tile.level_index(), width, self.size);
            if self.altered_level == Some(tile.level()) {
                data[5] ^= 1;
            }
            data
        };
        Ok(wanted.iter().map(serve).collect())
    }

    fn save_tiles(&self, _: &[tiles::Tile], _: &[Vec<u8>]) {}
}

#[test]
fn a_foreign_client_proves_everything_from_our_tiles() {
    let mut numbers = Numbers(3);
    let mut sizes = vec![1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, LARGE];
    sizes.extend((0..40).map(|_| 1 + numbers.below(LARGE)));
    for size in sizes {
        let root = tiles::Hash(THEIRS.root(size));
        let server = Server {
            size,
            altered_level: None,
        };
        let reader = tiles::TileHashReader::new(size, root, &server);
        for _ in 0..10 {
            let leaf = numbers.below(size);
            let proof = tiles::prove_record(size, leaf, &reader).unwrap();
            assert_eq!(proof, wrapped(&OURS.inclusion(leaf, size)));
            let from = 1 + numbers.below(size);
            let proof = tiles::prove_tree(size, from, &reader).unwrap();
            assert_eq!(proof, wrapped(&OURS.consistency(from, size)));
        }
    }
}

#[test]
fn a_foreign_client_refuses_altered_tiles() {
    let size = 70_000;
    let root = tiles::Hash(THEIRS.root(size));
    for level in 0..3 {
        let server = Server {
            size,
            altered_level: Some(level),
        };
        let reader = tiles::TileHashReader::new(size, root, &server);
        assert!(tiles::prove_record(size, 100, &reader).is_err(), "{level}");
    }
}

#[test]
fn every_tile_of_a_grown_tree_is_the_foreign_one() {
    let (old, new) = (60_000, 67_000);
    let grown = tiles::Tile::new_tiles(8, old, new);
    assert!(grown.iter().any(|tile| tile.level() == 2));
    for tile in grown {
        let (level, width) = (i32::from(tile.level()), tile.width() % 256);
        let ours = OURS.tile(level, tile.level_index(), width, new);
        assert_eq!(ours, tile.read_data(&*THEIRS).unwrap(), "{}", tile.path());
    }
}

#[test]
fn entry_bundles_hold_the_data_of_the_leaves_in_their_tile() {
    for (index, width) in [(0, 0), (389, 0), (390, 160), (390, 1)] {
        let bundle = OURS.tile(-1, index, width, LARGE);
        let tile = OURS.tile(0, index, width, LARGE);
        let (entries, rest) = bundle.as_chunks::<{ 2 + LEAF_DATA_LEN }>();
        assert!(rest.is_empty());
        let hashes: Vec<Hash> = entries
            .iter()
            .map(|entry| tiles::record_hash(&entry[2..]).0)
            .collect();
        assert_eq!(hashes.concat(), tile);
        assert!(entries.iter().all(|entry| entry[..2] == [0, 72]));
    }
}

fn foreign_verifier(key: &LogVerifier) -> VerifierList {
    let verifier = StandardVerifier::new(&key.to_string()).unwrap();
    VerifierList::new(vec![Box::new(verifier)])
}

#[test]
fn signed_note_verifies_our_checkpoints() {
    let log = signer(ORIGIN, 7);
    for size in [0, 1, 299, LARGE] {
        let text = log.sign(size, &OURS.root(size));
        let note = Note::from_bytes(text.as_bytes()).unwrap();
        let (verified, others) = note.verify(&foreign_verifier(log.verifier())).unwrap();
        assert_eq!((verified.len(), others.len()), (1, 0));
        let read = tiles::Checkpoint::from_bytes(note.text()).unwrap();
        assert_eq!(read.origin(), ORIGIN);
        assert_eq!(read.size(), size);
        assert_eq!(read.hash().0, THEIRS.root(size));
        assert_eq!(read.extension(), "");

        let altered = text.replacen(ORIGIN, "hansa.example/miles", 1);
        let note = Note::from_bytes(altered.as_bytes()).unwrap();
        assert!(note.verify(&foreign_verifier(log.verifier())).is_err());
    }
}

#[test]
fn we_open_checkpoints_that_signed_note_signed() {
    let log = signer(ORIGIN, 7);
    let id = log.verifier().key_hash();
    let secret = STANDARD.encode([&[1][..], &[7; 32]].concat());
    let signer = StandardSigner::new(&format!("PRIVATE+KEY+{ORIGIN}+{id:08x}+{secret}")).unwrap();
    let hash = tiles::Hash(THEIRS.root(300));
    let text = tiles::Checkpoint::new(ORIGIN, 300, hash, "").unwrap();
    let mut note = Note::new(&text.to_bytes(), &[]).unwrap();
    note.add_sigs(&[&signer]).unwrap();
    let note = String::from_utf8(note.to_bytes()).unwrap();
    let checkpoint = Checkpoint {
        origin: ORIGIN.to_owned(),
        size: 300,
        root: OURS.root(300),
    };
    assert_eq!(log.verifier().open(&note), Ok(checkpoint));
}

/// Receipts that `tests/python/test_log.py` verifies with Sigstore's verifier; run with `HANSA_GOLDEN=write` to write
/// the file anew. It may change only with the format of the log, which is frozen.
#[test]
fn receipts_are_those_that_sigstore_verifies() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/log-receipts.json"
    );
    let log = signer(ORIGIN, 7);
    let mut receipts = Vec::new();
    for size in [1, 2, 3, 7, 8, 256, 257, 300, 65_537, LARGE] {
        let leaves: std::collections::BTreeSet<u64> =
            [0, 1, size / 3, size - 1].into_iter().collect();
        for leaf in leaves.into_iter().filter(|leaf| *leaf < size) {
            let proof = OURS.inclusion(leaf, size);
            receipts.push(serde_json::json!({
                "leaf_index": leaf,
                "leaf_data": STANDARD.encode(leaf_data(leaf)),
                "inclusion_proof": proof.iter().map(|hash| STANDARD.encode(hash)).collect::<Vec<_>>(),
                "checkpoint": log.sign(size, &OURS.root(size)),
            }));
        }
    }
    let made = serde_json::json!({
        "verifier_key": log.verifier().to_string(),
        "receipts": receipts,
    });
    if std::env::var_os("HANSA_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(path, format!("{made:#}\n")).unwrap();
    }
    let kept: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(made == kept, "{path}");
}
