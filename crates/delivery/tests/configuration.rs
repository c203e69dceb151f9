//! The configuration that is shipped, and what is refused.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use delivery::{Config, ENVIRONMENT_PREFIX};
use service::config::{ConfigError, load_with};

const SHIPPED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../deploy/config/delivery.toml"
);

fn load(text: &str) -> Result<Config, ConfigError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    load_file(file.path())
}

fn load_file(path: &Path) -> Result<Config, ConfigError> {
    let url = "postgres://chasqui:hunter2@127.0.0.1/chasqui";
    let environment = [("DATABASE_URL".to_owned(), url.to_owned())];
    load_with(Some(path), ENVIRONMENT_PREFIX, environment)
}

fn shipped() -> String {
    std::fs::read_to_string(SHIPPED).unwrap()
}

fn refusal(text: &str) -> String {
    load(text).unwrap_err().to_string()
}

#[test]
fn the_shipped_configuration_is_good() {
    let config = load_file(Path::new(SHIPPED)).unwrap();
    assert_eq!(config.grpc.bind.to_string(), "127.0.0.1:2640");
    assert_eq!(config.maildir.root, Path::new("/var/lib/chasqui/mail"));
    assert_eq!(config.listen.len(), 1);
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn what_is_commented_out_is_the_default() {
    let sections = ["[maildir]", "[limits]", "[[listen]]", "[lmtp]", "[log]"];
    let mut section = "";
    let mut uncommented = 0;
    let shipped = shipped();
    let text: Vec<&str> = shipped
        .lines()
        .map(|line| {
            if line.starts_with('[') {
                section = line;
            } else if line.starts_with("# [") {
                section = "";
            }
            let setting = line.strip_prefix("# ").filter(|rest| rest.contains(" = "));
            match setting {
                Some(setting) if sections.contains(&section) => {
                    uncommented += 1;
                    setting
                }
                _ => line,
            }
        })
        .collect();
    assert_eq!(uncommented, 12, "{text:#?}");
    let spelt_out = load(&text.join("\n")).unwrap();
    let default = load(&shipped).unwrap();
    assert_eq!(format!("{spelt_out:#?}"), format!("{default:#?}"));
}

#[test]
fn a_misspelt_key_is_refused_by_its_name() {
    for (key, misspelt) in [
        ("host_name = ", "hostname = "),
        ("\nroot = ", "\nrooot = "),
        ("bind = ", "listen = "),
        ("\n[lmtp]", "\n[lmpt]"),
        ("# writers = 2", "writer = 2"),
    ] {
        let text = shipped().replacen(key, misspelt, 1);
        let refused = refusal(&text);
        let name = misspelt.split_once(' ').map_or(misspelt, |(name, _)| name);
        let name = name.trim_matches(['[', ']', '\n']);
        assert!(refused.contains(name), "{misspelt}: {refused}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let text = shipped()
        .replacen("mail.example.org", "not a name", 1)
        .replacen("127.0.0.1:2640", "0.0.0.0:2640", 1)
        .replacen("tls = \"none\"", "tls = \"starttls\"", 1)
        .replacen("# writers = 2", "writers = 0", 1)
        .replacen(
            "# content_memory = \"256MiB\"",
            "content_memory = \"1MiB\"",
            1,
        )
        .replacen("# recipients = 1000", "recipients = 10", 1);
    let refused = refusal(&text);
    for key in [
        "host_name",
        "grpc.bind",
        "tls",
        "maildir.writers",
        "limits.content_memory",
        "lmtp.recipients",
    ] {
        assert!(
            refused.contains(&format!("{key}: ")),
            "{key} is not in:\n{refused}"
        );
    }
}

#[test]
fn a_database_is_demanded() {
    let refused = load_with::<Config>(Some(Path::new(SHIPPED)), ENVIRONMENT_PREFIX, []);
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("database.url"), "{refused}");
}
