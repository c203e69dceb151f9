//! What is wrong with a configuration, told so that it can be put right at once.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Something to be put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, as in `log.level` or `route[2].port`.
    pub key: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Problem {
    /// A problem with a key.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            message: message.into(),
        }
    }

    /// The same problem as seen from outside the section (or `section[index]`) it is in.
    #[must_use]
    pub fn within(self, section: &str) -> Self {
        Self {
            key: format!("{section}.{}", self.key),
            ..self
        }
    }
}

/// A problem, and where its value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocatedProblem {
    /// The file or the environment variable; none when nothing was given at all.
    pub place: Option<String>,
    /// What is wrong there.
    pub problem: Problem,
}

impl fmt::Display for LocatedProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { key, message } = &self.problem;
        match &self.place {
            Some(place) => write!(f, "{place}: {key}: {message}"),
            None => write!(f, "{key}: {message}"),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("can't read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is no TOML. The text has the file, the line and the reason.
    #[error("{0}")]
    Syntax(String),
    /// Keys or values are wrong; one line for each.
    #[error("{}", lines(.0))]
    Invalid(Vec<LocatedProblem>),
}

impl ConfigError {
    pub(super) fn syntax(path: Option<&Path>, error: &::config::ConfigError) -> Self {
        let place = path.map_or("the environment".into(), Path::to_string_lossy);
        Self::Syntax(format!("{place}: {error}"))
    }
}

fn lines(problems: &[LocatedProblem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
