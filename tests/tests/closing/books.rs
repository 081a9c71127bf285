//! An independent account of cycles: from what senders were told and the contracts' terms alone, nothing that the hub
//! sums up takes part.

use std::collections::BTreeMap;

use hansa_proto::v1;

/// Value of a point, as in [`hansa_tests::alliance::programme`]. Unit: micro-units.
const PRICE: i64 = 8_000;

/// Service fee of a point, as in [`hansa_tests::alliance::contract`]. Unit: micro-units.
const SERVICE_FEE: i64 = 1_500;

/// Redemption fee. Unit: basis points.
const REDEMPTION_FEE_BPS: i64 = 250;

/// What a message was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Accrual,
    Reversal,
    /// An authorisation or its end: moves no money.
    Hold,
    /// Of points that another shop funded.
    Capture,
    /// Of a capture of this many points.
    Refund(i64),
}

/// A message that was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// Who sent it, by its place among the shops.
    pub(crate) sender: usize,
    /// Whose points it is about.
    pub(crate) funder: usize,
    pub(crate) kind: Kind,
    /// The cycle that was open when it was sent.
    pub(crate) sent_in: u32,
    /// Where the log has it.
    pub(crate) leaf: u64,
    /// The cycle that the hub said it is in.
    pub(crate) told_cycle: u32,
    pub(crate) accepted: bool,
    /// Unit: whole points.
    pub(crate) points: i64,
    /// When what it moves is posted, where that is not at once. Unit: microseconds since 1970.
    pub(crate) posts_at: Option<i64>,
}

/// Who pays when.
#[derive(Clone, Debug)]
pub(crate) struct Shop {
    pub(crate) name: String,
    /// Pays for points when they are spent.
    pub(crate) pays_at_burn: bool,
}

/// What a message comes to.
#[derive(Debug, Default)]
struct Moves {
    /// Shop and what it owes. Unit: micro-units.
    owes: Vec<(usize, i64)>,
    /// Funder, credited shop, points.
    pair: Option<(usize, usize, i64)>,
}

fn fee(points: i64) -> i64 {
    points * PRICE * REDEMPTION_FEE_BPS / 10_000
}

impl Told {
    fn moves(&self, shops: &[Shop]) -> Moves {
        let (own, funder) = (self.sender, self.funder);
        let at_burn = shops[funder].pays_at_burn;
        let points = self.points;
        let value = points * PRICE;
        if !self.accepted {
            return Moves::default();
        }
        match self.kind {
            Kind::Hold => Moves::default(),
            Kind::Accrual => {
                let reserve = if at_burn { 0 } else { value };
                Moves {
                    owes: vec![(own, reserve + points * SERVICE_FEE)],
                    pair: None,
                }
            }
            Kind::Reversal => {
                // Out of the reserve; or out of the funder's own pocket into its own.
                let back = if at_burn { 0 } else { value };
                Moves {
                    owes: vec![(own, -back)],
                    pair: Some((own, own, points)),
                }
            }
            Kind::Capture => Moves {
                owes: vec![
                    (own, fee(points) - value),
                    (funder, if at_burn { value } else { 0 }),
                ],
                pair: Some((funder, own, points)),
            },
            Kind::Refund(captured) => {
                let fee_back = fee(captured) - fee(captured - points);
                Moves {
                    owes: vec![
                        (own, value - fee_back),
                        (funder, if at_burn { -value } else { 0 }),
                    ],
                    pair: Some((funder, own, -points)),
                }
            }
        }
    }
}

/// Cycles as the hub tells them.
pub(crate) struct Cycles {
    /// Oldest first, the open one included.
    pub(crate) told: Vec<v1::GetCycleResponse>,
    /// The hub's clock meanwhile. Unit: microseconds since 1970.
    pub(crate) now: i64,
}

impl Cycles {
    pub(crate) fn cycle(&self, index: usize) -> &v1::Cycle {
        self.told[index].cycle.as_ref().unwrap()
    }

