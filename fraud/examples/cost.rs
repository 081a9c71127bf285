//! Prints what single steps cost: `cargo run --release -p hansa-fraud --example cost`
#![expect(clippy::float_arithmetic, reason = "rates of measurements")]

use std::{hint::black_box, num::NonZeroU64, time::Instant};

use hansa_fraud::{
    Engine, Merchant, Typology,
    act::{Mode, Rules},
    features::Limits,
    lists::{AgentKind, Lists, Placement, Request},
    points::PointsEvent,
    rules::{Covers, Draft},
    simulate::{Scale, Traffic},
};

const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";

/// Prints the mean time of one of `n` steps.
fn time(what: &str, n: u64, mut step: impl FnMut(u64)) {
    let start = Instant::now();
    for at in 0..n {
        step(at);
    }
    let each = start.elapsed().as_nanos() as f64 / n as f64 / 1_000.0;
    println!("{what}: {each:.3} µs");
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lists = Lists::vendored()?;
    let request = |at: u64| {
        let address = std::net::Ipv4Addr::from((at as u32).wrapping_mul(2_654_435_761));
        Request::new("GET", Some(address.into()), "sub_id=7&utm_medium=social")
            .header("user-agent", CHROME)
            .header("accept", "text/html")
            .header("sec-fetch-dest", "document")
            .header("referer", "https://blog.example/best-shoes")
    };
    let placement = Placement::default();
    time("a request, its user agent known", 1_000_000, |at| {
        black_box(lists.classify(&request(at), AgentKind::Person, &placement));
    });
    time("a user agent", 20_000, |_| {
        black_box(lists.agent(black_box(CHROME)));
    });

    let scale = Scale {
        affiliates: 300,
        merchants: 8,
        days: 30,
        per_scheme: 2,
    };
    let mut engine = Engine::new(Limits::default(), Rules::default());
    engine.keep_history(10_000);
    let mut now_ms = 0;
    for (end_ms, events) in Traffic::new(1, scale) {
        for event in &events {
            engine.apply(event);
        }
        engine.assess(end_ms);
        now_ms = end_ms;
    }
    engine.save_rule(Draft {
        name: "measured".to_owned(),
        typology: Typology::ClickInjection,
        mode: Mode::Flag,
        when: "conversions >= 20.0 && (ctct_under_10s_share > 0.3 || return_share * 2.0 > conversion_share_usual) && !linked"
            .to_owned(),
        reason: "it is measured".to_owned(),
        bands: Vec::new(),
        covers: Covers::Scheme,
        author: "nobody".to_owned(),
    })?;
    let start = Instant::now();
    let preview = engine.preview_rule("measured", now_ms)?;
    let each = start.elapsed().as_nanos() as f64 / preview.rows as f64 / 1_000.0;
    println!("a rule over a row: {each:.3} µs ({} rows)", preview.rows);

    time("a message of points", 1_000_000, |at| {
        let member = NonZeroU64::new(at % 100_000 + 1).unwrap_or(NonZeroU64::MIN);
        black_box(engine.points_mut().apply(&PointsEvent::Accrual {
            at_ms: at as i64 * 50,
            member,
            merchant: Merchant((at % 30) as u32),
            lane: NonZeroU64::new(at % 500 + 1),
            device: NonZeroU64::new(at % 100_000 + 7),
            in_person: true,
            points: (at * 37 % 1_000) as i64,
            limit: Some(1_000),
        }));
    });
    Ok(())
}
