//! The proof that a circulation is the largest, and its check, which shares nothing with the solver.
//!
//! Give every member a level. Clearing one unit more of what u owes v is worth `1 + level(v) - level(u)`: the levels cancel
//! out around every cycle, so for any circulation the sum of what it clears is the sum of these worths. If everything with a
//! worth above 0 is cleared in full and nothing with a worth below 0 is cleared at all, no circulation clears more
//! (linear-programming duality). What is kept then leads from higher levels to lower ones only, so no cycle is left.

use std::collections::BTreeMap;

use crate::obligation::Obligation;

/// A member's level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Potential {
    /// The member.
    pub member: u32,
    /// Its level.
    pub level: i64,
}

/// Proves that what was cleared in cycles is the most that could be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Levels, members ascending.
    pub potentials: Vec<Potential>,
    /// Of each obligation, what was cleared before by policy (bilateral first); empty where there is no such policy. The
    /// proof is then about what this left.
    pub first: Vec<i64>,
}

/// What a certificate does not prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not one cleared amount for each obligation.
    #[error("there are {obligations} obligations, but {amounts} cleared amounts")]
    Length {
        /// Obligations.
        obligations: usize,
        /// Amounts.
        amounts: usize,
    },
    /// Members out of order, or one twice.
    #[error("the levels are not in ascending order of members at member {member}")]
    Order {
        /// The member that is not behind the one before it.
        member: u32,
    },
    /// A member of an obligation has no level.
    #[error("member {member} has no level")]
    NoLevel {
        /// The member.
        member: u32,
    },
    /// More cleared than owed, or less than was cleared first.
    #[error("obligation {index} has {cleared} cleared, which is not between {least} and {most}")]
    Bounds {
        /// The obligation's place.
        index: usize,
        /// What is cleared.
        cleared: i64,
        /// What was cleared first.
        least: i64,
        /// What is owed.
        most: i64,
    },
    /// What a member is relieved of owing is not what it is relieved of being owed.
    #[error("member {member} is relieved of {out} that it owes and {into} that it is owed")]
    Unbalanced {
        /// The member.
        member: u32,
        /// Owed by it.
        out: i128,
        /// Owed to it.
        into: i128,
    },
    /// Cleared although not worth it, or kept although worth clearing.
    #[error(
        "obligation {index}: a unit of it is worth {worth}, but {cleared} is cleared and {kept} is kept"
    )]
    NotOptimal {
        /// The obligation's place.
        index: usize,
        /// Worth of one unit.
        worth: i128,
        /// What is cleared (beyond what was first).
        cleared: i64,
        /// What is kept.
        kept: i64,
    },
}

impl Certificate {
    /// Checks that `cleared` is a circulation within the obligations and that none clears more. O(obligations + members) where
    /// member ids are dense, with a logarithm of the members otherwise.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(
        &self,
        obligations: &[Obligation],
        cleared: &[i64],
    ) -> Result<(), CertificateError> {
        let no_policy = self.first.is_empty();
        for (amounts, may_lack) in [(cleared.len(), false), (self.first.len(), no_policy)] {
            if amounts != obligations.len() && !may_lack {
                return Err(CertificateError::Length {
                    obligations: obligations.len(),
                    amounts,
                });
            }
        }
        let levels = Levels::of(&self.potentials)?;
        // Per member: owing and being owed that is cleared in all, and first.
        let mut balance = vec![[0_i128; 4]; self.potentials.len()];
        for (index, obligation) in obligations.iter().enumerate() {
            let first = self.first.get(index).copied().unwrap_or(0);
            let cleared = cleared[index];
            if obligation.amount == 0 && first == 0 && cleared == 0 {
                continue;
            }
            let debtor = levels.place(obligation.debtor)?;
            let creditor = levels.place(obligation.creditor)?;
            if first < 0 || cleared < first || obligation.amount < cleared {
                return Err(CertificateError::Bounds {
                    index,
                    cleared,
                    least: first.max(0),
                    most: obligation.amount,
                });
            }
            balance[debtor][0] += i128::from(cleared);
            balance[creditor][1] += i128::from(cleared);
            balance[debtor][2] += i128::from(first);
            balance[creditor][3] += i128::from(first);

            let level = |place: usize| i128::from(self.potentials[place].level);
            let worth = 1 + level(creditor) - level(debtor);
            let (in_cycles, kept) = (cleared - first, obligation.amount - cleared);
            if worth > 0 && kept > 0 || worth < 0 && in_cycles > 0 {
                return Err(CertificateError::NotOptimal {
                    index,
                    worth,
                    cleared: in_cycles,
                    kept,
                });
            }
        }
        for (potential, [out, into, first_out, first_into]) in self.potentials.iter().zip(balance) {
            for (out, into) in [(out, into), (first_out, first_into)] {
                if out != into {
                    return Err(CertificateError::Unbalanced {
                        member: potential.member,
                        out,
                        into,
                    });
                }
            }
        }
        Ok(())
    }
}

/// The place of each member among the potentials.
enum Levels {
    ById(Vec<u32>),
    Sparse(BTreeMap<u32, u32>),
}

const NONE: u32 = u32::MAX;

impl Levels {
    fn of(potentials: &[Potential]) -> Result<Self, CertificateError> {
        if let Some(pair) = potentials
            .windows(2)
            .find(|pair| pair[0].member >= pair[1].member)
        {
            return Err(CertificateError::Order {
                member: pair[1].member,
            });
        }
        let largest = potentials
            .last()
            .map_or(0, |potential| potential.member as usize);
        let places = (0..)
            .zip(potentials)
            .map(|(place, potential)| (potential.member, place));
        Ok(if largest > 64 * potentials.len() {
            Self::Sparse(places.collect())
        } else {
            let mut by_id = vec![NONE; largest + 1];
            for (member, place) in places {
                by_id[member as usize] = place;
            }
            Self::ById(by_id)
        })
    }

    fn place(&self, member: u32) -> Result<usize, CertificateError> {
        let place = match self {
            Self::ById(by_id) => by_id.get(member as usize),
            Self::Sparse(sparse) => sparse.get(&member),
        };
        match place {
            Some(place) if *place != NONE => Ok(*place as usize),
            _ => Err(CertificateError::NoLevel { member }),
        }
    }
}
