//! A hundred cycles closed, by hand and by schedule, while eight streams send at full rate and some of them, and the hubs
//! that they speak to, stand still.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use hansa_client::hub::Hub;
use hansa_proto::v1;
use hansa_tests::{
    alliance,
    cli::Cli,
    clock::{DAY, MINUTE},
    database::Database,
    for_each_database,
    hub::TestHub,
    merchant::Merchant,
};

use super::{
    books::{Cycles, Shop, Told, audit},
    senders::{Running, Sender, Signals, Traffic},
    stall::{Proxy, Way},
};

/// Cycles that are closed.
const CYCLES: u32 = 100;

/// Streams at full rate, a shop each.
const STREAMS: usize = 8;

/// Streams that nothing stands in the way of; the others are stalled in turn.
const FREE: usize = 4;

/// Members of a shop: enough that none has a long history, which every message of it would have to read.
const MEMBERS: usize = 500;

/// Batches that the free streams must be answered between two cuts.
const BETWEEN: u64 = 6;

/// What a stalled sender's messages pass.
enum Passage {
    /// A hub process of its own, which forwards.
    FrontEnd(Box<TestHub>),
    /// A connection.
    Connection(Proxy, Way),
}

impl Passage {
    fn stall(&self, stalled: bool) {
        match self {
            Self::FrontEnd(hub) => {
                hub.process().signal(if stalled { "STOP" } else { "CONT" });
            }
            Self::Connection(proxy, way) => proxy.stop(*way, stalled),
        }
    }

    /// The same merchant by this way.
    fn reach(&self, hub: &TestHub, merchant: &Merchant) -> Merchant {
        match self {
            Self::FrontEnd(front_end) => front_end.reached_by(merchant),
            Self::Connection(proxy, _) => {
                let mut options = hub.options();
                options.url.clone_from(&proxy.url);
                let tokens = hub.tokens(&merchant.id, &merchant.key);
                Merchant {
                    hub: Hub::new(&options, Some(tokens)).unwrap(),
                    ..merchant.clone()
                }
            }
        }
    }
}

/// One for each stream that is stalled: connections; front ends, too, where there can be some.
async fn passages(hub: &TestHub, database: &Database) -> Vec<Passage> {
    let mut passages = Vec::new();
    for way in [Way::ToHub, Way::ToSender] {
        let proxy = Proxy::to(&hub.process().address).await;
        passages.push(Passage::Connection(proxy, way));
    }
    for way in [Way::ToHub, Way::ToSender] {
        passages.push(if matches!(database, Database::Postgres { .. }) {
            let mut front_end = hub.replica();
            front_end.start().await;
            Passage::FrontEnd(Box::new(front_end))
        } else {
            let proxy = Proxy::to(&hub.process().address).await;
            Passage::Connection(proxy, way)
        });
    }
    passages
}

fn contract(place: usize) -> v1::Contract {
    let at_burn = place % 2 == 1;
    let mode = if at_burn {
        v1::FundingMode::Burn
    } else {
        v1::FundingMode::Issue
    };
    let pending = place == STREAMS;
    v1::Contract {
        funding_mode: mode.into(),
        // A batch that stood still while days went by is late, not too late.
        max_late_seconds: 10 * 365 * 86_400,
        pending_until_return_window_ends: pending,
        return_days: u32::from(pending),
        ..alliance::contract()
    }
}

struct World {
    hub: TestHub,
    passages: Vec<Passage>,
    shops: Vec<Shop>,
    senders: Vec<Sender>,
    signals: Signals,
}

impl World {
    async fn new(database: &Database) -> Self {
        let hub = TestHub::on(database)
            .test_clock("2026-03-02T09:00:00Z")
            .start()
            .await;
        hub.apply(v1::Alliance {
            programme: Some(v1::Programme {
                cycle_schedule: v1::CycleSchedule::Daily.into(),
                ..alliance::programme()
            }),
            ..v1::Alliance::default()
        })
        .await;
        let passages = passages(&hub, database).await;
        let signals = Signals::default();
        signals.open_cycle.store(1, Ordering::Release);
        let (mut shops, mut senders) = (Vec::new(), Vec::new());
        for place in 0..=STREAMS {
            let name = format!("shop-{place}");
            let contract = contract(place);
            shops.push(Shop {
                pays_at_burn: contract.funding_mode() == v1::FundingMode::Burn,
                name: name.clone(),
            });
            let merchant = hub.onboard(&name, contract).await;
            let before = (place + STREAMS - 1) % STREAMS;
            let members = merchant.enrol_many(&name, MEMBERS).await;
            let guests = merchant
                .enrol_many(&format!("shop-{before}"), MEMBERS)
                .await;
            let passage = place.checked_sub(FREE).and_then(|at| passages.get(at));
            let reached = passage.map(|passage| passage.reach(&hub, &merchant));
            senders.push(Sender {
                merchant: reached.unwrap_or(merchant),
                place,
                before,
                members,
                guests,
                traffic: match place {
                    STREAMS => Traffic::Pending,
                    _ => Traffic::Shop,
                },
                signals: signals.clone(),
            });
        }
        Self {
            hub,
            passages,
            shops,
            senders,
            signals,
        }
    }

