//! `kill -9` at every step of closing, again and again: each cycle ends in the same bytes as if nothing had happened.

use std::{
    collections::BTreeMap,
    env,
    time::{Duration, Instant},
};

use hansa_client::message::MemberReference;
use hansa_proto::v1::{self, fact::Fact};
use hansa_store::{Store, StoreOptions};
use hansa_tests::{
    alliance, body,
    cli::Cli,
    clock::{DAY, MINUTE},
    database::Database,
    for_each_database,
    hub::TestHub,
    merchant::{Merchant, id_of},
};
use prost::Message as _;

/// How often the hub is killed on each database, unless this variable says otherwise.
const CRASHES_VARIABLE: &str = "HANSA_CRASHES";
const CRASHES: usize = 108;

/// Kills of one cycle that closes by schedule: before its cut, and behind each of its commits: the cut, three sweeps, the
/// closing.
const BY_SCHEDULE: [u64; 6] = [0, 1, 2, 3, 4, 5];

/// Kills of one cycle that is closed by hand; its due work is done before.
const BY_HAND: [u64; 3] = [0, 1, 2];

/// Members with a hold that ends before the close: the work of three sweeps of 2,000.
const MEMBERS: usize = 4_100;

/// Members that buy and spend.
const BUYERS: usize = 60;

/// How far a hub was when it died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    NotCut,
    Cut,
    DueWorkUnderWay,
    Closed,
}

/// Delays that differ from kill to kill (SplitMix64).
struct Delays(u64);

impl Delays {
    fn next(&mut self) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Duration::from_micros((z ^ (z >> 31)) % 8_000)
    }
}

struct Life {
    hub: TestHub,
    shop: Merchant,
    members: Vec<MemberReference>,
    died_at: BTreeMap<Step, usize>,
}

impl Life {
    async fn begin(database: &Database) -> Self {
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
        let shop = hub.onboard("shop", alliance::contract()).await;
        let members = shop.enrol_many("m", MEMBERS).await;
        let life = Self {
            hub,
            shop,
            members,
            died_at: BTreeMap::new(),
        };
        let opening = life.of_each(&life.members, |_| body::accrual("900.00"));
        life.send(&opening).await;
        life
    }

    fn of_each(
        &self,
        members: &[MemberReference],
        body: impl Fn(usize) -> v1::message::Body,
    ) -> Vec<v1::Message> {
        let say = |(n, member)| self.shop.message(member, body(n));
        members.iter().enumerate().map(say).collect()
    }

    async fn send(&self, messages: &[v1::Message]) {
        for batch in messages.chunks(2_000) {
            let answer = self.shop.send_all(batch).await;
            let accepted = |o: &v1::Outcome| o.code() == v1::ResultCode::Accepted && !o.replayed;
            assert!(
                answer.outcomes.iter().all(accepted),
                "{:?}",
                answer.outcomes
            );
        }
    }

    /// The messages of a cycle: the same for every life.
    async fn trade(&self, number: u32) {
        let buyers = &self.members[..BUYERS];
        let bought = self.of_each(buyers, |n| {
            body::accrual(&format!("{}.{:02}", n + number as usize, n))
        });
        let held = self.of_each(buyers, |_| body::authorisation(7));
        let spent = self.of_each(buyers, |n| body::capture(id_of(&held[n]), 5));
        let returned = self.of_each(buyers, |n| body::reversal(id_of(&bought[n]), "1.00"));
        let left = self.of_each(&self.members, |_| body::authorisation(1));
        for messages in [bought, held, spent, returned, left] {
            self.send(&messages).await;
        }
    }

    async fn store(&self) -> Store {
        let database = &self.hub.database();
        let file = format!("sqlite:{}", self.hub.file("hansa.db").display());
        let options = StoreOptions {
            read_only: true,
            readers: 1,
            ..StoreOptions::default()
        };
        Store::open(database.url().unwrap_or(&file), &options)
            .await
            .unwrap()
    }

    /// Asks for the close, which may be done already. The answer may never come.
    async fn ask(&self, number: u32, until: i64) -> tokio::task::JoinHandle<()> {
        let operator = self.hub.operator();
        if number.is_multiple_of(2) {
            let open = operator.cycle(0).await.unwrap().cycle.unwrap().cycle_number;
            tokio::spawn(async move {
                if open == number {
                    let request = v1::CloseCycleRequest {
                        cycle_number: number,
                        validate_only: false,
                    };
                    let _ = operator.cycles_client().close_cycle(request).await;
                }
            })
        } else {
            let request = v1::SetClockRequest {
                now: Some(hansa_client::time::timestamp(until)),
            };
            tokio::spawn(async move {
                let _ = operator.test_clock().set_clock(request).await;
            })
        }
    }

