//! Netting: who pays whom, so that the fewest or smallest payments settle all obligations of one currency.
//!
//! Pure: obligations come in as a list, a result comes out; no IO, no clock, no randomness, no floats. A run first brings its
//! obligations into a canonical form (members ascending, one amount per pair of members); so the same obligations give the
//! same result byte for byte, in whatever order they are listed. Sums are exact: `i64` where all obligations together fit,
//! else `i128`.
//!
//! | Method | What is left to pay | Relations | Cost |
//! |---|---|---|---|
//! | GROSS | everything | as they are | one pass |
//! | BILATERAL | the difference of each two | none new, none larger | one pass |
//! | CYCLE_CLEARING | the least without a new or larger relation | none new, none larger | minimum-cost flow |
//! | MULTILATERAL | the net internal debt | all new: the hub | one pass |
//! | MIN_TRANSFERS | the net internal debt, in the fewest payments | new | exact up to 20 members, then a search |
//! | CLEARING_VECTOR | what can be paid, when some cannot pay all | as they are | per default, its creditors |
//!
//! ```
//! use hansa_netting::{Method, Obligation, Policy, net};
//!
//! let owes = |debtor, creditor, amount| Obligation { debtor, creditor, amount };
//! let obligations = [owes(1, 2, 500), owes(2, 3, 400), owes(3, 1, 300)];
//! let netting = net(&obligations, Method::CycleClearing, Policy::default())?;
//! assert_eq!(netting.cleared, [300, 300, 300]);
//! assert_eq!(netting.to_pay(), 300);
//! # Ok::<(), hansa_netting::NettingError>(())
//! ```

mod bilateral;
mod book;
mod certificate;
mod clearing;
mod components;
mod cycle;
mod liquidity;
mod method;
mod net;
pub mod oblgen;
mod obligation;
mod positions;
mod quantity;
mod transfers;

pub use certificate::{Certificate, CertificateError, Potential};
pub use clearing::{Clearing, ClearingVector, Endowment, clearing_vector};
pub use liquidity::liquidity;
pub use method::{Method, UnknownMethod};
pub use net::{Comparison, Netting, Policy, compare, net, without};
pub use obligation::{NettingError, Obligation, Party, Payment, Position};
pub use positions::positions;
