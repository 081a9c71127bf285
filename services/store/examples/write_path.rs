//! Measures the write path on both databases: `write_path [sqlite|postgres|both] [members] [groups] [dirty members]`.
//!
//! A projection writes the next 4,000 of so many dirty members in the order of members, round and round: the denser they lie,
//! the fewer pages each costs. With 4,000 dirty members every projection touches a page per member.
//! A group is 4 entries of 90 KB with 4,000 time-ordered ids of 20 merchants. Rates are messages, rows or keys per second,
//! each stage alone first, then all of them at once as a hub runs them.
#![allow(
    clippy::unwrap_used,
    clippy::float_arithmetic,
    reason = "a measurement"
)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use hansa_store::testing::start_postgres;
use hansa_store::{
    CheckpointRow, EntryRow, Group, IdRow, MemberRow, Projection, ReferenceRow, Store, StoreOptions,
};

const MESSAGES: u64 = 4000;
const ENTRIES: u64 = 4;
const LOADED: usize = 3000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let which = arguments.next().unwrap_or_else(|| "both".into());
    let mut number = |default| arguments.next().map_or(default, |n| n.parse().unwrap());
    let plan = Plan {
        members: number(1_000_000),
        groups: number(100),
        dirty: number(200_000),
    };
    if which != "postgres" {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("hansa.db").display());
        println!("SQLite");
        measure(&url, &plan).await;
    }
    if which != "sqlite" {
        let server = start_postgres().unwrap();
        let name = server.create_database().await.unwrap();
        println!("PostgreSQL, Unix socket");
        measure(&server.database_url(&name), &plan).await;
    }
}

struct Plan {
    members: u64,
    groups: u64,
    dirty: u64,
}

/// A small generator, so that every run asks for the same rows.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % bound
    }

    fn bytes(&mut self, length: u64) -> Bytes {
        (0..length.div_ceil(4))
            .flat_map(|_| (self.below(1 << 31) as u32).to_le_bytes())
            .collect::<Vec<u8>>()
            .into()
    }
}

fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    let from = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|value| value.parse::<u64>().unwrap())
    };
    if let Some(bytes) = from("PAGE") {
        options.sqlite_page_bytes = bytes as u32;
    }
    if let Some(bytes) = from("MMAP") {
        options.sqlite_mmap_bytes = bytes;
    }
    if let Some(bytes) = from("CACHE") {
        options.sqlite_cache_bytes = bytes;
    }
    if let Some(bytes) = from("WAL") {
        options.sqlite_wal_bytes = bytes;
    }
    options
}

struct Bench {
    store: Store,
    epoch: u64,
    random: Random,
    members: u64,
    next_seq: u64,
    cursor: u64,
    noise: Bytes,
}

async fn measure(url: &str, plan: &Plan) {
    let store = Store::open(url, &options()).await.unwrap();
    let epoch = store.take_gate("bench", "nowhere", None).await.unwrap();
    let mut random = Random(7);
    let noise = random.bytes(200_000);
    let mut bench = Bench {
        store,
        epoch,
        random,
        members: plan.members,
        next_seq: 0,
        cursor: 0,
        noise,
    };
    bench.fill().await;
    bench.stages(plan).await;
    bench.together(plan).await;
    bench.store.close().await.unwrap();
}

impl Bench {
    async fn fill(&mut self) {
        let started = Instant::now();
        let mut enrolling = Duration::ZERO;
        for first in (1..=self.members).step_by(20_000) {
            let numbers = first..(first + 20_000).min(self.members + 1);
            let references = numbers.clone().map(|member| ReferenceRow {
                merchant: (member % 20) as u32,
                reference: self.reference(member),
                member,
            });
            let group = Group {
                references: references.collect(),
                ..self.group(0)
            };
            let projection = self.projection(numbers);
            let enrolled = Instant::now();
            self.store.append(self.epoch, &group).await.unwrap();
            enrolling += enrolled.elapsed();
            self.store.project(self.epoch, &projection).await.unwrap();
            self.store.tidy().await.unwrap();
        }
        report("fill: references", self.members, enrolling);
        report("fill: members", self.members, started.elapsed() - enrolling);
    }

    async fn stages(&mut self, plan: &Plan) {
        let (mut append, mut project, mut tidy) = <(Duration, Duration, Duration)>::default();
        let (mut load, mut resolve, mut find) = <(Duration, Duration, Duration)>::default();
        let mut slowest = Duration::ZERO;
        let cpu = cpu_seconds();
        for _ in 0..plan.groups {
            let group = self.group(MESSAGES);
            let keys: Vec<_> = group.ids.iter().map(|row| (row.merchant, row.id)).collect();
            let loaded = self.some(LOADED as u64);
            let references: Vec<_> = loaded
                .iter()
                .map(|&m| ((m % 20) as u32, self.reference(m)))
                .collect();
            let projection = self.slice(plan.dirty);

            let started = Instant::now();
            let found = self.store.find_ids(&keys).await.unwrap();
            find += started.elapsed();
            assert!(found.iter().all(Option::is_none));

            let started = Instant::now();
            let found = self.store.resolve_references(&references).await.unwrap();
            resolve += started.elapsed();
            assert!(found.iter().all(Option::is_some));

            let started = Instant::now();
            let found = self.store.load_members(&loaded).await.unwrap();
            load += started.elapsed();
            assert_eq!(found.len(), loaded.len());

            let started = Instant::now();
            self.store.append(self.epoch, &group).await.unwrap();
            append += started.elapsed();
            slowest = slowest.max(started.elapsed());

            let started = Instant::now();
            self.store.project(self.epoch, &projection).await.unwrap();
            project += started.elapsed();

            let started = Instant::now();
            self.store.tidy().await.unwrap();
            tidy += started.elapsed();
        }
        let groups = plan.groups;
        println!(
            "  own CPU {:.1} us a message",
            (cpu_seconds() - cpu) * 1e6 / (groups * MESSAGES) as f64
        );
        report("find_ids (new ones)", groups * MESSAGES, find);
        report("resolve_references", groups * LOADED as u64, resolve);
        report("load_members", groups * LOADED as u64, load);
        report("append", groups * MESSAGES, append);
        println!(
            "  {:<26} {:>8.1} ms",
            "slowest append",
            slowest.as_secs_f64() * 1e3
        );
        report("project", groups * MESSAGES, project);
        println!(
            "  {:<26} {:>8.1} us a message",
            "tidy",
            tidy.as_secs_f64() * 1e6 / (groups * MESSAGES) as f64
        );
        let started = Instant::now();
        let due = self.store.members_due(0, 0, 10).await.unwrap();
        report("members_due (scan)", self.members, started.elapsed());
        assert!(due.is_empty());
    }

