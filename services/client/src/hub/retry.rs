//! When and how often the same bytes are sent again.

use std::future::Future;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use tokio::time::{Instant, sleep, timeout};
use tonic::Status;

use super::error::CallError;
use crate::token::TokenSource;

/// When and how often a call is tried again after a transient failure: exponential delays with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How long one attempt may take. Also told to the hub as its deadline.
    pub attempt_timeout: Duration,
    /// First delay; each next one is twice as long. A random part of up to the same length is added.
    pub first_delay: Duration,
    /// Longest delay, its random part aside.
    pub max_delay: Duration,
    /// How long a call is tried in all; a stream, how long it is tried without any answer.
    pub give_up_after: Duration,
}

impl Default for RetryPolicy {
    /// 30 s for an attempt, delays of 50 ms to 2 s, 2 minutes in all.
    fn default() -> Self {
        Self {
            attempt_timeout: Duration::from_secs(30),
            first_delay: Duration::from_millis(50),
            max_delay: Duration::from_secs(2),
            give_up_after: Duration::from_secs(120),
        }
    }
}

impl RetryPolicy {
    /// One attempt, no more.
    #[must_use]
    pub fn never(attempt_timeout: Duration) -> Self {
        Self {
            attempt_timeout,
            give_up_after: Duration::ZERO,
            ..Self::default()
        }
    }

    /// The attempts of one call, or of a stream since its last answer.
    pub(super) fn attempts(&self) -> Attempts {
        let delays = ExponentialBuilder::new()
            .with_min_delay(self.first_delay)
            .with_max_delay(self.max_delay)
            .without_max_times()
            .with_jitter()
            .build();
        Attempts {
            policy: *self,
            began: Instant::now(),
            delays: Box::new(delays),
            renewed_token: false,
        }
    }

    /// Calls until it succeeds, fails for good, or the time is over.
    pub(super) async fn run<T, F>(
        &self,
        tokens: Option<&TokenSource>,
        mut call: impl FnMut(Duration) -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let mut attempts = self.attempts();
        loop {
            let limit = attempts.limit();
            let error = match timeout(limit, call(limit)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(status)) => CallError::from(status),
                Err(_) => CallError::timed_out(),
            };
            attempts.wait_after(error, tokens).await?;
        }
    }
}

/// Where a call stands.
pub(super) struct Attempts {
    policy: RetryPolicy,
    began: Instant,
    delays: Box<dyn Iterator<Item = Duration> + Send>,
    renewed_token: bool,
}

impl Attempts {
    /// How long the next attempt may take.
    fn limit(&self) -> Duration {
        let left = self
            .policy
            .give_up_after
            .saturating_sub(self.began.elapsed());
        if left.is_zero() {
            // The first attempt of a policy without retries.
            self.policy.attempt_timeout
        } else {
            left.min(self.policy.attempt_timeout)
        }
    }

    /// Waits until the next attempt is due, or returns the error where there is none.
    pub(super) async fn wait_after(
        &mut self,
        error: CallError,
        tokens: Option<&TokenSource>,
    ) -> Result<(), CallError> {
        // The hub's clock may have run ahead of a cached token, once.
        if let (Some(tokens), Some("TOKEN_EXPIRED"), false) =
            (tokens, error.reason.as_deref(), self.renewed_token)
        {
            self.renewed_token = true;
            tokens.forget();
            return Ok(());
        }
        if !error.is_transient() {
            return Err(error);
        }
        let delay = self.delays.next().unwrap_or(self.policy.max_delay);
        let delay = delay.max(error.retry_after.unwrap_or_default());
        if self.began.elapsed() + delay >= self.policy.give_up_after {
            return Err(error);
        }
        tracing::debug!(%error, ?delay, "trying again");
        sleep(delay).await;
        Ok(())
    }
}