    /// The cycle whose cuts enclose a leaf.
    pub(crate) fn enclosing(&self, leaf: u64) -> u32 {
        let cut_before = (0..self.told.len())
            .filter(|index| {
                self.cycle(*index)
                    .cut_leaf_index
                    .is_some_and(|cut| cut < leaf)
            })
            .count();
        u32::try_from(cut_before + 1).unwrap()
    }

    /// The cycle that due work of an instant belongs to; `None`: it is not done yet. Unit: microseconds.
    fn of_instant(&self, at: i64) -> Option<u32> {
        if at > self.now {
            return None;
        }
        let ends = |index: &usize| {
            let closes_at = self.cycle(*index).closes_at.as_ref().unwrap();
            self.cycle(*index).cut_leaf_index.is_none()
                || hansa_tests::clock::micros(closes_at) >= at
        };
        let index = (0..self.told.len()).find(ends).unwrap();
        Some(u32::try_from(index + 1).unwrap())
    }
}

/// What the messages of a cycle add up to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sums {
    accepted: u64,
    refused: u64,
    nets: BTreeMap<String, i64>,
    pairs: BTreeMap<(String, String), i64>,
}

/// Whether every cycle is exact when each message is taken to be in the cycle that `cycle_of` says: counts, nets and pairs
/// are those that the hub tells, the nets of the messages sum to the hub's own side, no message is left over. Otherwise all
/// that is wrong.
pub(crate) fn audit(
    cycles: &Cycles,
    shops: &[Shop],
    told: &[Told],
    cycle_of: impl Fn(&Told) -> u32,
) -> Result<(), Vec<String>> {
    let mut sums: Vec<Sums> = cycles.told.iter().map(|_| Sums::default()).collect();
    for message in told {
        let number = cycle_of(message);
        let sum = &mut sums[number as usize - 1];
        if message.accepted {
            sum.accepted += 1;
        } else {
            sum.refused += 1;
        }
        let Some(posts_in) = message
            .posts_at
            .map_or(Some(number), |at| cycles.of_instant(at))
        else {
            continue;
        };
        let sum = &mut sums[posts_in as usize - 1];
        let moves = message.moves(shops);
        for (shop, micros) in moves.owes {
            *sum.nets.entry(shops[shop].name.clone()).or_default() += micros;
        }
        if let Some((funder, credited, points)) = moves.pair {
            let pair = (shops[funder].name.clone(), shops[credited].name.clone());
            *sum.pairs.entry(pair).or_default() += points;
        }
    }
    let mut wrong = Vec::new();
    for (sum, told) in sums.iter_mut().zip(&cycles.told) {
        sum.nets.retain(|_, micros| *micros != 0);
        sum.pairs.retain(|_, points| *points != 0);
        let cycle = told.cycle.as_ref().unwrap();
        let number = cycle.cycle_number;
        let hub = told.hub.unwrap();
        let hub_side = hub.reserve_micros
            + hub.service_fee_micros
            + hub.redemption_fee_micros
            + hub.breakage_micros;
        let nets: i64 = sum.nets.values().sum();
        if nets != hub_side {
            wrong.push(format!(
                "cycle {number}: its messages' nets sum to {nets}, the hub's side to {hub_side}"
            ));
        }
        let as_told = Sums {
            accepted: cycle.messages_accepted,
            refused: cycle.messages_refused,
            nets: told
                .net_positions
                .iter()
                .filter(|position| position.net_micros != 0)
                .map(|position| (position.merchant_id.clone(), position.net_micros))
                .collect(),
            pairs: told
                .pair_positions
                .iter()
                .filter(|pair| pair.points != 0)
                .map(|pair| {
                    let names = (&pair.funder_merchant_id, &pair.redeeming_merchant_id);
                    ((names.0.clone(), names.1.clone()), pair.points)
                })
                .collect(),
        };
        if *sum != as_told {
            wrong.push(format!(
                "cycle {number}: its messages come to {sum:?}, the hub says {as_told:?}"
            ));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}
