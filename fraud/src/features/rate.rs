//! Events per minute, hour and day that fade: each event adds one, what is there halves per half-life. Powers of two come from
//! a table, so an update costs no transcendental function and gives the same bits everywhere.

/// Half-lives of the three rates, in milliseconds: a minute, an hour, a day.
pub const HALF_LIVES_MS: [i64; 3] = [60_000, 3_600_000, 86_400_000];

/// 2^(-i/32), i = 0..32.
const FRACTIONS: [f32; 32] = [
    1.0,
    0.978_572_1,
    0.957_603_3,
    0.937_083_8,
    0.917_004,
    0.897_354_8,
    0.878_126_1,
    0.859_309_7,
    0.840_896_4,
    0.822_877_5,
    0.805_245_2,
    0.787_990_4,
    0.771_105_4,
    0.754_582_2,
    0.738_413_1,
    0.722_590_6,
    std::f32::consts::FRAC_1_SQRT_2,
    0.691_954_9,
    0.677_127_8,
    0.662_618_4,
    0.648_419_8,
    0.634_525_4,
    0.620_928_9,
    0.607_623_8,
    0.594_603_6,
    0.581_862_9,
    0.569_394_6,
    0.557_193_7,
    0.545_253_9,
    0.533_570_2,
    0.522_136_9,
    0.510_948_6,
];

/// What is left of one after this time.
#[inline]
pub(super) fn left(elapsed_ms: i64, half_life_ms: i64) -> f32 {
    let steps = elapsed_ms.max(0).saturating_mul(32) / half_life_ms;
    let halvings = steps / 32;
    if halvings >= 30 {
        return 0.0;
    }
    // Two to the power of minus `halvings`.
    FRACTIONS[(steps % 32) as usize] * f32::from_bits((127 - halvings as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_per_half_life_and_ends_at_nothing() {
        assert!((left(0, 60_000) - 1.0).abs() < 1e-6);
        assert!((left(60_000, 60_000) - 0.5).abs() < 1e-6);
        assert!((left(90_000, 60_000) - 0.353_553).abs() < 1e-5);
        assert!(left(60_000 * 40, 60_000).abs() < 1e-9);
        assert!((left(-5, 60_000) - 1.0).abs() < 1e-6);
    }
}
