//! What was promised, and whether it holds.

use std::collections::BTreeMap;

use crate::schema::{Schema, Subject};

const RULES: &str = "docs/upgrades.md, \"Rules for a change of `proto/`\", rule";

/// The list of promises.
pub(crate) struct Promises(BTreeMap<Subject, Promise>);

struct Promise {
    terms: String,
    /// Whether it was taken away, and must not come again as another thing.
    is_gone: bool,
}

impl Promise {
    /// The name of a field or value.
    fn name(&self) -> &str {
        name(&self.terms)
    }
}

/// What comes last is the name.
fn name(terms: &str) -> &str {
    terms.rsplit(' ').next().unwrap_or_default()
}

impl Promises {
    pub(crate) fn read(list: &str) -> Self {
        let mut promises = BTreeMap::new();
        let mut package = "";
        for line in list.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(name) = line.strip_prefix("package ") {
                package = name;
                continue;
            }
            let (is_gone, promise) = match line.strip_prefix("gone ") {
                Some(promise) => (true, promise),
                None => (false, line),
            };
            let (subject, terms) = promise.split_once(": ").unwrap_or((promise, ""));
            let (holder, key) = subject.rsplit_once(' ').expect(line);
            let subject = Subject {
                package: package.to_owned(),
                holder: holder.to_owned(),
                key: key.to_owned(),
            };
            let terms = terms.to_owned();
            let twice = promises.insert(subject, Promise { terms, is_gone });
            assert!(twice.is_none(), "{package} has two lines like: {line}");
        }
        Self(promises)
    }

    /// What doesn't hold any more, and what must be added to the list.
    pub(crate) fn broken_by(&self, now: &Schema) -> Vec<String> {
        let broken = self.0.iter().filter_map(|(subject, promise)| {
            let problem = if promise.is_gone {
                returned(subject, promise, now)
            } else {
                changed(subject, promise, now)
            };
            problem.map(|problem| format!("{subject} {problem}"))
        });
        let new = now
            .terms
            .iter()
            .filter(|(subject, _)| !self.0.contains_key(*subject))
            .map(|(subject, terms)| unlisted(subject, terms));
        broken.chain(new).collect()
    }
}

/// The line to add comes last.
fn unlisted(subject: &Subject, terms: &str) -> String {
    let colon = if terms.is_empty() { "" } else { ": " };
    let Subject {
        package,
        holder,
        key,
    } = subject;
    format!("{package}: add to proto/promises.txt: {holder} {key}{colon}{terms}")
}

fn changed(subject: &Subject, promise: &Promise, now: &Schema) -> Option<String> {
    let Promise { terms, .. } = promise;
    match now.terms.get(subject) {
        Some(found) if found == terms => None,
        Some(found) => Some(format!("was `{terms}` and is `{found}` now: {RULES} 1")),
        None => Some(match new_number(subject, promise, now) {
            Some(number) => {
                let name = promise.name();
                format!("was `{name}`, which has the number {number} now: {RULES} 1")
            }
            None => format!(
                "(`{terms}`) is taken away: {RULES} 2. Once no release that runs needs it, reserve its number and name \
                 and write `gone` before its line in proto/promises.txt"
            ),
        }),
    }
}

/// The number under which a field or value is found now.
fn new_number<'a>(subject: &Subject, promise: &Promise, now: &'a Schema) -> Option<&'a str> {
    let has_number = subject.key.parse::<i32>().is_ok();
    let mut others = now.terms.iter().filter(|(other, terms)| {
        (&other.package, &other.holder) == (&subject.package, &subject.holder)
            && name(terms) == promise.name()
    });
    let found = others.next().filter(|_| has_number);
    found.map(|(other, _)| other.key.as_str())
}

fn returned(subject: &Subject, promise: &Promise, now: &Schema) -> Option<String> {
    if let Some(found) = now.terms.get(subject) {
        return Some(format!(
            "is used again, by `{found}`, after it was taken away: {RULES} 1"
        ));
    }
    let has_number = subject.key.parse::<i32>().is_ok();
    // Whatever was in a message or enum that is gone as a whole has nowhere to be reserved.
    let place = subject.holder.split(' ').nth(1).unwrap_or_default();
    let has_place = now
        .terms
        .keys()
        .any(|other| other.package == subject.package && is_in(other, place));
    let name = promise.name();
    (has_number && has_place && !now.has_reserved(subject, name)).then(|| {
        format!("is gone, but its number and its name `{name}` are not `reserved`: {RULES} 2")
    })
}

/// Whether a subject belongs to this message or enum, or is it.
fn is_in(subject: &Subject, place: &str) -> bool {
    subject.holder.split(' ').nth(1) == Some(place)
        || (subject.holder == "message" && subject.key == place)
}
