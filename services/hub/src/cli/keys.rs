//! `hansa keys`: keys of merchants and operators. Private halves are made here and never leave this machine.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use hansa_client::{
    hub::{CallError, Hub},
    keys::{SigningKey, hex},
};
use hansa_proto::v1;
use prost_types::Timestamp;
use serde_json::{Value, json};

use super::{
    connect::Connection,
    exit, pages,
    render::{self, Column, Format},
    session::{self, Session},
};
use crate::{
    convert::{micros, timestamp},
    registry,
};

const HOUR_MICROS: i64 = 3_600_000_000;
const DAY_MICROS: i64 = 24 * HOUR_MICROS;

const HELP: &str = "--merchant names the owner of the keys. The command speaks with --key: an operator's key, or the \
owner's own current one. Without --merchant the keys are operators'.";

const ROLES: &str = "--merchant names the owner of the key. The command speaks with --key: an operator's key, or the \
owner's own current one. Without --merchant the key is an operator's: --holder names the person who holds it, --role what \
it may do. Who proposes a payment and who approves it must be different persons.";

/// What about keys.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key, register its public half and print its id.
    #[command(after_long_help = ROLES)]
    New {
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
        #[command(flatten)]
        made: Made,
        /// Of an operator's key: the person who holds it. Default: the key's id stands for a person.
        #[arg(
            long,
            value_name = "NAME",
            default_value = "",
            hide_default_value = true
        )]
        holder: String,
        /// Of an operator's key: what it may do; repeat it for several. Default: everything.
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<Role>,
    },
    /// Make a key, register it, and end the owner's other keys after an overlap.
    ///
    /// Of operators' keys, only those of the person whose key speaks; the new one may do what that one may. Until the overlap is over, old and new keys are valid, so that senders can change over one by one. Run the same
    /// command again after an interruption: it goes on with the key that is in FILE.
    #[command(after_long_help = HELP)]
    Rotate {
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
        #[command(flatten)]
        made: Made,
        /// How long the old keys stay valid. Unit: hours.
        #[arg(long, value_name = "H", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=87_600))]
        overlap_hours: u32,
        /// Revoke the old keys at once: what they sign from now on is refused.
        #[arg(long, conflicts_with = "overlap_hours")]
        revoke_now: bool,
    },
    /// Revoke a key from now on. What it signed before stays.
    #[command(after_long_help = HELP)]
    Revoke {
        /// Id of the key.
        #[arg(value_name = "KEY_ID")]
        revoked: String,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
        /// Why, for the log.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// From when on its signatures are doubtful (RFC 3339): noted for adjustments, undoes nothing.
        #[arg(long, value_name = "INSTANT")]
        compromised_since: Option<DateTime<Utc>>,
    },
    /// All keys of an owner.
    #[command(after_long_help = HELP)]
    List {
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        format: Format,
    },
}

/// What an operator's key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Terms, merchants, keys, closing by hand.
    Administrator,
    /// Proposals, approvals, payments, reconciliation, disputes.
    Finance,
    /// Reads everything, changes nothing.
    Auditor,
    /// Looks after affiliates: reads those that name the key's holder as their manager, and nothing else.
    AffiliateManager,
    /// Cases of fraud, bans, rules on traffic; holds and releases commissions.
    FraudAnalyst,
}

impl Role {
    fn wire(self) -> i32 {
        match self {
            Self::Administrator => v1::OperatorRole::Administrator,
            Self::Finance => v1::OperatorRole::Finance,
            Self::Auditor => v1::OperatorRole::Auditor,
            Self::AffiliateManager => v1::OperatorRole::AffiliateManager,
            Self::FraudAnalyst => v1::OperatorRole::FraudAnalyst,
        }
        .into()
    }
}

/// Who holds an operator's key, and what it may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Person {
    holder: String,
    roles: Vec<i32>,
}

/// A key to be made.
#[derive(Debug, ClapArgs)]
struct Made {
    /// Where the private key goes (PEM, readable by its owner only). Never overwritten: a key that is there is
    /// registered instead.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How long it is valid. Unit: days. Default: without end.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    valid_days: Option<u32>,
}

