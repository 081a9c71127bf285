//! Messages of points, scored behind the traffic: who earns at impossible speed, who burns what was just linked.
//!
//! Flags are for people to look at: nothing waits for them, no message is refused. Off unless the hub is started with
//! `--score-points`: every message is then read once more.

use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroU64,
};

use hansa_fraud::{
    Engine, Merchant, TokenKey, TokenKind,
    points::{Action, PointsEvent, PointsVerdict},
};
use hansa_proto::v1;
use hansa_settlement::{Change, Effect, Pos, Recorded};
use serde::{Deserialize, Serialize};

use super::desk::DAY_MS;

/// Flags that are kept; the oldest make room.
const MOST: usize = 10_000;

/// Linked accounts that are remembered; beyond it the smallest numbers make room.
const MOST_LINKED: usize = 100_000;

/// A message of points as the scorer takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its place in the log.
    pub pos: Pos,
    /// The member's number in the alliance.
    pub member: NonZeroU64,
    /// Points that the member can spend after it.
    pub left: i64,
    /// What it was.
    pub event: PointsEvent,
}

/// A message that a person should look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointsFlag {
    /// Its place in the log.
    pub pos: u64,
    /// Where.
    pub merchant: u32,
    /// The member's number in the alliance.
    pub member: u64,
    /// When, in milliseconds UTC.
    pub at_ms: i64,
    /// What is said of it.
    pub verdict: PointsVerdict,
}

/// What is kept beside the scorer's own state.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PointsDesk {
    /// The newest flags, oldest first.
    flags: VecDeque<PointsFlag>,
    /// Flags in all.
    raised: u64,
    /// Messages in all.
    messages: u64,
    /// Accounts that were linked within a day and have not burnt since.
    linked: BTreeMap<u64, i64>,
}

impl PointsDesk {
    /// Newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = (u64, &PointsFlag)> {
        let numbers = (1..=self.raised).rev();
        numbers.zip(self.flags.iter().rev())
    }

    /// Flags in all.
    pub const fn raised(&self) -> u64 {
        self.raised
    }

    /// Messages in all.
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// Scores messages, in the order of the log.
    pub fn take(&mut self, engine: &mut Engine, seen: &[Seen]) {
        let scorer = engine.points_mut();
        for seen in seen {
            let member = seen.member.get();
            match seen.event {
                PointsEvent::Link { at_ms, .. } => {
                    self.linked.insert(member, at_ms);
                    if self.linked.len() > MOST_LINKED {
                        self.linked.pop_first();
                    }
                    continue;
                }
                // What the member had is told by the first message that spends some of it.
                PointsEvent::Redemption { points, .. } => {
                    if let Some(at_ms) = self.linked.remove(&member) {
                        let _ = scorer.apply(&PointsEvent::Link {
                            at_ms,
                            member: seen.member,
                            balance: seen.left.saturating_add(points),
                        });
                    }
                }
                PointsEvent::Accrual { .. } | PointsEvent::Return { .. } => {}
            }
            self.messages += 1;
            let verdict = scorer.apply(&seen.event);
            if verdict.action == Action::Accept {
                continue;
            }
            let (merchant, at_ms) = place(&seen.event);
            self.raised += 1;
            if self.flags.len() == MOST {
                self.flags.pop_front();
            }
            self.flags.push_back(PointsFlag {
                pos: seen.pos.0,
                merchant,
                member,
                at_ms,
                verdict,
            });
        }
    }

    /// Forgets links that are a day old.
    pub fn forget(&mut self, until_ms: i64) {
        self.linked.retain(|_, at_ms| until_ms - *at_ms < DAY_MS);
    }
}

const fn place(event: &PointsEvent) -> (u32, i64) {
    match *event {
        PointsEvent::Accrual {
            at_ms, merchant, ..
        }
        | PointsEvent::Redemption {
            at_ms, merchant, ..
        }
        | PointsEvent::Return {
            at_ms, merchant, ..
        } => (merchant.0, at_ms),
        PointsEvent::Link { at_ms, .. } => (0, at_ms),
    }
}

/// What a message of points was, by its effects; `None` for all others.
pub fn seen(
    (pos, at_ms): (Pos, i64),
    record: &Recorded,
    outcome: &v1::Outcome,
    lane: &str,
    tokens: &TokenKey,
) -> Option<Seen> {
    if record.member.conversion().is_some() {
        return None;
    }
    let member = NonZeroU64::new(record.member.0)?;
    let event = record
        .effects
        .iter()
        .find_map(|Effect { change, .. }| match change {
            Change::Accrued { accrual, .. } | Change::Pended { accrual, .. } => {
                let lane = (!lane.is_empty()).then(|| tokens.of(TokenKind::Lane, lane));
                Some(PointsEvent::Accrual {
                    at_ms: accrual.event_time.0.div_euclid(1_000),
                    member,
                    merchant: Merchant(accrual.merchant.0),
                    lane,
                    device: None,
                    // Who names a till has one.
                    in_person: lane.is_some(),
                    points: accrual.parts.iter().map(|part| part.points).sum(),
                    limit: None,
                })
            }
            Change::Captured {
                merchant,
                event_time,
                uses,
                ..
            } => Some(PointsEvent::Redemption {
                at_ms: event_time.0.div_euclid(1_000),
                member,
                merchant: Merchant(merchant.0),
                points: uses.iter().map(|one| one.points).sum(),
            }),
            Change::Returned { merchant, .. } | Change::PendingLowered { merchant, .. } => {
                Some(PointsEvent::Return {
                    at_ms,
                    member,
                    merchant: Merchant(merchant.0),
                })
            }
            _ => None,
        })?;
    Some(Seen {
        pos,
        member,
        left: outcome.available_points,
        event,
    })
}

/// Accounts that an enrolment linked to members that were there.
pub fn linked(at_ms: i64, enrolled: &v1::MembersEnrolled) -> impl Iterator<Item = Seen> {
    let known = enrolled
        .enrolments
        .iter()
        .filter(|enrolment| enrolment.alias_hash.is_empty());
    known.filter_map(move |enrolment| {
        let member = NonZeroU64::new(enrolment.member_number)?;
        Some(Seen {
            pos: Pos(0),
            member,
            left: 0,
            event: PointsEvent::Link {
                at_ms,
                member,
                balance: 0,
            },
        })
    })
}