    /// Append, the projection of the group before and the load for the next one at the same time.
    async fn together(&mut self, plan: &Plan) {
        let work: Vec<_> = (0..plan.groups)
            .map(|_| {
                (
                    self.group(MESSAGES),
                    self.slice(plan.dirty),
                    self.some(LOADED as u64),
                )
            })
            .collect();
        let cpu = cpu_seconds();
        let started = Instant::now();
        for (group, projection, loaded) in &work {
            let (appended, projected, loaded) = tokio::join!(
                self.store.append(self.epoch, group),
                self.store.project(self.epoch, projection),
                self.store.load_members(loaded),
            );
            appended.unwrap();
            projected.unwrap();
            loaded.unwrap();
            self.store.tidy().await.unwrap();
        }
        report("all at once", plan.groups * MESSAGES, started.elapsed());
        println!(
            "  own CPU {:.1} us a message",
            (cpu_seconds() - cpu) * 1e6 / (plan.groups * MESSAGES) as f64
        );
    }

    fn reference(&self, member: u64) -> [u8; 16] {
        let mut random = Random(member.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let bytes = random.bytes(16);
        bytes[..].try_into().unwrap()
    }

    /// Distinct members, sorted.
    fn some(&mut self, count: u64) -> Vec<u64> {
        let mut members = std::collections::BTreeSet::new();
        while (members.len() as u64) < count.min(self.members) {
            members.insert(1 + self.random.below(self.members));
        }
        members.into_iter().collect()
    }

    /// The next slice of the sweep over the dirty members.
    fn slice(&mut self, dirty: u64) -> Projection {
        let every = (self.members / dirty).max(1);
        let first = self.cursor;
        self.cursor = (first + every * MESSAGES) % self.members;
        let members: std::collections::BTreeSet<u64> = (0..MESSAGES)
            .map(|n| 1 + (first + n * every + self.random.below(every)) % self.members)
            .collect();
        self.projection(members.into_iter())
    }

    fn projection(&mut self, members: impl Iterator<Item = u64>) -> Projection {
        let rows = members.map(|member| {
            let start = self.random.below(100_000) as usize;
            let length = 100 + self.random.below(400) as usize;
            MemberRow {
                member,
                applied_seq: self.next_seq,
                next_due: Some(1_800_000_000_000_000),
                next_hold: None,
                data: self.noise.slice(start..start + length),
            }
        });
        Projection {
            members: rows.collect(),
            global: None,
            blobs: Vec::new(),
            covered_size: self.next_seq,
        }
    }

    fn group(&mut self, messages: u64) -> Group {
        let first = self.next_seq;
        self.next_seq += ENTRIES;
        let entries = (first..self.next_seq).map(|seq| EntryRow {
            seq,
            decided_at: 0,
            merchant: Some(1),
            kind: 1,
            messages: (messages / ENTRIES) as u32,
            leaf_data: [1; 72],
            tree_hashes: Bytes::from_static(&[1; 64]),
            outcomes: self.noise.slice(0..20_000),
            effects: self.noise.slice(0..30_000),
            envelope: self.noise.slice(100..90_100),
        });
        let entries = entries.collect();
        let ids = (0..messages).map(|index| {
            // Milliseconds, then noise: the order of time, as recommended.
            let high = (first * 10 + index / 500) << 16 | self.random.below(1 << 16);
            let low = self.random.below(1 << 31) << 32 | index;
            IdRow {
                merchant: (index % 20) as u32,
                id: (u128::from(high) << 64 | u128::from(low)).to_be_bytes(),
                pos: first << 12 | index,
            }
        });
        Group {
            entries,
            ids: ids.collect(),
            references: Vec::new(),
            aliases: Vec::new(),
            evidence: Vec::new(),
            parties: Vec::new(),
            checkpoint: Some(CheckpointRow {
                tree_size: self.next_seq,
                note: "a note of some two hundred bytes ".repeat(6),
            }),
        }
    }
}

fn report(what: &str, count: u64, took: Duration) {
    let seconds = took.as_secs_f64();
    println!(
        "  {what:<26} {:>8.1}k/s  {:>6.2} us",
        count as f64 / seconds / 1e3,
        seconds * 1e6 / count as f64
    );
}

/// User and system time of this process; PostgreSQL's own processes are not in it.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks: f64 = stat
        .rsplit(')')
        .next()
        .into_iter()
        .flat_map(|rest| rest.split_whitespace().skip(11).take(2))
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    ticks / 100.0
}