/// Runs it.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::New {
            connection,
            format,
            made,
            holder,
            roles,
        } => {
            let session = session::either(&connection).await?;
            let roles = roles.into_iter().map(Role::wire).collect();
            let key = register_new(&session, &made, &[], Person { holder, roles }).await?;
            tell(format, json!({ "key": key_json(&key) }), || {
                format!("{}\n", made_text(&key, &made.out))
            })
        }
        Command::Rotate {
            connection,
            format,
            made,
            overlap_hours,
            revoke_now,
        } => {
            let session = session::either(&connection).await?;
            let overlap = (!revoke_now).then_some(overlap_hours);
            rotate(&session, format, &made, overlap).await
        }
        Command::Revoke {
            revoked,
            connection,
            format,
            reason,
            compromised_since,
        } => {
            let session = session::either(&connection).await?;
            let since = compromised_since.map(|at| timestamp(at.timestamp_micros()));
            let key = revoke(&session.hub, &revoked, &reason, since).await?;
            tell(format, json!({ "key": key_json(&key) }), || {
                let at = render::instant(key.revoked_at.as_ref());
                format!("Key {revoked} is revoked since {at}.\n")
            })
        }
        Command::List { connection, format } => {
            let session = session::either(&connection).await?;
            let now = now(&session.hub).await?;
            let keys = list(&session).await?;
            let document = json!({ "keys": keys.iter().map(key_json).collect::<Vec<_>>() });
            tell(format, document, || keys_text(&keys, now))
        }
    }?;
    Ok(ExitCode::SUCCESS)
}

fn tell(format: Format, document: Value, text: impl FnOnce() -> String) -> anyhow::Result<()> {
    if format.json {
        render::print_json(&document)
    } else {
        render::print(&text())
    }
}

/// The key of `path`: read where it is, otherwise made. On disk before the hub hears of it, so that no crash leaves a
/// registered key that nobody holds. Second: whether it was there.
fn key_of(path: &Path) -> anyhow::Result<(SigningKey, bool)> {
    let shown = path.display();
    if path.exists() {
        let key = SigningKey::load(path)
            .with_context(|| format!("{shown} is there and is no key; name another file"))?;
        return Ok((key, true));
    }
    let key = SigningKey::generate()?;
    key.save(path)
        .with_context(|| format!("cannot write {shown}"))?;
    Ok((key, false))
}

/// Makes and registers a key. `known`: the owner's valid keys; a key of the file that is one of them and not the
/// newest is refused, because it is not new.
async fn register_new(
    session: &Session,
    made: &Made,
    known: &[v1::Key],
    person: Person,
) -> anyhow::Result<v1::Key> {
    let (key, was_there) = key_of(&made.out)?;
    let newer = |id: &str| {
        let from = |key: &v1::Key| key.valid_from.as_ref().map_or(i64::MIN, micros);
        let own = known.iter().find(|k| k.key_id == id).map(from);
        own.is_some_and(|own| known.iter().any(|other| from(other) > own))
    };
    if was_there && newer(key.key_id()) {
        let message = format!(
            "{} holds a key that is registered and not the newest; name a new file",
            made.out.display()
        );
        return Err(exit::coded(exit::USAGE, message));
    }
    let valid_until = match made.valid_days {
        Some(days) => {
            let end = now(&session.hub)
                .await?
                .saturating_add(i64::from(days) * DAY_MICROS);
            Some(timestamp(end))
        }
        None => None,
    };
    let registered = v1::Key {
        key_id: key.key_id().to_owned(),
        public_key: key.verifying_key().as_bytes().to_vec(),
        merchant_id: session.merchant.clone().unwrap_or_default(),
        valid_until,
        holder: person.holder,
        operator_roles: person.roles,
        ..v1::Key::default()
    };
    register(&session.hub, registered).await.map_err(|error| {
        let shown = made.out.display();
        if error.is_transient() {
            let context =
                format!("the key in {shown} may not be registered; run the same command again");
            return anyhow::Error::new(error).context(context);
        }
        if !was_there {
            // Nobody will ever know this key.
            let _ = std::fs::remove_file(&made.out);
        }
        error.into()
    })
}

