//! Simulated traffic with the truth beside it: 1,000 affiliates at 30 merchants for 60 days, most of them honest and all of them
//! different, a few of them with one of twelve schemes or two that adapt, from 10 to 100 % of their traffic, from mid-run on.
//!
//! The engine sees events only. Thresholds were chosen on tuning seeds, which are odd; test seeds are even, and nothing is ever
//! chosen on them.

mod day;
mod outcome;
mod report;
mod rng;
mod run;
mod schemes;
mod world;

pub use report::{Missed, Report, SchemeReport, Summary, Totals, Wrong};
pub use run::{Traffic, report};
pub use world::{Scale, Scheme};
