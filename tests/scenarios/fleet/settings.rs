//! A configuration as a list of TOML lines, of which the later win.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use service::config::{Validate, load_with};

/// Lines such as `outbound.retry_first = "1s"`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings(BTreeMap<String, String>);

impl Settings {
    /// Sets what a line, or each of several lines, says.
    pub(crate) fn set(&mut self, lines: &str) {
        let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
        for line in lines {
            let (key, value) = line.split_once(" = ").expect("a line is `key = value`");
            self.0.insert(key.to_owned(), value.to_owned());
        }
    }

    /// Sets everything that `others` set.
    pub(crate) fn merge(&mut self, others: &Self) {
        let others = others.0.iter();
        self.0
            .extend(others.map(|(key, value)| (key.clone(), value.clone())));
    }

    /// The text of the file.
    pub(crate) fn text(&self) -> String {
        let lines = self.0.iter();
        lines
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect()
    }

    /// Writes the file and reads it as the service does.
    pub(crate) fn load<T: DeserializeOwned + Validate>(&self, file: &Path, prefix: &str) -> T {
        let text = self.text();
        std::fs::write(file, &text).unwrap();
        load_with(Some(file), prefix, []).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }
}

/// A path as a TOML string.
pub(crate) fn quoted(path: PathBuf) -> String {
    format!("'{}'", path.display())
}
