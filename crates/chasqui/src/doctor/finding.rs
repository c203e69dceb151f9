//! What the doctor found, and what to do about it.

use serde::Serialize;

use crate::output::{Cell, Tint, table};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ok,
    /// Mail flows, and may be lost, refused or late one day.
    Warning,
    /// Mail doesn't flow, or is in danger now.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    /// The area: `dns`, `dnssec`, `port`, `certificate`, `postgres`, `clock`, `schema`, `fleet`,
    /// `disk` or `configuration`.
    pub(super) check: &'static str,
    /// What was looked at.
    pub(super) subject: String,
    pub(super) found: String,
    /// What to do, unless all is well.
    pub(super) remedy: Option<String>,
}

/// The findings of one area.
pub(super) struct Findings {
    check: &'static str,
    pub(super) list: Vec<Finding>,
}

impl Findings {
    pub(super) fn of(check: &'static str) -> Self {
        Self {
            check,
            list: Vec::new(),
        }
    }

    pub(super) fn ok(&mut self, subject: impl Into<String>, found: impl Into<String>) {
        self.add(Verdict::Ok, subject.into(), found.into(), None);
    }

    pub(super) fn warn(
        &mut self,
        subject: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let remedy = Some(remedy.into());
        self.add(Verdict::Warning, subject.into(), found.into(), remedy);
    }

    pub(super) fn problem(
        &mut self,
        subject: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let remedy = Some(remedy.into());
        self.add(Verdict::Problem, subject.into(), found.into(), remedy);
    }

    fn add(&mut self, verdict: Verdict, subject: String, found: String, remedy: Option<String>) {
        self.list.push(Finding {
            verdict,
            check: self.check,
            subject,
            found,
            remedy,
        });
    }
}

/// All findings in a table, and what to do in the order of the table.
pub(super) fn in_words(findings: &[Finding]) -> String {
    let rows = findings.iter().map(|finding| -> [Cell; 4] {
        [
            verdict(finding.verdict),
            finding.check.to_owned().into(),
            finding.subject.clone().into(),
            finding.found.clone().into(),
        ]
    });
    let mut text = table(["VERDICT", "CHECK", "OF", "FOUND"], rows);
    let to_do = findings.iter().filter_map(|finding| {
        let remedy = finding.remedy.as_ref()?;
        Some([
            verdict(finding.verdict),
            finding.subject.clone().into(),
            Cell::from(remedy.clone()),
        ])
    });
    let to_do: Vec<[Cell; 3]> = to_do.collect();
    if to_do.is_empty() {
        text.push_str("\n\nall is well");
    } else {
        text.push_str("\n\n");
        text.push_str(&table(["VERDICT", "OF", "WHAT TO DO"], to_do));
    }
    text
}

fn verdict(verdict: Verdict) -> Cell {
    match verdict {
        Verdict::Ok => Cell::new("ok", Tint::Good),
        Verdict::Warning => Cell::new("warning", Tint::Doubtful),
        Verdict::Problem => Cell::new("problem", Tint::Bad),
    }
}
