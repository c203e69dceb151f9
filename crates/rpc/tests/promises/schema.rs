//! What `proto/` says now.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, MethodDescriptorProto,
};

/// What something is promised about: in `chasqui.delivery.v1`, `field Recipient` and `1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Subject {
    pub(crate) package: String,
    /// Its kind, and the message, enum or service that it is in.
    pub(crate) holder: String,
    /// The number of a field or value, the name of a message or method.
    pub(crate) key: String,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.package, self.holder, self.key)
    }
}

/// All subjects with their terms, and what may never be used again.
#[derive(Default)]
pub(crate) struct Schema {
    pub(crate) terms: BTreeMap<Subject, String>,
    reserved: BTreeMap<(String, String), Reserved>,
}

#[derive(Default)]
struct Reserved {
    numbers: Vec<RangeInclusive<i32>>,
    names: Vec<String>,
}

impl Schema {
    pub(crate) fn of(descriptors: &FileDescriptorSet) -> Self {
        let mut schema = Self::default();
        for file in &descriptors.file {
            schema.file(file);
        }
        schema
    }

    /// Whether number and name are both out of use for good.
    pub(crate) fn has_reserved(&self, subject: &Subject, name: &str) -> bool {
        let place = (subject.package.clone(), subject.holder.clone());
        let (Some(reserved), Ok(number)) = (self.reserved.get(&place), subject.key.parse()) else {
            return false;
        };
        let is_number = reserved.numbers.iter().any(|range| range.contains(&number));
        is_number && reserved.names.iter().any(|reserved| reserved == name)
    }

    /// The names of each enum's 0.
    pub(crate) fn zeros(&self) -> impl Iterator<Item = &str> {
        self.terms
            .iter()
            .filter(|(subject, _)| subject.holder.starts_with("value ") && subject.key == "0")
            .map(|(_, name)| name.as_str())
    }

    fn file(&mut self, file: &FileDescriptorProto) {
        let package = file.package();
        for message in &file.message_type {
            self.message(package, message.name(), message);
        }
        for values in &file.enum_type {
            self.values(package, values.name(), values);
        }
        for service in &file.service {
            for method in &service.method {
                let holder = format!("rpc {}", service.name());
                self.add(package, &holder, method.name(), call(package, method));
            }
        }
    }

    fn message(&mut self, package: &str, path: &str, message: &DescriptorProto) {
        self.add(package, "message", path, String::new());
        let holder = format!("field {path}");
        for field in &message.field {
            let terms = field_terms(package, message, field);
            self.add(package, &holder, &field.number().to_string(), terms);
        }
        let ranges = message.reserved_range.iter();
        let reserved = Reserved {
            // The end of a message's range isn't in it, unlike an enum's.
            numbers: ranges.map(|r| r.start()..=r.end() - 1).collect(),
            names: message.reserved_name.clone(),
        };
        self.reserved.insert((package.to_owned(), holder), reserved);
        for inner in &message.nested_type {
            self.message(package, &format!("{path}.{}", inner.name()), inner);
        }
        for values in &message.enum_type {
            self.values(package, &format!("{path}.{}", values.name()), values);
        }
    }

    fn values(&mut self, package: &str, path: &str, values: &EnumDescriptorProto) {
        let holder = format!("value {path}");
        for value in &values.value {
            let number = value.number().to_string();
            self.add(package, &holder, &number, value.name().to_owned());
        }
        let ranges = values.reserved_range.iter();
        let reserved = Reserved {
            numbers: ranges.map(|r| r.start()..=r.end()).collect(),
            names: values.reserved_name.clone(),
        };
        self.reserved.insert((package.to_owned(), holder), reserved);
    }

    fn add(&mut self, package: &str, holder: &str, key: &str, terms: String) {
        let subject = Subject {
            package: package.to_owned(),
            holder: holder.to_owned(),
            key: key.to_owned(),
        };
        self.terms.insert(subject, terms);
    }
}

/// `stream DeliverRequest -> DeliverResponse`.
fn call(package: &str, method: &MethodDescriptorProto) -> String {
    let side = |is_stream, name| {
        let stream = if is_stream { "stream " } else { "" };
        format!("{stream}{}", within(package, name))
    };
    let request = side(method.client_streaming(), method.input_type());
    let response = side(method.server_streaming(), method.output_type());
    format!("{request} -> {response}")
}

/// `repeated Recipient recipients`.
fn field_terms(package: &str, message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let one_of = field
        .oneof_index
        .and_then(|index| message.oneof_decl.get(usize::try_from(index).unwrap()));
    let label = match (field.label(), one_of) {
        (Label::Repeated, _) => "repeated ".to_owned(),
        _ if field.proto3_optional() => "optional ".to_owned(),
        (_, Some(one_of)) => format!("oneof {} ", one_of.name()),
        _ => String::new(),
    };
    let kind = match field.r#type() {
        Type::Message | Type::Enum => within(package, field.type_name()).to_owned(),
        scalar => scalar
            .as_str_name()
            .trim_start_matches("TYPE_")
            .to_lowercase(),
    };
    format!("{label}{kind} {}", field.name())
}

/// A type's name as it is written in its own package.
fn within<'a>(package: &str, name: &'a str) -> &'a str {
    let name = name.trim_start_matches('.');
    name.strip_prefix(package)
        .and_then(|name| name.strip_prefix('.'))
        .unwrap_or(name)
}
