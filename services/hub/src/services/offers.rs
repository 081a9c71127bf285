//! `OfferService`: merchants' offers, and what has changed of them. An affiliate is whoever calls with the key of a participant
//! that has a profile.

use std::collections::BTreeSet;

use hansa_client::time::timestamp;
use hansa_proto::v1::{self, OfferKind, offer_service_server::OfferService};
use hansa_store::OffersWithdrawn;
use tonic::Request;

use super::{Answer, Api, ok, page, touches::participant};
use crate::{
    auth::Caller,
    error::{HubError, Reason},
    offers::{
        Standing, check,
        earnings::{Cards, cards, earnings},
        feed::{self, Change},
        page::{self as offers, Wanted, is_in_force},
        sight::{Scope, Sight},
    },
    registry::Registry,
    touches::parties::takes_affiliates,
};

/// What page tokens are bound to.
const PAGES: &str = "offers";

/// The merchant whose offers a caller may change.
fn owner(registry: &Registry, caller: &Caller, asked: &str) -> Result<u32, HubError> {
    match caller {
        Caller::Operator { .. } => {
            caller.administrator()?;
            if asked.is_empty() {
                return Err(HubError::field(
                    "merchant_id",
                    "REQUIRED",
                    "say whose offers",
                ));
            }
            participant(registry, "merchant_id", asked)
        }
        Caller::Merchant { slug, index } if asked.is_empty() || asked == slug => Ok(*index),
        Caller::Merchant { .. } => Err(HubError::permission_denied(
            "a merchant changes its own offers only; leave merchant_id empty",
        )),
    }
}

