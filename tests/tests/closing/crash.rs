//! `kill -9` at every step from OPEN to SETTLED, again and again: the log ends in the same bytes as that of a hub that nothing
//! happened to, and so does everything that is read from it.
//!
//! Two hubs begin as copies of one, keys included, and live through the same: their clocks, messages and proposals are the
//! same. One is left alone. The other dies behind each entry that a step appends, and before the first, at instants that
//! differ from kill to kill, and whoever waited for an answer asks again.

use std::{collections::BTreeMap, env, time::Duration};

use hansa_store::{Store, StoreOptions};
use hansa_tests::{
    clock::{Clock, at},
    database::Database,
    for_each_database,
    shop::{Everything, Shop},
};
use tokio::time::{sleep, timeout};

use super::{
    life::{BEGINS, Life, OF_TWO_CYCLES, begin},
    step::{Step, reached, size},
};

/// How often the hub is killed on each database, at least: hundreds of times where this variable says so.
const KILLS_VARIABLE: &str = "HANSA_KILLS";

/// When it is killed, unless this variable says otherwise; a failure prints it.
const SEED_VARIABLE: &str = "HANSA_KILL_SEED";

/// How long an entry may take to be there.
const PATIENCE: Duration = Duration::from_secs(60);

fn number(variable: &str, otherwise: u64) -> u64 {
    env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

/// Kills a hub in the middle of steps.
pub(crate) struct Killer {
    /// SplitMix64.
    dice: u64,
    /// How far the hub was when it died.
    pub(crate) died_at: BTreeMap<Step, usize>,
}

impl Killer {
    fn new(seed: u64) -> Self {
        Self {
            dice: seed,
            died_at: BTreeMap::new(),
        }
    }

    pub(crate) fn roll(&mut self, below: u64) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    /// How long a hub still lives: a moment; none where it goes on at once; half of the times as long as the auditor takes
    /// where it waits for that. Unit: microseconds.
    fn moment(&mut self, reached: Step) -> Duration {
        let longest = match reached {
            Step::Cut | Step::DueWork => 1,
            Step::Closed if self.roll(2) == 0 => 250_000,
            _ => 8_000,
        };
        Duration::from_micros(self.roll(longest))
    }

    /// Begins a step, and kills the hub a moment after its log has so many entries. The hub is started again.
    pub(crate) async fn kill<T>(
        &mut self,
        shop: &mut Shop,
        store: &Store,
        entries: u64,
        step: &impl AsyncFn(&Shop) -> T,
    ) {
        let doom = async {
            let there = async {
                while size(store).await < entries {
                    sleep(Duration::from_millis(1)).await;
                }
            };
            timeout(PATIENCE, there)
                .await
                .expect("the step stands still");
            sleep(self.moment(reached(store).await)).await;
        };
        let begun = async {
            step(shop).await;
            // Its answer came in time: the hub dies all the same.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = doom => {}
            () = begun => {}
        }
        shop.hub.kill();
        *self.died_at.entry(reached(store).await).or_default() += 1;
        shop.hub.start().await;
    }
}

/// The hub's log, read beside it.
async fn store(shop: &Shop) -> Store {
    let file = format!("sqlite:{}", shop.hub.file("hansa.db").display());
    let options = StoreOptions {
        read_only: true,
        readers: 1,
        ..StoreOptions::default()
    };
    let url = shop.hub.database().url().unwrap_or(&file).to_owned();
    Store::open(&url, &options).await.unwrap()
}

/// What a life leaves.
#[derive(Debug, PartialEq)]
struct Left {
    /// The newest checkpoint, signed: the log's size, and a hash over every byte that was ever signed or decided.
    checkpoint: String,
    /// Cycles with their digests, statements, payments, payment files, bank reports, the audit's trail.
    everything: Everything,
}

/// Lives through so many cycles. The one that is killed tells where.
async fn live(mut life: Life, cycles: u32) -> (Left, BTreeMap<Step, usize>) {
    for number in 1..=cycles {
        life.cycle(number).await;
    }
    let hub = &life.shop.hub;
    hub.verify().await;
    let status = hub.status().await;
    assert_eq!(
        (status.unassigned_messages, status.duplicate_key_restarts),
        (0, 0)
    );
    let left = Left {
        checkpoint: hub.operator().checkpoint().await.unwrap().checkpoint,
        everything: life.shop.everything().await,
    };
    life.store.close().await.unwrap();
    let died_at = life.killer.map(|killer| killer.died_at);
    (left, died_at.unwrap_or_default())
}

async fn killed_at_every_step(database: Database) {
    let pairs = number(KILLS_VARIABLE, OF_TWO_CYCLES).div_ceil(OF_TWO_CYCLES);
    let cycles = u32::try_from(2 * pairs).unwrap();
    let seed = number(SEED_VARIABLE, 1);

    let (mut killed, members) = begin(&database).await;
    killed.hub.terminate().await;
    let copy = database.copy(&killed.hub.data_dir()).await;
    let mut hub = killed.hub.replica();
    hub.change_database(copy);
    hub.change_clock(Clock::test(at(BEGINS)));
    hub.start().await;
    let alone = Shop {
        a: hub.reached_by(&killed.a),
        f: hub.reached_by(&killed.f),
        t: hub.reached_by(&killed.t),
        ana: hub.spoken_to_by(&killed.ana),
        ben: hub.spoken_to_by(&killed.ben),
        hub,
    };
    let life = Life {
        store: store(&alone).await,
        shop: alone,
        members: members.clone(),
        killer: None,
    };
    let (expected, _) = live(life, cycles).await;
    let cycles_of = |left: &Left| left.everything.cycles.len();
    assert_eq!(cycles_of(&expected), cycles as usize + 1);
    assert!(expected.everything.files.len() >= 4 * cycles as usize);

    killed.hub.start().await;
    let life = Life {
        store: store(&killed).await,
        shop: killed,
        members,
        killer: Some(Killer::new(seed)),
    };
    eprintln!("{SEED_VARIABLE}={seed}");
    let (found, died_at) = live(life, cycles).await;
    let died: usize = died_at.values().sum();
    eprintln!("{died} kills: {died_at:?}");
    assert_eq!(died as u64, pairs * OF_TWO_CYCLES);
    for steps in Step::ALL {
        let died = steps.iter().filter_map(|step| died_at.get(step));
        assert!(died.sum::<usize>() > 0, "no kill at {steps:?}");
    }
    assert_eq!(found, expected);
}

for_each_database!(killed_at_every_step);
