//! `hansa offers`, as a merchant and an affiliate run it.

use hansa_tests::{cli::Cli, database::Database};

use crate::World;

const CSV: &str = "offer_id,kind,title,destination,price,sale_price,currency,category,country_codes\n\
                   s-1,PRODUCT,Red shoe,https://shop.example/1,80.00,60.00,EUR,shoes,DE AT\n\
                   p-1,PROMOTION,Free delivery,https://shop.example/,,,,,\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offers_are_put_by_a_file_and_read_by_cursor() {
    let world = World::on(&Database::sqlite()).await;
    let cli = Cli::new(&world.hub);
    for merchant in [&world.shop, &world.blog] {
        let path = cli.path(&format!("{}.key.pem", merchant.id));
        merchant.key.save(&path).unwrap();
    }
    let shop = "--merchant shop --key shop.key.pem";
    let blog = "--merchant blog --key blog.key.pem";
    cli.write("offers.csv", CSV);
    let out = cli
        .run(&format!("offers put offers.csv --dry-run {shop}"))
        .expect(0);
    assert_eq!(out, "2 offers are in order; none was put.\n");
    let put = cli.json(&format!("offers put offers.csv {shop}"), 0);
    assert_eq!(
        (put["created"].as_u64(), put["offers"].as_u64()),
        (Some(2), Some(2))
    );
    // An operator puts them for the merchant: the same, so nothing changes.
    let out = cli.run("offers put offers.csv --merchant shop").expect(0);
    assert_eq!(
        out,
        "2 offers of shop stand: 0 new, 0 replaced, 2 unchanged.\n"
    );

    let listed = cli.json(&format!("offers list {blog}"), 0);
    assert_eq!(listed["offers"][1]["offer"]["offer_id"], "s-1");
    assert_eq!(
        listed["offers"][1]["earnings"][0]["commission"]["micros"],
        3_000_000
    );
    let table = cli
        .run(&format!("offers list --kind product {blog}"))
        .expect(0);
    assert!(
        table.contains("5 % (DE AT)") && !table.contains("p-1"),
        "{table}"
    );
    let none = cli
        .run(&format!("offers list --category hats --of shop {blog}"))
        .expect(0);
    assert_eq!(none, "No offers.\n");

    let first = cli.json(&format!("offers changes --limit 1 {blog}"), 0);
    assert_eq!(first["changes"][0]["put"]["offer"]["offer_id"], "s-1");
    assert_eq!(first["has_more"], true);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = cli.json(&format!("offers changes --cursor {cursor} {blog}"), 0);
    assert_eq!(rest["changes"][0]["put"]["offer"]["offer_id"], "p-1");
    let cursor = rest["next_cursor"].as_str().unwrap();
    let out = cli.run(&format!("offers withdraw p-1 {shop}")).expect(0);
    assert_eq!(out, "1 offers of shop are withdrawn.\n");
    let text = cli
        .run(&format!("offers changes --cursor {cursor} {blog}"))
        .expect(0);
    assert!(
        text.contains("withdrawn") && text.contains("\nCursor: "),
        "{text}"
    );
    let changes = cli.json(&format!("offers changes --cursor {cursor} {blog}"), 0);
    assert_eq!(changes["changes"][0]["withdrawn"]["offer_id"], "p-1");

    // What is wrong is told by line, whoever finds it, and nothing is put.
    cli.write(
        "wrong.csv",
        &format!("{CSV}s-2,PRODUCT,Shoe,https://shop.example/2,x,,EUR,,\n"),
    );
    let output = cli.run(&format!("offers put wrong.csv {shop}"));
    assert_eq!(output.code, 1);
    assert!(
        output
            .out
            .contains("line 4, price: \"x\": an amount is digits"),
        "{}",
        output.out
    );
    cli.write(
        "refused.csv",
        &format!("{CSV}s-2,PRODUCT,Shoe,http://shop.example/2,1,,EUR,,\n"),
    );
    let output = cli.run(&format!("offers put refused.csv {shop}"));
    assert_eq!(output.code, 3);
    let told = "line 4, destination: URL: the URL must begin with https://";
    assert!(output.out.contains(told), "{}", output.out);
    let stands = cli.json(&format!("offers list --all {shop}"), 0);
    assert_eq!(stands["offers"].as_array().unwrap().len(), 1);
    let output = cli.run("offers put offers.csv");
    assert_eq!(output.code, 2, "{}", output.err);
    let output = cli.run(&format!("offers withdraw s-9 {shop}"));
    assert!(
        output.code == 3 && output.err.contains("offer \"s-9\""),
        "{}",
        output.err
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_is_in_order() {
    let world = World::on(&Database::sqlite()).await;
    let cli = Cli::new(&world.hub);
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/offers.example.csv");
    let put = cli.json(&format!("offers put {example} --merchant shop"), 0);
    assert_eq!(put["created"], 4);
}
