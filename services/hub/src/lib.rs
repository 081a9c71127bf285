//! hansa hub

pub mod tlog;
