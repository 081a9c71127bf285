//! `TouchService`: links and touches of affiliates. An affiliate is whoever calls with a participant's key; what it sees is its
//! own, and as a merchant what leads to it.

mod report;
mod show;

use hansa_proto::v1::{self, touch_service_server::TouchService};
use hansa_store::{InvalidationRow, LinkRow, StoreError, TouchesOf, first_touch_id};
use tonic::Request;

use super::{Answer, Api, ok, page};
use crate::{
    auth::Caller,
    convert::{Fields, micros},
    error::{HubError, Reason},
    registry::Registry,
    touches::{
        destination::Destination,
        links::{is_name, new_name},
        parties::takes_affiliates,
    },
};

/// Touches of one call at most.
const MAX_TOUCHES: usize = 1_000;

/// Longest reason of an invalidation. Unit: bytes.
const MAX_REASON: usize = 500;

/// Longest span that is counted at once. Unit: milliseconds.
const MAX_COUNTED_MS: u64 = 366 * 86_400_000;

/// How often a name is drawn again that some other link has.
const DRAWS: usize = 3;

/// Above every id.
const BEHIND_ALL: [u8; 16] = [0xff; 16];

/// A participant's index, or a broken field.
pub(crate) fn participant(registry: &Registry, field: &str, id: &str) -> Result<u32, HubError> {
    registry.merchant(id).ok_or_else(|| {
        let text = format!("the alliance has no participant \"{id}\"");
        HubError::field(field, "UNKNOWN", text)
    })
}

/// Milliseconds since 1970 of an instant that may be absent.
fn millis(at: Option<&prost_types::Timestamp>, default: u64) -> u64 {
    at.map_or(default, |at| u64::try_from(micros(at) / 1_000).unwrap_or(0))
}

/// Whose touches a caller may see: its own, or with `inbound` those that lead to it; an operator all, or an affiliate's.
fn visible(
    registry: &Registry,
    caller: &Caller,
    inbound: bool,
    affiliate: &str,
) -> Result<TouchesOf, HubError> {
    match caller {
        Caller::Operator { .. } if affiliate.is_empty() => Ok(TouchesOf::All),
        Caller::Operator { .. } => {
            participant(registry, "affiliate_id", affiliate).map(TouchesOf::Affiliate)
        }
        Caller::Merchant { slug, .. } if !affiliate.is_empty() && affiliate != slug => {
            Err(HubError::new(
                Reason::PermissionDenied,
                "only operators name an affiliate; leave affiliate_id empty",
            ))
        }
        Caller::Merchant { index, .. } if inbound => Ok(TouchesOf::Merchant(*index)),
        Caller::Merchant { index, .. } => Ok(TouchesOf::Affiliate(*index)),
    }
}

#[tonic::async_trait]
impl TouchService for Api {
    async fn create_link(
        &self,
        request: Request<v1::CreateLinkRequest>,
    ) -> Answer<v1::CreateLinkResponse> {
        let caller = self.caller(&request)?;
        let (slug, affiliate) = caller.merchant()?;
        let request = request.into_inner();
        let registry = self.0.registry.get();
        let merchant = participant(&registry, "merchant_id", &request.merchant_id)?;
        let mut fields = Fields::default();
        if merchant == affiliate {
            let text = "a link leads to another participant than its affiliate";
            fields.broken("merchant_id", "SELF", text);
        }
        if i32::try_from(request.site).is_err() {
            fields.broken("site", "OUT_OF_RANGE", "a site's number is below 2^31");
        }
        let destination = match Destination::parse(&request.destination) {
            Ok(destination) => destination.plain().to_owned(),
            Err(why) => {
                fields.broken("destination", "URL", format!("the destination {why}"));
                String::new()
            }
        };
        let destination = fields.finish(destination)?;
        if !takes_affiliates(&registry, &request.merchant_id) {
            let message = format!(
                "{} takes no traffic of affiliates; its roles must have AFFILIATE",
                request.merchant_id
            );
            return Err(HubError::new(Reason::FailedPrecondition, message).into());
        }
        if !self.0.touches.parties().brings(affiliate) {
            let message = format!("{slug} is not active; ask the operator");
            return Err(HubError::new(Reason::FailedPrecondition, message).into());
        }
        let row = LinkRow {
            link: String::new(),
            affiliate,
            site: request.site,
            merchant,
            destination,
            created_at: self.0.clock.now_micros(),
            ended_at: None,
        };
        let row = self.add_link(row).await?;
        ok(v1::CreateLinkResponse {
            link: Some(show::link(&registry, row)),
        })
    }

