//! Who speaks: commands that an operator and a merchant may both give, and those that are a merchant's alone.

use std::sync::Arc;

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
    /// The key is the merchant's own; otherwise an operator speaks.
    pub as_merchant: bool,
}

/// Connects as whoever holds the key. `--merchant` names the merchant that the command is about; it also says who
/// speaks where the key is that merchant's. Costs one call more when a merchant is named.
pub async fn either(connection: &Connection) -> anyhow::Result<Session> {
    let hub = connection.connect().await?;
    let Some(merchant) = connection.merchant.clone() else {
        return Ok(Session {
            hub,
            merchant: None,
            as_merchant: false,
        });
    };
    let (hub, as_merchant) = match alliance(&hub).await {
        Ok(_) => (hub, true),
        // The key is somebody else's: an operator's, as the next call shows.
        Err(error) if error.reason.as_deref() == Some("ISSUER_MISMATCH") => {
            let operator = Connection {
                merchant: None,
                ..connection.clone()
            };
            (operator.connect().await?, false)
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Session {
        hub,
        merchant: Some(merchant),
        as_merchant,
    })
}

/// Connects as a merchant, for calls that only merchants make.
pub async fn merchant(connection: &Connection) -> anyhow::Result<Hub> {
    if connection.merchant.is_none() {
        let message = "only merchants do this: name one with --merchant (or HANSA_MERCHANT) and its key with --key \
                       (or HANSA_KEY)";
        return Err(exit::coded(exit::USAGE, message));
    }
    connection.connect().await
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

/// A shared key, for what signs.
pub fn signing_key(connection: &Connection) -> anyhow::Result<Arc<hansa_client::keys::SigningKey>> {
    Ok(Arc::new(connection.signing_key()?))
}
