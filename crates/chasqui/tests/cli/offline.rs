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
    assert_eq!(records(&zone), expected);
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

/// The records, without comments.
fn records(zone: &str) -> Vec<&str> {
    let lines = zone.lines();
    lines
        .filter(|line| !line.is_empty() && !line.starts_with(';'))
        .collect()
}

#[test]
fn in_containers_the_environment_names_the_host_and_the_records_tell_the_published_ports() {
    let (folder, _) = folder_with_certificate();
    let nameless = |text: &str| {
        text.lines()
            .skip(2)
            .fold(String::new(), |all, it| all + it + "\n")
    };
    let relay = write(folder.path(), "relay.toml", &nameless(RELAY));
    let submission = write(
        folder.path(),
        "submission.toml",
        "[tls]\ncertificate = \"HERE/mx.pem\"\nkey = \"HERE/mx.key\"\n\
         [directory]\ntargets = [\"127.0.0.1:1\"]\n",
    );
    let listen = "[{ address = \"0.0.0.0:2587\" }, { address = \"[::1]:2587\" }, \
                  { address = \"0.0.0.0:2465\", tls = \"implicit\" }]";
    let operator = Operator::without_a_database()
        .with("CHASQUI_RELAY__HOST_NAME", "mx1.example.org")
        .with("CHASQUI_SUBMISSION__HOST_NAME", "mail.example.org")
        .with("CHASQUI_SUBMISSION__LISTEN", listen)
        // Of whom it is asked nothing.
        .with("DATABASE_URL_FILE", "/nonexistent/url");
    let arguments = [
        "domain",
        "dns-records",
        "example.org",
        "--config",
        &relay,
        &submission,
    ];
    let zone = operator.succeeds(&arguments);
    assert_eq!(
        records(&zone)[0],
        "example.org. IN MX 10 mx1.example.org.",
        "{zone}"
    );
    let srv = |zone: &str| -> Vec<String> {
        let records = records(zone).into_iter();
        let srv = records.filter(|line| line.contains(" IN SRV "));
        srv.map(str::to_owned).collect()
    };
    assert_eq!(
        srv(&zone),
        [
            "_submission._tcp.example.org. IN SRV 0 1 587 mail.example.org.",
            "_submissions._tcp.example.org. IN SRV 0 1 465 mail.example.org.",
        ]
    );
    for said in [
        "; SRV: submission listens on 2587: see to it that 587 leads there",
        "--submissions HOST:PORT",
    ] {
        assert_eq!(zone.matches(said).count(), 1, "{zone}");
    }

    let told = [
        "--submission",
        "smtp.example.org:1587",
        "--submissions",
        "smtp.example.org",
    ];
    let zone = operator.succeeds(&[&arguments[..], &told].concat());
    assert_eq!(
        srv(&zone),
        [
            "_submission._tcp.example.org. IN SRV 0 1 1587 smtp.example.org.",
            "_submissions._tcp.example.org. IN SRV 0 1 465 smtp.example.org.",
        ]
    );
    assert!(!zone.contains("; SRV"), "{zone}");
    let wrong = operator.types(&[&arguments[..], &["--submission", "a.example:x"]].concat());
    assert_eq!(wrong.status, 2, "{wrong:?}");
}

#[test]
fn several_relays_are_named_once_and_each_has_the_record_of_its_own_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let relay = |file: &str, host: &str, certificate: &TestCertificate| {
        let _ = certificate.write_to(folder.path(), file);
        let text = RELAY.replace("mx1.example.org", host);
        let text = text.replace("HERE/mx.", &format!("HERE/{file}."));
        write(folder.path(), &format!("relay-{file}.toml"), &text)
    };
    let all = TestCertificate::self_signed(&["*.example.org"]);
    let second = TestCertificate::self_signed(&["mx2.example.org"]);
    let third = TestCertificate::self_signed(&["elsewhere.example"]);
    let files = [
        relay("a", "mx1.example.org", &all),
        relay("b", "mx2.example.org", &second),
        // Two of one name, with a certificate each.
        relay("c", "MX1.example.org", &third),
        relay("d", "mx3.example.org", &third),
    ];
    let mut arguments = vec!["domain", "dns-records", "example.org", "--config"];
    arguments.extend(files.iter().map(String::as_str));
    arguments.extend(["--mx", "mx2.example.org", "--mx", "mx4.example.org"]);
    let zone = Operator::without_a_database().succeeds(&arguments);
    let of = |kind: &str| -> Vec<String> {
        let records = records(&zone).into_iter();
        let fitting = records.filter(|line| line.contains(kind));
        fitting.map(str::to_owned).collect()
    };
    let mx = [1, 2, 3, 4].map(|n| format!("example.org. IN MX 10 mx{n}.example.org."));
    assert_eq!(of(" IN MX "), mx, "{zone}");
    let [all, second] = [&all, &second].map(|it| openssl_key_digest(&it.certificate));
    assert_eq!(
        of(" IN TLSA "),
        [
            format!("_25._tcp.mx1.example.org. IN TLSA 3 1 1 {all}"),
            format!("_25._tcp.mx2.example.org. IN TLSA 3 1 1 {second}"),
            format!("_25._tcp.mx4.example.org. IN TLSA 3 1 1 {all}"),
        ]
    );
    let missing = format!(
        "; TLSA: none for mx3.example.org: {}/d.pem is not for it.",
        folder.path().display()
    );
    assert!(zone.contains(&missing), "{zone}");
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
