//! What holds for whatever is expected and reported.

use hansa_bank::{Direction, Expected, MatchKind, MatchedBy, match_report};
use hansa_money::Currency;
use proptest::prelude::*;

use super::{A, F, T, owed, pay, statement};

fn any_expected() -> impl Strategy<Value = Vec<Expected>> {
    let accounts = prop::sample::select(vec![A, T, F]);
    prop::collection::vec((accounts, 1_i64..6, any::<bool>(), any::<bool>()), 0..8).prop_map(
        |all| {
            let numbered = all.into_iter().enumerate();
            numbered
                .map(|(number, (account, amount, out, before))| Expected {
                    settled: before,
                    ..if out {
                        pay(&number.to_string(), amount, account)
                    } else {
                        owed(&number.to_string(), amount, account)
                    }
                })
                .collect()
        },
    )
}

type Entry = (i64, Option<usize>, &'static str, bool);

fn any_entries() -> impl Strategy<Value = Vec<Entry>> {
    let accounts = prop::sample::select(vec![A, T, F, ""]);
    let amounts = (1_i64..9, any::<bool>()).prop_map(|(n, out)| if out { -n } else { n });
    prop::collection::vec(
        (
            amounts,
            prop::option::of(0_usize..8),
            accounts,
            any::<bool>(),
        ),
        0..8,
    )
}

proptest! {
    /// Whatever is expected and reported: nothing is used twice, every match adds up exactly, nothing is lost, and the order
    /// of the expectations does not matter.
    #[test]
    fn matches_add_up_and_use_everything_once(
        expected in any_expected(),
        entries in any_entries(),
        turn in any::<prop::sample::Index>(),
    ) {
        let rows: Vec<_> = entries
            .iter()
            .map(|(amount, id, account, returned)| {
                let id = id.map(|n| format!("HANSA-2026-03-{n}")).unwrap_or_default();
                (hansa_bank::decimal(*amount, Currency::EUR), id, *account, if *returned { "AC04" } else { "" })
            })
            .collect();
        let rows: Vec<_> = rows
            .iter()
            .map(|(amount, id, account, reason)| (amount.as_str(), id.as_str(), *account, "", *reason))
            .collect();
        let report = statement(&rows);
        let matching = match_report(&expected, &report);

        let mut used = vec![0; matching.items.len()];
        let mut paid = std::collections::BTreeMap::new();
        for found in &matching.matches {
            let of = |id: &String| expected.iter().find(|e| e.instruction_id == *id).unwrap();
            let wanted: i64 = found.instructions.iter().map(|id| of(id).amount_minor).sum();
            let items: i64 = found.items.iter().map(|at| matching.items[*at].amount_minor).sum();
            prop_assert_eq!(wanted, items.abs());
            for id in &found.instructions {
                let goes_out = of(id).direction == Direction::Out;
                prop_assert_eq!(goes_out, (items < 0) != found.returned.is_some());
                prop_assert!(found.returned.is_some() || !of(id).settled);
                *paid.entry((id.clone(), found.returned.is_some())).or_insert(0) += 1;
            }
            if found.by == MatchedBy::Sum {
                prop_assert!(found.kind != MatchKind::OneToOne);
            }
            for at in &found.items {
                used[*at] += 1;
            }
        }
        for open in &matching.unmatched_items {
            used[open.item] += 1;
        }
        prop_assert!(used.iter().all(|times| *times == 1), "{:?}", used);
        prop_assert!(paid.values().all(|times| *times == 1), "{:?}", paid);
        for wanted in expected.iter().filter(|e| !e.settled) {
            let is_open = matching.unmatched_expected.iter().any(|o| o.instruction_id == wanted.instruction_id);
            prop_assert_eq!(is_open, !paid.contains_key(&(wanted.instruction_id.clone(), false)));
        }

        let mut turned = expected.clone();
        if !turned.is_empty() {
            let middle = turn.index(turned.len());
            turned.rotate_left(middle);
        }
        prop_assert_eq!(match_report(&turned, &report), matching);
    }
}
