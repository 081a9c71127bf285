//! Medians, what is odd among its like, and how spread a histogram is.

/// The median; 0 of nothing. Reorders.
#[must_use]
pub fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Robust z of each value among those of about the same volume: distance from the median in units of 1.4826 MAD, by tenths of
/// the volume. `floor` is the smallest unit, for populations that hardly differ.
#[must_use]
pub fn by_volume(values: &[f64], volumes: &[f64], floor: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len().min(volumes.len())).collect();
    order.sort_by(|a, b| volumes[*a].total_cmp(&volumes[*b]).then(a.cmp(b)));
    let mut z = vec![0.0; values.len()];
    let size = order.len().div_ceil(10).max(1);
    for decile in order.chunks(size) {
        let mut peers: Vec<f64> = decile.iter().map(|i| values[*i]).collect();
        let center = median(&mut peers);
        let mut away: Vec<f64> = peers.iter().map(|value| (value - center).abs()).collect();
        let unit = (1.482_6 * median(&mut away)).max(floor);
        for i in decile {
            z[*i] = (values[*i] - center) / unit;
        }
    }
    z
}

/// Entropy of a histogram in bits, with the correction of Miller and Madow for few counts.
#[must_use]
pub fn entropy(counts: &[u16]) -> f64 {
    let total: f64 = counts.iter().map(|count| f64::from(*count)).sum();
    if total <= 0.0 {
        return 0.0;
    }
    let used = counts.iter().filter(|count| **count > 0).count() as f64;
    let plain: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / total;
            -share * libm::log2(share)
        })
        .sum();
    plain + (used - 1.0) / (2.0 * total * std::f64::consts::LN_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_odd_among_its_like_stands_out() {
        let volumes: Vec<f64> = (0..100).map(f64::from).collect();
        let mut values: Vec<f64> = volumes
            .iter()
            .map(|v| v + f64::from(*v as u8 % 3))
            .collect();
        values[55] += 40.0;
        let z = by_volume(&values, &volumes, 0.1);
        let largest = (0..100).max_by(|a, b| z[*a].total_cmp(&z[*b]));
        assert_eq!(largest, Some(55));
        assert!(z[55] > 5.0);
    }

    #[test]
    fn entropy_is_the_logarithm_of_equal_cells() {
        assert!((entropy(&[10_000; 8]) - 3.0).abs() < 1e-3);
        assert!(entropy(&[500, 0, 0]).abs() < 1e-12);
        assert!(entropy(&[]).abs() < 1e-12);
    }
}
