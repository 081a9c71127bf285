//! hansa-store