async fn register(hub: &Hub, key: v1::Key) -> Result<v1::Key, CallError> {
    let request = v1::RegisterKeyRequest {
        key: Some(key),
        validate_only: false,
    };
    let answer = hub
        .call(request, async |hub: Hub, request| {
            hub.alliance().register_key(request).await
        })
        .await?;
    Ok(answer.key.unwrap_or_default())
}

async fn revoke(
    hub: &Hub,
    key_id: &str,
    reason: &str,
    compromised_since: Option<Timestamp>,
) -> Result<v1::Key, CallError> {
    let request = v1::RevokeKeyRequest {
        key_id: key_id.to_owned(),
        reason: reason.to_owned(),
        compromised_since,
    };
    let answer = hub
        .call(request, async |hub: Hub, request| {
            hub.alliance().revoke_key(request).await
        })
        .await?;
    Ok(answer.key.unwrap_or_default())
}

/// The hub's clock: validity is measured by it, not by ours. Unit: microseconds since 1970.
async fn now(hub: &Hub) -> Result<i64, CallError> {
    let status = session::status(hub).await?;
    Ok(status.now.as_ref().map_or(0, micros))
}

/// All keys of the session's owner.
async fn list(session: &Session) -> Result<Vec<v1::Key>, CallError> {
    pages::all(async |page_token| {
        let request = v1::ListKeysRequest {
            merchant_id: session.merchant.clone().unwrap_or_default(),
            page_size: 1_000,
            page_token,
        };
        let page = session
            .hub
            .call(request, async |hub: Hub, request| {
                hub.alliance().list_keys(request).await
            })
            .await?;
        Ok((page.keys, page.next_page_token))
    })
    .await
}

/// `overlap_hours`: `None` = the old keys are revoked at once.
async fn rotate(
    session: &Session,
    format: Format,
    made: &Made,
    overlap_hours: Option<u32>,
) -> anyhow::Result<()> {
    let valid = |keys: Vec<v1::Key>, now| -> Vec<v1::Key> {
        keys.into_iter()
            .filter(|key| matches!(state(key, now), State::Valid | State::NotYet))
            .collect()
    };
    let all = list(session).await?;
    // Everybody's keys are a merchant's own; an operator's person changes only its own.
    let speaks = all.iter().find(|key| key.key_id == session.key_id);
    let person = speaks.filter(|_| session.merchant.is_none()).cloned();
    let mut before = valid(all, now(&session.hub).await?);
    let mut identity = Person::default();
    if let Some(speaks) = person {
        let holder = registry::person(&speaks).to_owned();
        before.retain(|key| registry::person(key) == holder);
        identity = Person {
            holder,
            roles: speaks.operator_roles,
        };
    }
    let new = register_new(session, made, &before, identity).await?;
    // The key that speaks ends last: it may be needed for the others.
    before.sort_by_key(|key| key.key_id == session.key_id);
    let mut ended = Vec::new();
    for old in before.into_iter().filter(|key| key.key_id != new.key_id) {
        ended.push(match overlap_hours {
            None => revoke(&session.hub, &old.key_id, "rotated", None).await?,
            Some(hours) => {
                let end = now(&session.hub)
                    .await?
                    .saturating_add(i64::from(hours) * HOUR_MICROS);
                let ends_before = old
                    .valid_until
                    .as_ref()
                    .is_some_and(|until| micros(until) <= end);
                if ends_before {
                    old
                } else {
                    let shortened = v1::Key {
                        valid_until: Some(timestamp(end)),
                        ..old
                    };
                    register(&session.hub, shortened).await?
                }
            }
        });
    }
    let document = json!({
        "key": key_json(&new),
        "ended": ended.iter().map(key_json).collect::<Vec<_>>(),
    });
    tell(format, document, || {
        let mut text = format!("{}\n", made_text(&new, &made.out));
        for key in &ended {
            text += &match &key.revoked_at {
                Some(at) => format!(
                    "Key {} is revoked since {}.\n",
                    key.key_id,
                    render::instant(Some(at))
                ),
                None => format!(
                    "Key {} is valid until {}; change its senders over by then.\n",
                    key.key_id,
                    render::instant(key.valid_until.as_ref())
                ),
            };
        }
        if ended.is_empty() {
            text += "There was no other valid key.\n";
        }
        text
    })
}

