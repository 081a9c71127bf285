//! The merchant's SDK of Hansa: build messages, sign batches, send them until they are answered, keep them safe
//! meanwhile, and check that the hub kept its word.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use hansa_client::batch::{BatchBuilder, SignedBatch};
//! use hansa_client::hub::{Hub, HubOptions};
//! use hansa_client::keys::SigningKey;
//! use hansa_client::message::{Draft, Money};
//! use hansa_client::note::LogVerifier;
//! use hansa_client::outbox::Outbox;
//! use hansa_client::time::system_now_micros;
//! use hansa_client::token::TokenSource;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let key = Arc::new(SigningKey::load("grocery.pem")?.with_key_id("grocery-2026")?);
//! let clock = Arc::new(system_now_micros);
//! let tokens = Arc::new(TokenSource::new(key.clone(), "grocery", "hub.example", clock));
//! let hub = Hub::connect(&HubOptions::new("https://hub.example:7443"), Some(tokens)).await?;
//!
//! // A member: what the merchant calls it is a keyed hash, what the hub calls it is a reference.
//! let member = hub.enrol(&[vec![0x5a; 32]]).await?[0];
//!
//! // A purchase of 12.34 EUR on receipt R-17 of till 7: the same receipt gives the same message again.
//! let purchase = Draft::with_receipt("R-17", 1, system_now_micros(), member)
//!     .lane("till-7")
//!     .accrual(Money::parse("12.34", "EUR")?)?;
//! let mut batch = BatchBuilder::new();
//! batch.push(&purchase)?;
//! let batch = batch.sign(&key)?;
//!
//! // On disk first, so that a crash sends the same bytes again; then to the hub; then off the list.
//! let mut outbox = Outbox::open("grocery.outbox")?;
//! outbox.put(batch.envelope())?;
//! let log: LogVerifier = "log.example+f2f6c4d4+AQ...".parse()?;
//! for ticket in outbox.waiting().collect::<Vec<_>>() {
//!     let batch = SignedBatch::from_envelope(outbox.read(ticket)?)?;
//!     let answer = hub.submit(&batch).await?;
//!     answer.verify(&batch, &log)?;
//!     outbox.acknowledge(ticket)?;
//! }
//! # Ok(()) }
//! ```
//!
//! | Module | What it owns |
//! |---|---|
//! | [`keys`] | Ed25519 keys in PEM files |
//! | [`message`], [`money`], [`ids`] | messages, the field rules, exact amounts, the recommended id |
//! | [`batch`], [`dsse`] | batches and the envelopes that sign them |
//! | [`token`] | tokens of calls |
//! | [`hub`] | the connection: calls, streams, retries, typed errors |
//! | [`outbox`] | what is not acknowledged yet, on disk |
//! | [`leaf`], [`note`], [`proof`] | leaves, checkpoints, Merkle proofs, receipts |
//! | [`touch_id`] | click ids of affiliates' links |
//! | [`document`] | statements and reports that the hub signed |
//! | [`kept`], [`json`], [`certificate`], [`assignment`] | receipts on disk, certificates of cycles, which cycle each message is in |
//! | [`time`] | instants on the wire |
//!
//! The hub uses the modules of the wire (`keys`, `dsse`, `token`, `message`, `leaf`, `time`) too, so that both sides
//! of a signature and of a field rule are one implementation. This crate knows no tier above `hansa-proto`. All
//! cryptography is ring's. No function but [`time::system_now_micros`] reads the wall clock.

pub mod assignment;
pub mod batch;
pub mod certificate;
pub mod document;
pub mod dsse;
pub mod hub;
pub mod ids;
pub mod json;
pub mod kept;
pub mod keys;
pub mod leaf;
pub mod message;
pub mod money;
pub mod note;
pub mod outbox;
pub mod proof;
pub mod time;
pub mod token;
pub mod touch_id;

mod jwt_provider;
