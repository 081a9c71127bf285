//! Bank files.
