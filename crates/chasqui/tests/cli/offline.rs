//! What needs no database: configuration, DNS records, completions.

use std::path::Path;
use std::process::Command;

use testkit::TestCertificate;

use crate::operator::Operator;

const RELAY: &str = r#"
host_name = "mx1.example.org"
[tls]
certificate = "HERE/mx.pem"
key = "HERE/mx.key"
[database]
url = "postgres://chasqui@127.0.0.1/chasqui"
[directory]
targets = ["127.0.0.1:1"]
[delivery]
targets = ["127.0.0.1:1"]
[grpc]
bind = "127.0.0.1:2"
"#;

const SUBMISSION: &str = r#"
host_name = "mail.example.org"
[[listen]]
address = "0.0.0.0:587"
[[listen]]
address = "0.0.0.0:465"
tls = "implicit"
[tls]
certificate = "HERE/mx.pem"
key = "HERE/mx.key"
[directory]
targets = ["127.0.0.1:1"]
"#;

/// Writes a file whose `HERE` is the folder; gives its path.
fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    let text = text.replace("HERE", folder.to_str().unwrap());
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn folder_with_certificate() -> (tempfile::TempDir, TestCertificate) {
    let folder = tempfile::tempdir().unwrap();
    let certificate = TestCertificate::self_signed(&["mx1.example.org"]);
    let _ = certificate.write_to(folder.path(), "mx");
    (folder, certificate)
}

#[tokio::test]
async fn a_configuration_is_checked_in_the_services_own_words() {
    let (folder, _) = folder_with_certificate();
    let relay = write(folder.path(), "relay.toml", RELAY);
    let wrong = RELAY.replace("mx1.example.org", "mx1") + "[inbound]\nrecipients = 1\nspeed = 9\n";
    let wrong = write(folder.path(), "wrong-relay.toml", &wrong);
    let operator = Operator::without_a_database();

    let fine = operator.succeeds(&["config", "check", &relay]);
    assert_eq!(fine, format!("{relay}: relay would start with it\n"));

    let done = operator.types(&["config", "check", &relay, &wrong]);
    assert_eq!(done.status, 1, "{done:?}");
    let own = testkit::binaries()
        .await
        .command("relay")
        .args(["--check", "--config", &wrong])
        .output();
    let own = String::from_utf8(own.unwrap().stderr).unwrap();
    assert!(own.contains("inbound.speed"), "{own}");
    for line in own.lines() {
        assert!(
            done.stdout.contains(line),
            "{line:?} is missing: {}",
            done.stdout
        );
    }
    let told = operator.types(&["config", "check", &wrong, "--json"]);
    let told: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    let keys = told[0]["problems"].as_array().unwrap().iter();
    let keys: Vec<&str> = keys.map(|it| it["key"].as_str().unwrap()).collect();
    assert!(keys.contains(&"inbound.speed"), "{keys:?}");
}

#[test]
fn whose_a_file_is_has_to_be_known() {
    let (folder, _) = folder_with_certificate();
    let file = write(folder.path(), "mta.toml", RELAY);
    let operator = Operator::without_a_database();
    let complaint = operator.types(&["config", "check", &file]).failed(2);
    assert!(
        complaint.ends_with("give --service submission, relay or delivery"),
        "{complaint}"
    );
    operator.succeeds(&["config", "check", "--service", "relay", &file]);
    let missing = operator.types(&["config", "check", "/nonexistent/relay.toml"]);
    assert_eq!(missing.status, 1);
    assert!(
        missing
            .stdout
            .contains("can't read /nonexistent/relay.toml"),
        "{missing:?}"
    );
}

#[test]
fn the_records_of_a_domain_follow_from_the_configuration() {
    let (folder, certificate) = folder_with_certificate();
    let relay = write(folder.path(), "relay.toml", RELAY);
    let submission = write(folder.path(), "submission.toml", SUBMISSION);
    let operator = Operator::without_a_database();
    let arguments = [
        "domain",
        "dns-records",
        "example.org",
        "--config",
        &relay,
        &submission,
        "--address",
        "192.0.2.25",
        "--address",
        "2001:db8::25",
    ];
    let zone = operator.succeeds(&arguments);
    // As openssl has it, which is what TLSA records are checked with.
    let digest = openssl_key_digest(&certificate.certificate);
    let expected = [
        "example.org. IN MX 10 mx1.example.org.".to_owned(),
        "example.org. IN TXT \"v=spf1 mx ip4:192.0.2.25 ip6:2001:db8::25 ~all\"".to_owned(),
        "mx1.example.org. IN TXT \"v=spf1 a -all\"".to_owned(),
        "_dmarc.example.org. IN TXT \"v=DMARC1; p=none; rua=mailto:postmaster@example.org\""
            .to_owned(),
        "_submission._tcp.example.org. IN SRV 0 1 587 mail.example.org.".to_owned(),
        "_submissions._tcp.example.org. IN SRV 0 1 465 mail.example.org.".to_owned(),
        format!("_25._tcp.mx1.example.org. IN TLSA 3 1 1 {digest}"),
        "mx1.example.org. IN A 192.0.2.25".to_owned(),
        "mx1.example.org. IN AAAA 2001:db8::25".to_owned(),
    ];
    let records = zone
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(';'));
    assert_eq!(records.collect::<Vec<_>>(), expected);
    assert!(
        zone.contains("; 25.2.0.192.in-addr.arpa. IN PTR mx1.example.org.\n"),
        "{zone}"
    );
    for truth in [
        "; DKIM: Chasqui does not sign yet",
        "; MTA-STS: Chasqui serves no policy",
    ] {
        assert!(zone.contains(truth), "{zone}");
    }
    let told = operator.tells(&arguments);
    assert_eq!(told["records"][0]["type"], "MX");
    assert_eq!(told["reverse"][0]["value"], "mx1.example.org.");

    let by_name = operator.succeeds(&["domain", "dns-records", "example.org", "--mx", "a.example"]);
    assert!(by_name.starts_with("; ") && by_name.contains("\nexample.org. IN MX 10 a.example.\n"));
    assert!(!by_name.contains(" IN TLSA "), "{by_name}");
}

fn openssl_key_digest(certificate: &str) -> String {
    use std::io::Write as _;
    let script = "openssl x509 -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum";
    let mut child = Command::new("sh")
        .args(["-c", script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(certificate.as_bytes())
        .unwrap();
    let digest = child.wait_with_output().unwrap().stdout;
    String::from_utf8(digest)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_owned()
}

#[test]
fn shells_complete_what_they_are_given() {
    let operator = Operator::without_a_database();
    let script = operator.succeeds(&["completions", "bash"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chasqui.bash");
    std::fs::write(&file, script).unwrap();
    let ask = format!(
        ". {}; COMP_WORDS=(chasqui queue to); COMP_CWORD=2; _chasqui chasqui to queue; \
         echo \"${{COMPREPLY[@]}}\"",
        file.display()
    );
    let done = Command::new("bash").args(["-c", &ask]).output().unwrap();
    assert_eq!(
        String::from_utf8(done.stdout).unwrap(),
        "top\n",
        "{:?}",
        done.stderr
    );
    for (shell, sign) in [("zsh", "#compdef chasqui"), ("fish", "complete -c chasqui")] {
        let script = operator.succeeds(&["completions", shell]);
        assert!(
            script.contains(sign) && script.contains("dns-records"),
            "{shell}"
        );
    }
}
