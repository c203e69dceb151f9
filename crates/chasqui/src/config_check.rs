//! `chasqui config`: whether the services would start with these files.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde::de::DeserializeOwned;
use service::config::{ConfigError, LocatedProblem, Validate, load};

use crate::failure::Failure;
use crate::output::Output;

/// `chasqui config`.
#[derive(Debug, Args)]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check services' configuration files, with the environment, as they do with --check
    Check {
        /// The files; each is of the service that its name tells, as relay.toml does
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// Whose they are, whatever their names
        #[arg(long, value_name = "SERVICE")]
        service: Option<ServiceName>,
    },
}

/// A service of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ServiceName {
    Submission,
    Relay,
    Delivery,
}

impl ServiceName {
    /// The one that the file's name tells; none if it tells none or several.
    pub(crate) fn of_file(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        let told = |service: &Self| name.contains(service.as_str());
        let mut services = [Self::Submission, Self::Relay, Self::Delivery].into_iter();
        services
            .by_ref()
            .find(told)
            .filter(|_| !services.any(|other| told(&other)))
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Submission => "submission",
            Self::Relay => "relay",
            Self::Delivery => "delivery",
        }
    }
}

/// What was found in a file.
#[derive(Serialize)]
struct Checked {
    file: String,
    service: ServiceName,
    problems: Vec<Told>,
}

/// A problem as `--check` tells it, and in parts.
#[derive(Serialize)]
struct Told {
    /// The file or environment variable it is in.
    place: Option<String>,
    key: Option<String>,
    message: String,
    #[serde(skip)]
    line: String,
}

pub(crate) async fn run(command: ConfigCommand) -> Result<(), Failure> {
    let Action::Check { files, service } = command.action;
    let mut checked = Vec::with_capacity(files.len());
    for file in files {
        let told = service.or_else(|| ServiceName::of_file(&file));
        let service = told.ok_or_else(|| Failure::WhichService(file.clone()))?;
        checked.push(check(&file, service));
    }
    command.output.one(&checked, || in_words(&checked))?;
    let problems = checked.iter().map(|file| file.problems.len()).sum();
    if problems == 0 {
        Ok(())
    } else {
        Err(Failure::Problems(problems))
    }
}

fn check(file: &Path, service: ServiceName) -> Checked {
    let problems = match service {
        ServiceName::Submission => {
            problems::<submission::Config>(file, submission::ENVIRONMENT_PREFIX)
        }
        ServiceName::Relay => problems::<relay::Config>(file, relay::ENVIRONMENT_PREFIX),
        ServiceName::Delivery => problems::<delivery::Config>(file, delivery::ENVIRONMENT_PREFIX),
    };
    Checked {
        file: file.display().to_string(),
        service,
        problems,
    }
}

fn problems<T: DeserializeOwned + Validate>(file: &Path, prefix: &str) -> Vec<Told> {
    match load::<T>(Some(file), prefix) {
        Ok(_) => Vec::new(),
        Err(ConfigError::Invalid(problems)) => problems.into_iter().map(Told::from).collect(),
        Err(error) => {
            let line = service::one_line(&error);
            vec![Told {
                place: None,
                key: None,
                message: line.clone(),
                line,
            }]
        }
    }
}

impl From<LocatedProblem> for Told {
    fn from(located: LocatedProblem) -> Self {
        let line = located.to_string();
        Self {
            place: located.place,
            key: Some(located.problem.key),
            message: located.problem.message,
            line,
        }
    }
}

/// A line for each problem, and for each file without one.
fn in_words(checked: &[Checked]) -> String {
    let mut lines = Vec::new();
    for file in checked {
        let service = file.service.as_str();
        if file.problems.is_empty() {
            lines.push(format!("{}: {service} would start with it", file.file));
        }
        let problems = file.problems.iter();
        lines.extend(problems.map(|problem| format!("{service}: {}", problem.line)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_tells_one_service_or_none() {
        for (name, service) in [
            ("/etc/chasqui/relay.toml", Some(ServiceName::Relay)),
            ("relay/submission-2.toml", Some(ServiceName::Submission)),
            ("Delivery.toml", Some(ServiceName::Delivery)),
            ("relay-and-delivery.toml", None),
            ("relay/chasqui.toml", None),
        ] {
            assert_eq!(ServiceName::of_file(Path::new(name)), service, "{name}");
        }
    }
}
