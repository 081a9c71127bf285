//! Links and touches as the wire shows them.

use chrono::DateTime;
use hansa_client::touch_id::TouchFlags;
use hansa_proto::v1;
use hansa_store::{LinkRow, StoredTouch, TouchCount};
use prost_types::Timestamp;

use crate::{convert::timestamp, registry::Registry, touches::Taken};

fn at_millis(at_ms: u64) -> Timestamp {
    timestamp(i64::try_from(at_ms).map_or(i64::MAX, |at| at.saturating_mul(1_000)))
}

/// A link.
pub(super) fn link(registry: &Registry, row: LinkRow) -> v1::TrackingLink {
    v1::TrackingLink {
        link_id: row.link,
        affiliate_id: registry.slug(row.affiliate).to_owned(),
        site: row.site,
        merchant_id: registry.slug(row.merchant).to_owned(),
        destination: row.destination,
        created_time: Some(timestamp(row.created_at)),
        ended_time: row.ended_at.map(timestamp),
    }
}

/// The flags by name, in the order of their bits.
fn flags(bits: u16) -> Vec<i32> {
    let flags = TouchFlags::from_bits(bits);
    let wire = [
        v1::TouchFlag::PaidClick,
        v1::TouchFlag::BannedReferrer,
        v1::TouchFlag::CouponSite,
        v1::TouchFlag::BrandBidding,
        v1::TouchFlag::NoReferrer,
        v1::TouchFlag::DataCentre,
    ];
    TouchFlags::NAMES
        .iter()
        .zip(wire)
        .filter(|((flag, _), _)| flags.contains(*flag))
        .map(|(_, wire)| wire.into())
        .collect()
}

/// A touch that was taken.
pub(super) fn taken(taken: Taken) -> v1::RecordedTouch {
    v1::RecordedTouch {
        touch_id: taken.row.id.to_vec(),
        click_id: taken.click_id.map_or_else(String::new, |id| id.encode()),
        refusal: taken.row.refused.into(),
        flags: flags(taken.row.flags),
    }
}

/// A touch as it stands. What an affiliate notes for itself is not for the merchant that its touch leads to.
pub(super) fn touch(registry: &Registry, touch: StoredTouch, inbound: bool) -> v1::Touch {
    let StoredTouch { row, invalid } = touch;
    let own = |text: String| if inbound { String::new() } else { text };
    let (invalid_reason, invalid_time) = match invalid {
        Some(invalid) => (invalid.reason, Some(at_millis(invalid.at_ms))),
        None => (String::new(), None),
    };
    v1::Touch {
        touch_id: row.id.to_vec(),
        kind: row.kind.into(),
        event_time: Some(at_millis(row.at_ms)),
        affiliate_id: registry.slug(row.affiliate).to_owned(),
        merchant_id: registry.slug(row.merchant).to_owned(),
        site: row.site,
        link_id: own(row.link),
        code: row.code,
        sub_id: own(row.sub_id),
        flags: flags(row.flags),
        refusal: row.refused.into(),
        referrer_host: row.referrer_host,
        invalid_reason,
        invalid_time,
    }
}

/// A number of touches.
pub(super) fn count(registry: &Registry, count: TouchCount) -> v1::TouchCount {
    let day = DateTime::from_timestamp(i64::from(count.day) * 86_400, 0);
    v1::TouchCount {
        affiliate_id: registry.slug(count.affiliate).to_owned(),
        merchant_id: registry.slug(count.merchant).to_owned(),
        day: day.map_or_else(String::new, |day| day.format("%Y-%m-%d").to_string()),
        kind: count.kind.into(),
        refusal: count.refused.into(),
        touches: count.touches,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_the_same_names_on_the_wire_and_in_the_click_id() {
        for (flag, name) in TouchFlags::NAMES {
            let shown = flags(flag.bits());
            let [one] = shown[..] else {
                panic!("{name} shows as {shown:?}");
            };
            let wire = v1::TouchFlag::try_from(one).unwrap().as_str_name();
            assert_eq!(wire, format!("TOUCH_FLAG_{name}"));
        }
        assert_eq!(flags(u16::MAX).len(), TouchFlags::NAMES.len());
        assert_eq!(flags(0), [0; 0]);
    }
}
