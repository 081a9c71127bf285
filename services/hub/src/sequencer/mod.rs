//! The sequencer: gives every entry its place, decides it, commits it, answers.
//!
//! One task owns all state. It takes what queued while the last commit ran as one *group* with one `decided_at`,
//! decides it in memory, commits it in one transaction, and only then answers, reads included. One group is in
//! flight; look-ups for the next run beside the commit, decisions do not. A commit that fails, is fenced off or
//! whose result is unknown is a restart: state is dropped and loaded again. There is no undo code.
//!
//! - [`queue`] - where jobs are handed in
//! - [`driver`] - the loop, commits, what stands between groups
//! - [`group`] - deciding
//! - [`resolve`] - a message's references
//! - [`prefetch`] - what a group needs from the store
//! - [`recovery`] - loading
//! - [`projection`] - writing behind the commit
//! - [`due`] - what happens by time alone; [`risk_watch`] - who comes near a cap
//! - [`members`], [`ids`], [`references`] - bounded memory

pub mod driver;
pub mod due;
pub mod group;
pub mod ids;
pub mod members;
pub mod prefetch;
pub mod projection;
pub mod queue;
pub mod recovery;
pub mod references;
pub mod resolve;
pub mod risk_watch;
pub mod state;

use bytes::Bytes;
use hansa_proto::v1;
use hansa_settlement::{Global, Member};
use hansa_store::EvidenceRow;
use tokio::sync::oneshot;

pub use queue::{Jobs, Run, Sequencer};

use crate::{error::HubError, intake::PreparedBatch, registry::Registry};

/// Where an answer goes.
pub type Reply<T> = oneshot::Sender<Result<T, HubError>>;

/// What a batch is answered with.
#[derive(Debug, Clone)]
pub struct BatchReply {
    /// Serialized `Outcomes`.
    pub outcomes: Bytes,
    /// Absent when nothing was appended.
    pub receipt: Option<v1::Receipt>,
}

/// State that reports read: as of the last commit.
#[derive(Debug)]
pub struct View<'a> {
    /// The ledger's global side.
    pub global: &'a Global,
    /// Keys and terms.
    pub registry: &'a Registry,
    /// Number of entries.
    pub size: u64,
    /// Number of leading entries that the projection has.
    pub covered: u64,
    /// The hub's clock, microseconds.
    pub now: i64,
    /// Messages decided since the sequencer's start.
    pub messages: u64,
    /// Messages of the log, each counted once.
    pub decided: u64,
    /// Members in memory.
    pub members_in_memory: usize,
    /// Commits that met a key that was there already, since the process's start.
    pub duplicate_key_restarts: u64,
    /// Epoch of the gate.
    pub epoch: u64,
}

/// A member as a reader sees it.
#[derive(Debug)]
pub struct MemberView {
    /// The member, with everything that is due at `now` done to it.
    pub member: Member,
    /// Number of entries that it has the effects of.
    pub size: u64,
    /// The hub's clock, microseconds.
    pub now: i64,
}

/// Conversions' accounts as a reader sees them.
#[derive(Debug)]
pub struct ConversionsView {
    /// The accounts, with everything that is due at `now` done to them.
    pub accounts: Vec<Member>,
    /// Number of entries that they have the effects of.
    pub size: u64,
    /// The hub's clock, microseconds.
    pub now: i64,
}

