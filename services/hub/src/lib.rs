//! hansa hub
