//! `hansa finance` and `hansa dispute`: a clerk's month, from a closed cycle to money on the account.

use hansa_tests::{
    bank::{Booking, statement},
    cli::Cli,
    database::Database,
    shop::{DAY, Shop},
};
use serde_json::Value;

/// A traded and audited cycle, and keys of two people in files.
async fn world() -> (Shop, Cli) {
    let shop = Shop::new(&Database::sqlite()).await;
    shop.trade().await;
    let cli = Cli::new(&shop.hub);
    shop.ana.key.save(cli.path("ana.pem")).unwrap();
    shop.ben.key.save(cli.path("ben.pem")).unwrap();
    shop.a.key.save(cli.path("a.pem")).unwrap();
    let _ = cli.run("cycle close 1 --yes").expect(0);
    shop.ana.wait_audited(1).await;
    (shop, cli)
}

const ANA: &str = "--key ana.pem";
const BEN: &str = "--key ben.pem";
const A: &str = "--merchant a --key a.pem";

#[tokio::test(flavor = "multi_thread")]
async fn a_clerk_settles_a_cycle() {
    let (shop, cli) = world().await;
    let compared = cli.run(&format!("finance compare 1 {ANA}")).expect(0);
    for part in ["MULTILATERAL", "CLEARING_VECTOR", "0.95 EUR"] {
        assert!(compared.contains(part), "{part} is not in\n{compared}");
    }
    let preview = cli.run(&format!("finance preview 1 {ANA}")).expect(0);
    for part in [
        "the hub    a         0.39 EUR",
        "f          the hub   0.95 EUR",
        "Propose it: hansa finance propose settle 1",
    ] {
        assert!(preview.contains(part), "{part} is not in\n{preview}");
    }
    let propose = format!("finance propose settle 1 --reason \"month's end\" {ANA}");
    let dry = cli.run(&format!("{propose} --dry-run")).expect(0);
    assert!(
        dry.contains("It could be proposed: settle cycle 1 MULTILATERAL"),
        "{dry}"
    );
    let proposed = cli.run(&propose).expect(0);
    assert!(
        proposed.contains("Proposal 1, pending: settle cycle 1 MULTILATERAL"),
        "{proposed}"
    );
    // Not the same person, and not without an answer.
    let approve = "finance approve 1 --reason checked";
    let same = cli.run(&format!("{approve} {ANA} --yes"));
    assert_eq!(same.code, 3);
    assert!(same.err.contains("SAME_PERSON"), "{}", same.err);
    let asked = cli.run(&format!("{approve} {BEN}"));
    assert_eq!(asked.code, 2);
    assert!(asked.err.contains("--yes"), "{}", asked.err);
    let approved = cli.run(&format!("{approve} {BEN} --yes")).expect(0);
    assert!(approved.contains("approved by Ben"), "{approved}");
    assert!(
        approved.contains("hansa finance payment-file 1"),
        "{approved}"
    );

    let file = cli
        .run(&format!("finance payment-file 1 --out pay.xml {ANA}"))
        .expect(0);
    assert!(
        file.contains("pay.xml has 2 payments of the hub in cycle 1."),
        "{file}"
    );
    assert!(cli.read("pay.xml").contains("pain.001.001.09"));
    cli.write("other.xml", "<Document/>");
    let other = cli.run(&format!("finance submit 1 --file other.xml --yes {ANA}"));
    assert_eq!(other.code, 6, "{}", other.err);
    let submitted = cli.run(&format!("finance submit 1 --yes {ANA}")).expect(0);
    assert!(submitted.contains("3 payments recorded."), "{submitted}");
    let again = cli.run(&format!("finance submit 1 --yes {ANA}")).expect(0);
    assert!(again.contains("Nothing to do"), "{again}");

    let payments = shop.ana.payments(1).await;
    let bookings: Vec<Booking> = payments.iter().map(|p| Booking::of(p, DAY)).collect();
    cli.write("statement.xml", &statement("STMT-1", DAY, &bookings));
    let import = format!("finance import statement.xml {ANA}");
    let imported = cli.run(&import).expect(0);
    for part in ["No money has moved", "post-reconciliation 1", "payment 3"] {
        assert!(imported.contains(part), "{part} is not in\n{imported}");
    }
    let again = cli.json(&import, 0);
    assert_eq!(again["already_imported"], true);
    assert_eq!(again["report"]["matches"].as_array().unwrap().len(), 3);
    let post = "finance propose post-reconciliation 1 --reason \"as the bank says\"";
    let posted = cli.json(&format!("{post} {ANA}"), 0);
    assert_eq!(
        posted["proposal"]["action"]["post_reconciliation"]["report_number"],
        1
    );
    let approve = format!("finance approve 2 --reason checked --yes {BEN}");
    assert_eq!(cli.json(&approve, 0)["proposal"]["state"], "APPROVED");
    assert_eq!(cli.json(&approve, 0)["changed"], false);
    let settled = cli.json(
        &format!("finance payments --cycle 1 --state settled {ANA}"),
        0,
    );
    assert_eq!(settled["payments"].as_array().unwrap().len(), 3);
    let cycle = cli.run("cycle show 1").expect(0);
    assert!(cycle.contains("Cycle 1, settled"), "{cycle}");
    let trail = cli.json(&format!("finance trail --cycle 1 {ANA}"), 0);
    let events: Vec<(&str, &str)> = trail["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["event"].as_str().unwrap(), e["actor"].as_str().unwrap()))
        .collect();
    assert_eq!(
        events,
        [
            ("CYCLE_CLOSED", "hub"),
            ("CYCLE_AUDITED", "hub"),
            ("SETTLE_CYCLE_PROPOSED", "Ana"),
            ("SETTLE_CYCLE_APPROVED", "Ben"),
            ("PAYMENTS_SUBMITTED", "Ana"),
            ("PAYMENTS_SUBMITTED", "Ana"),
            ("REPORT_IMPORTED", "Ana"),
            ("POST_RECONCILIATION_PROPOSED", "Ana"),
            ("POST_RECONCILIATION_APPROVED", "Ben"),
        ]
    );
    let risk = cli.run(&format!("finance risk {ANA}")).expect(0);
    assert!(risk.contains("open BURN points"), "{risk}");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_files_with_their_signatures() {
    let (shop, cli) = world().await;
    let key = shop.ana.hub.checkpoint().await.unwrap().verifier_key;
    let verify = |file: &str| cli.run(&format!("verify document {file} --verifier-key {key}"));
    let several = cli.run(&format!(
        "statement --cycle 1 --format pdf --out one.pdf {ANA}"
    ));
    assert_eq!(several.code, 2, "{}", several.err);
    std::fs::create_dir(cli.path("out")).unwrap();
    let all = format!("statement --cycle 1 --format pdf --out out {ANA}");
    let all = cli.run(&all).expect(0);
    assert_eq!(all.lines().count(), 3, "{all}");
    let told = verify("out/statement-f-1.pdf").expect(0);
    assert!(
        told.contains(
            "cycle 1 of f is signed by the log's key; 1 lines add up to the net 0.950000"
        ),
        "{told}"
    );
    let own = format!("statement --cycle 1 --format json --with-items --out own.json {A}");
    let _ = cli.run(&own).expect(0);
    let told = verify("own.json").expect(0);
    assert!(told.contains("1 items add up to them"), "{told}");
    cli.write(
        "own.json",
        &cli.read("own.json").replacen("0.39", "0.93", 1),
    );
    let red = verify("own.json").expect(6);
    assert!(red.contains("not the file that was signed"), "{red}");

    let ledger = cli.run(&format!("finance ledger 1 {ANA}")).expect(0);
    for part in [
        "1100",
        "Points reserve",
        "debits 1.750000 = credits 1.750000",
    ] {
        assert!(ledger.contains(part), "{part} is not in\n{ledger}");
    }
    let liability = format!("finance liability --cycle 1 --expected 9000 {ANA}");
    let table = cli.run(&liability).expect(0);
    assert!(table.contains("Liability as of"), "{table}");
    let written = cli
        .run(&format!("{liability} --format xlsx --out out"))
        .expect(0);
    assert!(written.contains("liability-1.xlsx"), "{written}");
    assert_eq!(verify("out/liability-1.xlsx").code, 0);
    for (command, code, part) in [
        ("statement --format pdf", 2, "--cycle"),
        ("statement --cycle 2 --format pdf", 3, "CYCLE_NOT_CLOSED"),
        ("finance ledger 2 --key ana.pem", 3, "CYCLE_NOT_CLOSED"),
        ("finance ledger 1 --key a.pem", 3, "no operator's key"),
        (
            "verify document nothing.pdf --verifier-key x",
            2,
            "verifier-key",
        ),
    ] {
        let output = cli.run(command);
        assert_eq!(output.code, code, "{command}: {}", output.err);
        assert!(output.err.contains(part), "{command}: {}", output.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_from_both_sides() {
    let (shop, cli) = world().await;
    cli.write("receipt.txt", "fifty points more\n");
    let raise = format!(
        "dispute raise --cycle 1 --line redemption --claim -0.25 --text \"one more\" --attach receipt.txt {A}"
    );
    let raised = cli.json(&raise, 0);
    assert_eq!(raised["dispute"]["claimed_micros"], -250_000);
    assert_eq!(raised["dispute"]["original"]["line_kind"], "REDEMPTION");
    assert_eq!(cli.json(&raise, 0), raised);
    let neither = cli.run(&format!("dispute answer 1 --reason no {ANA}"));
    assert_eq!(neither.code, 2, "{}", neither.err);
    let rejected = cli
        .run(&format!("dispute answer 1 --reject --reason no {ANA}"))
        .expect(0);
    assert!(rejected.contains("answered by Ana: no"), "{rejected}");
    let shown = cli.run(&format!("dispute show 1 {A}")).expect(0);
    for part in ["answered by Ana: no", "hansa dispute escalate 1"] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    let _ = cli
        .run(&format!("dispute escalate 1 --text \"look again\" {A}"))
        .expect(0);
    let rule = "dispute rule 1 --uphold --amount -0.10 --counterparty f --reason \"half of it\"";
    assert_eq!(cli.run(&format!("{rule} {ANA}")).code, 3);
    let ruled = cli.json(&format!("{rule} {BEN}"), 0);
    assert_eq!(
        (
            &ruled["dispute"]["state"],
            &ruled["dispute"]["proposal_number"]
        ),
        (&Value::from("RULED"), &Value::from(1))
    );
    let proposals = cli
        .run(&format!("finance proposals --state pending {ANA}"))
        .expect(0);
    assert!(
        proposals.contains(
            "a owes 0.10 EUR less, against f: DISPUTE (cycle 1, line REDEMPTION, dispute 1)"
        ),
        "{proposals}"
    );
    let own = cli.json(&format!("dispute list {A}"), 0);
    assert_eq!(own["disputes"].as_array().unwrap().len(), 1);
    let saved = cli.run(&format!("dispute evidence 1 {ANA}")).expect(0);
    assert!(saved.contains("dispute-1-1-receipt.txt"), "{saved}");
    assert_eq!(cli.read("dispute-1-1-receipt.txt"), "fifty points more\n");
    // Nothing is overwritten.
    assert_eq!(cli.run(&format!("dispute evidence 1 {ANA}")).code, 1);
    assert_eq!(shop.ana.payments(0).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_meant_is_refused_before_anything_is_sent() {
    let (shop, cli) = world().await;
    let size = shop.hub.status().await.tree_size;
    for (command, code, part) in [
        (
            "finance propose adjust a 0.0000001 --because goodwill --reason x",
            2,
            "6 decimals",
        ),
        (
            "finance propose adjust a 1.00 --because kindness --reason x",
            2,
            "GOODWILL",
        ),
        (
            "finance propose prepaid-pack a -5.00 --reference R --reason x",
            2,
            "-5",
        ),
        ("finance propose settle 1", 2, "--reason"),
        (
            "finance preview 1 --execution-date 31.03.2026",
            2,
            "2026-03-31",
        ),
        ("finance preview 1 --method best", 2, "MIN_TRANSFERS"),
        ("finance preview 7", 3, "CYCLE_NOT_FOUND"),
        ("finance preview 1 --merchant a", 2, "only operators"),
        ("finance proposals --key a.pem", 3, "no operator's key"),
        ("finance import nowhere.xml", 1, "cannot read nowhere.xml"),
        ("finance import ana.pem", 3, "BANK_FILE_UNREADABLE"),
        (
            "finance approve 9 --reason x --yes",
            3,
            "PROPOSAL_NOT_FOUND",
        ),
        ("finance payment-file 1", 3, "CYCLE_STATE"),
        ("finance reports 3", 1, "no bank report 3"),
        ("dispute raise --claim 0.10 --text x", 2, "--merchant"),
        ("dispute evidence 3", 3, "does not exist"),
        ("dispute show 3", 3, "does not exist"),
    ] {
        let output = cli.run(command);
        assert_eq!(output.code, code, "{command}: {}", output.err);
        assert!(output.err.contains(part), "{command}: {}", output.err);
    }
    assert_eq!(shop.hub.status().await.tree_size, size);
}
