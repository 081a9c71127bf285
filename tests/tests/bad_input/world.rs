//! A hub on a test clock with two merchants and members of theirs, and what must not change.

use hansa_client::message::MemberReference;
use hansa_proto::v1::{self, ResultCode};
use hansa_tests::{
    alliance, body,
    database::Database,
    hub::TestHub,
    merchant::{Merchant, Sent},
};

/// Where the test clock stands.
pub(crate) const START: &str = "2026-03-02T09:00:00Z";

/// What the tests of this folder begin with.
pub(crate) struct World {
    pub(crate) hub: TestHub,
    /// The merchant that does wrong.
    pub(crate) shop: Merchant,
    /// Its member, with 1 000 points.
    pub(crate) member: MemberReference,
    /// Somebody else.
    pub(crate) other: Merchant,
    /// The same person at the other merchant.
    pub(crate) there: MemberReference,
}

/// Everything that a refused call must leave alone.
#[derive(Debug, PartialEq)]
pub(crate) struct Snapshot {
    tree_size: u64,
    liability: v1::GetLiabilityResponse,
    balance: v1::GetBalanceResponse,
    lots: Vec<v1::Lot>,
    nets: Vec<v1::NetPosition>,
}

impl World {
    pub(crate) async fn new(database: &Database) -> Self {
        Self::with(database, &[]).await
    }

    pub(crate) async fn with(database: &Database, arguments: &[&str]) -> Self {
        let mut builder = TestHub::on(database).test_clock(START);
        for argument in arguments {
            builder = builder.arg(*argument);
        }
        let hub = builder.start().await;
        let shop = hub.onboard("shop", alliance::contract()).await;
        let other = hub.onboard("other", alliance::contract()).await;
        let member = shop.enrol("u").await;
        shop.accrue(&member, "1000.00").await.ok();
        Self {
            there: other.enrol("u").await,
            hub,
            shop,
            member,
            other,
        }
    }

    pub(crate) async fn snapshot(&self) -> Snapshot {
        let operator = self.hub.operator();
        Snapshot {
            tree_size: self.hub.status().await.tree_size,
            liability: self.hub.liability().await,
            balance: self.shop.balance(&self.member).await,
            lots: self.shop.lots(&self.member).await,
            nets: operator.cycle(0).await.unwrap().net_positions,
        }
    }

    /// Sends a message that must be refused with this code: it uses up its id and changes nothing else.
    pub(crate) async fn assert_message_refused(&self, message: v1::Message, code: ResultCode) {
        let mut before = self.snapshot().await;
        let sent = self.shop.send(message.clone()).await;
        sent.assert_code(code);
        assert_left_nothing(&sent);
        let again = self.shop.send(message.clone()).await;
        assert_eq!(
            (again.outcome.code(), again.outcome.replayed),
            (code, true),
            "stays refused"
        );
        let mut better = message;
        better.body = Some(body::accrual("0.99"));
        better.event_time = Some(hansa_client::time::timestamp(self.shop.clock.now()));
        better.member_reference = self.member.to_vec();
        self.shop
            .send(better)
            .await
            .assert_code(ResultCode::ModifiedRequest);
        let mut after = self.snapshot().await;
        assert_eq!(
            after.tree_size,
            before.tree_size + 1,
            "one entry, that of the refusal"
        );
        for snapshot in [&mut before, &mut after] {
            snapshot.tree_size = 0;
            snapshot.balance.as_of_leaf = None;
            // Counting refusals is all that a refusal may do.
            if let Some(counts) = &mut snapshot.liability.counts {
                counts.authorisations_refused = 0;
            }
        }
        assert_eq!(after, before, "{code:?}");
    }
}

fn assert_left_nothing(sent: &Sent) {
    let outcome = &sent.outcome;
    assert_eq!(
        outcome.state(),
        v1::MessageState::Unspecified,
        "{outcome:?}"
    );
    assert_eq!(
        (outcome.points, outcome.owed_points, outcome.due_time),
        (0, 0, None),
        "{outcome:?}"
    );
    assert!(!outcome.replayed);
}
