//! An alliance whose cycles are all traded in, closed, settled and paid, entry by entry the same in every life.

use hansa_client::{
    batch::SignedBatch, hub::Hub, ids::MessageId, message::MemberReference, time::timestamp,
};
use hansa_proto::v1::{self, CycleState, NettingMethod, action::Action, message::Body};
use hansa_store::Store;
use hansa_tests::{
    alliance,
    bank::{Booking, statement},
    body,
    clerk::settlement,
    clock,
    database::Database,
    hub::TestHub,
    merchant::{Merchant, id_of},
    shop::{DAY, Shop, close, terms},
};

use super::{crash::Killer, step::size};

/// When lives begin.
pub(crate) const BEGINS: &str = "2026-04-01T08:00:00Z";

/// Kills in a cycle that closes by its schedule and one that closes by hand: in each step one before its first entry and
/// one behind each; of the batches behind one.
pub(crate) const OF_TWO_CYCLES: u64 = 38;

/// Members with a hold that ends before the close: due work of two sweeps, of 2,000 members at most.
const MEMBERS: usize = 3_900;

/// Members that buy and spend.
const BUYERS: usize = 20;

/// The same people at each shop.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    pub(crate) at_a: Vec<MemberReference>,
    pub(crate) at_f: Vec<MemberReference>,
    pub(crate) at_t: Vec<MemberReference>,
}

/// The alliance as it stands before anything is killed.
pub(crate) async fn begin(database: &Database) -> (Shop, Members) {
    let hub = TestHub::on(database).test_clock(BEGINS).start().await;
    hub.apply(v1::Alliance {
        programme: Some(v1::Programme {
            cycle_schedule: v1::CycleSchedule::Daily.into(),
            bank_details: Some(alliance::bank_details("")),
            ..alliance::programme()
        }),
        ..v1::Alliance::default()
    })
    .await;
    let shop = Shop {
        a: hub.onboard("a", terms("a")).await,
        f: hub.onboard("f", terms("f")).await,
        t: hub.onboard("t", terms("t")).await,
        ana: hub.finance("Ana").await,
        ben: hub.finance("Ben").await,
        hub,
    };
    let members = Members {
        at_f: shop.f.enrol_many("m", MEMBERS).await,
        at_a: shop.a.enrol_many("m", BUYERS).await,
        at_t: shop.t.enrol_many("m", BUYERS).await,
    };
    let opening = members.at_f.iter();
    let opening: Vec<v1::Message> = opening
        .map(|member| shop.f.message(member, body::accrual("900.00")))
        .collect();
    assert_accepted(&shop.f, &shop.f.batch(&opening)).await;
    (shop, members)
}

/// Sends a batch, which may have been taken before its answer was lost.
async fn assert_accepted(merchant: &Merchant, batch: &SignedBatch) {
    let answer = merchant.hub.submit(batch).await.unwrap();
    let accepted = |outcome: &v1::Outcome| outcome.code() == v1::ResultCode::Accepted;
    assert!(
        answer.outcomes.iter().all(accepted),
        "{:?}",
        answer.outcomes
    );
}

/// A hub's life.
pub(crate) struct Life {
    pub(crate) shop: Shop,
    pub(crate) members: Members,
    /// Its log, read beside it.
    pub(crate) store: Store,
    /// Nobody, where it is left alone.
    pub(crate) killer: Option<Killer>,
}

/// A message with an id that is the same in every life.
fn message(shop: &Merchant, member: &MemberReference, id: MessageId, body: Body) -> v1::Message {
    v1::Message {
        message_id: id.to_vec(),
        ..shop.message(member, body)
    }
}

impl Life {
    /// Takes a step that appends so many entries; who is to die does so before the first one and behind each.
    async fn step<T>(&mut self, entries: u64, step: impl AsyncFn(&Shop) -> T) -> T {
        self.step_killed(entries, 0..=entries, step).await
    }

    /// The same, and dies behind these entries only.
    async fn step_killed<T>(
        &mut self,
        entries: u64,
        deaths: impl IntoIterator<Item = u64>,
        step: impl AsyncFn(&Shop) -> T,
    ) -> T {
        let before = size(&self.store).await;
        if let Some(killer) = &mut self.killer {
            for death in deaths {
                killer
                    .kill(&mut self.shop, &self.store, before + death, &step)
                    .await;
            }
        }
        let answer = step(&self.shop).await;
        let appended = size(&self.store).await - before;
        assert_eq!(appended, entries, "everything is in the log, once");
        answer
    }

    /// One cycle from OPEN to SETTLED.
    pub(crate) async fn cycle(&mut self, number: u32) {
        let by_schedule = number % 2 == 1;
        self.trade(number, by_schedule).await;
        if by_schedule {
            self.close_by_schedule(number).await;
        } else {
            self.step(3, async |shop: &Shop| {
                close(&shop.hub.operator(), number).await;
                shop.ana.wait_audited(number).await;
            })
            .await;
        }
        self.settle(number).await;
        self.pay(number).await;
        let cycle = self.shop.ana.cycle(number).await;
        assert_eq!(cycle.state(), CycleState::Settled);
        assert!(cycle.audited && cycle.messages_accepted > 0, "{cycle:?}");
    }

