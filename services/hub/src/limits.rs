//! Limits of one merchant, so that none can starve the others: batches under way, and messages per second.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{HubError, Reason};

/// What every merchant gets.
#[derive(Debug, Clone)]
pub struct LimitOptions {
    /// Batches under way at once.
    pub concurrent_batches: usize,
    /// Messages per second on average; 0 = no limit.
    pub messages_per_second: u32,
    /// Messages that may come at once beyond the average.
    pub burst_messages: u32,
}

impl Default for LimitOptions {
    fn default() -> Self {
        Self {
            concurrent_batches: 256,
            messages_per_second: 0,
            burst_messages: 100_000,
        }
    }
}

/// Keeps count.
#[derive(Debug)]
pub struct Limits {
    options: LimitOptions,
    merchants: Mutex<HashMap<String, Standing>>,
}

#[derive(Debug)]
struct Standing {
    under_way: Arc<Semaphore>,
    /// Micro-messages that may be spent now.
    budget: i128,
    filled_at: Instant,
}

/// Held while a batch is under way.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Limits {
    /// Limits for every merchant.
    pub fn new(options: LimitOptions) -> Self {
        Self {
            options,
            merchants: Mutex::default(),
        }
    }

    fn with<T>(&self, merchant: &str, act: impl FnOnce(&mut Standing) -> T) -> T {
        let mut merchants = self
            .merchants
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(standing) = merchants.get_mut(merchant) {
            return act(standing);
        }
        act(merchants
            .entry(merchant.to_owned())
            .or_insert_with(|| Standing {
                under_way: Arc::new(Semaphore::new(self.options.concurrent_batches)),
                budget: i128::from(self.options.burst_messages) * 1_000_000,
                filled_at: Instant::now(),
            }))
    }

    /// A place for a batch, or a refusal.
    pub fn admit(&self, merchant: &str) -> Result<Permit, HubError> {
        let permit = self.with(merchant, |standing| {
            Arc::clone(&standing.under_way).try_acquire_owned()
        });
        permit.map(Permit).map_err(|_| {
            let message = format!(
                "{} batches of this merchant are under way; wait for answers, then send the same bytes again",
                self.options.concurrent_batches
            );
            limited(message, Duration::from_millis(100))
        })
    }

    /// Spends messages of the merchant's rate, or refuses.
    pub fn spend(&self, merchant: &str, messages: usize) -> Result<(), HubError> {
        let rate = i128::from(self.options.messages_per_second);
        if rate == 0 {
            return Ok(());
        }
        let cost = messages as i128 * 1_000_000;
        let burst = i128::from(self.options.burst_messages) * 1_000_000;
        let missing = self.with(merchant, |standing| {
            let elapsed =
                i128::try_from(standing.filled_at.elapsed().as_micros()).unwrap_or(i128::MAX);
            standing.budget =
                burst.min(standing.budget.saturating_add(elapsed.saturating_mul(rate)));
            standing.filled_at = Instant::now();
            let missing = cost - standing.budget;
            if missing <= 0 {
                standing.budget -= cost;
            }
            missing
        });
        if missing <= 0 {
            return Ok(());
        }
        if cost > burst {
            let message = format!(
                "a batch of {messages} messages is beyond this merchant's burst; send smaller batches"
            );
            // No wait helps, so this must not look like a limit that passes.
            return Err(HubError::new(Reason::BatchTooLarge, message));
        }
        let wait = Duration::from_micros(u64::try_from(missing / rate).unwrap_or(u64::MAX));
        Err(limited(
            format!("more than {rate} messages per second; send the same bytes again later"),
            wait,
        ))
    }
}

fn limited(message: String, retry_after: Duration) -> HubError {
    HubError {
        retry_after: Some(retry_after),
        ..HubError::new(Reason::LimitExceeded, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_merchant_does_not_take_the_place_of_another() {
        let options = LimitOptions {
            concurrent_batches: 1,
            messages_per_second: 1,
            burst_messages: 10,
        };
        let limits = Limits::new(options);
        let permit = limits.admit("a");
        assert!(permit.is_ok());
        assert_eq!(
            limits.admit("a").err().map(|e| e.reason),
            Some(Reason::LimitExceeded)
        );
        assert!(limits.admit("b").is_ok());
        drop(permit);
        assert!(limits.admit("a").is_ok());
        assert!(limits.spend("a", 10).is_ok());
        let refused = limits.spend("a", 5).err();
        assert!(
            refused
                .and_then(|e| e.retry_after)
                .is_some_and(|wait| wait > Duration::from_secs(3))
        );
        assert!(limits.spend("b", 10).is_ok());
        let never = limits.spend("b", 11).err();
        assert_eq!(
            never.map(|e| (e.reason, e.reason.is_transient())),
            Some((Reason::BatchTooLarge, false))
        );
    }
}
