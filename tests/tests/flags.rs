//! Fraud end to end: traffic from hosting networks is flagged and its conversions wait; analysts decide, the affiliate appeals; what was
//! confirmed is taken back, and who was banned does not come back under another name. From log and touches the same flags follow
//! again.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use hansa_client::{hub::Hub, time::timestamp};
use hansa_proto::v1::{
    self, CommissionState, FraudBand, FraudOutcome, FraudScheme, FraudSeverity, OperatorRole,
    fraud_decision::{self as step, Decision},
};
use hansa_tests::{
    affiliate::{conversion, profile, terms},
    check::{answered, refused},
    clerk::Clerk,
    cli::Cli,
    database::Database,
    for_each_database,
    merchant::Merchant,
    shop::{self, Shop},
};
use tonic::Code;

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
struct Stage {
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

async fn a_wrong_flag_is_appealed_against_and_lets_go_what_waited(database: Database) {
    let mut stage = Stage::start(&database).await;
    stage.day().await;
    // Odd once is looked at again before money waits.
    let seen = flags(&stage.ira.hub).await;
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(
        (seen[0].scheme(), seen[0].held_conversions),
        (FraudScheme::DeclaredBot, 0)
    );
    stage.day().await;
    let flag = flags(&stage.ira.hub).await.remove(0);
    assert_eq!(
        (
            flag.affiliate_id.as_str(),
            flag.merchant_id.as_str(),
            flag.band()
        ),
        ("bots", "a", FraudBand::Hold)
    );
    assert_eq!(flag.held_conversions, 6);
    assert_eq!(flag.held_commission.as_ref().unwrap().micros, 15_000_000);
    assert!(flag.evidence[0].contains("hosting networks"), "{flag:?}");
    let held = stage.bots.conversions().await;
    assert!(held.iter().all(|one| one.held_by_flags == [1]), "{held:?}");
    for honest in &stage.honest {
        let free = honest.conversions().await;
        assert!(free.iter().all(|one| one.held_by_flags.is_empty()));
    }
    // What comes later waits within the hour, not only when everybody is judged.
    stage.traffic(&stage.bots, true).await;
    stage.shop.hub.advance(3 * HOUR).await;
    for tries in 0.. {
        if stage.status().await.held_conversions == 9 {
            break;
        }
        assert!(tries < 300, "{:?}", stage.status().await);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    // Nothing of it is lost with the process.
    let before = stage.status().await;
    stage.shop.hub.kill();
    stage.shop.hub.start().await;
    assert_eq!(stage.status().await.state_sha256, before.state_sha256);
    stage.assert_made_again().await;

    // Who sees it, and who may decide.
    assert_eq!(flags(&stage.bots.hub).await.len(), 1);
    assert_eq!(flags(&stage.shop.a.hub).await.len(), 1);
    assert!(flags(&stage.honest[0].hub).await.is_empty());
    assert!(flags(&stage.shop.f.hub).await.is_empty());
    let mia = stage
        .shop
        .hub
        .clerk("mia", &[OperatorRole::AffiliateManager])
        .await;
    assert_eq!(flags(&mia.hub).await.len(), 1);
    let noa = stage
        .shop
        .hub
        .clerk("noa", &[OperatorRole::AffiliateManager])
        .await;
    assert!(flags(&noa.hub).await.is_empty());
    let denied = decide(&stage.shop.ana, take(1)).await;
    refused(denied, Code::PermissionDenied, "PERMISSION_DENIED");
    let early = decide(&stage.ira, close(1, FraudOutcome::Confirmed)).await;
    let early = refused(early, Code::FailedPrecondition, "FAILED_PRECONDITION");
    assert!(early.message.contains("take it"), "{early}");
    let unknown = decide(&stage.ira, take(7)).await;
    refused(unknown, Code::NotFound, "NOT_FOUND");
    let nothing = refused(
        appeal(&stage.bots, 1).await,
        Code::FailedPrecondition,
        "FAILED_PRECONDITION",
    );
    assert!(nothing.message.contains("confirmed"), "{nothing}");

    answered(decide(&stage.ira, take(1)).await);
    answered(decide(&stage.ira, close(1, FraudOutcome::Confirmed)).await);
    let confirmed = flags(&stage.bots.hub).await.remove(0);
    assert_eq!(confirmed.note, "looked at by a person");
    assert!(confirmed.closed_by.is_empty() && confirmed.appeal_deadline.is_some());
    refused(
        appeal(&stage.honest[0], 1).await,
        Code::NotFound,
        "NOT_FOUND",
    );
    let appealed = answered(appeal(&stage.bots, 1).await).flag.unwrap();
    assert!(appealed.ruling_deadline.is_some() && appealed.forfeit_time.is_none());
    // The same words again are the same appeal, and the hold stands.
    assert_eq!(
        answered(appeal(&stage.bots, 1).await).flag.unwrap(),
        appealed
    );
    assert_eq!(appealed.held_conversions, 9);
    answered(decide(&stage.ira, take(1)).await);
    let same = decide(&stage.ira, close(1, FraudOutcome::Confirmed)).await;
    let same = refused(same, Code::FailedPrecondition, "FAILED_PRECONDITION");
    assert!(same.message.contains("somebody else"), "{same}");
    stage.shop.hub.advance(20 * DAY).await;
    assert_eq!(stage.count(&stage.bots, CommissionState::Locked).await, 9);
    answered(decide(&stage.olga, close(1, FraudOutcome::FalsePositive)).await);
    assert_eq!(stage.count(&stage.bots, CommissionState::Payable).await, 9);
    assert_eq!(stage.status().await.held_conversions, 0);
    stage.shop.hub.wait_covered().await;
    stage.shop.hub.verify().await;
    stage.assert_made_again().await;
}

async fn what_is_confirmed_is_taken_back_and_the_banned_do_not_return(database: Database) {
    let stage = Stage::start(&database).await;
    stage.day().await;
    stage.day().await;
    answered(decide(&stage.ira, take(1)).await);
    let ban = |severity: FraudSeverity| {
        Decision::Ban(step::Ban {
            flag_number: 1,
            severity: severity.into(),
        })
    };
    let early = decide(&stage.ira, ban(FraudSeverity::High)).await;
    refused(early, Code::FailedPrecondition, "FAILED_PRECONDITION");
    answered(decide(&stage.ira, close(1, FraudOutcome::Confirmed)).await);
    answered(decide(&stage.ira, ban(FraudSeverity::High)).await);
    // Others learn scheme, severity and date.
    let mut others = stage.shop.f.hub.fraud();
    let bans = answered(others.list_bans(v1::ListBansRequest {}).await).bans;
    assert_eq!(bans.len(), 1);
    assert_eq!(
        (
            bans[0].affiliate_id.as_str(),
            bans[0].scheme(),
            bans[0].severity()
        ),
        ("bots", FraudScheme::DeclaredBot, FraudSeverity::High)
    );
    // The same account under another name.
    let again = join(&stage.shop, "again", 99).await;
    stage.traffic(&again, false).await;
    stage.day().await;
    let found = flags(&stage.ira.hub).await;
    let duplicate = found
        .iter()
        .find(|flag| flag.affiliate_id == "again")
        .unwrap();
    assert_eq!(
        (duplicate.scheme(), duplicate.held_conversions),
        (FraudScheme::DuplicateIdentity, 3)
    );
    // 30 days to appeal; until then nothing is lost, and nothing is paid.
    stage.shop.hub.advance(20 * DAY).await;
    assert_eq!(stage.count(&stage.bots, CommissionState::Reversed).await, 0);
    assert_eq!(stage.count(&stage.bots, CommissionState::Payable).await, 0);
    stage.shop.hub.advance(45 * DAY).await;
    for tries in 0.. {
        if stage.count(&stage.bots, CommissionState::Reversed).await == 9 {
            break;
        }
        assert!(tries < 300, "{:?}", stage.bots.conversions().await);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let lost = stage.bots.conversions().await;
    assert!(
        lost.iter()
            .all(|one| one.reason() == v1::CommissionReason::FraudConfirmed)
    );
    let late = refused(
        appeal(&stage.bots, 1).await,
        Code::FailedPrecondition,
        "FAILED_PRECONDITION",
    );
    assert!(late.message.contains("deadline"), "{late}");
    stage.shop.hub.wait_covered().await;
    stage.shop.hub.verify().await;
    stage.assert_made_again().await;
    let command = stage
        .shop
        .hub
        .verify_command()
        .replacen("verify", "audit", 1);
    let audited = Cli::new(&stage.shop.hub).run(&command);
    assert_eq!(audited.code, 0, "{}\n{}", audited.out, audited.err);
}

for_each_database!(
    a_wrong_flag_is_appealed_against_and_lets_go_what_waited,
    what_is_confirmed_is_taken_back_and_the_banned_do_not_return,
);
