//! Turns a tree of values into a configuration, and goes on after a fault to find the others.

use std::collections::BTreeSet;
use std::path::Path;

use ::config::{ConfigError, Value, ValueKind};
use serde::de::DeserializeOwned;

use super::error::{LocatedProblem, Problem};

/// A file with more faults than this has told enough.
const MAX_FAULTS: usize = 50;

/// A tree of values, and what is found wrong with it.
pub(super) struct Reading {
    tree: Value,
    /// The whole tree, to tell where a value came from after it was dropped.
    original: Value,
    file: Option<String>,
    dropped: BTreeSet<String>,
    problems: Vec<LocatedProblem>,
}

impl Reading {
    pub(super) fn new(tree: Value, file: Option<&Path>) -> Self {
        Self {
            original: tree.clone(),
            tree,
            file: file.map(|path| path.display().to_string()),
            dropped: BTreeSet::new(),
            problems: Vec::new(),
        }
    }

    /// Serde stops at the first fault. So what was faulty is dropped, and the rest is read again.
    pub(super) fn deserialize<T: DeserializeOwned>(&mut self) -> Option<T> {
        for _ in 0..MAX_FAULTS {
            match T::deserialize(self.tree.clone()) {
                Ok(value) => return Some(value),
                Err(error) => {
                    let fault = Fault::of(error);
                    let culprit = fault.culprit();
                    // What lacks only because we dropped it has been told.
                    if !self.dropped.contains(&fault.key) {
                        self.add(Problem::new(fault.key, fault.message));
                    }
                    if !remove(&mut self.tree, culprit.as_deref()?) {
                        return None;
                    }
                    self.dropped.extend(culprit);
                }
            }
        }
        None
    }

    /// Adds what validation found, unless it follows from a fault that was told.
    pub(super) fn note(&mut self, problems: Vec<Problem>) {
        for problem in problems {
            let told = |dropped: &String| problem.key.starts_with(dropped.as_str());
            if !self.dropped.iter().any(told) {
                self.add(problem);
            }
        }
    }

    /// All problems, by place and key: a tree of values has no order of its own.
    pub(super) fn into_problems(mut self) -> Vec<LocatedProblem> {
        self.problems
            .sort_by(|a, b| (&a.place, &a.problem.key).cmp(&(&b.place, &b.problem.key)));
        self.problems
    }

    fn add(&mut self, problem: Problem) {
        let place = origin(&self.original, &problem.key).or(self.file.clone());
        self.problems.push(LocatedProblem { place, problem });
    }
}

/// What serde stumbled over.
struct Fault {
    key: String,
    message: String,
    is_missing: bool,
}

impl Fault {
    fn of(error: ConfigError) -> Self {
        match error {
            ConfigError::NotFound(key) => Self {
                key: dotted(&key),
                message: "is missing".to_owned(),
                is_missing: true,
            },
            ConfigError::Type {
                unexpected,
                expected,
                key,
                ..
            } => Self::invalid(
                key.unwrap_or_default(),
                format!("invalid type: {unexpected}, expected {expected}"),
            ),
            ConfigError::At { error, key, .. } => {
                Self::invalid(key.unwrap_or_default(), error.to_string())
            }
            other => Self::invalid(String::new(), other.to_string()),
        }
    }

    fn invalid(key: String, message: String) -> Self {
        Self {
            // Serde gives the key of the table where a field is unknown.
            key: match unknown_field(&message) {
                Some(field) if key.is_empty() => field.to_owned(),
                Some(field) => format!("{}.{field}", dotted(&key)),
                None => dotted(&key),
            },
            message: plain(message),
            is_missing: false,
        }
    }

    /// The value without which reading can go on. To drop an element of a list would shift the
    /// others, so the whole list goes; where a key is missing, its table goes.
    fn culprit(&self) -> Option<String> {
        let mut key = self.key.as_str();
        if self.is_missing {
            key = key.rsplit_once('.')?.0;
        }
        while let Some((list, _)) = key.strip_suffix(']').and_then(|key| key.rsplit_once('[')) {
            key = list;
        }
        (!key.is_empty()).then(|| key.to_owned())
    }
}

/// The crate writes `listen[1]address`; we mean `listen[1].address`.
fn dotted(key: &str) -> String {
    let mut dotted = String::with_capacity(key.len() + 1);
    for c in key.chars() {
        if dotted.ends_with(']') && c != '.' && c != '[' {
            dotted.push('.');
        }
        dotted.push(c);
    }
    dotted
}

/// Serde's words for a field that a table doesn't have.
fn unknown_field(message: &str) -> Option<&str> {
    let (field, _) = message.strip_prefix("unknown field `")?.split_once('`')?;
    Some(field)
}

/// The crate's words for a value that an enum lacks are no help to who writes the file.
fn plain(message: String) -> String {
    match message.split_once(" does not have variant constructor ") {
        Some((_, value)) => format!("`{value}` is not among the values that it may have"),
        None => message,
    }
}

/// A key's parts: names of fields, and indices into lists.
fn parts(key: &str) -> impl Iterator<Item = Part<'_>> {
    key.split(['.', '['])
        .filter(|part| !part.is_empty())
        .map(|part| {
            let index = part.strip_suffix(']').and_then(|index| index.parse().ok());
            index.map_or(Part::Field(part), Part::Index)
        })
}

enum Part<'a> {
    Field(&'a str),
    Index(usize),
}

fn child<'a>(value: &'a Value, part: &Part<'_>) -> Option<&'a Value> {
    match (&value.kind, part) {
        (ValueKind::Table(table), Part::Field(name)) => table.get(*name),
        (ValueKind::Array(list), Part::Index(index)) => list.get(*index),
        _ => None,
    }
}

fn child_mut<'a>(value: &'a mut Value, part: &Part<'_>) -> Option<&'a mut Value> {
    match (&mut value.kind, part) {
        (ValueKind::Table(table), Part::Field(name)) => table.get_mut(*name),
        (ValueKind::Array(list), Part::Index(index)) => list.get_mut(*index),
        _ => None,
    }
}

/// Removes a field; `false` if there is none.
fn remove(tree: &mut Value, key: &str) -> bool {
    let mut value = tree;
    let mut parts = parts(key).peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return match (&mut value.kind, part) {
                (ValueKind::Table(table), Part::Field(name)) => table.remove(name).is_some(),
                _ => false,
            };
        }
        match child_mut(value, &part) {
            Some(next) => value = next,
            None => return false,
        }
    }
    false
}

/// Where a value came from, or else the nearest thing around it that tells.
fn origin(tree: &Value, key: &str) -> Option<String> {
    let mut value = tree;
    let mut origin = None;
    for part in parts(key) {
        match child(value, &part) {
            Some(next) => value = next,
            // What is missing came from nowhere, and belongs to the file.
            None => return None,
        }
        origin = value.origin().or(origin);
    }
    origin.map(str::to_owned)
}
