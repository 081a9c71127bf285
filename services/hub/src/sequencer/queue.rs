//! Where jobs are handed in, and where the driver takes them.
//!
//! A sequencer that restarts drops what it held, and its callers send that again. What one of them had sent behind a batch
//! that was dropped must not be decided before it. So a batch names the *run* that it was sent to, and is refused in any
//! other: a stream that sends to one run only keeps its order whatever happens between the runs.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::{mpsc, oneshot};

use super::{BatchReply, ConversionsView, Job, MemberView, Reply, View};
use crate::{
    error::{HubError, Reason},
    intake::PreparedBatch,
};
use hansa_proto::v1;
use hansa_settlement::Member;
use hansa_store::EvidenceRow;

/// The time between two restarts of the sequencer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run(u64);

/// Where jobs are handed in. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sequencer {
    queue: mpsc::Sender<Job>,
    run: Arc<AtomicU64>,
}

/// The jobs that wait.
#[derive(Debug)]
pub struct Jobs {
    queue: mpsc::Receiver<Job>,
    run: Arc<AtomicU64>,
}

impl Jobs {
    /// The next job of this run; `None` when nobody is left to hand one in.
    pub async fn recv(&mut self) -> Option<Job> {
        loop {
            let job = self.queue.recv().await?;
            if let Some(job) = self.of_this_run(job) {
                return Some(job);
            }
        }
    }

