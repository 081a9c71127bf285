use super::*;
use crate::verdict::Band;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn points() -> Points {
    Points::new(PointsLimits::default(), PointsRules::default())
}

fn id(of: u64) -> NonZeroU64 {
    NonZeroU64::new(of + 1).expect("not 0")
}

/// A receipt of half the limit at a till of the merchant.
fn accrual(at_ms: i64, member: u64, merchant: u32) -> PointsEvent {
    PointsEvent::Accrual {
        at_ms,
        member: id(member),
        merchant: Merchant(merchant),
        lane: NonZeroU64::new(u64::from(merchant) * 10 + 1),
        device: None,
        in_person: true,
        points: 500,
        limit: Some(1_000),
    }
}

fn with(event: PointsEvent, change: impl Fn(&mut Token, &mut Token, &mut i64)) -> PointsEvent {
    let mut event = event;
    if let PointsEvent::Accrual {
        lane,
        device,
        points,
        ..
    } = &mut event
    {
        change(lane, device, points);
    }
    event
}

fn redemption(at_ms: i64, member: u64, points: i64) -> PointsEvent {
    PointsEvent::Redemption {
        at_ms,
        member: id(member),
        merchant: Merchant(1),
        points,
    }
}

fn back(at_ms: i64, member: u64) -> PointsEvent {
    PointsEvent::Return {
        at_ms,
        member: id(member),
        merchant: Merchant(1),
    }
}

fn signals(verdict: &PointsVerdict) -> Vec<PointsSignal> {
    verdict.evidence.iter().map(|of| of.signal).collect()
}

/// 200 members who buy every other day, one receipt in fifty just under the limit.
fn honest(points: &mut Points, days: i64) -> u32 {
    let mut odd = 0;
    for day in 0..days {
        for member in (0..200).filter(|member| (member + day as u64).is_multiple_of(2)) {
            let at_ms = day * DAY + (member as i64 * 431 % 720) * MINUTE;
            let merchant = (member % 3) as u32;
            let event = with(accrual(at_ms, member, merchant), |_, _, points| {
                if (member + day as u64 * 7).is_multiple_of(50) {
                    *points = 950;
                }
            });
            odd += u32::from(points.apply(&event).action != Action::Accept);
        }
    }
    odd
}

#[test]
fn members_who_shop_are_not_bothered() {
    let mut points = points();
    assert_eq!(honest(&mut points, 60), 0);
    assert_eq!(points.remembered(), [200, 3, 0]);
    let first = accrual(61 * DAY, 1, 0);
    assert_eq!(points.apply(&first).band, Band::Clear);
}

#[test]
fn receipts_just_under_the_limit_are_farming_where_others_have_few() {
    let mut points = points();
    honest(&mut points, 20);
    let mut verdicts = Vec::new();
    for at in 0..8 {
        let event = with(accrual((20 + at) * DAY, 900, 1), |_, _, points| {
            *points = 980;
        });
        verdicts.push(points.apply(&event));
    }
    assert_eq!(verdicts[4].band, Band::Clear, "five receipts say nothing");
    let last = &verdicts[7];
    assert!(signals(last).contains(&PointsSignal::NearLimit));
    assert_eq!(last.action, Action::Quarantine);
    let words = last.evidence[0].to_string();
    assert!(
        words.contains("8 of the member's 8 receipts are just under the limit"),
        "{words}"
    );
}

#[test]
fn a_till_at_which_many_members_are_just_under_the_limit_is_told_from_its_neighbours() {
    let mut points = points();
    honest(&mut points, 30);
    let mut last = PointsVerdict::accept();
    for at in 0..14_u64 {
        let event = with(
            accrual(31 * DAY + at as i64 * HOUR, 1_000 + at, 1),
            |lane, _, points| {
                *lane = NonZeroU64::new(77);
                *points = 999;
            },
        );
        last = points.apply(&event);
    }
    assert_eq!(signals(&last), [PointsSignal::TillNearLimit]);
    assert_eq!(last.action, Action::Quarantine);
    let fine = points.apply(&accrual(32 * DAY, 2_000, 1));
    assert_eq!(fine.band, Band::Clear, "other receipts go on");
}

#[test]
fn nobody_is_at_five_merchants_within_ten_minutes() {
    let mut points = points();
    let actions: Vec<Action> = (0..5)
        .map(|merchant| {
            let event = accrual(i64::from(merchant) * 2 * MINUTE, 1, merchant);
            points.apply(&event).action
        })
        .collect();
    assert_eq!(actions[..3], [Action::Accept; 3]);
    assert_eq!(actions[3..], [Action::Flag, Action::Quarantine]);
    // Over the net one may be.
    let mut net = Points::new(PointsLimits::default(), PointsRules::default());
    for merchant in 0..5 {
        let mut event = accrual(i64::from(merchant) * 2 * MINUTE, 1, merchant);
        if let PointsEvent::Accrual { in_person, .. } = &mut event {
            *in_person = false;
        }
        assert_eq!(net.apply(&event).action, Action::Accept);
    }
}

