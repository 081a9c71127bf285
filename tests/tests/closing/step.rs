//! How far a cycle is, by the last entry of the log.

use hansa_proto::{
    BATCH_PAYLOAD_TYPE,
    v1::{self, action::Action, fact::Fact},
};
use hansa_store::Store;
use prost::Message as _;

/// What the log ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Messages of the open cycle.
    Trading,
    Cut,
    /// Due work of some of the members that have any.
    DueWork,
    Closed,
    Audited,
    Proposed,
    Approved,
    Submitted,
    Imported,
    /// What the bank confirmed is to be posted.
    PostingProposed,
    /// And is: the cycle is settled.
    Settled,
}

impl Step {
    /// From OPEN to SETTLED. A cut and due work follow each other within milliseconds: a kill hits the one or the other.
    pub(crate) const ALL: [&[Self]; 10] = [
        &[Self::Trading],
        &[Self::Cut, Self::DueWork],
        &[Self::Closed],
        &[Self::Audited],
        &[Self::Proposed],
        &[Self::Approved],
        &[Self::Submitted],
        &[Self::Imported],
        &[Self::PostingProposed],
        &[Self::Settled],
    ];
}

/// Number of entries.
pub(crate) async fn size(store: &Store) -> u64 {
    let last = store.last_entry().await.unwrap();
    last.map_or(0, |head| head.seq + 1)
}

/// How far a log is whose cycles are settled each by a first proposal and posted by a second one.
pub(crate) async fn reached(store: &Store) -> Step {
    let head = store.last_entry().await.unwrap().unwrap();
    let row = store.entry(head.seq).await.unwrap().unwrap();
    let envelope = v1::Envelope::decode(row.envelope).unwrap();
    if envelope.payload_type == BATCH_PAYLOAD_TYPE {
        return Step::Trading;
    }
    let mut facts = v1::Facts::decode(envelope.payload).unwrap().facts;
    match facts.pop().unwrap().fact.unwrap() {
        Fact::CycleCut(_) => Step::Cut,
        Fact::AdvanceTo(_) => Step::DueWork,
        Fact::CycleClosed(_) => Step::Closed,
        Fact::CycleAudited(_) => Step::Audited,
        Fact::ProposalMade(made) => match made.action.unwrap().action.unwrap() {
            Action::SettleCycle(_) => Step::Proposed,
            Action::PostReconciliation(_) => Step::PostingProposed,
            other => panic!("nobody proposes {other:?}"),
        },
        Fact::ProposalDecided(decided) if decided.proposal_number % 2 == 1 => Step::Approved,
        Fact::ProposalDecided(_) => Step::Settled,
        Fact::PaymentsSubmitted(_) => Step::Submitted,
        Fact::BankReportImported(_) => Step::Imported,
        other => panic!("nobody says {other:?}"),
    }
}
