//! `hansa offers`: what a merchant lets affiliates advertise, and what has changed of it.

mod changes;
mod list;
mod put;
mod rows;
mod show;
#[cfg(test)]
mod tests;
mod withdraw;

use std::process::ExitCode;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use hansa_proto::v1;

use super::{
    connect::Connection,
    exit,
    session::{self, Session},
};

/// What about offers.
#[derive(Debug, Subcommand)]
pub enum Offers {
    /// Create or replace a merchant's offers by a file. The merchant, or an operator with --merchant.
    Put(put::Args),
    /// Withdraw a merchant's offers. The merchant, or an operator with --merchant.
    Withdraw(withdraw::Args),
    /// Offers that are in force: an affiliate's to advertise, a merchant's own.
    List(list::Args),
    /// What has changed behind a cursor.
    Changes(changes::Args),
}

/// Kind of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Something that is for sale.
    Product,
    /// A campaign.
    Promotion,
    /// A code that shoppers enter.
    Code,
}

impl Kind {
    const fn wire(self) -> v1::OfferKind {
        match self {
            Self::Product => v1::OfferKind::Product,
            Self::Promotion => v1::OfferKind::Promotion,
            Self::Code => v1::OfferKind::Code,
        }
    }
}

/// Whose offers are asked for.
#[derive(Debug, ClapArgs)]
struct Of {
    /// Only those of this merchant. A merchant that is an affiliate, too, names itself to see its own.
    #[arg(long, value_name = "ID")]
    of: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Of {
    /// The session, and the merchant for the request: as everywhere, an operator may name it with --merchant.
    async fn session(&self) -> anyhow::Result<(Session, String)> {
        let session = session::either(&self.connection).await?;
        let named = session.merchant.clone().filter(|_| session.operator);
        let of = self.of.clone().or(named).unwrap_or_default();
        Ok((session, of))
    }
}

/// Runs it.
pub async fn run(command: Offers) -> anyhow::Result<ExitCode> {
    match command {
        Offers::Put(args) => return put::run(&args).await,
        Offers::Withdraw(args) => withdraw::run(&args).await,
        Offers::List(args) => list::run(&args).await,
        Offers::Changes(args) => changes::run(&args).await,
    }?;
    Ok(ExitCode::SUCCESS)
}

/// The merchant whose offers are to be changed, and a connection of who may.
async fn owner(connection: &Connection) -> anyhow::Result<(Session, String)> {
    let session = session::either(connection).await?;
    match session.merchant.clone() {
        Some(merchant) => Ok((session, merchant)),
        None => {
            let message = "say whose offers: --merchant ID (or HANSA_MERCHANT)";
            Err(exit::coded(exit::USAGE, message))
        }
    }
}
