//! Submission, relay and delivery as others reach them: who serves, and in which version.
//!
//! Only relays register. Of the rest is known whom a configuration calls, and who tells about itself
//! by `[telemetry]`.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use rpc::{Instance, Target, ask_health};
use service::config::Problem;
use service::telemetry::on_this_machine;
use service::wiring::channel;
use tokio::task::JoinHandle;

use super::about::{About, addresses, ask};
use super::finding::{Finding, Findings};
use super::known::{Call, Known};

/// For each instance: it is in our own network.
const ANSWER: Duration = Duration::from_secs(5);

const SEE: &str = "see whether it runs, and its log; the others do its work meanwhile";

/// What was found, and the versions that run.
pub(super) async fn look(known: &Known, telemetry: &[Target]) -> (Vec<Finding>, BTreeSet<String>) {
    let (mut findings, (told, versions)) =
        tokio::join!(called(known.calls.clone()), telling(known, telemetry));
    findings.extend(told);
    (findings, versions)
}

/// Each in a task of its own, so that one which is waited for holds up no other.
async fn all<T: Send + 'static>(
    questions: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<JoinHandle<T>> = questions.map(tokio::spawn).collect();
    let mut answers = Vec::with_capacity(tasks.len());
    for task in tasks {
        answers.extend(task.await);
    }
    answers
}

/// All instances that the configurations lead to. One that several call is told of once.
async fn called(calls: Vec<Call>) -> Vec<Finding> {
    let questions = calls.into_iter().map(async |call| {
        let instances = instances(&call).await;
        (call, instances)
    });
    let mut findings = Findings::of("fleet");
    for (call, instances) in all(questions).await {
        match instances {
            Ok(instances) => about_instances(&call, &instances, &mut findings),
            Err(error) => {
                let remedy = "mend it: the service can't call anybody with it";
                findings.problem(call.name(), error, remedy);
            }
        }
    }
    let mut told: Vec<Finding> = Vec::new();
    for finding in findings.list {
        let same = |it: &Finding| it.subject == finding.subject && it.found == finding.found;
        if !told.iter().any(same) {
            told.push(finding);
        }
    }
    told
}

async fn instances(call: &Call) -> Result<Vec<Instance>, String> {
    let told = |problem: Problem| format!("{}: {}", problem.key, problem.message);
    let mut config = channel(&call.section, ANSWER).map_err(told)?;
    config.deadline = ANSWER;
    let asked = ask_health(call.service, &config).await;
    asked.map_err(|error| service::one_line(&error))
}

fn about_instances(call: &Call, instances: &[Instance], findings: &mut Findings) {
    for instance in instances {
        let place = match instance.address {
            Some(address) => address.to_string(),
            None => instance.target.to_string(),
        };
        let subject = format!("{} {place} (gRPC)", call.service);
        match &instance.health {
            Ok(true) => findings.ok(subject, "serves"),
            Ok(false) => findings.warn(subject, "says that it does not serve", SEE),
            Err(error) => findings.warn(subject, error.to_string(), SEE),
        }
    }
    if instances.iter().any(|it| matches!(it.health, Ok(true))) {
        return;
    }
    let found = format!("no {} serves", call.service);
    if call.service == "relay" {
        let remedy = "start a relay: until then mail stays in the queue";
        findings.warn(call.name(), found, remedy);
    } else {
        let remedy = "start delivery: until then clients are told to come back, and mail waits";
        findings.problem(call.name(), found, remedy);
    }
}

/// The services that tell about themselves, here and where we are told to look.
async fn telling(known: &Known, telemetry: &[Target]) -> (Vec<Finding>, BTreeSet<String>) {
    let mut findings = Findings::of("fleet");
    let mut versions = BTreeSet::new();
    let sections = known.telemetry.iter().map(|(_, section)| section);
    let own: Vec<SocketAddr> = sections
        .filter_map(|it| it.listen)
        .map(on_this_machine)
        .collect();
    let mut places = own.clone();
    for target in telemetry {
        match addresses(target).await {
            Ok(found) => places.extend(found),
            Err(error) => {
                let remedy = "check the name: it leads to all instances of a service";
                findings.problem(target.to_string(), service::one_line(&error), remedy);
            }
        }
    }
    places.sort_unstable();
    places.dedup();
    let questions = places
        .into_iter()
        .map(async |place| (place, ask(place).await));
    for (place, answer) in all(questions).await {
        match answer {
            Ok(about) => {
                about_service(&about, place, &mut findings);
                versions.insert(about.version);
            }
            // The look at the ports tells of those here.
            Err(_) if own.contains(&place) => {}
            Err(error) => {
                let subject = format!("{place} (telemetry)");
                findings.warn(subject, service::one_line(&error), SEE);
            }
        }
    }
    (findings.list, versions)
}

fn about_service(about: &About, place: SocketAddr, findings: &mut Findings) {
    let subject = format!("{} {place} (telemetry)", about.service);
    let found = format!("{}, {}", about.version, about.state);
    if about.is_ready {
        findings.ok(subject, found);
    } else {
        findings.warn(subject, found, SEE);
    }
}
