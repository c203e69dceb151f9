//! The configuration that is shipped, and what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use service::config::{ConfigError, load_with};
use submission::{Config, ENVIRONMENT_PREFIX, Limits};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/config/submission.toml")
}

/// The certificate of the shipped file is the operator's; any readable file will do here.
fn environment(more: &[(&str, &str)]) -> Vec<(String, String)> {
    let readable = shipped().to_str().unwrap().to_owned();
    let mut variables = vec![
        (
            "CHASQUI_SUBMISSION__TLS__CERTIFICATE".to_owned(),
            readable.clone(),
        ),
        ("CHASQUI_SUBMISSION__TLS__KEY".to_owned(), readable),
        (
            "DATABASE_URL".to_owned(),
            "postgres://localhost/chasqui".to_owned(),
        ),
    ];
    let more = more
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    variables.extend(more);
    variables
}

fn load(path: &Path, more: &[(&str, &str)]) -> Result<Config, ConfigError> {
    load_with(Some(path), ENVIRONMENT_PREFIX, environment(more))
}

fn load_text(text: &str) -> Result<Config, ConfigError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    load(file.path(), &[])
}

fn problems(error: ConfigError) -> Vec<String> {
    let ConfigError::Invalid(problems) = error else {
        panic!("another error: {error}");
    };
    problems
        .iter()
        .map(|located| located.problem.key.clone())
        .collect()
}

#[test]
fn the_shipped_file_loads() {
    let config = load(&shipped(), &[]).unwrap();
    assert_eq!(config.host_name, "mail.example.org");
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.limits.recipients, 500);
}

#[test]
fn the_shipped_file_names_every_limit_with_its_default() {
    let text = std::fs::read_to_string(shipped()).unwrap();
    let (before, after) = text.split_once("\n[limits]\n").unwrap();
    let (limits, _) = after.split_once("\n[log]\n").unwrap();
    let limits: Vec<&str> = limits
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .collect();
    let config = load_text(&format!("{before}\n[limits]\n{}\n", limits.join("\n"))).unwrap();
    let defaults = format!("{:?}", Limits::default());
    assert_eq!(format!("{:?}", config.limits), defaults);
    assert_eq!(
        limits.len(),
        defaults.matches(": ").count(),
        "a key is missing"
    );
}

#[test]
fn a_misspelt_key_is_refused_by_name() {
    let text = std::fs::read_to_string(shipped()).unwrap();
    let misspelt = text.replace("\n[limits]\n", "\n[limits]\nrecipient = 200\n");
    let error = load_text(&misspelt).unwrap_err();
    assert_eq!(problems(error), ["limits.recipient"]);
}

#[test]
fn all_problems_are_told_at_once() {
    let error = load(
        &shipped(),
        &[
            ("CHASQUI_SUBMISSION__HOST_NAME", "no name"),
            ("CHASQUI_SUBMISSION__LIMITS__RECIPIENTS", "99"),
            (
                "CHASQUI_SUBMISSION__LIMITS__CONTENT_MEMORY_PER_CLIENT",
                "1MiB",
            ),
            ("CHASQUI_SUBMISSION__DIRECTORY__TARGETS", "[\"nowhere\"]"),
            ("CHASQUI_SUBMISSION__RELAY__TOKEN", "short"),
            ("CHASQUI_SUBMISSION__GRPC__BIND", "0.0.0.0:2620"),
            (
                "CHASQUI_SUBMISSION__LISTEN",
                "[{ address = \"127.0.0.1:25\", tls = \"none\" }]",
            ),
        ],
    )
    .unwrap_err();
    let mut found = problems(error);
    found.sort();
    assert_eq!(
        found,
        [
            "directory.targets",
            "grpc.bind",
            "host_name",
            "limits.content_memory_per_client",
            "limits.recipients",
            "listen[0].tls",
            "relay.token",
        ]
    );
}
