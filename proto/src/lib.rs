//! The contract between the hub and everyone who talks to it, generated from `hansa/v1/*.proto`.
//!
//! Owns the wire and nothing else: no rule, no default, no I/O.

/// Package `hansa.v1`.
#[allow(missing_docs, clippy::all, unreachable_pub)]
pub mod v1 {
    tonic::include_proto!("hansa.v1");
}

/// Serialized `FileDescriptorSet` of the package, for reflection.
pub const DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/hansa.v1.descriptors.bin"));

/// Payload type of a merchant's signed `Batch`.
pub const BATCH_PAYLOAD_TYPE: &str = "application/vnd.hansa.batch.v1+protobuf";

/// Payload type of `Facts` that the hub signs.
pub const FACTS_PAYLOAD_TYPE: &str = "application/vnd.hansa.facts.v1+protobuf";

/// Payload type of a `CycleCertificate` that the hub signs.
pub const CYCLE_CERTIFICATE_PAYLOAD_TYPE: &str =
    "application/vnd.hansa.cycle-certificate.v1+protobuf";

/// Payload type of the manifest of a document that the hub signs.
pub const DOCUMENT_PAYLOAD_TYPE: &str = "application/vnd.hansa.document.v1+json";

/// Domain of `google.rpc.ErrorInfo`.
pub const ERROR_DOMAIN: &str = "hansa.v1";

/// Most messages in a batch.
pub const MAX_BATCH_MESSAGES: usize = 4_000;

/// Most bytes of a batch's payload.
pub const MAX_BATCH_BYTES: usize = 1 << 20;