#[test]
fn a_card_that_is_swiped_for_others_at_one_till_shows_by_speed_and_till() {
    let mut points = points();
    let verdicts: Vec<PointsVerdict> = (0..16)
        .map(|at| points.apply(&accrual(at * 8 * MINUTE, 1, 1)))
        .collect();
    assert_eq!(verdicts[3].band, Band::Clear);
    assert_eq!(verdicts[4].band, Band::Watch);
    assert_eq!(verdicts[8].action, Action::Flag);
    assert_eq!(verdicts[15].action, Action::Quarantine);
    assert_eq!(signals(&verdicts[15])[0], PointsSignal::SameTill);
    let fast: Vec<Action> = (0..6)
        .map(|at| points.apply(&accrual(10 * DAY + at * 5_000, 2, 1)).action)
        .collect();
    assert_eq!(
        fast[2..6],
        [
            Action::Accept,
            Action::Flag,
            Action::Flag,
            Action::Quarantine
        ]
    );
}

#[test]
fn one_telephone_with_the_cards_of_many_is_seen_and_a_new_fortnight_forgets() {
    let mut points = points();
    let mut show = |at_ms: i64, member: u64| {
        let event = with(accrual(at_ms, member, 1), |_, device, _| {
            *device = NonZeroU64::new(5);
        });
        points.apply(&event)
    };
    let family: Vec<Band> = (0..3).map(|at| show(at as i64 * HOUR, at).band).collect();
    assert_eq!(family, [Band::Clear; 3]);
    let mut last = PointsVerdict::accept();
    for member in 3..14 {
        last = show(DAY + member as i64 * HOUR, member);
    }
    assert_eq!(signals(&last), [PointsSignal::DeviceMembers]);
    assert_eq!(last.action, Action::Quarantine);
    assert_eq!(show(30 * DAY, 1).band, Band::Clear);
}

#[test]
fn burning_most_of_the_balance_behind_a_link_flags_the_redemption_and_never_stops_it() {
    let link = |at_ms, balance| PointsEvent::Link {
        at_ms,
        member: id(1),
        balance,
    };
    let mut points = points();
    assert_eq!(points.apply(&redemption(0, 1, 900)).band, Band::Clear);
    points.apply(&link(DAY, 1_000));
    assert_eq!(
        points.apply(&redemption(DAY + HOUR, 1, 400)).band,
        Band::Clear
    );
    let most = points.apply(&redemption(DAY + 2 * HOUR, 1, 400));
    assert_eq!(
        (most.action, signals(&most)),
        (Action::Flag, vec![PointsSignal::BurnAfterLink])
    );
    let all = points.apply(&redemption(DAY + 3 * HOUR, 1, 200));
    assert_eq!((all.band, all.action), (Band::Hold, Action::Flag));
    assert!(
        all.evidence[0]
            .to_string()
            .starts_with("100 % of the balance")
    );
    points.apply(&link(10 * DAY, 1_000));
    let later = points.apply(&redemption(12 * DAY, 1, 1_000));
    assert_eq!(later.band, Band::Clear, "days later it is a purchase");
    points.apply(&link(20 * DAY, 0));
    assert_eq!(points.apply(&redemption(20 * DAY, 1, 10)).band, Band::Clear);
}

#[test]
fn returning_right_after_burning_is_seen_again_and_again() {
    let mut points = points();
    let mut bands = Vec::new();
    for turn in 0..4 {
        points.apply(&redemption(turn * DAY, 1, 100));
        bands.push(points.apply(&back(turn * DAY + HOUR, 1)).band);
        let second = points.apply(&back(turn * DAY + 2 * HOUR, 1));
        assert_eq!(
            second.band,
            Band::Clear,
            "one return for one time of burning"
        );
    }
    assert_eq!(bands, [Band::Watch, Band::Flag, Band::Flag, Band::Hold]);
    assert_eq!(
        points.apply(&redemption(4 * DAY, 1, 100)).action,
        Action::Flag
    );
    assert_eq!(points.apply(&back(90 * DAY, 1)).band, Band::Clear);
}

#[test]
fn the_memory_is_bounded_and_saved_and_read_it_judges_alike() {
    let limits = PointsLimits {
        members: 64,
        lanes: 8,
        devices: 8,
    };
    let mut points = Points::new(limits, PointsRules::default());
    for member in 0..5_000 {
        let event = with(accrual(member as i64, member, 1), |lane, device, _| {
            *lane = NonZeroU64::new(member + 1);
            *device = NonZeroU64::new(member + 1);
        });
        points.apply(&event);
    }
    assert_eq!(points.remembered(), [64, 8, 8]);
    let saved = postcard::to_stdvec(&points).expect("it is written");
    let mut read: Points = postcard::from_bytes(&saved).expect("it is read");
    for at in 0..20 {
        let event = accrual(5_000 + at * 20_000, 4_999, 1);
        assert_eq!(points.apply(&event), read.apply(&event));
    }
    assert_eq!(points, read);
}

#[test]
fn another_version_of_the_rules_moves_the_bands() {
    let mut points = points();
    points.set_rules(PointsRules {
        version: 2,
        merchants: Steps {
            watch: 1,
            flag: 1,
            hold: 2,
        },
        ..PointsRules::default()
    });
    assert_eq!(points.apply(&accrual(0, 1, 1)).action, Action::Flag);
    assert_eq!(points.apply(&accrual(1, 1, 2)).action, Action::Quarantine);
}
