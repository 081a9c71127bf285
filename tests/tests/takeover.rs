//! Two hubs on one PostgreSQL: front end and owner, and what happens when the owner stops.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use hansa_client::{
    hub::{CallError, Hub},
    message::MemberReference,
};
use hansa_proto::v1::{self, ResultCode};
use hansa_tests::{
    alliance, body,
    check::{codes, refused, verifier},
    database::Database,
    hub::TestHub,
    load::{Load, Record, Way, check_all},
    merchant::Merchant,
};
use tokio::task::JoinSet;
use tonic::Code;

/// The owner, and a front end; `None` without PostgreSQL.
async fn two_hubs() -> Option<(TestHub, TestHub)> {
    let database = Database::postgres().await?;
    let owner = TestHub::on(&database).start().await;
    let mut front_end = owner.replica();
    front_end.start().await;
    Some((owner, front_end))
}

/// Merchants that send through both hubs.
async fn start_loads(owner: &TestHub, front_end: &TestHub) -> Vec<Load> {
    let ways = [
        ("owner-stream", owner, Way::Stream),
        ("front-stream", front_end, Way::Stream),
        ("front-calls", front_end, Way::Calls),
    ];
    let mut loads = Vec::new();
    for (id, hub, way) in ways {
        let merchant = owner.onboard(id, alliance::contract()).await;
        loads.push(Load::start(hub, &merchant, way).await);
    }
    for load in &loads {
        load.wait_for_more(3).await;
    }
    loads
}

async fn finish(loads: Vec<Load>) -> Vec<Record> {
    let mut records = Vec::new();
    for load in loads {
        load.wait_for_more(3).await;
        records.push(load.finish().await);
    }
    records
}

