//! The bucket of a member: a public, frozen hash, computed here and nowhere else.
//!
//! It distributes storage over shards and decides nothing. It is a column of every member-keyed table from the first
//! schema on, so that a distributed variant can shard by it without rewriting history.

/// The number of buckets, for ever.
pub const BUCKETS: u16 = 4096;

/// The bucket of a member, 0 to 4095.
///
/// Frozen: the finaliser of SplitMix64 over the member's number (wrapping arithmetic on 64 bits), of which the top twelve
/// bits are the bucket:
///
/// ```text
/// z = member + 0x9e3779b97f4a7c15
/// z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
/// z = (z ^ (z >> 27)) * 0x94d049bb133111eb
/// bucket = (z ^ (z >> 31)) >> 52
/// ```
#[must_use]
pub const fn bucket_of(member: u64) -> u16 {
    let z = member.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 52) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_frozen() {
        // SplitMix64 seeded with 0 answers 0xe220a8397b1dcdaf first: the published test vector.
        assert_eq!(bucket_of(0), 0xe22);
        let known: Vec<u16> = [1, 2, 3, 1_000_000, u64::MAX]
            .into_iter()
            .map(bucket_of)
            .collect();
        assert_eq!(known, [2320, 2421, 464, 1664, 3661]);
    }

    #[test]
    fn a_million_members_fill_the_buckets_evenly() {
        let mut counts = vec![0u32; usize::from(BUCKETS)];
        for member in 1..=1_000_000 {
            counts[usize::from(bucket_of(member))] += 1;
        }
        // 244 expected, standard deviation 15.6.
        assert!(counts.iter().all(|&n| (150..350).contains(&n)));
    }
}
