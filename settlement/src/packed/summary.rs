//! What a packed member says of itself at its end: all that deciding the common accrual reads.

use super::Chain;
use super::read::Reader;
use super::write::Writer;
use crate::accrual::Accrual;
use crate::effect::Corrupt;
use crate::ids::{Instant, Pos};
use crate::lot::Lot;
use crate::member::Member;

/// Sums over a member. Computed from it and nothing else, so that it can be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// What the next accrual's record is written against.
    pub(crate) chain: Chain,
    /// Number of accruals.
    pub(crate) accruals: u64,
    /// Points that no authorisation holds, in all lots.
    pub(crate) unheld: i64,
    /// Whether it owes points.
    pub(crate) owes: bool,
    /// See [`Member::last_activity`].
    pub(crate) last_activity: Option<Instant>,
    /// First due instant; [`Instant::NEVER`] without any.
    due: Instant,
}

impl Default for Summary {
    fn default() -> Self {
        Self::of(&Member::default(), Chain::default())
    }
}

impl Summary {
    /// Of a member whose records end with `chain`.
    pub(super) fn of(member: &Member, chain: Chain) -> Self {
        Self {
            chain,
            accruals: member.accruals.len() as u64,
            // Wrapping: bytes that are not a member may hold any numbers.
            unheld: member
                .lots
                .iter()
                .fold(0, |sum: i64, lot| sum.wrapping_add(lot.unheld())),
            owes: !member.debts.is_empty(),
            last_activity: member.last_activity,
            due: member.next_due().unwrap_or(Instant::NEVER),
        }
    }

    /// Parts packed bytes into what stands before the summary, and the summary; `None` where there are no bytes at all.
    pub(super) fn split(bytes: &[u8]) -> Result<Option<(&[u8], Self)>, Corrupt> {
        let Some((&length, rest)) = bytes.split_last() else {
            return Ok(None);
        };
        let (body, own) = rest
            .len()
            .checked_sub(usize::from(length))
            .and_then(|at| rest.split_at_checked(at))
            .ok_or(Corrupt("packed member is cut off"))?;
        let mut r = Reader::new(own);
        let count = r.unsigned()?;
        let pos = Pos(r.unsigned()?);
        let last_activity = Some(r.instant(Instant(0))?).filter(|at| *at != Instant::NEVER);
        let time = r.instant(last_activity.unwrap_or_default())?;
        let due = r.instant(Instant(0))?;
        let expiry = r.instant(Instant(0))?;
        let unheld = r.signed()?;
        if !r.is_empty() {
            return Err(Corrupt("bytes behind the summary of a packed member"));
        }
        let summary = Self {
            chain: Chain { pos, time, expiry },
            accruals: count >> 1,
            unheld,
            owes: count & 1 == 1,
            last_activity,
            due,
        };
        Ok(Some((body, summary)))
    }

    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        let mut w = Writer(bytes);
        w.unsigned(self.accruals << 1 | u64::from(self.owes));
        w.unsigned(self.chain.pos.0);
        w.instant(self.last_activity.unwrap_or(Instant::NEVER), Instant(0));
        w.instant(self.chain.time, self.last_activity.unwrap_or_default());
        w.instant(self.due, Instant(0));
        w.instant(self.chain.expiry, Instant(0));
        w.signed(self.unheld);
        // Seven varints of at most ten bytes each.
        let length = (bytes.len() - start) as u8;
        bytes.push(length);
    }

    /// When something next happens by time alone.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        Some(self.due).filter(|at| *at != Instant::NEVER)
    }

    /// Room for the accruals of a body, and for one more: never more than the body could hold.
    pub(super) fn room(&self, body: &[u8]) -> usize {
        usize::try_from(self.accruals)
            .unwrap_or(usize::MAX)
            .min(body.len())
            + 1
    }

    /// A new accrual and its lots came.
    pub(super) fn add(&mut self, record: &Accrual, lots: &[Lot]) {
        self.accruals += 1;
        self.last_activity = self.last_activity.max(Some(record.event_time));
        for lot in lots {
            self.unheld += lot.unheld();
            self.due = self.due.min(lot.due_at().unwrap_or(Instant::NEVER));
        }
        self.due = self.due.min(record.posts_at.unwrap_or(Instant::NEVER));
    }
}