/// Waits until the hub answers with a newer epoch. How long that takes is no test's business: the machine may be busy.
async fn taken_over(hub: &TestHub, epoch: u64) {
    let began = Instant::now();
    loop {
        let request = v1::GetStatusRequest {};
        let status = hub
            .operator()
            .call(request, async |hub: Hub, request| {
                hub.log().get_status(request).await
            })
            .await
            .unwrap();
        if status.epoch > epoch {
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "nobody takes over"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_owns_a_log_without_a_synchronous_standby_warns() {
    let Some((owner, front_end)) = two_hubs().await else {
        return;
    };
    let warning = "no synchronous standby: what is acknowledged is on one machine only";
    assert!(owner.process().log().contains(warning));
    assert!(
        !front_end.process().log().contains(warning),
        "it acknowledges nothing"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_to_the_front_end_are_forwarded() {
    let Some((owner, front_end)) = two_hubs().await else {
        return;
    };
    let shop = owner.onboard("shop", alliance::contract()).await;
    let epoch = owner.status().await.epoch;
    let till = front_end.reached_by(&shop);
    let member = till.enrol("u").await;
    assert_eq!(shop.enrol("u").await, member);
    let messages = [
        till.message(&member, body::accrual("10.00")),
        till.message(&member, body::authorisation(11)),
    ];
    let batch = till.batch(&messages);
    let answer = till.hub.submit(&batch).await.unwrap();
    assert_eq!(
        codes(&answer.outcomes),
        [ResultCode::Accepted, ResultCode::InsufficientPoints]
    );
    let key = till.hub.checkpoint().await.unwrap().verifier_key;
    answer.verify(&batch, &verifier(&key)).unwrap().unwrap();
    let (sender, mut answers) = till.hub.stream(4);
    for _ in 0..3 {
        let batch = till.batch(&[till.message(&member, body::accrual("1.00"))]);
        assert!(sender.send(batch).await.is_ok());
        let item = answers.next().await.unwrap();
        assert_eq!(
            codes(&item.result.unwrap().outcomes),
            [ResultCode::Accepted]
        );
    }
    // Both see the same, at once.
    assert_eq!(shop.balance(&member).await.available_points, 13);
    assert_eq!(till.balance(&member).await.available_points, 13);
    assert_eq!(front_end.liability().await, owner.liability().await);
    assert_eq!(
        till.hub.statement(0, None).await,
        shop.hub.statement(0, None).await
    );
    assert_eq!(
        till.hub
            .receipt(answer.receipt.unwrap().leaf_index)
            .await
            .unwrap()
            .outcomes,
        answer.outcomes_bytes
    );
    // Refusals come with their details.
    let mut forged = till.sign(&[till.message(&member, body::accrual("1.00"))]);
    forged.signatures[0].sig[0] ^= 1;
    refused(
        till.submit_once(forged).await,
        Code::Unauthenticated,
        "SIGNATURE_INVALID",
    );
    let broken = till.sign(&[till.message(&member, body::authorisation(-1))]);
    let error = refused(
        till.submit_once(broken).await,
        Code::InvalidArgument,
        "FIELD_VIOLATIONS",
    );
    assert_eq!(
        error.violations[0].field,
        "messages[0].redemption_authorisation.points"
    );
    let huge = till.sign_payload(vec![0; 5 << 20]);
    refused(
        till.submit_once(huge).await,
        Code::InvalidArgument,
        "BATCH_TOO_LARGE",
    );
    // The alliance is changed through it, too.
    let other = front_end.onboard("other", alliance::contract()).await;
    let there = owner.reached_by(&other).enrol("u").await;
    assert_eq!(other.balance(&there).await.available_points, 13);
    assert_eq!(
        (owner.status().await.epoch, front_end.status().await.epoch),
        (epoch, epoch)
    );
}

/// A read with the time at which it was asked for and answered.
struct Read {
    asked: Instant,
    answered: Instant,
    result: Result<Seen, CallError>,
}

/// What a reader saw of the log: its size, or what one member earned by it.
#[derive(Debug, PartialEq)]
enum Seen {
    /// Leaf of the balance, and the balance.
    Balance(Option<u64>, i64),
    /// Points issued in all.
    Issued(i64),
    /// Messages of the open cycle.
    Messages(u64),
    /// Number of entries.
    Size(u64),
}

/// Reads one after the other until it is told to stop; each kind of read has a reader of its own, several times.
fn read(
    till: &Merchant,
    member: MemberReference,
    operator: &Hub,
    stop: &Arc<AtomicBool>,
) -> JoinSet<Vec<Read>> {
    let mut readers = JoinSet::new();
    for n in 0..16 {
        let (till, operator, stop) = (till.clone(), operator.clone(), Arc::clone(stop));
        readers.spawn(async move {
            let mut reads = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let asked = Instant::now();
                let result = read_once(n % 4, &till, &member, &operator).await;
                if result.is_err() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                reads.push(Read {
                    asked,
                    answered: Instant::now(),
                    result,
                });
            }
            reads
        });
    }
    readers
}

async fn read_once(
    kind: usize,
    till: &Merchant,
    member: &MemberReference,
    operator: &Hub,
) -> Result<Seen, CallError> {
    Ok(match kind {
        0 => {
            let request = v1::GetBalanceRequest {
                member_reference: member.to_vec(),
            };
            let balance = till.hub.members().get_balance(request).await?.into_inner();
            Seen::Balance(balance.as_of_leaf, balance.available_points)
        }
        1 => {
            let request = v1::GetLiabilityRequest {};
            let liability = operator
                .statements()
                .get_liability(request)
                .await?
                .into_inner();
            Seen::Issued(liability.counts.unwrap_or_default().issued_points)
        }
        2 => {
            let request = v1::GetCycleRequest { cycle_number: 0 };
            let cycle = operator
                .cycles_client()
                .get_cycle(request)
                .await?
                .into_inner();
            Seen::Messages(cycle.cycle.unwrap_or_default().messages_accepted)
        }
        _ => {
            let request = v1::GetStatusRequest {};
            Seen::Size(
                operator
                    .log()
                    .get_status(request)
                    .await?
                    .into_inner()
                    .tree_size,
            )
        }
    })
}

/// What must be seen from now on.
struct Floor {
    leaf: u64,
    points: i64,
    issued: i64,
    messages: u64,
    size: u64,
}

impl Floor {
    async fn of(hub: &TestHub, till: &Merchant, member: &MemberReference) -> Self {
        let balance = till.balance(member).await;
        let operator = hub.operator();
        Self {
            leaf: balance.as_of_leaf.unwrap(),
            points: balance.available_points,
            issued: hub.liability().await.counts.unwrap().issued_points,
            messages: operator
                .cycle(0)
                .await
                .unwrap()
                .cycle
                .unwrap()
                .messages_accepted,
            size: hub.status().await.tree_size,
        }
    }

    fn allows(&self, seen: &Seen) -> bool {
        match seen {
            Seen::Balance(leaf, points) => *leaf >= Some(self.leaf) && *points >= self.points,
            Seen::Issued(issued) => *issued >= self.issued,
            Seen::Messages(messages) => *messages >= self.messages,
            Seen::Size(size) => *size >= self.size,
        }
    }
}

/// The owner is stopped under load, so that it holds calls that it has accepted; another takes over; the first wakes up.
async fn stopped_owner(owner: &TestHub, front_end: &TestHub, shop: &Merchant) {
    let till = front_end.reached_by(shop);
    let held_till = owner.reached_by(shop);
    let member = till.enrol("probe").await;
    till.accrue(&member, "1.00").await.ok();
    let epoch = front_end.status().await.epoch;
    let stop = Arc::new(AtomicBool::new(false));
    let mut readers = read(&held_till, member, &owner.operator(), &stop);

    // Calls without retries, more than one commit can answer.
    let mut held = JoinSet::new();
    let members = held_till.enrol_many(&shop.id, 200).await;
    let taken = Arc::new(AtomicI64::new(0));
    for _ in 0..60 {
        let (till, taken) = (held_till.clone(), Arc::clone(&taken));
        let messages: Vec<v1::Message> = (0..members.len())
            .map(|n| till.message(&members[n], body::accrual("1.00")))
            .collect();
        held.spawn(async move {
            let result = till.submit_once(till.sign(&messages)).await;
            taken.fetch_add(1, Ordering::Relaxed);
            (result, messages)
        });
    }
    while taken.load(Ordering::Relaxed) < 5 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    owner.process().signal("STOP");
    taken_over(front_end, epoch).await;

    // A fact that the stopped owner knows nothing of.
    till.accrue(&member, "1000.00").await.ok();
    let floor = Floor::of(front_end, &till, &member).await;
    let woken = Instant::now();
    owner.process().signal("CONT");
    // It forwards what it gets now.
    taken_over(owner, epoch).await;
    let balance = held_till.balance(&member).await;
    assert!(balance.available_points >= floor.points);

    let mut refusals = 0;
    while let Some(result) = held.join_next().await {
        let (result, messages) = result.unwrap();
        match result {
            Ok(answer) => {
                assert!(answer.receipt.is_some());
                let again = till.send_all(&messages).await;
                assert!(
                    again.outcomes.iter().all(|o| o.replayed),
                    "acknowledged and lost"
                );
            }
            Err(error) => {
                refusals += 1;
                assert_eq!(error.code, Code::Unavailable, "{error}");
                assert!(error.reason.is_some(), "the hub says why: {error}");
                till.send_all(&messages).await;
            }
        }
    }
    assert!(
        refusals > 0,
        "the stopped owner held nothing: the test tests nothing"
    );
    let mut sum = 0;
    for member in &members {
        sum += till.balance(member).await.available_points;
    }
    assert_eq!(sum, 60 * 200, "everything once");

    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::Relaxed);
    let (mut before, mut held, mut behind) = (0, 0, 0);
    while let Some(reads) = readers.join_next().await {
        for read in reads.unwrap() {
            if read.answered < woken {
                before += usize::from(read.result.is_ok());
                continue;
            }
            match read.result {
                Ok(seen) => {
                    behind += 1;
                    assert!(
                        floor.allows(&seen),
                        "a read from before the takeover: {seen:?}"
                    );
                }
                Err(error) => {
                    held += usize::from(read.asked < woken);
                    assert_eq!(error.code, Code::Unavailable, "{error}");
                }
            }
        }
    }
    assert!(
        before > 0 && behind > 0,
        "{before} reads before, {held} held, {behind} behind"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_is_stopped_and_wakes_up() {
    let Some((owner, front_end)) = two_hubs().await else {
        return;
    };
    let shop = owner.onboard("shop", alliance::contract()).await;
    stopped_owner(&owner, &front_end, &shop).await;
    // And the other way round.
    let shop = owner.onboard("shop-2", alliance::contract()).await;
    stopped_owner(&front_end, &owner, &shop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_outlive_an_owner_that_is_stopped() {
    let Some((owner, front_end)) = two_hubs().await else {
        return;
    };
    let loads = start_loads(&owner, &front_end).await;
    let epoch = owner.status().await.epoch;
    owner.process().signal("STOP");
    taken_over(&front_end, epoch).await;
    for load in &loads[1..] {
        load.wait_for_more(3).await;
    }
    owner.process().signal("CONT");
    let records = finish(loads).await;
    check_all(&owner, &records).await;
    check_all(&front_end, &records).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_is_killed_and_then_the_next() {
    let Some((mut owner, mut front_end)) = two_hubs().await else {
        return;
    };
    let loads = start_loads(&owner, &front_end).await;
    let epoch = owner.status().await.epoch;
    owner.kill();
    taken_over(&front_end, epoch).await;
    owner.start().await;
    for load in &loads {
        load.wait_for_more(2).await;
    }
    front_end.kill();
    taken_over(&owner, epoch + 1).await;
    front_end.start().await;
    let records = finish(loads).await;
    check_all(&front_end, &records).await;
}

/// An owner that ends in good order says so: nobody waits for its heartbeat to go stale.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_is_terminated() {
    let Some((mut owner, front_end)) = two_hubs().await else {
        return;
    };
    let loads = start_loads(&owner, &front_end).await;
    let epoch = owner.status().await.epoch;
    owner.terminate().await;
    taken_over(&front_end, epoch).await;
    let log = front_end.process().log();
    assert!(!log.contains("the owner is silent"), "{log}");
    owner.start().await;
    assert!(owner.status().await.epoch > epoch);
    let records = finish(loads).await;
    check_all(&owner, &records).await;
}