/// A count of one call.
fn count(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The merchant and the id in a page's key.
fn key(key: &[u8]) -> Result<(u32, String), HubError> {
    let (merchant, offer) = key.split_first_chunk::<4>().ok_or_else(page::broken)?;
    let merchant = u32::from_be_bytes(*merchant);
    let offer = std::str::from_utf8(offer).map_err(|_| page::broken())?;
    if i32::try_from(merchant).is_err() || offer.chars().any(char::is_control) {
        return Err(page::broken());
    }
    Ok((merchant, offer.to_owned()))
}

/// Which offers a request asks for.
fn wanted(request: &v1::ListOffersRequest, scope: &Scope) -> Result<Wanted, HubError> {
    if request.category.chars().any(char::is_control) {
        let text = "a category has no control characters";
        return Err(HubError::field("category", "FORMAT", text));
    }
    let Ok(kind) = OfferKind::try_from(request.kind) else {
        let text = "PRODUCT, PROMOTION or CODE, or nothing";
        return Err(HubError::field("kind", "UNKNOWN", text));
    };
    if request.include_not_in_force && matches!(scope, Scope::Affiliate { .. }) {
        let text = "an affiliate sees what is in force only; leave include_not_in_force out";
        return Err(HubError::permission_denied(text));
    }
    Ok(Wanted {
        category: request.category.clone(),
        kind: u8::try_from(i32::from(kind)).unwrap_or(0),
        all: request.include_not_in_force,
    })
}

fn listed(
    registry: &Registry,
    sight: &Sight,
    cards: &Cards,
    standing: Standing,
) -> v1::ListedOffer {
    v1::ListedOffer {
        merchant_id: registry.slug(standing.merchant).to_owned(),
        earnings: earnings(sight, cards, &standing),
        update_time: Some(timestamp(standing.changed_at)),
        in_force: is_in_force(sight, &standing),
        offer: Some(standing.offer),
    }
}

impl Api {
    /// What the caller sees now, of `merchant`'s offers or of everybody's.
    async fn sight(&self, caller: Caller, merchant: String) -> Result<Sight, HubError> {
        self.read(move |view| Sight::of(view, &caller, &merchant))
            .await
    }

    /// The rate cards of the merchants of these offers.
    async fn cards(
        &self,
        sight: &Sight,
        standing: impl Iterator<Item = &Standing>,
    ) -> Result<Cards, HubError> {
        let merchants: BTreeSet<u32> = standing.map(|standing| standing.merchant).collect();
        if merchants.is_empty() || !matches!(sight.scope, Scope::Affiliate { .. }) {
            return Ok(Cards::new());
        }
        let sight = sight.clone();
        self.read(move |view| Ok(cards(view, &sight, &merchants)))
            .await
    }
}

#[tonic::async_trait]
impl OfferService for Api {
    async fn put_offers(
        &self,
        request: Request<v1::PutOffersRequest>,
    ) -> Answer<v1::PutOffersResponse> {
        let caller = self.caller(&request)?;
        let request = request.into_inner();
        let registry = self.0.registry.get();
        let merchant = owner(&registry, &caller, &request.merchant_id)?;
        let offers = check::offers(request.offers)?;
        let slug = registry.slug(merchant);
        if !takes_affiliates(&registry, slug) {
            let message =
                format!("{slug} takes no traffic of affiliates; its roles must have AFFILIATE");
            return Err(HubError::new(Reason::FailedPrecondition, message).into());
        }
        if request.validate_only {
            return ok(v1::PutOffersResponse::default());
        }
        let (store, now) = (self.0.touches.store(), self.0.clock.now_micros());
        let put = store.put_offers(merchant, &offers, now).await;
        let put = put.map_err(HubError::from)?;
        self.0.touches.tidy();
        ok(v1::PutOffersResponse {
            created: count(put.created),
            replaced: count(put.replaced),
            unchanged: count(put.unchanged),
        })
    }

    async fn withdraw_offers(
        &self,
        request: Request<v1::WithdrawOffersRequest>,
    ) -> Answer<v1::WithdrawOffersResponse> {
        let caller = self.caller(&request)?;
        let request = request.into_inner();
        let merchant = owner(&self.0.registry.get(), &caller, &request.merchant_id)?;
        check::ids(&request.offer_ids)?;
        let (store, now) = (self.0.touches.store(), self.0.clock.now_micros());
        let withdrawn = store
            .withdraw_offers(merchant, &request.offer_ids, now)
            .await;
        let withdrawn = withdrawn.map_err(HubError::from)?;
        self.0.touches.tidy();
        match withdrawn {
            OffersWithdrawn::Withdrawn(stood) => ok(v1::WithdrawOffersResponse {
                withdrawn: count(stood),
            }),
            OffersWithdrawn::Unknown(id) => {
                Err(HubError::not_found(format!("offer \"{id}\"")).into())
            }
        }
    }

    async fn list_offers(
        &self,
        request: Request<v1::ListOffersRequest>,
    ) -> Answer<v1::ListOffersResponse> {
        let caller = self.caller(&request)?;
        let request = request.into_inner();
        let size = page::size(request.page_size, 100)?;
        let after = page::key(&request.page_token, PAGES)?;
        let after = after.as_deref().map(key).transpose()?;
        let sight = self.sight(caller, request.merchant_id.clone()).await?;
        let wanted = wanted(&request, &sight.scope)?;
        let store = self.0.touches.store();
        let (found, next) = offers::page(store, &sight, &wanted, after, size).await?;
        let cards = self.cards(&sight, found.iter()).await?;
        let registry = self.0.registry.get();
        let token = |(merchant, offer): (u32, String)| {
            let key = [&merchant.to_be_bytes()[..], offer.as_bytes()].concat();
            page::key_token(PAGES, &key)
        };
        ok(v1::ListOffersResponse {
            offers: found
                .into_iter()
                .map(|standing| listed(&registry, &sight, &cards, standing))
                .collect(),
            next_page_token: next.map(token).unwrap_or_default(),
        })
    }

    async fn list_offer_changes(
        &self,
        request: Request<v1::ListOfferChangesRequest>,
    ) -> Answer<v1::ListOfferChangesResponse> {
        use v1::offer_change::Change as Wire;
        let caller = self.caller(&request)?;
        let request = request.into_inner();
        let size = page::size(request.page_size, 100)?;
        let sight = self.sight(caller, request.merchant_id).await?;
        let store = self.0.touches.store();
        let told = feed::changes(store, &sight, &request.cursor, size).await?;
        let standing = told.changes.iter().filter_map(|change| match change {
            Change::Put(standing) => Some(&**standing),
            Change::Withdrawn { .. } => None,
        });
        let cards = self.cards(&sight, standing).await?;
        let registry = self.0.registry.get();
        let change = |change| match change {
            Change::Put(standing) => Wire::Put(listed(&registry, &sight, &cards, *standing)),
            Change::Withdrawn {
                merchant,
                offer,
                at,
            } => Wire::Withdrawn(v1::WithdrawnOffer {
                merchant_id: registry.slug(merchant).to_owned(),
                offer_id: offer,
                withdraw_time: Some(timestamp(at)),
            }),
        };
        let changes = told.changes.into_iter().map(|told| v1::OfferChange {
            change: Some(change(told)),
        });
        ok(v1::ListOfferChangesResponse {
            changes: changes.collect(),
            withdrawn_merchant_ids: told
                .gone
                .into_iter()
                .map(|merchant| registry.slug(merchant).to_owned())
                .collect(),
            next_cursor: told.cursor.write(&sight)?,
            has_more: told.more,
        })
    }
}
