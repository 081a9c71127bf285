//! Merchants that send without a pause while hubs die, and a model of what must come of it.
//!
//! The model holds whatever order the hub decides in: members have points enough for every hold, and no member has
//! two merchants.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use hansa_client::{
    batch::SignedBatch,
    hub::{Answer, RetryPolicy},
    message::MemberReference,
};
use hansa_proto::v1::{self, ResultCode};
use tokio::task::JoinHandle;

use crate::{
    body,
    hub::TestHub,
    merchant::{Merchant, id_of},
};

/// Members of each merchant.
const MEMBERS: usize = 40;

/// Points that each member begins with.
const OPENING: i64 = 1_000_000;

/// Batches on their way at once on a stream.
const WINDOW: usize = 8;

/// Between two batches of a merchant: everything is sent once more in the end.
const PAUSE: Duration = Duration::from_millis(5);

/// A merchant that sends until it is told to stop.
pub struct Load {
    merchant: Merchant,
    members: Vec<MemberReference>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    sender: JoinHandle<Vec<Acknowledged>>,
}

/// A batch with its first answer.
#[derive(Clone, Debug)]
struct Acknowledged {
    batch: SignedBatch,
    answer: Answer,
}

/// What a load has done, for [`Record::check`].
pub struct Record {
    merchant: Merchant,
    members: Vec<MemberReference>,
    acknowledged: Vec<Acknowledged>,
}

/// How a load sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One call after the other, each followed by a read of the balance, which must show its effect.
    Calls,
    /// On one stream.
    Stream,
}

impl Load {
    /// Gives every member an opening balance, then sends.
    pub async fn start(hub: &TestHub, merchant: &Merchant, way: Way) -> Self {
        let mut merchant = hub.reached_by(merchant);
        merchant.hub = merchant.hub.with_retry(RetryPolicy {
            give_up_after: Duration::from_secs(90),
            max_delay: Duration::from_millis(500),
            ..RetryPolicy::default()
        });
        let members = merchant.enrol_many(&merchant.id, MEMBERS).await;
        for member in &members {
            merchant.accrue(member, "1000000.00").await.ok();
        }
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let sending = Sending {
            merchant: merchant.clone(),
            members: members.clone(),
            stop: Arc::clone(&stop),
            answered: Arc::clone(&answered),
        };
        let sender = tokio::spawn(async move {
            match way {
                Way::Calls => sending.calls().await,
                Way::Stream => sending.stream().await,
            }
        });
        Self {
            merchant,
            members,
            stop,
            answered,
            sender,
        }
    }

    /// Batches answered so far.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits until some more batches were answered.
    ///
    /// # Panics
    /// When that takes longer than 30 s.
    pub async fn wait_for_more(&self, batches: u64) {
        let goal = self.answered() + batches;
        for _ in 0..3_000 {
            if self.answered() >= goal {
                return;
            }
            assert!(!self.sender.is_finished(), "the load ended");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no answers for 30 s");
    }

    /// Lets it finish what it has begun.
    ///
    /// # Panics
    /// When a batch was refused.
    pub async fn finish(self) -> Record {
        self.stop.store(true, Ordering::Relaxed);
        Record {
            merchant: self.merchant,
            members: self.members,
            acknowledged: self.sender.await.unwrap(),
        }
    }
}

struct Sending {
    merchant: Merchant,
    members: Vec<MemberReference>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
}

impl Sending {
    /// A purchase with a part of it returned, a hold captured in part, a hold given back, and a refused capture: eight
    /// messages for each of five members.
    fn batch(&self, number: usize) -> SignedBatch {
        let mut messages = Vec::new();
        for n in 0..5 {
            let member = &self.members[(number * 5 + n) % self.members.len()];
            let say = |body| self.merchant.message(member, body);
            let bought = say(body::accrual("30.00"));
            let held = say(body::authorisation(20));
            let given_back = say(body::authorisation(9));
            let spent = say(body::capture(id_of(&held), 15));
            let tail = [
                say(body::reversal(id_of(&bought), "10.00")),
                say(body::void(id_of(&given_back))),
                say(body::refund(id_of(&spent), 5)),
                say(body::capture(id_of(&held), 1)),
            ];
            messages.extend([bought, held, given_back, spent]);
            messages.extend(tail);
        }
        self.merchant.batch(&messages)
    }

    async fn calls(self) -> Vec<Acknowledged> {
        let mut acknowledged = Vec::new();
        let mut earned: BTreeMap<MemberReference, i64> = BTreeMap::new();
        while !self.stop.load(Ordering::Relaxed) {
            let number = acknowledged.len();
            let batch = self.batch(number);
            let answer = self.merchant.hub.submit(&batch).await.unwrap();
            self.answered.fetch_add(1, Ordering::Relaxed);
            for n in 0..5 {
                *earned
                    .entry(self.members[(number * 5 + n) % MEMBERS])
                    .or_default() += PER_MEMBER;
            }
            // Read your writes, whatever happened in between.
            let member = self.members[number * 5 % MEMBERS];
            let balance = self.merchant.balance(&member).await;
            assert_eq!(balance.available_points, OPENING + earned[&member]);
            let leaf = answer.receipt.as_ref().map(|r| r.leaf_index);
            let leaf = leaf.or(answer.outcomes[0].leaf_index);
            assert!(
                balance.as_of_leaf >= leaf,
                "{balance:?} does not have leaf {leaf:?}"
            );
            acknowledged.push(Acknowledged { batch, answer });
            tokio::time::sleep(PAUSE).await;
        }
        acknowledged
    }