    /// The next job of this run, if one waits.
    pub fn try_recv(&mut self) -> Option<Job> {
        loop {
            let job = self.queue.try_recv().ok()?;
            if let Some(job) = self.of_this_run(job) {
                return Some(job);
            }
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Ends the run: refuses all jobs that wait, and every batch that still comes for it.
    pub fn refuse_all(&mut self, error: &HubError) {
        self.run.fetch_add(1, Ordering::AcqRel);
        // Counted first: a caller that goes on while its jobs are refused would otherwise be refused for ever.
        for _ in 0..self.queue.len() {
            if let Ok(job) = self.queue.try_recv() {
                job.refuse(error.clone());
            }
        }
    }

    fn of_this_run(&self, job: Job) -> Option<Job> {
        match &job {
            Job::Batch { run, .. } if run.0 != self.run.load(Ordering::Acquire) => {
                job.refuse(HubError::not_owner());
                None
            }
            _ => Some(job),
        }
    }
}

impl Sequencer {
    /// A handle and the end that the driver reads.
    pub fn channel(depth: usize) -> (Self, Jobs) {
        let (sender, receiver) = mpsc::channel(depth);
        let run = Arc::new(AtomicU64::new(0));
        let sequencer = Self {
            queue: sender,
            run: Arc::clone(&run),
        };
        let jobs = Jobs {
            queue: receiver,
            run,
        };
        (sequencer, jobs)
    }

    /// The run that goes on now.
    pub fn run(&self) -> Run {
        Run(self.run.load(Ordering::Acquire))
    }

    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, HubError> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(job(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Decides a batch.
    pub async fn batch(&self, batch: PreparedBatch) -> Result<BatchReply, HubError> {
        let run = self.run();
        self.ask(|reply| Job::Batch { batch, run, reply }).await
    }

    /// Hands a batch in; its answer comes later. Batches that one caller sends to one run keep their order, and when one of
    /// them is dropped, so are those behind it.
    pub async fn queue_batch(
        &self,
        batch: PreparedBatch,
        run: Run,
    ) -> Result<oneshot::Receiver<Result<BatchReply, HubError>>, HubError> {
        let (reply, answer) = oneshot::channel();
        self.queue
            .send(Job::Batch { batch, run, reply })
            .await
            .map_err(|_| gone())?;
        Ok(answer)
    }

    /// Appends facts.
    pub async fn facts(
        &self,
        actor: String,
        build: impl FnOnce(&View<'_>) -> Result<Vec<v1::Fact>, HubError> + Send + 'static,
    ) -> Result<Option<u64>, HubError> {
        self.facts_about(actor, Vec::new(), Vec::new(), |view, _| build(view))
            .await
    }

    /// Appends facts, and keeps the evidence that they name. Of those about conversions `build` gets the accounts, in the order asked for,
    /// those of whom nothing is known empty.
    pub async fn facts_about(
        &self,
        actor: String,
        evidence: Vec<EvidenceRow>,
        accounts: Vec<u64>,
        build: impl FnOnce(&View<'_>, &[Member]) -> Result<Vec<v1::Fact>, HubError> + Send + 'static,
    ) -> Result<Option<u64>, HubError> {
        self.ask(|reply| Job::Facts {
            actor,
            accounts,
            build: Box::new(build),
            evidence,
            reply,
        })
        .await
    }

    /// Decides about conversions, behind other facts of the same entry; answers the entry.
    pub async fn commissions(
        &self,
        actor: String,
        before: Vec<v1::Fact>,
        decided: v1::CommissionsDecided,
    ) -> Result<u64, HubError> {
        let leaf = self
            .ask(|reply| Job::Commissions {
                actor,
                before,
                decided,
                reply,
            })
            .await?;
        leaf.ok_or_else(|| HubError::internal("decisions without an entry"))
    }

    /// Reads conversions' accounts, in the order asked for.
    pub async fn conversions(&self, accounts: Vec<u64>) -> Result<ConversionsView, HubError> {
        self.ask(|reply| Job::ReadConversions { accounts, reply })
            .await
    }

    /// Enrols members.
    pub async fn enrol(
        &self,
        merchant: u32,
        slug: String,
        aliases: Vec<[u8; 16]>,
    ) -> Result<Vec<[u8; 16]>, HubError> {
        self.ask(|reply| Job::Enrol {
            merchant,
            slug,
            aliases,
            reply,
        })
        .await
    }

    /// Reads a report.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&View<'_>) -> Result<T, HubError> + Send + 'static,
    ) -> Result<T, HubError> {
        self.ask(|reply| {
            Job::Read(Box::new(move |view| {
                let _ = reply.send(read(view));
            }))
        })
        .await
    }

    /// Reads a member.
    pub async fn member(
        &self,
        merchant: u32,
        reference: [u8; 16],
    ) -> Result<Option<MemberView>, HubError> {
        self.ask(|reply| Job::ReadMember {
            merchant,
            reference,
            reply,
        })
        .await
    }

    /// Moves the test clock.
    pub async fn set_clock(&self, to: i64) -> Result<i64, HubError> {
        self.ask(|reply| Job::SetClock { to, reply }).await
    }

    /// Cuts the open cycle.
    pub async fn close_cycle(
        &self,
        number: u32,
        validate_only: bool,
        actor: String,
    ) -> Result<u32, HubError> {
        self.ask(|reply| Job::CloseCycle {
            number,
            validate_only,
            actor,
            reply,
        })
        .await
    }
}

fn gone() -> HubError {
    HubError::new(
        Reason::NotOwner,
        "the sequencer restarts or has lost the log; send the same bytes again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> PreparedBatch {
        PreparedBatch {
            merchant: 0,
            key_id: String::new(),
            envelope: v1::Envelope::default(),
            messages: Vec::new(),
            members: Vec::new(),
            permit: None,
        }
    }

    #[tokio::test]
    async fn what_was_sent_behind_a_dropped_batch_does_not_overtake_it() {
        let (sequencer, mut jobs) = Sequencer::channel(8);
        let run = sequencer.run();
        let mut first = sequencer.queue_batch(batch(), run).await.unwrap();
        jobs.refuse_all(&HubError::not_owner());
        assert!(first.try_recv().unwrap().is_err());
        // Its stream has not heard of it yet, and the sequencer serves again.
        let mut second = sequencer.queue_batch(batch(), run).await.unwrap();
        let again = sequencer.run();
        let mut anew = sequencer.queue_batch(batch(), again).await.unwrap();
        let taken = jobs.try_recv().unwrap();
        assert!(matches!(taken, Job::Batch { run, .. } if run == again));
        assert!(jobs.try_recv().is_none() && jobs.is_empty());
        let refused = second.try_recv().unwrap().unwrap_err();
        assert!(refused.reason.is_transient(), "{refused:?}");
        assert!(anew.try_recv().is_err(), "it is not answered yet");
    }

    #[tokio::test]
    async fn reports_are_of_every_run() {
        let (sequencer, mut jobs) = Sequencer::channel(8);
        jobs.refuse_all(&HubError::not_owner());
        let asked = tokio::spawn(async move { sequencer.set_clock(7).await });
        let Some(Job::SetClock { to: 7, reply }) = jobs.recv().await else {
            panic!("not the job that was asked")
        };
        reply.send(Ok(7)).unwrap();
        assert_eq!(asked.await.unwrap().unwrap(), 7);
    }
}
