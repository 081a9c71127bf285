//! The Merkle tree over the log: RFC 6962 hashing, C2SP checkpoints and tiles.
//!
//! Owns what a tree is, where each of its hashes is kept, and how proofs, tiles and checkpoints are put together.
//! It reads and writes nothing (except [`anchor`], one small file): a caller asks for a plan, fetches the rows the
//! plan names in one query, and hands the hashes back. So every proof costs the store one round trip.
//!
//! Hashes travel with the entries. The row of leaf `n` holds the leaf's hash and behind it the roots of every
//! complete subtree that leaf `n` completes, bottom-up: 1 + trailing_ones(n) hashes of 32 bytes. The hash of the
//! complete subtree at `(level, index)` is therefore in the row of its last leaf, at position `level`. These
//! coordinates are frozen: rows are written once.

pub mod anchor;
mod coordinate;
mod extension;
mod frontier;
mod hash;
pub mod note;
mod proof;
mod tile;

#[cfg(test)]
mod foreign;

pub use coordinate::{Location, MAX_SIZE, RangeError, RowError, hash_at, locate, pick, seqs};
pub use extension::{Extension, ExtensionError};
pub use frontier::Frontier;
pub use hansa_client::leaf::LEAF_DATA_LEN;
pub use hash::{Hash, empty_root, leaf_hash, node_hash};
pub use proof::{ProofPlan, consistency_plan, inclusion_plan};
pub use tile::{TILE_WIDTH, TilePlan, assemble_bundle, assemble_tile, tile_plan};