    async fn end_link(&self, request: Request<v1::EndLinkRequest>) -> Answer<v1::EndLinkResponse> {
        let caller = self.caller(&request)?;
        let name = request.into_inner().link_id;
        let not_found = || HubError::not_found(format!("link {name}"));
        if !is_name(&name) {
            let text = "a link has 10 letters and digits";
            return Err(HubError::field("link_id", "FORMAT", text).into());
        }
        let found = self.0.touches.store().link(&name).await;
        let found = found.map_err(HubError::from)?.ok_or_else(not_found)?;
        match &caller {
            Caller::Operator { .. } => caller.administrator()?,
            Caller::Merchant { index, .. } if *index == found.affiliate => {}
            Caller::Merchant { .. } => return Err(not_found().into()),
        }
        let now = self.0.clock.now_micros();
        let ended = self.0.touches.links().end(&name, now).await;
        let ended = ended.map_err(HubError::from)?.ok_or_else(not_found)?;
        ok(v1::EndLinkResponse {
            link: Some(show::link(&self.0.registry.get(), ended)),
        })
    }

    async fn list_links(
        &self,
        request: Request<v1::ListLinksRequest>,
    ) -> Answer<v1::ListLinksResponse> {
        let caller = self.caller(&request)?;
        let request = request.into_inner();
        let registry = self.0.registry.get();
        let of = match visible(&registry, &caller, false, &request.affiliate_id)? {
            TouchesOf::Affiliate(affiliate) => Some(affiliate),
            TouchesOf::All | TouchesOf::Merchant(_) => None,
        };
        let size = page::size(request.page_size, 100)?;
        let key = page::key(&request.page_token, "links")?;
        let after = key.as_deref().map(link_key).transpose()?;
        let rows = self.0.touches.store().links(of, after, limit(size)).await;
        let mut rows = rows.map_err(HubError::from)?;
        let next_page_token = match rows.get(size - 1) {
            Some(last) if rows.len() > size => {
                let key = [&last.created_at.to_be_bytes()[..], last.link.as_bytes()].concat();
                page::key_token("links", &key)
            }
            Some(_) | None => String::new(),
        };
        rows.truncate(size);
        ok(v1::ListLinksResponse {
            links: rows
                .into_iter()
                .map(|row| show::link(&registry, row))
                .collect(),
            next_page_token,
        })
    }

    async fn record_touches(
        &self,
        request: Request<v1::RecordTouchesRequest>,
    ) -> Answer<v1::RecordTouchesResponse> {
        let caller = self.caller(&request)?;
        let (_, index) = caller.merchant()?;
        let touches = request.into_inner().touches;
        if touches.is_empty() || touches.len() > MAX_TOUCHES {
            return Err(HubError::field("touches", "COUNT", "1 to 1 000 in a call").into());
        }
        let registry = self.0.registry.get();
        let reported = report::read(&self.0.touches, &registry, index, touches).await?;
        let taken = self.0.touches.record(reported).await?;
        ok(v1::RecordTouchesResponse {
            touches: taken.into_iter().map(show::taken).collect(),
        })
    }

    async fn list_touches(
        &self,
        request: Request<v1::ListTouchesRequest>,
    ) -> Answer<v1::ListTouchesResponse> {
        let caller = self.caller(&request)?;
        let request = request.into_inner();
        let registry = self.0.registry.get();
        let of = visible(&registry, &caller, request.inbound, &request.affiliate_id)?;
        let size = page::size(request.page_size, 100)?;
        let after = match page::key(&request.page_token, "touches")? {
            Some(key) => <[u8; 16]>::try_from(key).map_err(|_| page::broken())?,
            None => first_touch_id(millis(request.start_time.as_ref(), 0)),
        };
        let until = match &request.end_time {
            Some(end) => first_touch_id(millis(Some(end), 0)),
            None => BEHIND_ALL,
        };
        let store = self.0.touches.store();
        let rows = store.touches(of, after, until, limit(size)).await;
        let mut rows = rows.map_err(HubError::from)?;
        let next_page_token = match rows.get(size - 1) {
            Some(last) if rows.len() > size => page::key_token("touches", &last.row.id),
            Some(_) | None => String::new(),
        };
        rows.truncate(size);
        let inbound = matches!(of, TouchesOf::Merchant(_));
        ok(v1::ListTouchesResponse {
            touches: rows
                .into_iter()
                .map(|touch| show::touch(&registry, touch, inbound))
                .collect(),
            next_page_token,
        })
    }

