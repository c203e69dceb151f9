//! Environment variables as a source of configuration.

use ::config::{ConfigError, File, FileFormat, Map, Source, Value};

/// Goes for every service, as twelve-factor platforms set it.
const DATABASE_URL: (&str, &str) = ("DATABASE_URL", "database.url");

/// The variables that concern one service, under the keys that they stand for.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    values: Map<String, Value>,
}

impl Environment {
    pub(super) fn collect(
        prefix: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut values = Map::new();
        let mut database_url = None;
        for (name, text) in variables {
            if name == DATABASE_URL.0 {
                database_url = Some(text);
            } else if let Some(key) = key_of(&name, prefix) {
                values.insert(key, value_of(&name, text));
            }
        }
        let (name, key) = DATABASE_URL;
        if let Some(url) = database_url {
            let url = Value::new(Some(&name.to_owned()), url);
            values.entry(key.to_owned()).or_insert(url);
        }
        Self { values }
    }
}

impl Source for Environment {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
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
