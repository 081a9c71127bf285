//! `hansa member`: enrolment, balances and lots of one merchant's members.

use std::process::ExitCode;

use clap::{Args as ClapArgs, Subcommand};
use hansa_client::{
    hub::{CallError, Hub},
    keys::hex,
    message::MemberReference,
};
use hansa_proto::v1;
use ring::digest::{Context, SHA256};
use serde_json::{Value, json};

use super::{
    connect::Connection,
    pages,
    render::{self, Column, Format},
    session,
};

const HELP: &str = "Members are named by the calling merchant's own references, 32 hexadecimal digits (a UUID's \
hyphens are fine).\n\nEnrolment keys identify a member across merchants: equal keys are one member with one balance. \
--card hashes the number on this machine: SHA-256 over \"hansa/card/v1\", a zero byte and the number without spaces \
and hyphens; the number itself is not sent. Card numbers are few, so that hash can be guessed: an alliance \
does better with an HMAC of the number under a key that only its merchants have, given with --key-hex.";

/// Domain separation of [`card_key`].
const CARD_DOMAIN: &[u8] = b"hansa/card/v1\0";

/// What about members.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Enrol members, or find the references that they have. Safe to repeat.
    #[command(after_long_help = HELP)]
    Enrol {
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
        #[command(flatten)]
        members: Enrolled,
    },
    /// What a member has, holds, owes and waits for.
    Balance {
        /// The merchant's reference of the member.
        #[arg(value_name = "REF", value_parser = reference)]
        member: MemberReference,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
    /// A member's lots in the order in which they will be spent.
    Lots {
        /// The merchant's reference of the member.
        #[arg(value_name = "REF", value_parser = reference)]
        member: MemberReference,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = true)]
struct Enrolled {
    /// A card number, hashed here. May be repeated.
    #[arg(long = "card", value_name = "NUMBER")]
    cards: Vec<String>,
    /// An enrolment key, 16 to 64 bytes in hexadecimal digits. May be repeated.
    #[arg(long = "key-hex", value_name = "HEX", value_parser = enrolment_key)]
    keys: Vec<HexKey>,
}

/// Bytes of an enrolment key.
#[derive(Debug, Clone)]
struct HexKey(Vec<u8>);

fn reference(text: &str) -> Result<MemberReference, String> {
    render::id16(text).ok_or_else(|| "a reference has 32 hexadecimal digits".to_owned())
}

fn enrolment_key(text: &str) -> Result<HexKey, String> {
    match render::bytes(text) {
        Some(key) if (16..=64).contains(&key.len()) => Ok(HexKey(key)),
        _ => Err("32 to 128 hexadecimal digits, a keyed hash of the identifier".to_owned()),
    }
}

/// The enrolment key of a card number: SHA-256 over `hansa/card/v1`, a zero byte, and the number without spaces and
/// hyphens. It hides the number from a reader, not from one who tries all numbers.
pub fn card_key(number: &str) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(CARD_DOMAIN);
    let number: String = number
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .collect();
    context.update(number.as_bytes());
    let mut key = [0; 32];
    key.copy_from_slice(context.finish().as_ref());
    key
}

/// Runs it.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Enrol {
            connection,
            format,
            members,
        } => enrol(&connection, format, &members).await,
        Command::Balance {
            member,
            connection,
            format,
        } => balance(&connection, format, &member).await,
        Command::Lots {
            member,
            connection,
            format,
        } => lots(&connection, format, &member).await,
    }?;
    Ok(ExitCode::SUCCESS)
}

async fn enrol(connection: &Connection, format: Format, members: &Enrolled) -> anyhow::Result<()> {
    let cards = members
        .cards
        .iter()
        .map(|card| (card.clone(), card_key(card).to_vec()));
    let keys = members.keys.iter().map(|key| (hex(&key.0), key.0.clone()));
    let (names, keys): (Vec<String>, Vec<Vec<u8>>) = cards.chain(keys).unzip();
    let hub = session::merchant(connection).await?;
    let references = hub.enrol(&keys).await?;
    if format.json {
        let references: Vec<String> = references.iter().map(|r| hex(r)).collect();
        return render::print_json(&json!({ "member_references": references }));
    }
    let mut table = render::table(&[Column::Left("enrolled by"), Column::Left("reference")]);
    for (name, reference) in names.iter().zip(&references) {
        table.add_row([name.clone(), hex(reference)]);
    }
    render::print(&format!("{}\n", table.trim_fmt()))
}

