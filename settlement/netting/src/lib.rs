//! Netting.
