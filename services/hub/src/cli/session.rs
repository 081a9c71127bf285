//! Who speaks: commands that an operator and a merchant may both give, and those that are a merchant's alone.

use std::{sync::Arc, time::Duration};

use hansa_client::hub::{CallError, Hub, RetryPolicy};
use hansa_proto::v1;

use super::{connect::Connection, exit};

/// A connected hub and who speaks there.
#[derive(Debug)]
pub struct Session {
    /// The hub.
    pub hub: Hub,
    /// The merchant that the command is about, if one was named.
    pub merchant: Option<String>,
    /// Whether an operator speaks.
    pub operator: bool,
    /// Id of the key that speaks.
    pub key_id: String,
}

/// Connects as whoever holds the key. `--merchant` names the merchant that the command is about; it also says who
/// speaks where the key is that merchant's. Costs one call more, two where an operator names a merchant.
pub async fn either(connection: &Connection) -> anyhow::Result<Session> {
    let key = connection.key.display();
    let key_id = connection.signing_key()?.key_id().to_owned();
    let mut hub = connection.connect().await?;
    let mut as_merchant = connection.merchant.is_some();
    if !is_speakers(&hub).await? {
        let Some(merchant) = &connection.merchant else {
            let message = format!("{key} is no operator's key; a merchant adds --merchant ID");
            return Err(exit::coded(exit::REFUSED, message));
        };
        let operator = Connection {
            merchant: None,
            ..connection.clone()
        };
        hub = operator.connect().await?;
        as_merchant = false;
        if !is_speakers(&hub).await? {
            let message = format!("{key} is neither merchant {merchant}'s key nor an operator's");
            return Err(exit::coded(exit::REFUSED, message));
        }
    }
    Ok(Session {
        hub,
        merchant: connection.merchant.clone(),
        operator: !as_merchant,
        key_id,
    })
}

/// Connects as an operator, for calls that only operators make. Costs one call more.
pub async fn operator(connection: &Connection) -> anyhow::Result<Hub> {
    if connection.merchant.is_some() {
        let message = "only operators do this: leave --merchant (and HANSA_MERCHANT) out";
        return Err(exit::coded(exit::USAGE, message));
    }
    let hub = connection.connect().await?;
    if is_speakers(&hub).await? {
        return Ok(hub);
    }
    let message = format!(
        "{} is no operator's key; name one with --key (or HANSA_KEY)",
        connection.key.display()
    );
    Err(exit::coded(exit::REFUSED, message))
}

/// Connects as a merchant, for calls that only merchants make. Costs one call more.
pub async fn merchant(connection: &Connection) -> anyhow::Result<Hub> {
    let Some(merchant) = &connection.merchant else {
        let message = "only merchants do this: name one with --merchant (or HANSA_MERCHANT) and its key with --key \
                       (or HANSA_KEY)";
        return Err(exit::coded(exit::USAGE, message));
    };
    let hub = connection.connect().await?;
    if is_speakers(&hub).await? {
        return Ok(hub);
    }
    let message = format!(
        "{} is not merchant {merchant}'s key; name its key with --key (or HANSA_KEY)",
        connection.key.display()
    );
    Err(exit::coded(exit::REFUSED, message))
}

/// Whether the key belongs to whom it speaks as.
async fn is_speakers(hub: &Hub) -> Result<bool, CallError> {
    match alliance(hub).await {
        Ok(_) => Ok(true),
        // A manager of affiliates, who may not read the alliance: what it may, each call says itself.
        Err(error) if error.reason.as_deref() == Some("PERMISSION_DENIED") => Ok(true),
        Err(error) if error.reason.as_deref() == Some("ISSUER_MISMATCH") => Ok(false),
        Err(error) => Err(error),
    }
}

/// The alliance as the caller sees it.
pub async fn alliance(hub: &Hub) -> Result<v1::Alliance, CallError> {
    let answer = hub
        .call(v1::GetAllianceRequest {}, async |hub: Hub, request| {
            hub.alliance().get_alliance(request).await
        })
        .await?;
    Ok(answer.alliance.unwrap_or_default())
}

/// Code of the programme's currency; empty before there is a programme.
pub async fn currency(hub: &Hub) -> Result<String, CallError> {
    let programme = alliance(hub).await?.programme.unwrap_or_default();
    Ok(programme.currency_code)
}

/// How far the hub is, by its own clock.
pub async fn status(hub: &Hub) -> Result<v1::GetStatusResponse, CallError> {
    hub.call(v1::GetStatusRequest {}, async |hub: Hub, request| {
        hub.log().get_status(request).await
    })
    .await
}

/// For long work: waits two minutes for a hub that is away, not a command's few seconds.
pub fn patient(hub: Hub) -> Hub {
    hub.with_retry(RetryPolicy::default())
}

/// For documents: the first one after a start may be a pass over the whole log.
pub fn for_documents(hub: Hub) -> Hub {
    let limit = Duration::from_secs(600);
    hub.with_retry(RetryPolicy {
        attempt_timeout: limit,
        give_up_after: limit,
        ..RetryPolicy::default()
    })
}

/// A shared key, for what signs.
pub fn signing_key(connection: &Connection) -> anyhow::Result<Arc<hansa_client::keys::SigningKey>> {
    Ok(Arc::new(connection.signing_key()?))
}