async fn balance(
    connection: &Connection,
    format: Format,
    member: &MemberReference,
) -> anyhow::Result<()> {
    let hub = session::merchant(connection).await?;
    let balance = hub.balance(member).await?;
    if format.json {
        return render::print_json(&json!({
            "available_points": balance.available_points,
            "held_points": balance.held_points,
            "debt_points": balance.debt_points,
            "pending_points": balance.pending_points,
            "as_of_leaf": balance.as_of_leaf,
            "as_of": render::json_instant(balance.as_of.as_ref()),
        }));
    }
    let mut table = render::table(&[Column::Left("points"), Column::Right("")]);
    for (name, points) in [
        ("to spend", balance.available_points),
        ("held by authorisations", balance.held_points),
        ("owed by the member", balance.debt_points),
        ("pending", balance.pending_points),
    ] {
        table.add_row([name.to_owned(), render::number(points)]);
    }
    let leaf = balance.as_of_leaf.map_or_else(String::new, |leaf| {
        format!(", with entry {leaf} of the log")
    });
    let at = render::instant(balance.as_of.as_ref());
    render::print(&format!("{}\nAs of {at}{leaf}.\n", table.trim_fmt()))
}

async fn lots(
    connection: &Connection,
    format: Format,
    member: &MemberReference,
) -> anyhow::Result<()> {
    let hub = session::merchant(connection).await?;
    let lots = all_lots(&hub, member).await?;
    if format.json {
        return render::print_json(
            &json!({ "lots": lots.iter().map(lot_json).collect::<Vec<_>>() }),
        );
    }
    if lots.is_empty() {
        return render::print("No lots: the member has no points.\n");
    }
    let mut table = render::table(&[
        Column::Right("points"),
        Column::Right("held"),
        Column::Left("posted"),
        Column::Left("expires"),
        Column::Left("posted by entry"),
        Column::Left("funder"),
    ]);
    for lot in &lots {
        let expires = lot
            .expires_time
            .as_ref()
            .map_or_else(|| "never".to_owned(), |at| render::instant(Some(at)));
        let part = match lot.part {
            0 => String::new(),
            part => format!(", bonus {part}"),
        };
        let funder = match lot.funder_merchant_id.as_str() {
            "" => "another merchant",
            own => own,
        };
        table.add_row([
            render::number(lot.remaining_points),
            render::number(lot.held_points),
            render::instant(lot.posted_time.as_ref()),
            expires,
            format!("{}, message {}{part}", lot.leaf_index, lot.entry_position),
            funder.to_owned(),
        ]);
    }
    render::print(&format!("{}\n", table.trim_fmt()))
}

async fn all_lots(hub: &Hub, member: &MemberReference) -> Result<Vec<v1::Lot>, CallError> {
    pages::all(async |page_token| {
        let request = v1::ListLotsRequest {
            member_reference: member.to_vec(),
            page_size: 1_000,
            page_token,
        };
        let page = hub
            .call(request, async |hub: Hub, request| {
                hub.members().list_lots(request).await
            })
            .await?;
        Ok((page.lots, page.next_page_token))
    })
    .await
}

fn lot_json(lot: &v1::Lot) -> Value {
    json!({
        "leaf_index": lot.leaf_index,
        "entry_position": lot.entry_position,
        "part": lot.part,
        "remaining_points": lot.remaining_points,
        "held_points": lot.held_points,
        "posted_time": render::json_instant(lot.posted_time.as_ref()),
        "expires_time": render::json_instant(lot.expires_time.as_ref()),
        "funder_merchant_id": lot.funder_merchant_id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_card_is_frozen() {
        // printf 'hansa/card/v1\0%s' 6001230000000017 | sha256sum
        let expected = "012491b89f96a63285a37d5370184b33025bbf39dd4804a701f405aa512707a4";
        for number in [
            "6001230000000017",
            "6001 2300 0000 0017",
            " 6001-2300-0000-0017",
        ] {
            assert_eq!(hex(&card_key(number)), expected, "{number}");
        }
        assert_ne!(hex(&card_key("6001230000000018")), expected);
    }

    #[test]
    fn keys_and_references_are_read() {
        assert!(reference("019c936e387b8525bca2b32abb0aaa32").is_ok());
        assert!(reference("R-17").is_err());
        assert!(enrolment_key(&"5a".repeat(16)).is_ok());
        for bad in [
            "5a".repeat(15),
            "5a".repeat(65),
            "zz".repeat(16),
            "5".repeat(33),
        ] {
            assert!(enrolment_key(&bad).is_err(), "{bad}");
        }
    }
}
