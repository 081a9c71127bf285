//! A conversion's account changes only by applying effects, and has a packed form of its own.

use super::{Commission, CommissionChange, CommissionState};
use crate::effect::Corrupt;
use crate::ids::{CycleNo, Pos};

/// First byte of a packed conversion's account; packed members begin with their version, which is small.
pub(crate) const PACKED: u8 = 0xC1;

impl Commission {
    /// Applies a change to the account, which it may open. `pos` is the place of the message or fact that it was recorded for.
    pub(crate) fn apply(
        account: &mut Option<Box<Self>>,
        change: &CommissionChange,
        cycle: CycleNo,
        pos: Pos,
    ) {
        match (change, account) {
            (CommissionChange::Accrued(accrued), account) => {
                *account = Some(Box::new(Self {
                    pos,
                    conversion: accrued.conversion.clone(),
                    attribution: accrued.attribution,
                    returned_micros: 0,
                    returns: Vec::new(),
                    invalid: Vec::new(),
                    micros: accrued.micros,
                    state: CommissionState::Accrued,
                    holds: Vec::new(),
                    reason: None,
                    reduced_at: None,
                    payable_in: None,
                }));
            }
            (change, Some(account)) => account.change(change, cycle),
            // Only a conversion that was accepted has changes.
            (_, None) => {}
        }
    }

    fn change(&mut self, change: &CommissionChange, cycle: CycleNo) {
        match change {
            CommissionChange::Accrued(_) => {}
            CommissionChange::Reattributed {
                attribution,
                micros,
                ..
            } => {
                self.attribution = *attribution;
                self.micros = *micros;
                self.state = CommissionState::Accrued;
                self.reason = None;
            }
            CommissionChange::Locked { .. } => self.state = CommissionState::Locked,
            CommissionChange::Payable { .. } => {
                self.state = CommissionState::Payable;
                self.payable_in = Some(cycle);
            }
            CommissionChange::Reduced {
                returned_micros,
                reference,
                micros,
                reason,
                ends,
                at,
                ..
            } => {
                self.returned_micros += returned_micros;
                self.returns.extend(*reference);
                self.micros -= micros;
                self.reason = Some(*reason);
                self.reduced_at = Some(*at);
                if *ends {
                    self.state = CommissionState::Reversed;
                }
            }
            CommissionChange::Invalidated { touch, .. } => self.invalid.push(*touch),
            CommissionChange::Held { flag, .. } => self.holds.push(*flag),
            CommissionChange::Released { flag, .. } => self.holds.retain(|held| held != flag),
        }
    }

    /// Appends the packed form.
    pub(crate) fn encode_into(&self, bytes: &mut Vec<u8>) {
        bytes.push(PACKED);
        // Serialising plain data into a growing vector has no way to fail.
        if let Ok(longer) = postcard::to_extend(self, std::mem::take(bytes)) {
            *bytes = longer;
        }
    }

    /// Reads the packed form; `None` where the bytes are not a conversion's account.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Box<Self>>, Corrupt> {
        match bytes.split_first() {
            Some((&PACKED, rest)) => match postcard::take_from_bytes(rest) {
                Ok((account, [])) => Ok(Some(account)),
                Ok(_) | Err(_) => Err(Corrupt("conversion's account")),
            },
            Some(_) | None => Ok(None),
        }
    }
}
