//! The integer that amounts are summed in: `i64` where all obligations together fit, else `i128`. A run uses one of them
//! from end to end; both give the same result.

use std::{
    iter::Sum,
    ops::{Add, AddAssign, Neg, Sub, SubAssign},
};

/// A whole number of minor units.
pub(crate) trait Quantity:
    Copy
    + Ord
    + From<i64>
    + Into<i128>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + Sum
{
    /// Nothing.
    const ZERO: Self;
}

impl Quantity for i64 {
    const ZERO: Self = 0;
}

impl Quantity for i128 {
    const ZERO: Self = 0;
}
