//! A cycle costs what happens in it: nothing of earlier cycles is read, written or kept, however many there were.

use hansa_auditor::{Auditor, Bounds, Stop};
use hansa_proto::v1;

use super::{
    forge::{Forge, Shelf},
    shop::Shop,
};

/// What the auditing of one cycle took.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Cost {
    entries: usize,
    members_read: usize,
    earlier_entries_read: usize,
    members_saved: usize,
    bytes_saved: usize,
    state: usize,
}

/// Audits each cycle by an auditor that begins at the certificate before.
fn costs(forge: &Forge) -> Vec<Cost> {
    let bounds = Bounds {
        members: 4,
        ids: 100,
    };
    let mut shelf = Shelf::of(&forge.entries);
    let mut auditor = Auditor::new(bounds);
    let (mut costs, mut cost) = (Vec::new(), Cost::default());
    for entry in &forge.entries {
        cost.entries += 1;
        let certificate = match auditor.audit(entry, &mut shelf) {
            Ok(certificate) => certificate,
            Err(Stop::Finding(finding)) => panic!("{finding}"),
            Err(other) => panic!("{other}"),
        };
        if certificate.is_none() {
            continue;
        }
        let save = auditor.save();
        cost.members_saved = save.members.len();
        cost.bytes_saved = save.members.iter().map(|(_, bytes)| bytes.len()).sum();
        let state = shelf.keep(save);
        cost.state = state.len();
        cost.members_read = std::mem::take(&mut shelf.asked);
        cost.earlier_entries_read = std::mem::take(&mut shelf.read);
        costs.push(std::mem::take(&mut cost));
        auditor = Auditor::resume(&state, bounds).unwrap();
    }
    costs
}

#[test]
fn the_hundredth_cycle_costs_no_more_than_the_third() {
    let contract = v1::Contract {
        return_days: 1,
        max_late_seconds: 86_400,
        ..v1::Contract::default()
    };
    let mut shop = Shop::new(contract, v1::NegativeBalancePolicy::Debt);
    for _ in 0..100 {
        let bought = shop.buy(10_000_000);
        for _ in 0..5 {
            shop.buy(1_000_000);
        }
        shop.returns(&bought, 1_000_000);
        shop.spends(14);
        shop.wait(10);
        shop.close();
    }
    let costs = costs(&shop.forge);
    assert_eq!(costs.len(), 100);
    let (early, late) = (costs[2], costs[99]);
    eprintln!("cycle 3: {early:?}\ncycle 100: {late:?}");
    assert_eq!(early.earlier_entries_read + late.earlier_entries_read, 0);
    assert_eq!(
        (early.entries, early.members_read, early.members_saved),
        (late.entries, late.members_read, late.members_saved)
    );
    // Numbers grow: points of the member, places in the log.
    assert!(late.bytes_saved < early.bytes_saved * 2, "{late:?}");
    // A closed cycle that is not settled is a net of each merchant, a digest, and its place.
    let grown = (late.state - early.state) / 97;
    assert!(grown < 64, "{grown} bytes a cycle");
}
