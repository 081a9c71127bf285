//! Affiliates' links and touches: the redirect endpoint as browsers and programs meet it, the service as participants do, and
//! what a killed hub keeps.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod crash;
mod http;
mod redirect;
mod service;
mod tls;

use hansa_client::{
    keys::{SigningKey, VerifyingKey},
    touch_id::SignedTouchId,
};
use hansa_proto::v1;
use hansa_tests::{
    alliance,
    check::answered,
    database::Database,
    hub::{Builder, TestHub},
    merchant::Merchant,
};
use tempfile::TempDir;

/// Indices by the order of onboarding.
const SHOP: u32 = 0;
const BLOG: u32 = 1;

/// What browsers of people send.
const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                       Chrome/129.0.0.0 Safari/537.36";

/// A hub with a redirect endpoint, a shop that takes affiliates' traffic, and two affiliates.
struct World {
    hub: TestHub,
    shop: Merchant,
    blog: Merchant,
    vlog: Merchant,
    /// Where the endpoint tells its address.
    _folder: TempDir,
    ready: std::path::PathBuf,
}

impl World {
    async fn on(database: &Database) -> Self {
        Self::with(TestHub::on(database)).await
    }

    async fn with(builder: Builder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("redirect");
        let hub = builder
            .arg("--redirect-listen")
            .arg("127.0.0.1:0")
            .arg("--redirect-trusted-proxies")
            .arg("127.0.0.1,10.0.0.0/8")
            .arg("--redirect-ready-file")
            .arg(ready.display().to_string())
            .start()
            .await;
        let mut shop = alliance::merchant("shop", v1::MerchantState::Active, alliance::contract());
        shop.roles.push(v1::MerchantRole::Affiliate.into());
        hub.apply_merchant(shop).await;
        let shop = hub.with_new_key("shop").await;
        let blog = hub.onboard("blog", alliance::contract()).await;
        let vlog = hub.onboard("vlog", alliance::contract()).await;
        Self {
            hub,
            shop,
            blog,
            vlog,
            _folder: folder,
            ready,
        }
    }

    /// Address of the redirect endpoint.
    fn endpoint(&self) -> String {
        std::fs::read_to_string(&self.ready).unwrap()
    }

    /// A link of the blog to the shop.
    async fn link(&self) -> v1::TrackingLink {
        let request = v1::CreateLinkRequest {
            merchant_id: "shop".into(),
            destination: "https://shop.example/shoes?size=42#reviews".into(),
            site: 5,
        };
        let created = self.blog.hub.touches().create_link(request).await;
        answered(created).link.unwrap()
    }

    /// The hub's key, which signs click ids.
    fn key(&self) -> VerifyingKey {
        let file = self.hub.data_dir().join("hub.key.pem");
        SigningKey::load(file).unwrap().verifying_key()
    }

    /// All touches, as the operator sees them.
    async fn touches(&self) -> Vec<v1::Touch> {
        let mut touches = Vec::new();
        let mut request = v1::ListTouchesRequest {
            page_size: 1_000,
            ..v1::ListTouchesRequest::default()
        };
        loop {
            let page = self
                .hub
                .operator()
                .touches()
                .list_touches(request.clone())
                .await;
            let page = answered(page);
            touches.extend(page.touches);
            if page.next_page_token.is_empty() {
                return touches;
            }
            request.page_token = page.next_page_token;
        }
    }

    async fn suspend(&self, id: &str) {
        self.hub.set_state(id, v1::MerchantState::Suspended).await;
    }
}

/// The click id of a location, if it has one.
fn click_id(location: &str) -> Option<SignedTouchId> {
    let (_, rest) = location.split_once("hansa_click=")?;
    let text = rest.split(['&', '#']).next().unwrap();
    Some(text.parse().unwrap())
}