    /// Purchases at F, points spent at A and T; and holds that nobody comes back for, where there is to be due work.
    async fn trade(&mut self, number: u32, with_due_work: bool) {
        let mut last = 0;
        let mut id = || -> MessageId {
            last += 1;
            let mut id = [0x90; 16];
            id[8..12].copy_from_slice(&number.to_be_bytes());
            id[12..].copy_from_slice(&u32::to_be_bytes(last));
            id
        };
        let (shop, members) = (&self.shop, &self.members);
        let mut batches = Vec::new();
        let buyers = members.at_f.iter().take(BUYERS).enumerate();
        let mut bought = Vec::new();
        for (n, member) in buyers {
            let amount = format!("{}.{n:02}", 10 * number as usize + n);
            let purchase = message(&shop.f, member, id(), body::accrual(&amount));
            let original = id_of(&purchase);
            bought.push(purchase);
            if n % 4 == 0 {
                let returned = body::reversal(original, "3.00");
                bought.push(message(&shop.f, member, id(), returned));
            }
        }
        batches.push((shop.f.clone(), shop.f.batch(&bought)));
        for (merchant, members) in [(&shop.a, &members.at_a), (&shop.t, &members.at_t)] {
            let mut spent = Vec::new();
            for member in members {
                let held = message(merchant, member, id(), body::authorisation(30));
                let captured = message(merchant, member, id(), body::capture(id_of(&held), 25));
                let refund = body::refund(id_of(&captured), 5);
                spent.extend([held, captured, message(merchant, member, id(), refund)]);
            }
            batches.push((merchant.clone(), merchant.batch(&spent)));
        }
        if with_due_work {
            let left: Vec<v1::Message> = members
                .at_f
                .iter()
                .map(|member| message(&shop.f, member, id(), body::authorisation(1)))
                .collect();
            batches.push((shop.f.clone(), shop.f.batch(&left)));
        }
        let entries = batches.len() as u64;
        let death = self.killer.as_mut().map(|killer| 1 + killer.roll(entries));
        self.step_killed(entries, death, async |shop: &Shop| {
            for (merchant, batch) in &batches {
                assert_accepted(&shop.hub.reached_by(merchant), batch).await;
            }
        })
        .await;
    }

    /// A day goes by: cut, two sweeps, closed, audited.
    async fn close_by_schedule(&mut self, number: u32) {
        let until = self.shop.hub.clock().now() + clock::DAY;
        self.step(5, async |shop: &Shop| {
            let request = v1::SetClockRequest {
                now: Some(timestamp(until)),
            };
            let operator = shop.hub.operator();
            let set = operator.call(request, async |hub: Hub, request| {
                hub.test_clock().set_clock(request).await
            });
            set.await.unwrap();
            shop.hub.follow_clock().await;
            shop.ana.wait_audited(number).await;
        })
        .await;
        assert_eq!(self.shop.hub.clock().now(), until);
    }

    /// Proposed by one, approved by the other.
    async fn settle(&mut self, number: u32) {
        let settle = Action::SettleCycle(settlement(number, NettingMethod::Multilateral));
        self.carried_out(&settle, "month's end").await;
    }

    async fn carried_out(&mut self, action: &Action, reason: &str) {
        let made = self.step(1, async |shop: &Shop| {
            shop.ana.propose(action.clone(), reason).await.unwrap()
        });
        let made = made.await;
        let decided = self.step(1, async |shop: &Shop| {
            shop.ben
                .decide(made.proposal_number, true, "checked")
                .await
                .unwrap()
        });
        assert_eq!(decided.await.state(), v1::ProposalState::Approved);
    }

    /// The hub's file and F's payment, the bank's statement, and its posting.
    async fn pay(&mut self, number: u32) {
        self.step(2, async |shop: &Shop| shop.ana.submit_all(number).await)
            .await;
        let payments = self.shop.ana.payments(number).await;
        let bookings: Vec<Booking> = payments.iter().map(|p| Booking::of(p, DAY)).collect();
        let file = statement(&format!("STMT-{number}"), DAY, &bookings);
        let imported = self.step(1, async |shop: &Shop| {
            shop.ana.import("s.xml", file.clone()).await.unwrap()
        });
        let report = imported.await.report.unwrap();
        assert_eq!(
            (report.matches.len(), report.exceptions.len()),
            (payments.len(), 0)
        );
        let post = Action::PostReconciliation(v1::PostReconciliation {
            report_number: report.report_number,
        });
        self.carried_out(&post, "as the bank says").await;
    }
}
