//! Waiting on a condition rather than for a time.

use std::time::Duration;

use tokio::time::Instant;

/// Ample for a busy machine; a test that waits this long has failed.
pub const DEADLINE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(10);

/// Waits until `condition` holds, at most [`DEADLINE`].
///
/// # Panics
/// When it does not come to hold; the message has `what` and the place of the call.
#[track_caller]
pub fn wait_until<C>(what: &str, condition: C) -> impl Future<Output = ()>
where
    C: AsyncFnMut() -> bool,
{
    wait_until_within(DEADLINE, what, condition)
}

/// Waits until `condition` holds, at most as long as it says.
///
/// # Panics
/// When it does not come to hold; the message has `what` and the place of the call.
#[track_caller]
pub fn wait_until_within<C>(
    deadline: Duration,
    what: &str,
    mut condition: C,
) -> impl Future<Output = ()>
where
    C: AsyncFnMut() -> bool,
{
    let caller = std::panic::Location::caller();
    async move {
        let until = Instant::now() + deadline;
        while !condition().await {
            assert!(
                Instant::now() < until,
                "waited {} s in vain at {caller}: {what}",
                deadline.as_secs()
            );
            tokio::time::sleep(POLL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_returns_when_the_condition_holds() {
        let mut looks = 0;
        wait_until("three looks", async || {
            looks += 1;
            looks == 3
        })
        .await;
        assert_eq!(looks, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "the moon to fall")]
    async fn it_says_what_was_awaited() {
        wait_until_within(Duration::ZERO, "the moon to fall", async || false).await;
    }
}
