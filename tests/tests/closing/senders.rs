//! Merchants that send as fast as they are answered, and keep what they were told.
//!
//! Each shop's guests earned their points at the shop before it, and nowhere else: so who funds what is known beforehand,
//! whatever order the hub decides in.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use hansa_client::{batch::SignedBatch, hub::Answer, message::MemberReference};
use hansa_proto::v1;
use hansa_tests::{
    body,
    clock::micros,
    merchant::{Merchant, id_of},
};
use tokio::{sync::mpsc, task::JoinHandle};

use super::books::{Kind, Told};

/// Batches of a stream on their way at once.
const WINDOW: usize = 4;

/// Members of a batch.
const MEMBERS_OF_A_BATCH: usize = 5;

/// Points of a capture.
const CAPTURED: i64 = 15;

/// What shops send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// Purchases and returns of its own members, redemptions of its guests.
    Shop,
    /// Purchases that stay pending, one batch after the other.
    Pending,
}

/// What all senders share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    /// The cycle that is open as far as the one who closes them knows.
    pub(crate) open_cycle: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
}

impl Signals {
    /// Everyone finishes what was begun.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// One shop's sender.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    /// Its connection is the way that its messages take.
    pub(crate) merchant: Merchant,
    /// Its place among the shops.
    pub(crate) place: usize,
    /// The shop where its guests earned their points.
    pub(crate) before: usize,
    pub(crate) members: Vec<MemberReference>,
    pub(crate) guests: Vec<MemberReference>,
    pub(crate) traffic: Traffic,
    pub(crate) signals: Signals,
}

/// A sender at work.
pub(crate) struct Running {
    answered: Arc<AtomicU64>,
    task: JoinHandle<Vec<Told>>,
}

impl Running {
    /// Batches answered so far.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// What it was told, once it has stopped.
    pub(crate) async fn told(self) -> Vec<Told> {
        self.task.await.unwrap()
    }
}

/// A batch with what its messages are about.
#[derive(Clone, Debug)]
struct Sent {
    batch: SignedBatch,
    /// Kind, and whose points.
    about: Vec<(Kind, usize)>,
    sent_in: u32,
}

impl Sender {
    /// Gives each member an opening balance.
    pub(crate) async fn open(&self, amount: &str) -> Vec<Told> {
        let say = |member| self.merchant.message(member, body::accrual(amount));
        let messages: Vec<v1::Message> = self.members.iter().map(say).collect();
        let sent = self.sent(&messages, vec![(Kind::Accrual, self.place); messages.len()]);
        let answer = self.merchant.hub.submit(&sent.batch).await.unwrap();
        let mut told = Vec::new();
        self.note(&sent, &answer, &mut told);
        told
    }

    /// Sends until it is told to stop.
    pub(crate) fn start(self) -> Running {
        let answered = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&answered);
        Running {
            answered,
            task: tokio::spawn(async move { self.run(&counter).await }),
        }
    }

    async fn run(self, answered: &AtomicU64) -> Vec<Told> {
        let mut told = Vec::new();
        let mut number = 0;
        // What was not answered when a stream gave up: the same bytes once more.
        let mut again = VecDeque::new();
        while !(self.signals.stopped() && again.is_empty()) {
            let (sender, mut answers) = self.merchant.hub.stream(WINDOW);
            let (notes, mut noted) = mpsc::unbounded_channel::<Sent>();
            let sending = async {
                let mut next = || {
                    again.pop_front().or_else(|| {
                        number += 1;
                        (!self.signals.stopped()).then(|| self.batch(number))
                    })
                };
                while let Some(sent) = next() {
                    let batch = sent.batch.clone();
                    let _ = notes.send(sent);
                    if sender.send(batch).await.is_err() {
                        break;
                    }
                    if self.traffic == Traffic::Pending {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
                drop((sender, notes));
            };
            let receiving = async {
                let mut unanswered = VecDeque::new();
                while let Some(item) = answers.next().await {
                    let sent = noted.recv().await.unwrap();
                    match item.result {
                        Ok(answer) => {
                            answered.fetch_add(1, Ordering::Relaxed);
                            self.note(&sent, &answer, &mut told);
                        }
                        Err(error) => {
                            // The hub's clock may have jumped over a token's life.
                            let expired = error.reason.as_deref() == Some("TOKEN_EXPIRED");
                            assert!(expired || error.is_transient(), "{error}");
                            unanswered.push_back(sent);
                        }
                    }
                }
                while let Some(sent) = noted.recv().await {
                    unanswered.push_back(sent);
                }
                unanswered
            };
            let ((), unanswered) = tokio::join!(sending, receiving);
            again.extend(unanswered);
            if !again.is_empty() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        told
    }

    fn batch(&self, number: usize) -> Sent {
        let (mut messages, mut about) = (Vec::new(), Vec::new());
        for n in 0..MEMBERS_OF_A_BATCH {
            let at = (number * MEMBERS_OF_A_BATCH + n) % self.members.len();
            let member = &self.members[at];
            let bought = self.merchant.message(member, body::accrual("30.00"));
            if self.traffic == Traffic::Pending {
                messages.push(bought);
                about.push((Kind::Accrual, self.place));
                continue;
            }
            let say = |body| self.merchant.message(&self.guests[at], body);
            let returned = body::reversal(id_of(&bought), "10.00");
            let returned = self.merchant.message(member, returned);
            let held = say(body::authorisation(CAPTURED + 5));
            let spent = say(body::capture(id_of(&held), CAPTURED));
            let left = say(body::authorisation(3));
            let dropped = say(body::authorisation(9));
            let tail = [
                say(body::refund(id_of(&spent), 5)),
                say(body::void(id_of(&dropped))),
                // Refused.
                say(body::capture(id_of(&held), 1)),
            ];
            messages.extend([bought, returned, held, spent, left, dropped]);
            messages.extend(tail);
            about.extend([
                (Kind::Accrual, self.place),
                (Kind::Reversal, self.place),
                (Kind::Hold, self.before),
                (Kind::Capture, self.before),
                (Kind::Hold, self.before),
                (Kind::Hold, self.before),
                (Kind::Refund(CAPTURED), self.before),
                (Kind::Hold, self.before),
                (Kind::Capture, self.before),
            ]);
        }
        self.sent(&messages, about)
    }

    fn sent(&self, messages: &[v1::Message], about: Vec<(Kind, usize)>) -> Sent {
        Sent {
            batch: self.merchant.batch(messages),
            about,
            sent_in: self.signals.open_cycle.load(Ordering::Acquire),
        }
    }

    fn note(&self, sent: &Sent, answer: &Answer, told: &mut Vec<Told>) {
        let leaf = answer.receipt.as_ref().map(|receipt| receipt.leaf_index);
        for ((kind, funder), outcome) in sent.about.iter().zip(&answer.outcomes) {
            let pending = outcome.state() == v1::MessageState::Pending;
            told.push(Told {
                sender: self.place,
                funder: *funder,
                kind: *kind,
                sent_in: sent.sent_in,
                leaf: outcome.leaf_index.or(leaf).unwrap(),
                told_cycle: outcome.cycle_number,
                accepted: outcome.code() == v1::ResultCode::Accepted,
                points: outcome.points,
                posts_at: outcome.due_time.as_ref().filter(|_| pending).map(micros),
            });
        }
    }
}