    async fn stream(self) -> Vec<Acknowledged> {
        let (sender, mut answers) = self.merchant.hub.stream(WINDOW);
        let answered = Arc::clone(&self.answered);
        let receiving = tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            while let Some(item) = answers.next().await {
                answered.fetch_add(1, Ordering::Relaxed);
                acknowledged.push(Acknowledged {
                    batch: item.batch,
                    answer: item.result.unwrap(),
                });
            }
            acknowledged
        });
        let mut number = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let sent = sender.send(self.batch(number)).await;
            assert!(sent.is_ok(), "the stream ended");
            number += 1;
            tokio::time::sleep(PAUSE).await;
        }
        drop(sender);
        let acknowledged = receiving.await.unwrap();
        assert_eq!(acknowledged.len(), number, "one answer for each batch");
        acknowledged
    }
}

/// Points that a batch leaves to each of its members: 30 bought, 10 returned, 15 spent, 5 refunded.
const PER_MEMBER: i64 = 30 - 10 - 15 + 5;

/// What becomes of the eight messages.
const CODES: [ResultCode; 8] = [
    ResultCode::Accepted,
    ResultCode::Accepted,
    ResultCode::Accepted,
    ResultCode::Accepted,
    ResultCode::Accepted,
    ResultCode::Accepted,
    ResultCode::Accepted,
    ResultCode::AlreadyCaptured,
];

impl Record {
    /// Batches that were acknowledged.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.acknowledged.len()
    }

    /// Whether nothing was acknowledged.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.acknowledged.is_empty()
    }

    /// Sends everything again: every message was decided once, as it was acknowledged, and the balances are the
    /// model's. `hub`: whom to ask.
    ///
    /// # Panics
    /// When something was lost, doubled or changed.
    pub async fn check(&self, hub: &TestHub) {
        let merchant = hub.reached_by(&self.merchant);
        let mut batches = vec![0_i64; self.members.len()];
        let (sender, mut answers) = merchant.hub.stream(WINDOW);
        let sending = async {
            for first in &self.acknowledged {
                let sent = sender.send(first.batch.clone()).await;
                assert!(sent.is_ok(), "the stream ended");
            }
        };
        let receiving = async {
            let mut all = Vec::new();
            while all.len() < self.acknowledged.len() {
                all.push(answers.next().await.unwrap().result.unwrap());
            }
            all
        };
        let ((), again) = tokio::join!(sending, receiving);
        let pairs = self.acknowledged.iter().zip(&again);
        for (number, (first, again)) in pairs.enumerate() {
            assert_eq!(again.receipt, None, "nothing of it is new");
            let leaf = first.answer.receipt.as_ref().map(|r| r.leaf_index);
            let pairs = first.answer.outcomes.iter().zip(&again.outcomes);
            for (at, (was, is)) in pairs.enumerate() {
                assert_eq!(
                    is.code(),
                    CODES[at % CODES.len()],
                    "message {at} of batch {number}"
                );
                assert!(
                    is.replayed,
                    "message {at} of batch {number} was lost: {is:?}"
                );
                let acknowledged = v1::Outcome {
                    replayed: true,
                    leaf_index: was.leaf_index.or(leaf),
                    entry_position: u32::try_from(at).unwrap(),
                    ..*was
                };
                assert_eq!(*is, acknowledged, "message {at} of batch {number}");
            }
            for n in 0..5 {
                batches[(number * 5 + n) % self.members.len()] += 1;
            }
        }
        for (member, batches) in self.members.iter().zip(batches) {
            let balance = merchant.balance(member).await;
            let found = (
                balance.available_points,
                balance.held_points,
                balance.debt_points,
            );
            assert_eq!(
                found,
                (OPENING + batches * PER_MEMBER, 0, 0),
                "{}",
                merchant.id
            );
        }
    }
}

/// Checks several records, and that the log has counted exactly what they did and nothing else.
///
/// # Panics
/// When something was lost, doubled or changed.
pub async fn check_all(hub: &TestHub, records: &[Record]) {
    for record in records {
        record.check(hub).await;
    }
    let batches: usize = records.iter().map(Record::len).sum();
    let members: usize = records.iter().map(|r| r.members.len()).sum();
    let (batches, members) = (
        i64::try_from(batches).unwrap(),
        i64::try_from(members).unwrap(),
    );
    let counts = hub.liability().await.counts.unwrap();
    let found = (
        i64::try_from(counts.accruals).unwrap(),
        i64::try_from(counts.captures).unwrap(),
        counts.redeemed_points,
        counts.issued_points,
        counts.outstanding_points,
    );
    let expected = (
        members + batches * 5,
        batches * 5,
        batches * 5 * 10,
        members * OPENING + batches * 5 * 30,
        members * OPENING + batches * 5 * PER_MEMBER,
    );
    assert_eq!(
        found, expected,
        "accruals, captures, redeemed, issued, outstanding"
    );
    assert_eq!(hub.status().await.duplicate_key_restarts, 0);
}
