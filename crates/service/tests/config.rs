//! Configurations are read in layers, and every problem is told at once with its place and key.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use service::config::{
    ConfigError, DatabaseSection, ListenSection, ListenTls, LogConfig, LogFormat, Problem,
    TelemetrySection, Validate, duration, load_with,
};
use tempfile::NamedTempFile;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    log: LogConfig,
    database: DatabaseSection,
    listen: Vec<ListenSection>,
    networks: Vec<String>,
    hello_name: String,
    limits: Limits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    recipients: u16,
    #[serde(deserialize_with = "duration")]
    patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            recipients: 1000,
            patience: Duration::from_secs(300),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            log: LogConfig::default(),
            database: DatabaseSection::default(),
            listen: Vec::new(),
            networks: Vec::new(),
            hello_name: "mail.example.org".to_owned(),
            limits: Limits::default(),
        }
    }
}

impl Validate for Config {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let log = self.log.problems().into_iter();
        problems.extend(log.map(|problem| problem.within("log")));
        let database = self.database.problems().into_iter();
        problems.extend(database.map(|problem| problem.within("database")));
        if !self.hello_name.contains('.') {
            problems.push(Problem::new("hello_name", "must be a full host name"));
        }
        problems
    }
}

const DATABASE: (&str, &str) = ("DATABASE_URL", "postgres://chasqui:secret@db/mail");

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn load(path: Option<&Path>, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load_with(path, "CHASQUI_TEST", environment)
}

/// The problems of a file, each line without the file's name in front of it.
fn complaints(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let file = file(text);
    let error = load(Some(file.path()), environment).unwrap_err();
    let in_file = format!("{}: ", file.path().display());
    let all = error.to_string();
    all.lines()
        .map(|line| line.strip_prefix(&in_file).unwrap_or(line).to_owned())
        .collect()
}

#[test]
fn defaults_do_when_nothing_is_said() {
    let config = load(None, &[DATABASE]).unwrap();
    assert_eq!(config.limits.recipients, 1000);
    assert_eq!(config.log.format, LogFormat::Text);
    assert_eq!(config.database.url(), DATABASE.1);
}

#[test]
fn the_environment_overrides_the_file() {
    let file = file(
        r#"
        hello_name = "mx.example.org"
        [log]
        format = "json"
        [database]
        url = "postgres://in/file"
        [limits]
        recipients = 50
        patience = "10s"
        [[listen]]
        address = "127.0.0.1:2525"
        [[listen]]
        address = "[::]:2465"
        tls = "implicit"
        max_connections = 5
        "#,
    );
    let config = load(
        Some(file.path()),
        &[
            DATABASE,
            ("CHASQUI_TEST__LIMITS__RECIPIENTS", "100"),
            (
                "CHASQUI_TEST__NETWORKS",
                r#"["192.0.2.0/24", "2001:db8::/32"]"#,
            ),
            ("CHASQUI_TEST_PORT", "tcp://not.ours:1"),
            ("OTHER__HELLO_NAME", "not ours either"),
        ],
    )
    .unwrap();
    assert_eq!(config.hello_name, "mx.example.org");
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.database.url(), DATABASE.1);
    assert_eq!(config.limits.recipients, 100);
    assert_eq!(config.limits.patience, Duration::from_secs(10));
    assert_eq!(config.networks, ["192.0.2.0/24", "2001:db8::/32"]);
    let [plain, implicit] = config.listen.as_slice() else {
        unreachable!("{:?}", config.listen)
    };
    assert_eq!(plain.address, SocketAddr::from(([127, 0, 0, 1], 2525)));
    assert_eq!(
        (plain.tls, plain.max_connections),
        (ListenTls::StartTls, 10_000)
    );
    assert_eq!(
        (implicit.tls, implicit.max_connections),
        (ListenTls::Implicit, 5)
    );
}

#[test]
fn a_services_own_variable_beats_the_one_for_all() {
    let own = "postgres://own/database";
    let config = load(None, &[("CHASQUI_TEST__DATABASE__URL", own), DATABASE]).unwrap();
    assert_eq!(config.database.url(), own);
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let file = file("hello_name = \"mx.example.org\"\n");
    let environment = [DATABASE, ("CHASQUI_TEST__HELLO_NAME", "")];
    let config = load(Some(file.path()), &environment).unwrap();
    assert_eq!(config.hello_name, "mx.example.org");
}

#[test]
fn a_secret_may_be_in_a_file_of_its_own() {
    let [url, own] = ["postgres://for/all\n", "postgres://own/one"].map(file);
    let [url, own] = [&url, &own].map(|file| file.path().to_str().unwrap());
    let for_all = ("DATABASE_URL_FILE", url);

    let config = load(None, &[for_all]).unwrap();
    assert_eq!(config.database.url(), "postgres://for/all");
    let config = load(None, &[("CHASQUI_TEST__DATABASE__URL_FILE", own), for_all]).unwrap();
    assert_eq!(config.database.url(), "postgres://own/one");
}