    /// Closes a cycle; meanwhile the hub dies when its log is so many entries longer.
    async fn close(&mut self, number: u32, deaths: &[u64], delays: &mut Delays) {
        let by_hand = number.is_multiple_of(2);
        if by_hand {
            // The holds have ended by then.
            self.hub.advance(16 * MINUTE).await;
        }
        let until = self.hub.clock().now() + if by_hand { 0 } else { DAY };
        let store = self.store().await;
        let before = size(&store).await;
        for death in deaths {
            let call = self.ask(number, until).await;
            let began = Instant::now();
            while size(&store).await < before + death {
                assert!(
                    began.elapsed() < Duration::from_secs(60),
                    "the close stands still"
                );
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(delays.next()).await;
            self.hub.kill();
            call.await.unwrap();
            *self.died_at.entry(step(&store, before).await).or_default() += 1;
            self.hub.start().await;
        }
        store.close().await.unwrap();
        self.ask(number, until).await.await.unwrap();
        self.hub.follow_clock().await;
        let began = Instant::now();
        while self.cycle(number).await.state() != v1::CycleState::Closed {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "cycle {number} does not close"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(self.hub.clock().now(), until);
    }

    async fn cycle(&self, number: u32) -> v1::Cycle {
        self.hub
            .operator()
            .cycle(number)
            .await
            .unwrap()
            .cycle
            .unwrap()
    }

    /// All that closed cycles say: digests, positions, statements.
    async fn closed(&self, cycles: u32) -> Vec<(v1::GetCycleResponse, v1::GetStatementResponse)> {
        let mut closed = Vec::new();
        for number in 1..=cycles {
            let cycle = self.hub.operator().cycle(number).await.unwrap();
            let statement = self.shop.hub.statement(number, None).await.unwrap();
            assert_eq!(cycle.cycle.as_ref().unwrap().digest.len(), 64);
            closed.push((cycle, statement));
        }
        closed
    }
}

async fn size(store: &Store) -> u64 {
    store
        .last_entry()
        .await
        .unwrap()
        .map_or(0, |head| head.seq + 1)
}

/// How far the close was that began behind `before` entries.
async fn step(store: &Store, before: u64) -> Step {
    let mut step = Step::NotCut;
    for row in store.entries(before, 100, 16 << 20).await.unwrap() {
        let envelope = v1::Envelope::decode(row.envelope).unwrap();
        for fact in v1::Facts::decode(envelope.payload).unwrap().facts {
            step = step.max(match fact.fact.unwrap() {
                Fact::CycleCut(_) => Step::Cut,
                Fact::AdvanceTo(_) => Step::DueWorkUnderWay,
                Fact::CycleClosed(_) => Step::Closed,
                other => panic!("{other:?}"),
            });
        }
    }
    step
}

/// Lives through so many cycles; `crashing`: with all deaths.
async fn live(database: &Database, cycles: u32, crashing: bool) -> Life {
    let mut life = Life::begin(database).await;
    let mut delays = Delays(u64::from(cycles));
    for number in 1..=cycles {
        life.trade(number).await;
        let deaths: &[u64] = match (crashing, number.is_multiple_of(2)) {
            (false, _) => &[],
            (true, false) => &BY_SCHEDULE,
            (true, true) => &BY_HAND,
        };
        life.close(number, deaths, &mut delays).await;
    }
    life
}

async fn killed_at_every_step_of_closing(database: Database) {
    let crashes = env::var(CRASHES_VARIABLE).map_or(CRASHES, |n| n.parse().unwrap());
    let cycles = u32::try_from(crashes.div_ceil(BY_SCHEDULE.len() + BY_HAND.len()) * 2).unwrap();
    // Undisturbed, on SQLite: the database has no part in it either.
    let undisturbed = live(&Database::sqlite(), cycles, false).await;
    let life = live(&database, cycles, true).await;
    let died: usize = life.died_at.values().sum();
    assert!(died >= crashes, "{died} deaths");
    for step in [Step::NotCut, Step::Cut, Step::DueWorkUnderWay, Step::Closed] {
        let died = life.died_at.get(&step).copied().unwrap_or(0);
        assert!(died > 1, "no deaths at {step:?}: {:?}", life.died_at);
    }
    eprintln!("{died} deaths: {:?}", life.died_at);
    let expected = undisturbed.closed(cycles).await;
    for (found, expected) in life.closed(cycles).await.into_iter().zip(expected) {
        assert_eq!(found, expected);
    }
    let status = life.hub.status().await;
    assert_eq!(
        (status.unassigned_messages, status.duplicate_key_restarts),
        (0, 0)
    );
    let cli = Cli::new(&life.hub);
    let verified = match database.url() {
        Some(url) => cli.json(&format!("verify --database \"{url}\""), 0),
        None => cli.json(
            &format!("verify --data-dir \"{}\"", life.hub.data_dir().display()),
            0,
        ),
    };
    assert_eq!(verified["ok"], true);
}

for_each_database!(killed_at_every_step_of_closing);
