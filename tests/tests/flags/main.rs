//! Fraud end to end: traffic from hosting networks is flagged and its conversions wait; analysts decide, the affiliate appeals; what was
//! confirmed is taken back, and who was banned does not come back under another name. From log and touches the same flags follow
//! again.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod cases;
mod points;
mod rules;

use hansa_client::{hub::Hub, time::timestamp};
use hansa_proto::v1::{
    self, CommissionState, FraudOutcome, OperatorRole,
    fraud_decision::{self as step, Decision},
};
use hansa_tests::{
    affiliate::{conversion, profile, terms},
    check::answered,
    clerk::Clerk,
    cli::Cli,
    database::Database,
    merchant::Merchant,
    shop::{self, Shop},
};

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                       Chrome/129.0.0.0 Safari/537.36";

/// Clicks of an affiliate a day: so many that a share of them says something.
const CLICKS: usize = 64;

/// A valid account, another one for each number.
fn iban(number: u32) -> String {
    let account = format!("12030000{number:010}");
    let digits = format!("{account}131400");
    let rest = digits
        .bytes()
        .fold(0, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97);
    format!("DE{:02}{account}", 98 - rest)
}

/// Four honest affiliates, and one whose clicks come from a hosting network; merchant A pays commissions.
pub struct Stage {
    shop: Shop,
    honest: Vec<Merchant>,
    bots: Merchant,
    ira: Clerk,
    olga: Clerk,
    orders: std::cell::Cell<u32>,
}

impl Stage {
    async fn new(database: &Database) -> Self {
        let shop = Shop::new(database).await;
        shop.hub.pay_commissions("a", terms()).await;
        let mut honest = Vec::new();
        for number in 0..4 {
            let id = format!("blog-{number}");
            honest.push(join(&shop, &id, number + 1).await);
        }
        let bots = join(&shop, "bots", 99).await;
        let analyst = [OperatorRole::FraudAnalyst];
        Self {
            honest,
            bots,
            ira: shop.hub.clerk("Ira", &analyst).await,
            olga: shop.hub.clerk("Olga", &analyst).await,
            shop,
            orders: std::cell::Cell::new(0),
        }
    }

    /// Clicks of the last hour, and the sales of three of them. Where `hosted`, they come from a hosting network.
    async fn traffic(&self, affiliate: &Merchant, hosted: bool) {
        let now = self.shop.a.clock.now();
        let touches = (0..CLICKS).map(|click| {
            let place = click % 200 + 1;
            v1::TouchReport {
                kind: v1::TouchKind::Click.into(),
                participant_id: "a".into(),
                site: 1,
                event_time: Some(timestamp(now - 55 * MINUTE + click as i64 * 50_000_000)),
                user_agent: BROWSER.into(),
                client_address: if hosted {
                    format!("52.95.110.{place}")
                } else {
                    format!("84.{place}.12.7")
                },
                referrer: "https://blog.example/tea".into(),
                device: format!("{now}-{click}-{hosted}"),
                ..v1::TouchReport::default()
            }
        });
        let request = v1::RecordTouchesRequest {
            touches: touches.collect(),
        };
        let recorded = answered(affiliate.hub.touches().record_touches(request).await).touches;
        assert_eq!(recorded.len(), CLICKS);
        for touch in recorded.iter().step_by(CLICKS / 3).take(3) {
            assert!(!touch.click_id.is_empty(), "{touch:?}");
            let order = self.orders.get() + 1;
            self.orders.set(order);
            let clicks = [touch.click_id.clone()];
            let sold = conversion(&format!("o-{order}"), "50.00", &clicks);
            self.shop.a.convert(sold).await.ok();
        }
    }

    /// A day of everybody's traffic at noon; returns when it is judged, at two o'clock of the next one.
    async fn day(&self) {
        for affiliate in &self.honest {
            self.traffic(affiliate, false).await;
        }
        self.traffic(&self.bots, true).await;
        self.shop.hub.advance(14 * HOUR).await;
        self.judged().await;
        self.shop.hub.advance(10 * HOUR).await;
    }

    /// Waits until everything before the last midnight is judged.
    async fn judged(&self) {
        let midnight = self.shop.a.clock.now().div_euclid(DAY) * DAY;
        for _ in 0..600 {
            let status = self.status().await;
            if status.assessed_time == Some(timestamp(midnight)) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("not judged: {:?}", self.status().await);
    }

    async fn status(&self) -> v1::GetFraudStatusResponse {
        let operator = self.shop.hub.operator();
        answered(
            operator
                .fraud()
                .get_fraud_status(v1::GetFraudStatusRequest {})
                .await,
        )
    }

    async fn start(database: &Database) -> Self {
        let stage = Self::new(database).await;
        // Eight in the morning to noon.
        stage.shop.hub.advance(4 * HOUR).await;
        stage
    }

    /// What the log and the touches come to by themselves, against the hub's state.
    async fn assert_made_again(&self) {
        let url = self.shop.hub.verify_command();
        let command = url.replacen("verify", "fraud replay", 1);
        let made = Cli::new(&self.shop.hub).json(&command, 0);
        let status = self.status().await;
        let state = made["state_sha256"].as_str().unwrap().to_owned();
        assert_eq!(state, hansa_client::keys::hex(&status.state_sha256));
        assert!(made["runs"].as_u64().unwrap() >= 2, "{made}");
    }

    /// Of the conversions of an affiliate, how many are in a state.
    async fn count(&self, affiliate: &Merchant, state: CommissionState) -> usize {
        let all = affiliate.conversions().await;
        all.iter().filter(|one| one.state() == state).count()
    }
}

async fn join(shop: &Shop, id: &str, account: u32) -> Merchant {
    let mut details = shop::terms(id).bank_details.unwrap();
    details.iban = iban(account);
    let contract = v1::Contract {
        bank_details: Some(details),
        ..shop::terms(id)
    };
    shop.hub
        .apply_merchant(v1::Merchant {
            roles: Vec::new(),
            affiliate: Some(profile("mia")),
            ..hansa_tests::alliance::merchant(id, v1::MerchantState::Active, contract)
        })
        .await;
    shop.hub.with_new_key(id).await
}

async fn flags(hub: &Hub) -> Vec<v1::FraudFlag> {
    let request = v1::ListFlagsRequest::default();
    answered(hub.fraud().list_flags(request).await).flags
}

async fn decide(
    analyst: &Clerk,
    decision: Decision,
) -> Result<tonic::Response<v1::DecideFraudResponse>, tonic::Status> {
    let request = v1::DecideFraudRequest {
        decision: Some(v1::FraudDecision {
            decision: Some(decision),
        }),
        note: "looked at by a person".into(),
    };
    analyst.hub.fraud().decide_fraud(request).await
}

const fn take(flag_number: u64) -> Decision {
    Decision::TakeCase(step::TakeCase { flag_number })
}

fn close(flag_number: u64, outcome: FraudOutcome) -> Decision {
    Decision::CloseCase(step::CloseCase {
        flag_number,
        outcome: outcome.into(),
    })
}

async fn appeal(
    affiliate: &Merchant,
    flag_number: u64,
) -> Result<tonic::Response<v1::AppealFlagResponse>, tonic::Status> {
    let request = v1::AppealFlagRequest {
        flag_number,
        text: "our readers use a company's network".into(),
    };
    affiliate.hub.fraud().appeal_flag(request).await
}
