//! Rows as a table, and as JSON.

use anyhow::Result;
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use crate::measure::Spread;
use crate::systems::Programs;

/// What one system did in one round.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    /// In the row's unit.
    pub(crate) figure: f64,
    /// Processor time of all servers a message.
    pub(crate) cpu_ms: Option<f64>,
    /// Latency of a message.
    pub(crate) p50_ms: Option<f64>,
    /// Latency of a message.
    pub(crate) p99_ms: Option<f64>,
}

/// Which way a figure is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    /// Rates.
    More,
    /// Times and memory.
    Less,
}

/// What a row is about.
#[derive(Debug, Clone)]
pub(crate) struct Heading {
    pub(crate) scenario: String,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
}

/// A row: several rounds of both systems.
#[derive(Debug)]
struct Row {
    heading: Heading,
    ours: Vec<Sample>,
    peer: Vec<Sample>,
}

/// All rows, and what they rest on.
#[derive(Debug)]
pub(crate) struct Report {
    notes: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct JsonRow<'a> {
    scenario: &'a str,
    unit: &'a str,
    ours: f64,
    /// None where the peer knows no such thing.
    peer: Option<f64>,
    /// Ours to the peer's for rates, the peer's to ours for what had better be little: above 1 is good.
    ratio: Option<f64>,
    cpu_ms_ours: Option<f64>,
    cpu_ms_peer: Option<f64>,
    p99_ms_ours: Option<f64>,
    p99_ms_peer: Option<f64>,
}

impl Report {
    /// An empty one.
    pub(crate) fn new(programs: &Programs) -> Self {
        let mut report = Self {
            notes: Vec::new(),
            rows: Vec::new(),
        };
        report.note(format!(
            "Chasqui's programs: profile {}",
            programs.profile()
        ));
        report
    }

    /// Adds a line about how things were measured, once.
    pub(crate) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            eprintln!("  {note}");
            self.notes.push(note);
        }
    }

    /// Adds a row.
    pub(crate) fn add(&mut self, heading: Heading, ours: Vec<Sample>, peer: Vec<Sample>) {
        let row = Row {
            heading,
            ours,
            peer,
        };
        eprintln!(
            "  {}: {} to {} {}",
            row.heading.scenario,
            tell(row.ours.iter().map(|sample| Some(sample.figure))),
            tell(row.peer.iter().map(|sample| Some(sample.figure))),
            row.heading.unit,
        );
        self.rows.push(row);
    }

    /// Prints it to standard output.
    pub(crate) fn print(&self, as_json: bool) -> Result<()> {
        if as_json {
            let rows: Vec<JsonRow<'_>> = self.rows.iter().filter_map(Row::json).collect();
            println!("{}", serde_json::to_string_pretty(&rows)?);
            return Ok(());
        }
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN).set_header([
            "scenario",
            "unit",
            "Chasqui",
            "peer",
            "ratio",
            "CPU ms a message",
            "peer's",
            "p50 ms",
            "peer's",
            "p99 ms",
            "peer's",
        ]);
        for row in &self.rows {
            table.add_row(row.cells());
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        println!("{table}\n");
        println!(
            "Medians of the rounds, with the least and the most. A ratio above 1 is in Chasqui's favour."
        );
        for note in &self.notes {
            println!("- {note}");
        }
        Ok(())
    }
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        let ours = median(&self.ours, |sample| Some(sample.figure))?;
        let peer = median(&self.peer, |sample| Some(sample.figure))?;
        Some(match self.heading.better {
            Better::More => ours / peer,
            Better::Less => peer / ours,
        })
    }

    fn json(&self) -> Option<JsonRow<'_>> {
        Some(JsonRow {
            scenario: &self.heading.scenario,
            unit: self.heading.unit,
            ours: median(&self.ours, |sample| Some(sample.figure))?,
            peer: median(&self.peer, |sample| Some(sample.figure)),
            ratio: self.ratio(),
            cpu_ms_ours: median(&self.ours, |sample| sample.cpu_ms),
            cpu_ms_peer: median(&self.peer, |sample| sample.cpu_ms),
            p99_ms_ours: median(&self.ours, |sample| sample.p99_ms),
            p99_ms_peer: median(&self.peer, |sample| sample.p99_ms),
        })
    }

    fn cells(&self) -> Vec<String> {
        let both = |of: fn(&Sample) -> Option<f64>| {
            [&self.ours, &self.peer].map(|samples| tell(samples.iter().map(of)))
        };
        let mut cells = vec![self.heading.scenario.clone(), self.heading.unit.to_owned()];
        cells.extend(both(|sample| Some(sample.figure)));
        cells.push(
            self.ratio()
                .map_or_else(nothing, |ratio| format!("{ratio:.2}×")),
        );
        cells.extend(both(|sample| sample.cpu_ms));
        cells.extend(both(|sample| sample.p50_ms));
        cells.extend(both(|sample| sample.p99_ms));
        cells
    }
}

fn median(samples: &[Sample], of: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
    Spread::of(samples.iter().filter_map(of)).map(|spread| spread.median)
}

fn tell(figures: impl Iterator<Item = Option<f64>>) -> String {
    Spread::of(figures.flatten()).map_or_else(nothing, |spread| spread.to_string())
}

fn nothing() -> String {
    "–".to_owned()
}
