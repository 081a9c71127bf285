//! Offers end to end: what merchants put, what affiliates see and earn, what a reader of changes has in the end, and what a killed
//! hub keeps.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod command;
mod crash;
mod feed;
mod refusals;
mod sight;

use std::collections::BTreeMap;

use hansa_client::hub::Hub;
use hansa_proto::v1::{self, offer_change::Change};
use hansa_tests::{
    affiliate::{profile, terms},
    alliance,
    body::euros,
    check::answered,
    database::Database,
    hub::TestHub,
    merchant::Merchant,
};

/// A hub with two shops that pay commissions, one merchant that does not, and two affiliates.
struct World {
    hub: TestHub,
    shop: Merchant,
    bakery: Merchant,
    grocery: Merchant,
    blog: Merchant,
    vlog: Merchant,
}

impl World {
    async fn on(database: &Database) -> Self {
        let hub = TestHub::on(database).start().await;
        let shop = hub.onboard("shop", alliance::contract()).await;
        let bakery = hub.onboard("bakery", alliance::contract()).await;
        let grocery = hub.onboard("grocery", alliance::contract()).await;
        hub.pay_commissions("shop", terms()).await;
        hub.pay_commissions("bakery", terms()).await;
        let blog = hub.affiliate("blog", profile("mia")).await;
        let vlog = hub.affiliate("vlog", profile("mia")).await;
        Self {
            hub,
            shop,
            bakery,
            grocery,
            blog,
            vlog,
        }
    }

    async fn set_state(&self, id: &str, state: v1::MerchantState) {
        self.hub.set_state(id, state).await;
    }
}

/// A product of 80.00 EUR.
fn product(id: &str) -> v1::Offer {
    v1::Offer {
        offer_id: id.into(),
        kind: v1::OfferKind::Product.into(),
        title: format!("Shoe {id}"),
        destination: format!("https://shop.example/{id}"),
        price: Some(euros("80.00")),
        category: "shoes".into(),
        ..v1::Offer::default()
    }
}

fn products(ids: &[&str]) -> Vec<v1::Offer> {
    ids.iter().map(|id| product(id)).collect()
}

async fn put(hub: &Hub, offers: Vec<v1::Offer>) -> (u32, u32, u32) {
    let request = v1::PutOffersRequest {
        offers,
        ..v1::PutOffersRequest::default()
    };
    let put = answered(hub.offers().put_offers(request).await);
    (put.created, put.replaced, put.unchanged)
}

async fn withdraw(hub: &Hub, ids: &[&str]) -> u32 {
    let request = v1::WithdrawOffersRequest {
        merchant_id: String::new(),
        offer_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
    };
    answered(hub.offers().withdraw_offers(request).await).withdrawn
}

/// Every page of a list, two offers each.
async fn list(hub: &Hub, request: v1::ListOffersRequest) -> Vec<v1::ListedOffer> {
    let mut offers = Vec::new();
    let mut request = v1::ListOffersRequest {
        page_size: 2,
        ..request
    };
    loop {
        let page = answered(hub.offers().list_offers(request.clone()).await);
        assert!(page.offers.len() <= 2);
        offers.extend(page.offers);
        if page.next_page_token.is_empty() {
            return offers;
        }
        request.page_token = page.next_page_token;
    }
}

/// Merchant and id of what a caller sees.
async fn seen(hub: &Hub) -> Vec<String> {
    names(&list(hub, v1::ListOffersRequest::default()).await)
}

fn names(offers: &[v1::ListedOffer]) -> Vec<String> {
    offers.iter().map(name).collect()
}

fn name(listed: &v1::ListedOffer) -> String {
    let offer = listed.offer.as_ref().unwrap();
    format!("{}/{}", listed.merchant_id, offer.offer_id)
}

/// A reader of changes, as docs/affiliates.md has it.
#[derive(Default)]
struct Reader {
    cursor: String,
    merchant_id: String,
    page_size: i32,
    offers: BTreeMap<String, v1::ListedOffer>,
    /// What it was told, in order.
    told: Vec<String>,
}

impl Reader {
    fn with_pages_of(page_size: i32) -> Self {
        Self {
            page_size,
            ..Self::default()
        }
    }

    /// Takes in all that is there; answers what that was.
    async fn read(&mut self, hub: &Hub) -> Vec<String> {
        let before = self.told.len();
        while self.step(hub).await {}
        self.told[before..].to_vec()
    }

    /// Takes one answer in; whether others follow.
    async fn step(&mut self, hub: &Hub) -> bool {
        let request = v1::ListOfferChangesRequest {
            merchant_id: self.merchant_id.clone(),
            cursor: self.cursor.clone(),
            page_size: self.page_size,
        };
        let answer = hub
            .call(request, async |hub: Hub, request| {
                hub.offers().list_offer_changes(request).await
            })
            .await
            .unwrap();
        self.take(answer)
    }

    fn take(&mut self, answer: v1::ListOfferChangesResponse) -> bool {
        for merchant in answer.withdrawn_merchant_ids {
            self.offers
                .retain(|_, listed| listed.merchant_id != merchant);
            self.told.push(format!("-{merchant}"));
        }
        for change in answer.changes {
            match change.change.unwrap() {
                Change::Put(listed) => {
                    self.told.push(format!("+{}", name(&listed)));
                    self.offers.insert(name(&listed), listed);
                }
                Change::Withdrawn(gone) => {
                    let name = format!("{}/{}", gone.merchant_id, gone.offer_id);
                    self.offers.remove(&name);
                    self.told.push(format!("-{name}"));
                }
            }
        }
        self.cursor = answer.next_cursor;
        answer.has_more
    }

    /// Asserts that it has what is listed, and nothing else.
    async fn assert_up_to_date(&self, hub: &Hub) {
        let listed = list(hub, v1::ListOffersRequest::default()).await;
        let own: Vec<_> = self.offers.values().cloned().collect();
        let mut listed: Vec<_> = listed;
        listed.sort_by_key(name);
        assert_eq!(own, listed);
    }
}
