//! Checks against lists: user agents that declare a program, networks of hosting providers, disposable mail domains, banned
//! hosts; and what they make of a request for a link ([`Lists::classify`]).
//!
//! Owns the lists that come with the program (`data/`, with source, version, date and licence) and the form of the files that
//! replace them at run time. Reads no file: a caller that replaces a list hands its text in. A list is parsed once; a look-up
//! costs some 20 microseconds for a user agent (its answer is kept by the caller, by the agent's token) and tens of nanoseconds
//! for the others. None of them sees a person: what they are asked is not kept.

mod agent;
mod agent_rules;
mod classify;
mod domains;
mod hosts;
mod mail;
mod network;
mod text;

pub use agent::{AgentClass, AgentRule, Evidence, UserAgents};
pub use classify::{AgentKind, Classified, Lists, Placement, Reason, Request};
pub use hosts::Hosts;
pub use mail::DisposableMail;
pub use network::DataCentres;
pub use text::{ListError, Provenance};
