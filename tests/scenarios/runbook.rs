//! Each alert has a paragraph in the runbook that tells what to do, and none is left of alerts that are gone.

use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn each_alert_has_its_paragraph() {
    let (alerts, runbook) = (
        read("deploy/prometheus/alerts.yml"),
        read("docs/operating.md"),
    );
    let alerts: BTreeSet<&str> = after("- alert: ", &alerts).collect();
    let paragraphs: BTreeSet<&str> = after("### ", &runbook).collect();
    assert!(!alerts.is_empty());
    assert_eq!(alerts, paragraphs);
    for alert in alerts {
        let (_, told) = runbook.split_once(&format!("### {alert}\n")).unwrap();
        let told = told.split("\n#").next().unwrap().trim();
        assert!(told.len() > 100, "{alert}: {told:?}");
    }
}

fn after<'a>(mark: &str, text: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines()
        .filter_map(move |line| line.trim().strip_prefix(mark))
}

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    std::fs::read_to_string(path).unwrap()
}
