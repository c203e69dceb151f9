//! How a soak ended: a table or JSON, and whether all was as it should be.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::book::{CALM, Entries};
use super::fleet::CONNECTIONS;
use super::injector::Done;
use super::tally::Tally;
use crate::measure::Quantiles;

/// How long the takeover of a dead relay's leases may take.
const TAKEOVER_MS: f64 = 15_000.0;
/// What a client hears most is told first; the rest is not worth a screen.
const HEARD: usize = 40;

/// All that a soak has found out.
pub(super) struct Report<'a> {
    pub(super) seed: u64,
    pub(super) tally: Tally,
    pub(super) done: Done,
    pub(super) entries: &'a Entries,
    /// Tenants whose books don't balance.
    pub(super) off_balance: i64,
    /// What must be said of how it was done.
    pub(super) notes: Vec<String>,
}

#[derive(Serialize)]
struct Json<'a> {
    accepted: usize,
    delivered: usize,
    bounced: usize,
    queued: usize,
    lost: usize,
    duplicated: usize,
    faults: &'a BTreeMap<&'static str, usize>,
    longest_outage_ms: u64,
    takeover_ms: TakeoverMs,
}

#[derive(Serialize)]
struct TakeoverMs {
    p50: Option<f64>,
    p99: Option<f64>,
}

impl Report<'_> {
    /// Prints it to standard output.
    pub(super) fn print(&self, as_json: bool) -> Result<()> {
        let takeovers = self.takeovers();
        if as_json {
            let json = Json {
                accepted: self.tally.accepted,
                delivered: self.tally.delivered,
                bounced: self.tally.bounced,
                queued: self.tally.queued,
                lost: self.tally.lost.len(),
                duplicated: self.tally.duplicated(),
                faults: &self.done.faults,
                longest_outage_ms: u64::try_from(self.entries.longest.0.as_millis())?,
                takeover_ms: TakeoverMs {
                    p50: takeovers.ms(0.5).map(f64::round),
                    p99: takeovers.ms(0.99).map(f64::round),
                },
            };
            println!("{}", serde_json::to_string_pretty(&json)?);
            return Ok(());
        }
        let mut table = Table::new();
        table
            .load_style(ASCII_MARKDOWN)
            .set_header(["of a soak", ""]);
        for (what, figure) in self.figures(&takeovers) {
            table.add_row([what, figure]);
        }
        println!("{table}\n");
        println!("{}\n", self.faults());
        self.print_heard();
        for note in &self.notes {
            println!("- {note}");
        }
        Ok(())
    }

    fn faults(&self) -> Table {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN).set_header([
            "fault",
            "times",
            "well again after, at most",
            "superfluous copies at the far end",
        ]);
        let copies = &self.entries.superfluous;
        for (fault, times) in &self.done.faults {
            let healing = self.done.healing.get(fault);
            let healing = healing.map_or_else(|| "–".to_owned(), |time| format!("{time:.1?}"));
            let copies = copies.get(fault).copied().unwrap_or_default();
            table.add_row([
                (*fault).to_owned(),
                times.to_string(),
                healing,
                copies.to_string(),
            ]);
        }
        let late = copies.get(CALM).copied().unwrap_or_default();
        table.add_row([CALM, "", "", &late.to_string()]);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    fn figures(&self, takeovers: &Quantiles) -> Vec<(String, String)> {
        let tally = &self.tally;
        let (outage, during) = self.entries.longest;
        let ms = |share: f64| {
            let time = takeovers.ms(share);
            time.map_or_else(|| "–".to_owned(), |ms| format!("{:.1} s", ms / 1000.0))
        };
        let row = |what: &str, figure: String| (what.to_owned(), figure);
        vec![
            row("seed", self.seed.to_string()),
            row(
                "accepted (recipients that 250 was said for)",
                tally.accepted.to_string(),
            ),
            row("delivered", tally.delivered.to_string()),
            row("bounced", tally.bounced.to_string()),
            row("still queued", tally.queued.to_string()),
            row("lost", tally.lost.len().to_string()),
            row(
                "duplicated (in mailboxes, at the far end)",
                format!(
                    "{} ({}, {}), at most {} may be",
                    tally.duplicated(),
                    tally.local_duplicates,
                    tally.remote_duplicates,
                    self.window()
                ),
            ),
            row("arrived without a 250", tally.unacknowledged.to_string()),
            row("books off balance", self.off_balance.to_string()),
            row(
                "faults injected",
                self.done.faults.values().sum::<usize>().to_string(),
            ),
            row(
                "longest outage seen by a client",
                format!("{outage:.1?}, during {during}"),
            ),
            row("takeovers measured", takeovers.count().to_string()),
            row("takeover p50", ms(0.5)),
            row("takeover p99", ms(0.99)),
        ]
    }

    fn print_heard(&self) {
        let mut heard: Vec<_> = self.entries.heard.iter().collect();
        heard.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
        println!("What clients heard instead of 250:");
        for ((during, words), times) in heard.iter().take(HEARD) {
            println!("- {times} × during {during}: {words}");
        }
        if heard.is_empty() {
            println!("- nothing");
        }
        println!();
    }

    /// Fails when anything was not as it should be.
    pub(super) fn judge(&self) -> Result<()> {
        let mut wrong = self.done.complaints.clone();
        let tally = &self.tally;
        if !tally.lost.is_empty() {
            let some: Vec<_> = tally.lost.iter().take(10).collect();
            wrong.push(format!("{} lost: {some:?}", tally.lost.len()));
        }
        if !tally.wrongly_bounced.is_empty() {
            let some: Vec<_> = tally.wrongly_bounced.iter().take(10).collect();
            wrong.push(format!(
                "bounced for no reason of the recipient's: {some:?}"
            ));
        }
        if tally.queued > 0 {
            wrong.push(format!("{} stuck in the queue", tally.queued));
        }
        if tally.duplicated() > self.window() {
            wrong.push(format!("{} duplicates", tally.duplicated()));
        }
        if self.off_balance != 0 {
            wrong.push("the books don't balance".to_owned());
        }
        if self.takeovers().ms(0.99).is_some_and(|ms| ms > TAKEOVER_MS) {
            wrong.push("a takeover took too long".to_owned());
        }
        let refusals = self.entries.heard.keys();
        for (during, words) in refusals.filter(|(_, words)| is_for_good(words)) {
            wrong.push(format!(
                "a client was refused for good during {during}: {words}"
            ));
        }
        if wrong.is_empty() {
            return Ok(());
        }
        bail!("the soak failed:\n  {}", wrong.join("\n  "))
    }

    fn takeovers(&self) -> Quantiles {
        Quantiles::of(self.done.takeovers.clone())
    }

    /// What may have come twice: a fault that leaves attempts open leaves as many as two relays had under way at the far
    /// end, and at most as many again that had ended and were being recorded.
    fn window(&self) -> usize {
        self.done.windows * 2 * 2 * CONNECTIONS
    }
}

/// Our own trouble is never a client's fault.
fn is_for_good(words: &str) -> bool {
    let reply = words.split_once(": ").map_or("", |(_, reply)| reply);
    reply.starts_with('5')
}

/// How long something may take, for notes.
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.0} s", time.as_secs_f64())
}