#[test]
fn a_secret_that_is_given_twice_or_whose_file_is_not_there_is_told() {
    let url = file("postgres://in/file");
    let given = ("DATABASE_URL_FILE", url.path().to_str().unwrap());
    let error = load(None, &[given, DATABASE]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "database.url: is given twice: keep one of DATABASE_URL and DATABASE_URL_FILE"
    );
    let error = load(None, &[("DATABASE_URL_FILE", "/run/secrets/none")]).unwrap_err();
    assert_eq!(error.to_string(), "can't read /run/secrets/none");
}

#[test]
fn every_problem_is_told_at_once() {
    let complaints = complaints(
        r#"
        hello_name = "localhost"
        hallo = 1
        [log]
        formt = "json"
        level = "info,relay=loud"
        [limits]
        recipients = "many"
        patience = "soon"
        [[listen]]
        address = "127.0.0.1:2525"
        [[listen]]
        address = "everywhere"
        "#,
        &[("CHASQUI_TEST__DATABASE__MAX_CONECTIONS", "3")],
    );
    let expect = |start: &str| {
        let told = complaints.iter().filter(|line| line.starts_with(start));
        assert_eq!(told.count(), 1, "{start} in {complaints:#?}");
    };
    expect("hallo: unknown field `hallo`");
    expect("log.formt: unknown field `formt`, expected `format` or `level`");
    expect("log.level: `info,relay=loud` is no level");
    expect("limits.recipients: ");
    expect("limits.patience: `soon` is no duration");
    expect("listen[1].address: invalid socket address");
    expect("hello_name: must be a full host name");
    expect("database.url: is missing");
    expect("CHASQUI_TEST__DATABASE__MAX_CONECTIONS: database.max_conections: unknown field");
    assert_eq!(complaints.len(), 9, "{complaints:#?}");
}

#[test]
fn a_missing_key_is_told_once_and_hides_no_other() {
    let complaints = complaints(
        r#"
        hallo = 1
        [[listen]]
        tls = "later"
        [[listen]]
        tls = "implicit"
        "#,
        &[DATABASE],
    );
    let starts = [
        "hallo: ",
        "listen[0].address: is missing",
        "listen[0].tls: `later` is not",
    ];
    assert_eq!(complaints.len(), starts.len(), "{complaints:#?}");
    for (complaint, start) in complaints.iter().zip(starts) {
        assert!(complaint.starts_with(start), "{complaints:#?}");
    }

    let complaints = self::complaints("[[listen]]\ntls = \"none\"", &[DATABASE]);
    assert_eq!(complaints, ["listen[0].address: is missing"]);
}

#[test]
fn a_file_that_is_not_there_or_no_toml_is_named() {
    let path = Path::new("/no/such/relay.toml");
    let error = load(Some(path), &[DATABASE]).unwrap_err();
    assert!(error.to_string().contains("/no/such/relay.toml"), "{error}");

    let file = file("[log\nlevel = 1");
    let error = load(Some(file.path()), &[DATABASE])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&file.path().display().to_string()),
        "{error}"
    );
    assert!(error.contains("line 1"), "{error}");
}

#[test]
fn no_secret_is_shown() {
    let config = load(None, &[DATABASE]).unwrap();
    assert!(!format!("{config:?}").contains("secret@"), "{config:?}");
    let wrong_kind = complaints("[database]\nurl = [\"postgres://x:hunter2@db/\"]", &[]);
    assert!(!wrong_kind.concat().contains("hunter2"), "{wrong_kind:?}");
}

#[test]
fn who_vouches_for_a_collector_is_for_one_by_tls_and_must_be_there() {
    let problems = |otlp: Option<&str>, authority: Option<&Path>| {
        let section = TelemetrySection {
            otlp: otlp.map(str::to_owned),
            otlp_authority: authority.map(Path::to_owned),
            ..TelemetrySection::default()
        };
        section.problems()
    };
    let file = NamedTempFile::new().unwrap();
    let (there, missing) = (Some(file.path()), Some(Path::new("/nowhere/ca.pem")));
    let (plain, tls) = (
        Some("http://collector:4317"),
        Some("https://collector:4317"),
    );
    for (otlp, authority) in [(None, None), (plain, None), (tls, None), (tls, there)] {
        assert_eq!(problems(otlp, authority), []);
    }
    for (otlp, authority) in [(plain, there), (None, there), (tls, missing)] {
        let problems = problems(otlp, authority);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].key, "otlp_authority");
    }
}
