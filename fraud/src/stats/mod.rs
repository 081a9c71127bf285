//! The statistics behind a verdict. Pure arithmetic over counts; knows no affiliate and no scheme.
//!
//! | Test | Against | For |
//! |---|---|---|
//! | [`Mixture`] | the merchant's own histogram, and a share of another one | times and hours |
//! | [`Shares`] | a share that differs between honest affiliates: beta-binomial | rates of every kind |
//! | [`ByVolume`] | affiliates of about the same volume: median and MAD | duplicates, regular gaps |
//! | [`benjamini_hochberg`] | all tests of a day together | the share of false flags |

mod discovery;
mod mixture;
mod robust;
mod share;
mod tail;

pub use discovery::benjamini_hochberg;
pub use mixture::{Mixture, Surface, calibrate};
pub use robust::{ByVolume, entropy, median};
pub use share::{LEAST_EVENTS, Row, Shares};
pub use tail::{fisher, normal_upper};
