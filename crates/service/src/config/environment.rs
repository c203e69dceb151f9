//! Environment variables as a source of configuration.

use std::path::PathBuf;
use std::{env, fs};

use ::config::{File, FileFormat, Map, Source, Value};

use super::error::{ConfigError, LocatedProblem, Problem};

/// Goes for every service, as twelve-factor platforms set it.
const DATABASE_URL: (&str, &str) = ("DATABASE_URL", "database.url");

/// Ends the name of a variable that names the file with the value, as container platforms hand
/// secrets over.
const FILE: &str = "_FILE";

/// The variables that concern one service, under the keys that they stand for.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    values: Map<String, Value>,
}

impl Environment {
    pub(super) fn collect(
        prefix: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let (mut for_all, mut own) = (Map::new(), Map::new());
        for (variable, text) in variables {
            let file_of = variable.strip_suffix(FILE);
            let name = file_of.unwrap_or(&variable);
            let (key, values) = if name == DATABASE_URL.0 {
                (DATABASE_URL.1.to_owned(), &mut for_all)
            } else if let Some(key) = key_of(name, prefix) {
                (key, &mut own)
            } else {
                continue;
            };
            // Compose files and the like can't leave a variable out that isn't set: they hand it on empty.
            if text.is_empty() {
                continue;
            }
            let value = match file_of {
                Some(_) => Value::new(Some(&variable), content_of(text)?),
                None => value_of(&variable, text),
            };
            if values.insert(key.clone(), value).is_some() {
                return Err(given_twice(name, key));
            }
        }
        for (key, value) in for_all {
            own.entry(key).or_insert(value);
        }
        Ok(Self { values: own })
    }
}

/// The value of a variable of the process: of `NAME` itself, or what the file has that `NAME_FILE`
/// names. None if there is neither, or it is empty.
///
/// # Errors
/// [`ConfigError`] when the file can't be read.
pub fn variable(name: &str) -> Result<Option<String>, ConfigError> {
    let value = match (env::var(name), env::var(format!("{name}{FILE}"))) {
        (Ok(_), Ok(_)) => return Err(given_twice(name, name.to_owned())),
        (Ok(value), _) => Some(value),
        (_, Ok(path)) => Some(content_of(path)?),
        _ => None,
    };
    Ok(value.filter(|value| !value.is_empty()))
}

/// What a file has, without the end of its last line.
fn content_of(path: String) -> Result<String, ConfigError> {
    let path = PathBuf::from(path);
    match fs::read_to_string(&path) {
        Ok(content) => Ok(content.trim_end_matches(['\r', '\n']).to_owned()),
        Err(source) => Err(ConfigError::Unreadable { path, source }),
    }
}

fn given_twice(name: &str, key: String) -> ConfigError {
    let message = format!("is given twice: keep one of {name} and {name}{FILE}");
    ConfigError::Invalid(vec![LocatedProblem {
        place: None,
        problem: Problem::new(key, message),
    }])
}

impl Source for Environment {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ::config::ConfigError> {
        Ok(self.values.clone())
    }
}

/// `CHASQUI_RELAY__LOG__LEVEL` → `log.level`.
fn key_of(name: &str, prefix: &str) -> Option<String> {
    let key = name.strip_prefix(prefix)?.strip_prefix("__")?;
    Some(key.to_ascii_lowercase().replace("__", "."))
}

/// Lists and tables are written as in TOML. Anything else is text, which becomes a number or a truth
/// value where one is wanted.
fn value_of(name: &str, text: String) -> Value {
    let origin = name.to_owned();
    if text.starts_with(['[', '{']) {
        let parsed = File::from_str(&format!("value = {text}"), FileFormat::Toml).collect();
        if let Some(value) = parsed.ok().and_then(|mut table| table.remove("value")) {
            return Value::new(Some(&origin), value.kind);
        }
    }
    Value::new(Some(&origin), text)
}