/// Makes facts out of the state and of the conversions' accounts that were asked for, in their order, or refuses. No facts means that
/// nothing is to change.
pub type BuildFacts =
    Box<dyn FnOnce(&View<'_>, &[Member]) -> Result<Vec<v1::Fact>, HubError> + Send>;

/// Work for the sequencer.
pub enum Job {
    /// A merchant's batch.
    Batch {
        /// What it sent.
        batch: PreparedBatch,
        /// The run that it was sent to.
        run: Run,
        /// Answer.
        reply: Reply<BatchReply>,
    },
    /// A change of the alliance. Answered with the entry's leaf when there was something to change.
    Facts {
        /// Who asks.
        actor: String,
        /// Conversions' accounts that the facts are about, by their numbers.
        accounts: Vec<u64>,
        /// Makes the facts from the state at its turn.
        build: BuildFacts,
        /// What the facts name by its digest; kept in the same commit.
        evidence: Vec<EvidenceRow>,
        /// Answer.
        reply: Reply<Option<u64>>,
    },
    /// Decisions about conversions, answered with the entry's leaf.
    Commissions {
        /// Who asks.
        actor: String,
        /// Facts that stand before it in the same entry: why it was decided.
        before: Vec<v1::Fact>,
        /// What is decided.
        decided: v1::CommissionsDecided,
        /// Answer.
        reply: Reply<Option<u64>>,
    },
    /// Conversions' accounts by their numbers; those of whom nothing is known are empty.
    ReadConversions {
        /// Numbers.
        accounts: Vec<u64>,
        /// Answer, in the order of the numbers.
        reply: Reply<ConversionsView>,
    },
    /// Enrolment of members: hashed keys in, references out.
    Enrol {
        /// The merchant's index.
        merchant: u32,
        /// The merchant.
        slug: String,
        /// Alias hashes.
        aliases: Vec<[u8; 16]>,
        /// Answer, in the order of the aliases.
        reply: Reply<Vec<[u8; 16]>>,
    },
    /// A report.
    Read(Box<dyn FnOnce(&View<'_>) + Send>),
    /// A member by a merchant's reference.
    ReadMember {
        /// The merchant's index.
        merchant: u32,
        /// Its reference.
        reference: [u8; 16],
        /// Answer; `None`: unknown.
        reply: Reply<Option<MemberView>>,
    },
    /// Moves the test clock and does all that falls due.
    SetClock {
        /// New instant, microseconds.
        to: i64,
        /// The clock as it stands afterwards.
        reply: Reply<i64>,
    },
    /// Cuts the open cycle by hand.
    CloseCycle {
        /// The cycle that the caller believes to be open.
        number: u32,
        /// Only check.
        validate_only: bool,
        /// Who asks.
        actor: String,
        /// The cycle's number.
        reply: Reply<u32>,
    },
}

impl Job {
    /// Messages in it: what bounds a group.
    pub fn messages(&self) -> usize {
        match self {
            Self::Batch { batch, .. } => batch.messages.len(),
            Self::Enrol { aliases, .. } => aliases.len(),
            Self::Commissions { decided, .. } => decided.decisions.len(),
            Self::ReadConversions { accounts, .. } => accounts.len(),
            _ => 1,
        }
    }

    /// Answers with a refusal.
    pub fn refuse(self, error: HubError) {
        match self {
            Self::Batch { reply, .. } => drop(reply.send(Err(error))),
            Self::Facts { reply, .. } => drop(reply.send(Err(error))),
            Self::Enrol { reply, .. } => drop(reply.send(Err(error))),
            Self::Commissions { reply, .. } => drop(reply.send(Err(error))),
            Self::ReadConversions { reply, .. } => drop(reply.send(Err(error))),
            // Dropping the closure drops its answer: the reader sees that nobody is there.
            Self::Read(_) => {}
            Self::ReadMember { reply, .. } => drop(reply.send(Err(error))),
            Self::SetClock { reply, .. } => drop(reply.send(Err(error))),
            Self::CloseCycle { reply, .. } => drop(reply.send(Err(error))),
        }
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Self::Batch { .. } => "Batch",
            Self::Facts { .. } => "Facts",
            Self::Enrol { .. } => "Enrol",
            Self::Commissions { .. } => "Commissions",
            Self::ReadConversions { .. } => "ReadConversions",
            Self::Read(_) => "Read",
            Self::ReadMember { .. } => "ReadMember",
            Self::SetClock { .. } => "SetClock",
            Self::CloseCycle { .. } => "CloseCycle",
        };
        write!(f, "{name}({} messages)", self.messages())
    }
}
