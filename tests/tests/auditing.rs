//! The auditor beside a real hub, on both databases: what agrees is said in the log, what was changed behind the hub's back is named
//! and cannot be approved, a process of its own goes on where it was.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    collections::BTreeSet,
    fs::File,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use hansa_client::keys::hex;
use hansa_proto::v1::{self, NettingMethod, action::Action};
use hansa_tests::{
    binary,
    check::{answered, refused},
    clerk::settlement,
    cli::Cli,
    database::Database,
    for_each_database,
    hub::TestHub,
    shop::{self, Shop},
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tonic::Code;

fn plain(cycle: u32) -> v1::SettleCycle {
    settlement(cycle, NettingMethod::Multilateral)
}

/// Closes a cycle, whoever audits it.
async fn close(shop: &Shop, cycle: u32) {
    shop::close(&shop.hub.operator(), cycle).await;
    for _ in 0..600 {
        if shop.ana.cycle(cycle).await.state() == v1::CycleState::Closed {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("cycle {cycle} does not close");
}

/// What the preview of the first cycle's settlement says under a code.
async fn blocked(shop: &Shop, code: &str) -> String {
    let preview = shop.ana.preview(plain(1)).await.unwrap();
    let found = preview.blockers.iter().find(|b| b.starts_with(code));
    let found = found.unwrap_or_else(|| panic!("{:?}", preview.blockers));
    found.clone()
}

/// Where `hansa audit` finds the log of a hub.
fn place(hub: &TestHub) -> Vec<String> {
    let (name, value) = match hub.database().url() {
        Some(url) => ("--database", url.to_owned()),
        None => ("--data-dir", hub.data_dir().display().to_string()),
    };
    vec![name.to_owned(), value]
}

/// `hansa audit` over the whole log, from its first entry.
fn whole(hub: &TestHub, code: i32) -> Value {
    let place = place(hub).join(" ");
    let told = Cli::new(hub).run(&format!("audit {place} --json"));
    serde_json::from_str(&told.expect(code)).unwrap()
}

async fn what_is_certified_is_said_in_the_log(database: Database) {
    let shop = Shop::new(&database).await;
    shop.trade().await;
    shop.close(1).await;
    let cycle = shop.ana.cycle(1).await;
    let status = shop.hub.status().await;
    assert_eq!(status.audit_finding, "");
    assert!(Some(status.audited_size) > cycle.closed_leaf_index);
    let request = v1::ListAuditTrailRequest::default();
    let trail = answered(shop.ana.hub.finance().list_audit_trail(request).await);
    let said = trail.events.iter().filter(|e| e.event == "CYCLE_AUDITED");
    assert_eq!(said.count(), 1, "{:?}", trail.events);
    let preview = shop.ana.preview(plain(1)).await.unwrap();
    assert_eq!(preview.blockers, Vec::<String>::new());
    // A restart says nothing again.
    let mut shop = shop;
    let size = shop.hub.status().await.tree_size;
    shop.hub.kill();
    shop.hub.start().await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(shop.hub.status().await.tree_size, size);
    shop.ana.settle(&shop.ben, plain(1)).await;
    shop.hub.terminate().await;
    let audited = whole(&shop.hub, 0);
    assert_eq!(audited["cycles"][0]["agrees"], true);
    assert_eq!(audited["cycles"][0]["net_micros"]["f"], 950_000);
}

/// Runs a statement behind the hub's back.
async fn change(hub: &TestHub, statement: String) {
    let made = statement.starts_with("CREATE");
    let done = match hub.database() {
        Database::Postgres { url, .. } => {
            let mut db = PgConnection::connect(url).await.unwrap();
            let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut db);
            let done = done.await.unwrap().rows_affected();
            db.close().await.unwrap();
            done
        }
        Database::Sqlite | Database::SqliteFile { .. } => {
            let url = format!("sqlite:{}", hub.file("hansa.db").display());
            let mut db = SqliteConnection::connect(&url).await.unwrap();
            let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut db);
            let done = done.await.unwrap().rows_affected();
            db.close().await.unwrap();
            done
        }
    };
    // What an SQLite table is made of counts as no row.
    let expected = u64::from(!made || matches!(hub.database(), Database::Postgres { .. }));
    assert_eq!(done, expected);
}

/// Two purchases of different amounts; a column of the one's entry is made that of the other's, and back.
struct Forgery {
    column: &'static str,
    of: u64,
    from: u64,
}

impl Forgery {
    async fn commit(&self, hub: &TestHub) {
        let Self { column, of, from } = self;
        change(
            hub,
            format!(
                "CREATE TABLE kept_{column} AS SELECT {column} AS kept FROM entry WHERE seq = {of}"
            ),
        )
        .await;
        change(
            hub,
            format!(
                "UPDATE entry SET {column} = (SELECT {column} FROM entry WHERE seq = {from}) WHERE seq = {of}"
            ),
        )
        .await;
    }

    async fn undo(&self, hub: &TestHub) {
        let Self { column, of, .. } = self;
        change(
            hub,
            format!(
                "UPDATE entry SET {column} = (SELECT kept FROM kept_{column}) WHERE seq = {of}"
            ),
        )
        .await;
    }
}

/// Waits for what the auditor says of a log that it cannot agree with.
async fn finding(hub: &TestHub) -> String {
    for _ in 0..600 {
        let found = hub.status().await.audit_finding;
        if !found.is_empty() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing is found");
}

async fn what_was_changed_behind_the_hub_s_back_is_named_and_cannot_be_approved(
    database: Database,
) {
    let mut shop = Shop::audited(&database, "off").await;
    let member = shop.f.enrol("v").await;
    let first = shop.hub.status().await.tree_size;
    let bought = shop.f.accrue(&member, "100.00").await.accepted();
    shop.f.accrue(&member, "50.00").await.ok();
    shop.trade().await;
    close(&shop, 1).await;
    shop.hub.wait_covered().await;

    // Nobody audits: that is said, and nothing can be approved.
    let log = shop.hub.process().log();
    assert!(log.contains("nobody audits the log"), "{log}");
    assert_eq!(shop.hub.status().await.audited_size, 0);
    let settle = Action::SettleCycle(plain(1));
    let made = shop.ana.propose(settle, "month's end").await.unwrap();
    let approve = async |shop: &Shop| shop.ben.decide(made.proposal_number, true, "checked").await;
    let nobody = refused(
        approve(&shop).await,
        Code::FailedPrecondition,
        "NOT_AUDITED",
    );
    assert!(nobody.message.contains("--audit off"), "{nobody}");
    let blocker = blocked(&shop, "NOT_AUDITED").await;
    assert!(blocker.contains("--audit off"), "{blocker}");

    // Of 100 euro the hub records 50: what the merchant is told, or what the fold keeps.
    let id = hex(&bought.id);
    shop.hub.terminate().await;
    shop.hub.change_audit("inline");
    for (column, what) in [("outcomes", "OUTCOME"), ("effects", "EFFECTS")] {
        let forgery = Forgery {
            column,
            of: first,
            from: first + 1,
        };
        // Nobody may audit the entry before it is forged: an auditor goes on where it was.
        forgery.commit(&shop.hub).await;
        shop.hub.start().await;
        let found = finding(&shop.hub).await;
        assert!(found.starts_with(&format!("entry {first}, ")), "{found}");
        assert!(found.contains(&id) && found.contains(what), "{found}");
        let refusal = refused(
            approve(&shop).await,
            Code::FailedPrecondition,
            "AUDIT_DISAGREES",
        );
        assert!(refusal.message.contains(&id), "{refusal}");
        let blocker = blocked(&shop, "AUDIT_DISAGREES").await;
        assert!(blocker.contains(&id), "{blocker}");
        assert!(!shop.ana.cycle(1).await.audited);
        shop.hub.terminate().await;
        let told = whole(&shop.hub, 6);
        assert_eq!(told["findings"][0]["what"], what);
        assert_eq!(told["findings"][0]["message_id"], id);
        forgery.undo(&shop.hub).await;
    }

    // Put right, it passes.
    shop.hub.start().await;
    shop.ana.wait_audited(1).await;
    assert_eq!(shop.hub.status().await.audit_finding, "");
    approve(&shop).await.unwrap();
}

/// `hansa audit --follow` as a process of its own. Killed when dropped.
struct Follower {
    child: Child,
    out: PathBuf,
}

impl Follower {
    fn start(hub: &TestHub, run: usize) -> Self {
        let out = hub.folder().join(format!("audit-{run}.out"));
        let mut command = Command::new(binary::path());
        command
            .args(["audit", "--follow"])
            .args(place(hub))
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(hub.folder().join("audit.log")).unwrap());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HANSA_") {
                command.env_remove(name);
            }
        }
        let child = command.spawn().unwrap();
        Self { child, out }
    }

    /// Kills it; answers the cycles that it told of.
    fn kill(mut self) -> Vec<u32> {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.told()
    }

    fn told(&self) -> Vec<u32> {
        let text = std::fs::read_to_string(&self.out).unwrap();
        let cycles = text.lines().filter_map(|line| {
            let number = line.strip_prefix("cycle ")?.strip_suffix(": agrees")?;
            number.parse().ok()
        });
        cycles.collect()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn an_auditor_in_a_process_of_its_own_goes_on_where_it_certified_last(database: Database) {
    let shop = Shop::audited(&database, "separate").await;
    let (mut told, mut runs, mut moment) = (BTreeSet::new(), 0, 0_u64);
    for cycle in 1..=3 {
        shop.trade().await;
        close(&shop, cycle).await;
        if cycle == 1 {
            // Nobody runs it yet.
            let settle = Action::SettleCycle(plain(1));
            let made = shop.ana.propose(settle, "month's end").await.unwrap();
            let early = shop.ben.decide(made.proposal_number, true, "checked").await;
            let early = refused(early, Code::FailedPrecondition, "NOT_AUDITED");
            assert!(early.message.contains("hansa audit --follow"), "{early}");
        }
        let mut tries = 0_u32;
        while !shop.ana.cycle(cycle).await.audited {
            assert!(tries < 200, "cycle {cycle} is not certified");
            let follower = Follower::start(&shop.hub, runs);
            // SplitMix64's increment: kills fall anywhere in what it does, from its start to its idling.
            moment = moment.wrapping_add(0x9E37_79B9_7F4A_7C15);
            // Each try gets a little more time, or a busy machine would never let it come to its end.
            let after = 50 + (moment >> 40) % (1_000 + 500 * u64::from(tries));
            tokio::time::sleep(Duration::from_millis(after)).await;
            for number in follower.kill() {
                assert!(told.insert(number), "cycle {number} was audited twice");
            }
            (runs, tries) = (runs + 1, tries + 1);
        }
    }
    // It begins behind the last certificate: nothing is told again.
    let follower = Follower::start(&shop.hub, runs);
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    assert_eq!(follower.kill(), Vec::<u32>::new());
    assert_eq!(shop.hub.status().await.audit_finding, "");
    for cycle in 1..=3 {
        shop.ana.settle(&shop.ben, plain(cycle)).await;
    }
}

for_each_database!(
    what_is_certified_is_said_in_the_log,
    what_was_changed_behind_the_hub_s_back_is_named_and_cannot_be_approved,
    an_auditor_in_a_process_of_its_own_goes_on_where_it_certified_last,
);
