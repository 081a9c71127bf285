//! Many tests at once. Benjamini and Hochberg, 1995.

/// The largest p-value that may be taken as a discovery when, of all discoveries, at most a share `q` shall be false; 0 when
/// none may. `tests` counts those whose p-value is not listed because it is large.
#[must_use]
pub fn benjamini_hochberg(p_values: &[f64], tests: usize, q: f64) -> f64 {
    let mut sorted = p_values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let tests = tests.max(sorted.len()) as f64;
    sorted
        .iter()
        .enumerate()
        .rev()
        .find(|(rank, p)| **p <= q * (rank + 1) as f64 / tests)
        .map_or(0.0, |(_, p)| *p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_paper() {
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
            0.5719, 0.6528, 0.7590, 1.0,
        ];
        assert!((benjamini_hochberg(&p, 15, 0.05) - 0.0095).abs() < 1e-12);
        assert!((benjamini_hochberg(&p, 15_000, 0.05)).abs() < 1e-12);
        assert!((benjamini_hochberg(&[], 0, 0.05)).abs() < 1e-12);
    }
}
