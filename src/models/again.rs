//! Further attempts after failures that pass: a lost connection, a busy hub.

use std::time::Duration;

use super::client::seconds;
use super::{Hub, HubError};

/// Largest number of attempts.
const ATTEMPTS: usize = 4;

/// Default pause before the second attempt; later ones are longer.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// A hub that wants a longer pause is left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// A request that failed.
pub(super) enum Failure {
    /// Another attempt would fail too.
    Lasting(HubError),
    /// Another attempt may succeed.
    Passing {
        /// The error if it does not.
        error: HubError,
        /// The problem in a few words.
        reason: String,
        /// The pause that the hub asked for.
        pause: Option<Duration>,
    },
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        Self::Lasting(error)
    }
}

/// Calls `attempt` until it succeeds, with growing pauses, a few times at most.
///
/// # Errors
/// The first lasting error, or the last one; or `AACLIP_RETRY_PAUSE` is not a time.
pub(super) fn again<T>(
    hub: &Hub,
    file: &str,
    mut attempt: impl FnMut() -> Result<T, Failure>,
) -> Result<T, HubError> {
    let mut growing = seconds("AACLIP_RETRY_PAUSE")?.unwrap_or(FIRST_PAUSE);
    for attempts in 1.. {
        let (error, reason, pause) = match attempt() {
            Ok(value) => return Ok(value),
            Err(Failure::Lasting(error)) => return Err(error),
            Err(Failure::Passing { error, reason, pause }) => (error, reason, pause),
        };
        let pause = pause.unwrap_or(growing);
        growing *= 2;
        if attempts == ATTEMPTS || pause > LONGEST_PAUSE {
            return Err(match error {
                HubError::Broken { url, reason, .. } => HubError::Broken { url, attempts, reason },
                other => other,
            });
        }
        hub.notice(&format!("{file}: {reason}; trying again in {} s", pause.as_secs_f64()));
        std::thread::sleep(pause);
    }
    unreachable!("the loop ends by itself")
}
