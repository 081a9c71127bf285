//! What outstanding points cost, and what of their price is revenue.

mod revenue;

pub use revenue::{Revenue, RevenueBasis, RevenueError, RevenueUnit};
