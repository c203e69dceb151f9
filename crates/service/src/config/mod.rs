//! Configuration: a TOML file, then the environment, then flags (which the caller applies).
//!
//! Every problem is reported at once, with its place and key: keys that are unknown, values of the
//! wrong kind, and whatever [`Validate`] finds amiss.

mod environment;
mod error;
mod reading;
mod sections;
mod units;

use std::path::Path;

use ::config::{Config, File, FileFormat, FileSourceString};
use serde::de::DeserializeOwned;

use environment::Environment;
use reading::Reading;

pub use environment::variable;
pub use error::{ConfigError, LocatedProblem, Problem};
pub use sections::{
    DatabaseSection, GrpcClientSection, GrpcClientTls, GrpcServerSection, GrpcServerTls,
    ListenSection, ListenTls, LogConfig, LogFormat, TelemetrySection, TlsSection,
};
pub use units::{duration, optional_secret, size};

/// What has to hold beyond the kinds of the values.
pub trait Validate {
    /// All that is amiss, not only the first.
    fn problems(&self) -> Vec<Problem>;
}

/// Reads a configuration from the file at `path`, if one is given, and from the environment.
///
/// `CHASQUI_RELAY__LOG__LEVEL` is the key `level` of the section `log` when `prefix` is
/// `CHASQUI_RELAY`. A value that begins with `[` or `{` is TOML, others are taken as they are.
/// `DATABASE_URL`, which goes for all services, is `database.url`. The name of either with `_FILE`
/// behind it names a file that has the value, for secrets. An empty variable counts as not set.
///
/// # Errors
/// [`ConfigError`], which tells every problem at once.
pub fn load<T>(path: Option<&Path>, prefix: &str) -> Result<T, ConfigError>
where
    T: DeserializeOwned + Validate,
{
    // Names and values that are not Unicode can't be ours.
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    load_with(path, prefix, std::env::vars_os().filter_map(text))
}

/// As [`load`], with an environment of the caller's.
///
/// # Errors
/// [`ConfigError`], which tells every problem at once.
pub fn load_with<T>(
    path: Option<&Path>,
    prefix: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<T, ConfigError>
where
    T: DeserializeOwned + Validate,
{
    let mut builder = Config::builder();
    if let Some(path) = path {
        builder = builder.add_source(read_file(path)?);
    }
    let tree = builder
        .add_source(Environment::collect(prefix, environment)?)
        .build()
        .map_err(|error| ConfigError::syntax(path, &error))?
        .cache;

    let mut reading = Reading::new(tree, path);
    let value: Option<T> = reading.deserialize();
    if let Some(value) = &value {
        reading.note(value.problems());
    }
    let problems = reading.into_problems();
    match value {
        Some(value) if problems.is_empty() => Ok(value),
        _ => Err(ConfigError::Invalid(problems)),
    }
}

/// Reads the file ourselves, so that it is named as the user named it.
fn read_file(path: &Path) -> Result<File<FileSourceString, FileFormat>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    Ok(File::from_str(&text, FileFormat::Toml))
}
