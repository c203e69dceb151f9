//! The services' configuration files, read as the services read them: the environment goes first.

use std::path::Path;

use serde::de::DeserializeOwned;
use service::config::{ConfigError, Problem, Validate, load_with};

const DATABASE_URL: &str = "DATABASE_URL";
const DATABASE_URL_FILE: &str = "DATABASE_URL_FILE";
/// Stands for a database that is given in another way, or not at all.
pub(crate) const NO_DATABASE: &str = "postgres://127.0.0.1/";

/// As the service reads it; that it may have no database here is no fault of the file.
pub(crate) fn load<T>(file: &Path, prefix: &str) -> Result<T, ConfigError>
where
    T: DeserializeOwned + Validate,
{
    match load_with(Some(file), prefix, environment()) {
        Err(ConfigError::Invalid(problems))
            if problems.iter().all(|it| is_missing_database(&it.problem)) =>
        {
            load_without_database(file, prefix)
        }
        loaded => loaded,
    }
}

/// The same for whom the database has no say: what the environment tells of it is not even read.
pub(crate) fn load_without_database<T>(file: &Path, prefix: &str) -> Result<T, ConfigError>
where
    T: DeserializeOwned + Validate,
{
    let others =
        environment().filter(|(name, _)| name != DATABASE_URL && name != DATABASE_URL_FILE);
    let stand_in = (DATABASE_URL.to_owned(), NO_DATABASE.to_owned());
    load_with(Some(file), prefix, others.chain([stand_in]))
}

fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn is_missing_database(problem: &Problem) -> bool {
    problem.key == "database.url" && problem.message.starts_with("is missing")
}
