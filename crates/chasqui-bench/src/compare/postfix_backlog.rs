//! The same backlog in Postfix' deferred queue.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::Bench;
use super::deferred::{Cost, Effects, relay_fresh, share};
use super::report::Sample;
use crate::load::Burst;
use crate::place::free_address;
use crate::systems::{Onward, Postfix, PostfixPlan, System as _};

/// Whom the backlog is for, at a domain whose mail Postfix defers.
const RECIPIENT: &str = "jo@away.test";
const SIZE: usize = 4 << 10;
const SESSIONS: usize = 20;
const DEADLINE: Duration = Duration::from_secs(600);
const LOOK: Duration = Duration::from_millis(500);

/// Measures Postfix.
pub(super) struct PostfixBacklog;

impl PostfixBacklog {
    pub(super) async fn measure(bench: &Bench<'_>, messages: usize) -> Result<Effects> {
        let place = bench.place()?;
        let far_end = free_address()?;
        let plan = PostfixPlan {
            onward: Onward::To(far_end),
            with_dovecot: false,
        };
        let postfix = Postfix::start(&place, plan).await?;
        relay_fresh(&postfix, far_end, &place).await?;
        let mut empty = Vec::new();
        for _ in 0..bench.rounds {
            empty.push(Cost::of_cpu(relay_fresh(&postfix, far_end, &place).await?));
        }
        eprintln!("  Postfix takes and defers {messages} messages");
        let burst = Burst {
            sessions: SESSIONS,
            messages,
            size: SIZE,
            recipients: 1,
            reuse: true,
            to: RECIPIENT,
        };
        burst.send(postfix.relay(), DEADLINE).await?;
        wait_until_deferred(&postfix, messages).await?;
        let mut idle = Vec::new();
        for _ in 0..bench.rounds {
            idle.push(Cost::of_cpu(relay_fresh(&postfix, far_end, &place).await?));
        }
        let mut probed = Vec::new();
        for _ in 0..bench.rounds {
            postfix.flush()?;
            probed.push(Cost::of_cpu(relay_fresh(&postfix, far_end, &place).await?));
        }
        let began = Instant::now();
        postfix.delete_deferred()?;
        let took = began.elapsed();
        ensure!(postfix.deferred() == 0, "Postfix did not delete everything");
        Ok(Effects {
            idle: share(&empty, &idle),
            probed: share(&empty, &probed),
            cancel: Sample {
                figure: messages as f64 / took.as_secs_f64(),
                ..Sample::default()
            },
        })
    }
}

async fn wait_until_deferred(postfix: &Postfix, messages: usize) -> Result<()> {
    let began = Instant::now();
    while postfix.deferred() < messages {
        ensure!(
            began.elapsed() < DEADLINE,
            "Postfix has deferred only {} of {messages} messages",
            postfix.deferred()
        );
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
