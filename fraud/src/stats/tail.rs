//! Tails of distributions, by `libm` so that they are the same everywhere.

/// The probability that a standard normal variable is above `z`.
#[must_use]
pub fn normal_upper(z: f64) -> f64 {
    0.5 * libm::erfc(z / std::f64::consts::SQRT_2)
}

/// The p-value of several independent ones together (Fisher's method): -2 sum ln p is chi-squared with 2k degrees, whose upper
/// tail has a closed form. 1 for none.
#[must_use]
pub fn fisher(p_values: &[f64]) -> f64 {
    let half: f64 = p_values
        .iter()
        .map(|p| -libm::log(p.clamp(1e-300, 1.0)))
        .sum();
    let mut term = 1.0;
    let mut sum = 0.0;
    for k in 0..p_values.len() {
        if k > 0 {
            term *= half / k as f64;
        }
        sum += term;
    }
    if p_values.is_empty() {
        1.0
    } else {
        (libm::exp(-half) * sum).min(1.0)
    }
}

/// ln of the beta-binomial probability of `k` in `n` with mean `share` and correlation `rho`.
pub(super) fn ln_beta_binomial(k: f64, n: f64, share: f64, rho: f64) -> f64 {
    let choose = libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0);
    let (a, b) = beta(share, rho);
    choose + ln_beta(k + a, n - k + b) - ln_beta(a, b)
}

/// The probability of `k` or more.
pub(super) fn beta_binomial_upper(k: f64, n: f64, share: f64, rho: f64) -> f64 {
    let (a, b) = beta(share, rho);
    let mut term = 1.0;
    let mut sum = 1.0;
    let mut i = k;
    while i < n {
        term *= (n - i) / (i + 1.0) * (i + a) / (n - i - 1.0 + b);
        sum += term;
        i += 1.0;
        if term < sum * 1e-9 {
            break;
        }
    }
    (libm::exp(ln_beta_binomial(k, n, share, rho)) * sum).min(1.0)
}

/// The probability of `k` or fewer.
pub(super) fn beta_binomial_lower(k: f64, n: f64, share: f64, rho: f64) -> f64 {
    beta_binomial_upper(n - k, n, 1.0 - share, rho)
}

fn beta(share: f64, rho: f64) -> (f64, f64) {
    let weight = (1.0 - rho) / rho;
    (share * weight, (1.0 - share) * weight)
}

fn ln_beta(a: f64, b: f64) -> f64 {
    libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beta_binomial_adds_up_and_is_the_binomial_without_correlation() {
        for rho in [1e-6, 0.01, 0.3] {
            let all: f64 = (0..=40)
                .map(|k| libm::exp(ln_beta_binomial(f64::from(k), 40.0, 0.2, rho)))
                .sum();
            assert!((all - 1.0).abs() < 1e-6, "{rho}: {all}");
            let upper = beta_binomial_upper(11.0, 40.0, 0.2, rho);
            let lower = beta_binomial_lower(10.0, 40.0, 0.2, rho);
            assert!((upper + lower - 1.0).abs() < 1e-6, "{rho}");
        }
        // P(X >= 16), X ~ Bin(40, 0.2), from tables.
        assert!((beta_binomial_upper(16.0, 40.0, 0.2, 1e-7) - 0.002_936).abs() < 1e-4);
    }

    #[test]
    fn fisher_of_one_is_itself_and_of_several_small_ones_is_smaller() {
        assert!((fisher(&[0.03]) - 0.03).abs() < 1e-12);
        assert!((fisher(&[]) - 1.0).abs() < 1e-12);
        // chi-squared of 4 degrees at 2 * 2 * ln 20.
        assert!((fisher(&[0.05, 0.05]) - 0.017_479).abs() < 1e-5);
        assert!((normal_upper(1.959_964) - 0.025).abs() < 1e-6);
    }
}
