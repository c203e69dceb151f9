//! What the README says: the command sets up a database, and three processes with the shipped files carry mail.

use std::io::Write as _;
use std::process::{Command, Stdio};

use testkit::{Process, Script, Sink, SmtpTalk};

use super::harness::{
    PASSWORD, PROGRAMS, Shipped, letter, mail_at, mail_client, shipped_file, variable,
};

const ALICE: &str = "alice@example.org";

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_three_processes_carry_one_message_each_way() {
    let far_end = Sink::start(Script::new()).await;
    let database = testkit::database().await;
    let host = Shipped::on(&database).await;
    types(host.command("chasqui").arg("migrate"), "");
    types(
        host.command("chasqui")
            .args(["domain", "add", "example.org"]),
        "",
    );
    types(
        host.command("chasqui").args(["account", "add", ALICE]),
        PASSWORD,
    );

    let route = format!(
        "[{{ domain = \"far.test\", smart_host = \"{}\" }}]",
        far_end.address()
    );
    let mut delivery = Process::start(&mut host.service("delivery"));
    let mut relay = Process::start(host.service("relay").env(variable("relay", "ROUTE"), route));
    let mut submission = Process::start(&mut host.service("submission"));
    delivery.wait_for_log("serving gRPC").await;
    relay.wait_for_log("ready to send").await;
    submission
        .wait_for_log("taking mail from mail clients")
        .await;

    let mut client = mail_client(host.submission).await;
    client.login(ALICE, PASSWORD, 235).await;
    for (recipient, tag) in [(ALICE, "to-a-mailbox"), ("jo@far.test", "to-the-far-end")] {
        let answer = client
            .send_message(ALICE, &[recipient], &letter(tag, ALICE))
            .await;
        assert_eq!(answer.code, 250, "{answer:?}");
    }
    client.command("QUIT", 221).await;
    let (stranger, tag) = ("stranger@far.test", "from-elsewhere");
    let mut server = SmtpTalk::hello(host.relay).await;
    let answer = server
        .send_message(stranger, &[ALICE], &letter(tag, stranger))
        .await;
    assert_eq!(answer.code, 250, "{answer:?}");
    server.command("QUIT", 221).await;

    let mail = mail_at(&host.mail().join("example.org/alice"), 2)
        .await
        .concat();
    assert!(mail.contains("X-Tag: to-a-mailbox\r\n"), "{mail}");
    assert!(mail.contains("X-Tag: from-elsewhere\r\n"), "{mail}");
    let message = far_end.wait_for(1).await.remove(0);
    assert!(message.text().contains("X-Tag: to-the-far-end\r\n"));
    for mut service in [submission, relay, delivery] {
        assert!(service.terminate().await.success());
    }
}

/// Each file is a good starting point: paths and addresses are all that has to be given.
#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_files_pass_the_check_and_misspelt_keys_do_not() {
    let database = testkit::database().await;
    let host = Shipped::on(&database).await;
    for program in PROGRAMS {
        let output = host.service(program).arg("--check").output().unwrap();
        assert!(output.status.success(), "{program}: {output:?}");
        assert!(output.stderr.is_empty(), "{program}: {output:?}");

        let misspelt = host.folder().join(format!("misspelt-{program}.toml"));
        let text = std::fs::read_to_string(shipped_file(program)).unwrap();
        assert!(text.contains("[log]\n"));
        std::fs::write(
            &misspelt,
            text.replace("[log]\n", "[log]\nlevell = \"info\"\n"),
        )
        .unwrap();
        let mut check = host.service_by(program, &misspelt);
        let output = check.arg("--check").output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{program}: {told}");
        let place = format!("{}: log.levell", misspelt.display());
        assert!(told.contains(&place), "{told}");
    }
}

/// Runs a command that must succeed, with a line on its standard input.
fn types(command: &mut Command, line: &str) {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut running = command.spawn().unwrap();
    // A command that wants no input may have ended by now.
    let _ = writeln!(running.stdin.take().unwrap(), "{line}");
    assert!(running.wait().unwrap().success(), "{command:?}");
}