    /// Closes the open cycle: by hand, or by its schedule.
    async fn close(&self, number: u32) {
        if number.is_multiple_of(2) {
            // What is stalled meanwhile meets another time of day when it arrives.
            self.hub.advance(7 * MINUTE).await;
            let request = v1::CloseCycleRequest {
                cycle_number: number,
                validate_only: false,
            };
            let closed = self
                .hub
                .operator()
                .cycles_client()
                .close_cycle(request)
                .await;
            let cut = closed.unwrap().into_inner().cycle.unwrap();
            assert!(cut.cut_leaf_index.is_some(), "{cut:?}");
        } else {
            let now = self.hub.clock().now();
            self.hub.advance(DAY - now % DAY).await;
        }
        self.signals.open_cycle.store(number + 1, Ordering::Release);
    }

    async fn cycles(&self) -> Cycles {
        let mut told = Vec::new();
        let operator = self.hub.operator();
        for number in 1..=CYCLES + 1 {
            told.push(operator.cycle(number).await.unwrap());
        }
        Cycles {
            told,
            now: self.hub.clock().now(),
        }
    }
}

/// Waits until the free streams were answered so many more batches.
async fn go_on(running: &[Running], batches: u64) {
    let answered = || running[..FREE].iter().map(Running::answered).sum::<u64>();
    let goal = answered() + batches;
    let began = Instant::now();
    while answered() < goal {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "no answers for 60 s"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn closing_is_exact(database: Database) {
    let world = World::new(&database).await;
    let mut told: Vec<Told> = Vec::new();
    for sender in &world.senders[..STREAMS] {
        told.extend(sender.open("1000000.00").await);
    }
    let senders = world.senders.iter().cloned();
    let running: Vec<Running> = senders.map(Sender::start).collect();
    for number in 1..=CYCLES {
        // Each passage stands still for five cycles of twelve, and three begin to while another one goes on.
        for (at, passage) in (0..).zip(&world.passages) {
            match (number + 3 * at) % 12 {
                4 => passage.stall(true),
                9 => passage.stall(false),
                _ => {}
            }
        }
        go_on(&running, BETWEEN).await;
        world.close(number).await;
    }
    world
        .passages
        .iter()
        .for_each(|passage| passage.stall(false));
    go_on(&running, BETWEEN).await;
    world.signals.stop();
    for sender in running {
        let sent = sender.told().await;
        assert!(!sent.is_empty());
        told.extend(sent);
    }

    let cycles = world.cycles().await;
    for index in 0..CYCLES as usize {
        let cycle = cycles.cycle(index);
        assert_eq!(cycle.state(), v1::CycleState::Closed, "{cycle:?}");
    }
    // Each message is in the one cycle whose cuts enclose its leaf, and the hub said so at once.
    for message in &told {
        assert_eq!(
            message.told_cycle,
            cycles.enclosing(message.leaf),
            "{message:?}"
        );
    }
    let in_cycles = (0..cycles.told.len()).map(|index| cycles.cycle(index));
    let in_cycles: u64 = in_cycles
        .map(|c| c.messages_accepted + c.messages_refused)
        .sum();
    assert_eq!(
        in_cycles,
        told.len() as u64,
        "every message in one cycle, none in two"
    );
    assert_eq!(world.hub.status().await.unassigned_messages, 0);
    assert_eq!(
        audit(&cycles, &world.shops, &told, |m| cycles.enclosing(m.leaf)),
        Ok(())
    );

    // The negative control: the same account, with each message in the cycle that was open when it was sent, is wrong about
    // the messages that a cut overtook, on every way that was stalled.
    for place in FREE..STREAMS {
        let overtaken = |m: &&Told| m.sender == place && cycles.enclosing(m.leaf) > m.sent_in + 1;
        assert!(
            told.iter().any(|m| overtaken(&m)),
            "shop-{place} was never stalled"
        );
    }
    let wrong = audit(&cycles, &world.shops, &told, |m| m.sent_in).unwrap_err();
    let imbalances = wrong.iter().filter(|text| text.contains("the hub's side"));
    assert!(imbalances.count() > 10, "{wrong:#?}");

    let cli = Cli::new(&world.hub);
    let verified = match &database {
        Database::Postgres { url, .. } => cli.json(&format!("verify --database \"{url}\""), 0),
        Database::Sqlite | Database::SqliteFile { .. } => {
            let dir = world.hub.data_dir();
            cli.json(&format!("verify --data-dir \"{}\"", dir.display()), 0)
        }
    };
    assert_eq!(
        verified["cycles"].as_array().unwrap().len(),
        CYCLES as usize + 1
    );
}

for_each_database!(closing_is_exact);
