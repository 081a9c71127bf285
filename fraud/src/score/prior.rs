//! What is suspicious before anybody labelled a row: general knowledge of which way a feature points, and how far out a row is.
//!
//! The knowledge is the field's: the same visitor's clicks repeated within moments are the strongest single sign of forged
//! traffic, and their mean per entity is steadier than their deviation (Oentaryo et al., Detecting click fraud in online
//! advertising, JMLR 15, 2014, section 3.3). A column counts as such by words in its name. Where no column does, a row is as
//! suspicious as it is unusual in either direction. A feature's distance is in robust deviations (median, median absolute
//! deviation), logarithmic, so that no single feature decides.

/// Words in the name of a column that measures repetition within moments.
const REPEATED: [&str; 5] = ["spiky", "dup", "burst", "repeat", "rapid"];
/// Words of a column that measures how a thing varies, not how much of it there is.
const VARIATION: [&str; 4] = ["std", "stddev", "var", "deviation"];

/// One feature's place in the prior.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
struct Gauge {
    feature: usize,
    middle: f64,
    spread: f64,
    both_ways: bool,
}

impl Gauge {
    fn distance(&self, row: &[f32]) -> f64 {
        let Some(value) = row.get(self.feature).filter(|v| !v.is_nan()) else {
            return 0.0;
        };
        let z = (f64::from(*value) - self.middle) / self.spread;
        let z = if self.both_ways { z.abs() } else { z.max(0.0) };
        libm::log1p(z)
    }
}

/// The unsupervised score.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct Prior {
    gauges: Vec<Gauge>,
    mean: f64,
    deviation: f64,
}

impl Prior {
    /// Gauges the columns on these rows.
    pub(super) fn fit(columns: &[String], rows: &[&[f32]]) -> Self {
        let named: Vec<usize> = columns
            .iter()
            .enumerate()
            .filter(|(_, name)| measures_repetition(name))
            .map(|(at, _)| at)
            .collect();
        let both_ways = named.is_empty();
        let chosen: Vec<usize> = if both_ways {
            (0..columns.len()).collect()
        } else {
            named
        };
        let gauges = chosen
            .into_iter()
            .filter_map(|feature| gauge(feature, both_ways, rows))
            .collect();
        let mut prior = Self {
            gauges,
            mean: 0.0,
            deviation: 1.0,
        };
        let raw: Vec<f64> = rows.iter().map(|row| prior.value(row)).collect();
        let count = raw.len().max(1) as f64;
        let mean = raw.iter().sum::<f64>() / count;
        let variance = raw.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count;
        prior.mean = mean;
        if variance > 0.0 {
            prior.deviation = libm::sqrt(variance);
        }
        prior
    }

    /// The score, in standard deviations of the rows it was gauged on.
    pub(super) fn value(&self, row: &[f32]) -> f64 {
        let count = self.gauges.len().max(1) as f64;
        let raw = self.gauges.iter().map(|g| g.distance(row)).sum::<f64>() / count;
        (raw - self.mean) / self.deviation
    }

    /// Adds what each feature adds to `scale` times the score; returns what is there without any.
    pub(super) fn explain(&self, row: &[f32], scale: f64, into: &mut [f64]) -> f64 {
        let count = self.gauges.len().max(1) as f64;
        for gauge in &self.gauges {
            if let Some(slot) = into.get_mut(gauge.feature) {
                *slot += scale * gauge.distance(row) / count / self.deviation;
            }
        }
        -scale * self.mean / self.deviation
    }
}

fn measures_repetition(name: &str) -> bool {
    let name = name.to_lowercase();
    REPEATED.iter().any(|word| name.contains(word))
        && !name
            .split(|c: char| !c.is_alphanumeric())
            .any(|part| VARIATION.contains(&part))
}

/// `None` where the column is the same in every row.
fn gauge(feature: usize, both_ways: bool, rows: &[&[f32]]) -> Option<Gauge> {
    let mut values: Vec<f64> = rows
        .iter()
        .filter_map(|row| row.get(feature))
        .filter(|v| !v.is_nan())
        .map(|v| f64::from(*v))
        .collect();
    let middle = median(&mut values)?;
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let square = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count;
    let mut away: Vec<f64> = values.iter().map(|v| (v - middle).abs()).collect();
    // 1.4826: the ratio of a normal distribution's deviation to its median absolute one.
    let robust = 1.4826 * median(&mut away)?;
    let spread = if robust > 1e-9 {
        robust
    } else {
        libm::sqrt(square)
    };
    (spread > 1e-9).then_some(Gauge {
        feature,
        middle,
        spread,
        both_ways,
    })
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values.get((values.len() - 1) / 2)?;
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_repetition_are_known_by_words_and_their_deviations_are_not_among_them() {
        for yes in [
            "avg_spiky_agent",
            "night_avg_spiky_ReAgCn",
            "duplicates",
            "Burst",
        ] {
            assert!(measures_repetition(yes), "{yes}");
        }
        for no in [
            "std_spiky_agent",
            "night_std_spiky_x",
            "total_clicks",
            "var_dup",
        ] {
            assert!(!measures_repetition(no), "{no}");
        }
    }

    #[test]
    fn without_a_known_column_a_row_is_as_suspicious_as_it_is_unusual() {
        let rows: Vec<[f32; 2]> = (0..100)
            .map(|i| [(i % 10) as f32, (i % 7) as f32])
            .collect();
        let rows: Vec<&[f32]> = rows.iter().map(|r| r.as_slice()).collect();
        let prior = Prior::fit(&["a".to_owned(), "b".to_owned()], &rows);
        assert!(prior.value(&[90.0, 3.0]) > prior.value(&[5.0, 3.0]));
        assert!(prior.value(&[-90.0, 3.0]) > prior.value(&[5.0, 3.0]));
        let mut parts = [0.0; 2];
        let base = prior.explain(&[90.0, 1.0], 2.0, &mut parts);
        assert!((base + parts[0] + parts[1] - 2.0 * prior.value(&[90.0, 1.0])).abs() < 1e-9);
    }
}