fn made_text(key: &v1::Key, path: &Path) -> String {
    let owner = match (key.merchant_id.as_str(), key.holder.as_str()) {
        ("", "") => format!("the operator ({})", roles_text(key)),
        ("", holder) => format!("{holder} ({})", roles_text(key)),
        (merchant, _) => format!("merchant {merchant}"),
    };
    let until = match &key.valid_until {
        Some(at) => format!("until {}", render::instant(Some(at))),
        None => "without end".to_owned(),
    };
    format!(
        "Key {} of {owner} is registered, valid {until}.\nIts private half is in {}; keep it secret.",
        key.key_id,
        path.display()
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Valid,
    NotYet,
    Ended,
    Revoked,
}

/// `now`: the hub's clock.
fn state(key: &v1::Key, now: i64) -> State {
    if key.revoked_at.is_some() {
        State::Revoked
    } else if key.valid_until.as_ref().is_some_and(|at| micros(at) <= now) {
        State::Ended
    } else if key.valid_from.as_ref().is_some_and(|at| micros(at) > now) {
        State::NotYet
    } else {
        State::Valid
    }
}

/// `finance`, `everything`.
fn roles_text(key: &v1::Key) -> String {
    let roles: Vec<String> = key
        .operator_roles()
        .map(|role| render::name(role.as_str_name(), "OPERATOR_ROLE_").to_lowercase())
        .collect();
    if roles.is_empty() {
        "everything".to_owned()
    } else {
        roles.join(", ")
    }
}

fn keys_text(keys: &[v1::Key], now: i64) -> String {
    if keys.is_empty() {
        return "No keys. Make one: hansa keys new --merchant ID --out FILE\n".to_owned();
    }
    let operators = keys.iter().all(|key| key.merchant_id.is_empty());
    let mut columns = vec![
        Column::Left("key"),
        Column::Left("state"),
        Column::Left("valid from"),
        Column::Left("valid until"),
        Column::Left("revoked"),
    ];
    if operators {
        columns.extend([Column::Left("holder"), Column::Left("may do")]);
    }
    let mut table = render::table(&columns);
    for key in keys {
        let state = match state(key, now) {
            State::Valid => "valid",
            State::NotYet => "not yet valid",
            State::Ended => "ended",
            State::Revoked => "revoked",
        };
        let mut row = vec![
            key.key_id.clone(),
            state.to_owned(),
            render::instant(key.valid_from.as_ref()),
            render::instant(key.valid_until.as_ref()),
            render::instant(key.revoked_at.as_ref()),
        ];
        if operators {
            row.extend([registry::person(key).to_owned(), roles_text(key)]);
        }
        table.add_row(row);
    }
    format!("{}\n", table.trim_fmt())
}

fn key_json(key: &v1::Key) -> Value {
    json!({
        "key_id": key.key_id,
        "public_key": hex(&key.public_key),
        "valid_from": render::json_instant(key.valid_from.as_ref()),
        "valid_until": render::json_instant(key.valid_until.as_ref()),
        "revoked_at": render::json_instant(key.revoked_at.as_ref()),
        "merchant_id": key.merchant_id,
        "holder": key.holder,
        "operator_roles": key
            .operator_roles()
            .map(|role| render::name(role.as_str_name(), "OPERATOR_ROLE_"))
            .collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_valid_from_its_first_instant_to_before_its_end() {
        let key = v1::Key {
            valid_from: Some(timestamp(10)),
            valid_until: Some(timestamp(20)),
            ..v1::Key::default()
        };
        for (now, expected) in [
            (9, State::NotYet),
            (10, State::Valid),
            (19, State::Valid),
            (20, State::Ended),
        ] {
            assert_eq!(state(&key, now), expected, "{now}");
        }
        let revoked = v1::Key {
            revoked_at: Some(timestamp(15)),
            ..key
        };
        assert_eq!(state(&revoked, 10), State::Revoked);
    }

    #[test]
    fn a_key_file_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.pem");
        let (made, was_there) = key_of(&path).unwrap();
        assert!(!was_there);
        let (read, was_there) = key_of(&path).unwrap();
        assert!(was_there);
        assert_eq!(made.key_id(), read.key_id());
        std::fs::write(&path, "not a key").unwrap();
        assert!(key_of(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "not a key");
    }
}
