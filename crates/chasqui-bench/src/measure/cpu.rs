//! Processor time of servers, with all processes that they have started and buried.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// The unit of processor times in /proc: `USER_HZ`, 100 a second on all of Linux's platforms that we know.
const TICK: Duration = Duration::from_millis(10);
/// How long servers may take to have done with what a burst left them.
const SETTLING: Duration = Duration::from_secs(20);
/// How often one looks whether they have.
const LOOK: Duration = Duration::from_millis(500);
/// Servers that use less than this share of one processor have settled.
const IDLE_SHARE: f64 = 0.06;

/// A process that is accounted with all of its descendants.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    name: String,
    pid: i32,
}

impl Root {
    pub(crate) fn new(name: impl Into<String>, pid: i32) -> Self {
        Self {
            name: name.into(),
            pid,
        }
    }

    /// The processor time, user's and system's, that it and its descendants have used, dead ones included.
    fn used(&self) -> Result<Duration> {
        let processes = processes()?;
        let of = |pid: i32| processes.get(&pid).map_or(0, |process| process.ticks);
        Ok(TICK * family(&processes, self.pid).into_iter().map(of).sum())
    }

    /// The processes of it and of all its descendants.
    pub(crate) fn family(&self) -> Result<Vec<i32>> {
        Ok(family(&processes()?, self.pid))
    }
}

/// Processor time that some servers use from now on.
#[derive(Debug)]
pub(crate) struct Meter {
    roots: Vec<(Root, Duration)>,
}

/// What a [`Meter`] has read.
#[derive(Debug, Clone)]
pub(crate) struct CpuTime {
    /// For each server.
    parts: Vec<(String, Duration)>,
}

impl Meter {
    /// Starts to count for these servers.
    pub(crate) fn start(roots: Vec<Root>) -> Result<Self> {
        let from = |root: Root| root.used().map(|used| (root, used));
        let roots = roots.into_iter().map(from).collect::<Result<_>>()?;
        Ok(Self { roots })
    }

    /// Waits until the servers have settled, since what they put off (vacuum, log) is work too; then says how much time
    /// was used.
    pub(crate) async fn stop(self) -> Result<CpuTime> {
        let began = Instant::now();
        let mut last = self.read()?;
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.read()?;
            let used = now.total().saturating_sub(last.total());
            let share = used.as_secs_f64() / LOOK.as_secs_f64();
            if share < IDLE_SHARE || began.elapsed() > SETTLING {
                return Ok(now);
            }
            last = now;
        }
    }

    fn read(&self) -> Result<CpuTime> {
        let part = |(root, before): &(Root, Duration)| {
            Ok((root.name.clone(), root.used()?.saturating_sub(*before)))
        };
        let parts = self.roots.iter().map(part).collect::<Result<_>>()?;
        Ok(CpuTime { parts })
    }
}

impl CpuTime {
    /// Of all servers together.
    pub(crate) fn total(&self) -> Duration {
        self.parts.iter().map(|(_, used)| *used).sum()
    }

    /// A share in milliseconds.
    pub(crate) fn ms_a_message(&self, messages: usize) -> f64 {
        ms(self.total(), messages)
    }

    /// Who had how much: `0.512 ms CPU a message (Postgres 0.300, relay1 0.212)`.
    pub(crate) fn tell(&self, messages: usize) -> String {
        let parts = self.parts.iter().filter(|(_, used)| *used > Duration::ZERO);
        let told: Vec<String> = parts
            .map(|(name, used)| format!("{name} {:.3}", ms(*used, messages)))
            .collect();
        format!(
            "{:.3} ms CPU a message ({})",
            self.ms_a_message(messages),
            told.join(", ")
        )
    }
}

fn ms(time: Duration, messages: usize) -> f64 {
    time.as_secs_f64() * 1000.0 / messages as f64
}

fn family(processes: &HashMap<i32, Usage>, root: i32) -> Vec<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for (pid, process) in processes {
        children.entry(process.parent).or_default().push(*pid);
    }
    let mut family = Vec::new();
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        family.push(pid);
        open.extend(children.get(&pid).into_iter().flatten());
    }
    family
}

struct Usage {
    parent: i32,
    /// Its own, and that of children it has waited for.
    ticks: u32,
}

fn processes() -> Result<HashMap<i32, Usage>> {
    let entries = std::fs::read_dir("/proc").context("/proc is needed to count processor time")?;
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    // A process that goes while we look has its time with its parent.
    Ok(pids.filter_map(|pid| Some((pid, usage(pid)?))).collect())
}

/// See proc(5), `/proc/pid/stat`.
fn usage(pid: i32) -> Option<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // `pid (name) state parent …`, where the name may hold anything.
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u32>().ok();
    // Fields 14 to 17: utime, stime, cutime, cstime; after the name we begin with field 3.
    let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
    let parent = fields.get(1)?.parse().ok()?;
    Some(Usage { parent, ticks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_uses_time_and_its_dead_children_count() {
        let me = Root::new("test", std::process::id().cast_signed());
        let before = me.used().unwrap();
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let status = std::process::Command::new("sh").args(["-c", busy]).status();
        assert!(status.unwrap().success());
        assert!(me.used().unwrap() >= before + TICK);
    }
}
