//! The storage of Hansa: every line of SQL, SQLite and PostgreSQL behind one [`Store`].
//!
//! The crate owns the tables, the connections and the two transactions of the service: [`Store::append`], the commit of the
//! log, and [`Store::project`], which follows behind it; beside them [`Store::audit_save`], the auditor's own, and [`Store::add_touches`], what affiliates' links bring. It knows bytes, numbers and keys, and nothing of what they mean; it
//! decides nothing and reads no clock. A file per noun holds its rows and its SQL for both databases.
//!
//! What a call costs: `append` is one transaction and one wait for the disk; `project` is one transaction without a wait;
//! every other call is one statement per few hundred keys. A write that fails leaves nothing, or an unknown outcome
//! ([`StoreError::Unavailable`]): the caller drops its state, takes the gate and loads.

mod alias;
mod append;
mod audit;
mod bucket;
mod checkpoint;
mod entry;
mod error;
mod evidence;
mod fraud;
mod gate;
mod global;
mod id;
mod link;
mod lookup;
mod member;
mod offer;
mod options;
mod party;
mod postgres;
mod project;
mod reference;
mod schema;
mod size;
mod sqlite;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod touch;
mod weakness;

pub use alias::AliasRow;
pub use append::Group;
pub use audit::{AuditCutRow, AuditSave};
pub use bucket::{BUCKETS, bucket_of};
pub use checkpoint::CheckpointRow;
pub use entry::{EntryHead, EntryRow, LeafRow};
pub use error::StoreError;
pub use evidence::EvidenceRow;
pub use gate::Gate;
pub use id::IdRow;
pub use link::LinkRow;
pub use member::MemberRow;
pub use offer::{NewOffer, OfferFeed, OfferFilter, OfferRow, OffersPut, OffersWithdrawn};
pub use options::StoreOptions;
pub use party::PartyRow;
pub use project::Projection;
pub use reference::ReferenceRow;
pub use schema::SCHEMA_VERSION;
pub use store::{Kind, Store};
pub use touch::{InvalidationRow, StoredTouch, TouchCount, TouchRow, TouchesOf, first_touch_id};
pub use weakness::Weakness;