    async fn count_touches(
        &self,
        request: Request<v1::CountTouchesRequest>,
    ) -> Answer<v1::CountTouchesResponse> {
        let caller = self.caller(&request)?;
        let request = request.into_inner();
        let registry = self.0.registry.get();
        let of = visible(&registry, &caller, request.inbound, &request.affiliate_id)?;
        let Some(start) = &request.start_time else {
            return Err(HubError::field("start_time", "REQUIRED", "say from when on").into());
        };
        let start = millis(Some(start), 0);
        // Touches may be a little ahead of this clock where another process took them.
        let end = millis(
            request.end_time.as_ref(),
            self.0.touches.now_ms().saturating_add(60_000),
        );
        if end < start || end - start > MAX_COUNTED_MS {
            let text = "behind start_time, by 366 days at most";
            return Err(HubError::field("end_time", "OUT_OF_RANGE", text).into());
        }
        let store = self.0.touches.store();
        let counts = store.touch_counts(of, start, end).await;
        let counts = counts.map_err(HubError::from)?;
        ok(v1::CountTouchesResponse {
            counts: counts
                .into_iter()
                .map(|count| show::count(&registry, count))
                .collect(),
        })
    }

    async fn invalidate_touches(
        &self,
        request: Request<v1::InvalidateTouchesRequest>,
    ) -> Answer<v1::InvalidateTouchesResponse> {
        let caller = self.caller(&request)?;
        caller.administrator()?;
        let request = request.into_inner();
        let mut fields = Fields::default();
        if request.touch_ids.is_empty() || request.touch_ids.len() > MAX_TOUCHES {
            fields.broken("touch_ids", "COUNT", "1 to 1 000 in a call");
        }
        let reason = request.reason;
        if reason.is_empty() || reason.len() > MAX_REASON || reason.chars().any(char::is_control) {
            let text = "1 to 500 bytes without control characters; the affiliate reads it";
            fields.broken("reason", "LENGTH", text);
        }
        let mut ids = Vec::with_capacity(request.touch_ids.len());
        for (index, id) in request.touch_ids.iter().enumerate() {
            match <[u8; 16]>::try_from(&id[..]) {
                Ok(id) => ids.push(id),
                Err(_) => {
                    let field = format!("touch_ids[{index}]");
                    fields.broken(&field, "LENGTH", "a touch's id has 16 bytes");
                }
            }
        }
        let mut ids = fields.finish(ids)?;
        ids.sort_unstable();
        ids.dedup();
        let store = self.0.touches.store();
        let found = store.touches_by_id(&ids).await.map_err(HubError::from)?;
        // All or nothing: a word on a touch that is not there would be about nothing.
        if let Some(unknown) = ids
            .iter()
            .find(|id| !found.iter().any(|touch| touch.row.id == **id))
        {
            let id = hansa_client::keys::hex(unknown);
            return Err(HubError::not_found(format!("touch {id}")).into());
        }
        let (at_ms, actor) = (self.0.touches.now_ms(), caller.actor());
        let rows: Vec<InvalidationRow> = ids
            .into_iter()
            .map(|id| InvalidationRow {
                id,
                at_ms,
                reason: reason.clone(),
                actor: actor.clone(),
            })
            .collect();
        let invalidated = store.invalidate_touches(&rows).await;
        ok(v1::InvalidateTouchesResponse {
            invalidated: invalidated.map_err(HubError::from)?,
        })
    }
}

impl Api {
    /// Keeps a link under a new name.
    async fn add_link(&self, mut row: LinkRow) -> Result<LinkRow, HubError> {
        for _ in 0..DRAWS {
            let Some(name) = new_name() else {
                return Err(HubError::internal("the system gives no random bytes"));
            };
            row.link = name;
            match self.0.touches.links().add(row.clone()).await {
                Ok(()) => return Ok(row),
                Err(StoreError::DuplicateKey(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(HubError::internal("every name of a link was taken"))
    }
}

/// One more than a page has, to know whether another one follows.
fn limit(size: usize) -> u32 {
    u32::try_from(size + 1).unwrap_or(u32::MAX)
}

/// When a link was made, and its name, out of a page's key.
fn link_key(key: &[u8]) -> Result<(i64, &str), HubError> {
    let (at, name) = key.split_first_chunk::<8>().ok_or_else(page::broken)?;
    let name = std::str::from_utf8(name).map_err(|_| page::broken())?;
    Ok((i64::from_be_bytes(*at), name))
}
