//! Each way to break a promise is told of, with the rule.

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, MethodDescriptorProto,
};

use crate::list::Promises;
use crate::schema::Schema;
use crate::{LIST, descriptors};

const RULE_1: &str = "rule 1";
const RULE_2: &str = "rule 2";

type Change<T> = fn(&mut T);

/// What is told of a change of delivery's messages.
fn told_with(list: &str, change: impl FnOnce(&mut FileDescriptorProto)) -> String {
    let mut descriptors = descriptors();
    change(file(&mut descriptors));
    let problems = Promises::read(list).broken_by(&Schema::of(&descriptors));
    problems.join("\n")
}

fn told(change: impl FnOnce(&mut FileDescriptorProto)) -> String {
    told_with(LIST, change)
}

fn file(descriptors: &mut FileDescriptorSet) -> &mut FileDescriptorProto {
    let mut files = descriptors.file.iter_mut();
    let found = files.find(|file| file.package() == "chasqui.delivery.v1");
    found.unwrap()
}

fn message<'a>(file: &'a mut FileDescriptorProto, name: &str) -> &'a mut DescriptorProto {
    let mut messages = file.message_type.iter_mut();
    messages.find(|message| message.name() == name).unwrap()
}

fn field<'a>(file: &'a mut FileDescriptorProto, name: &str) -> &'a mut FieldDescriptorProto {
    let mut fields = message(file, "DeliverHeader").field.iter_mut();
    fields.find(|field| field.name() == name).unwrap()
}

fn verdict(file: &mut FileDescriptorProto) -> &mut EnumDescriptorProto {
    &mut message(file, "RecipientOutcome").enum_type[0]
}

fn method(file: &mut FileDescriptorProto) -> &mut MethodDescriptorProto {
    &mut file.service[0].method[0]
}

#[track_caller]
fn assert_told(told: &str, words: &[&str]) {
    assert_eq!(told.lines().count(), 1, "{told}");
    for words in words {
        assert!(told.contains(words), "{words:?} is not in: {told}");
    }
}

#[test]
fn a_field_stays_what_it_is() {
    let subject = "chasqui.delivery.v1: field DeliverHeader 2";
    let changes: [(&str, Change<FieldDescriptorProto>); 5] = [
        ("is `int32 tries`", |field| {
            field.name = Some("tries".to_owned());
        }),
        ("is `int64 attempt`", |field| field.set_type(Type::Int64)),
        ("is `repeated int32 attempt`", |field| {
            field.set_label(Label::Repeated);
        }),
        ("is `optional int32 attempt`", |field| {
            field.proto3_optional = Some(true);
        }),
        ("is `Recipient attempt`", |field| {
            field.set_type(Type::Message);
            field.type_name = Some(".chasqui.delivery.v1.Recipient".to_owned());
        }),
    ];
    for (words, change) in changes {
        let told = told(|file| change(field(file, "attempt")));
        assert_told(&told, &[subject, "was `int32 attempt`", words, RULE_1]);
    }
}

#[test]
fn a_field_keeps_its_number() {
    let told = told(|file| field(file, "attempt").number = Some(8));
    let (broken, new) = told.split_once('\n').unwrap();
    assert_told(broken, &["field DeliverHeader 2", "number 8 now", RULE_1]);
    assert_told(new, &["add", "field DeliverHeader 8: int32 attempt"]);
}

#[test]
fn nothing_is_taken_away_unseen() {
    let words = "field DeliverHeader 6 (`string traceparent`) is taken away";
    let dropped = told(|file| {
        let fields = &mut message(file, "DeliverHeader").field;
        fields.retain(|field| field.name() != "traceparent");
    });
    assert_told(&dropped, &[words, RULE_2]);
    let dropped = told(|file| verdict(file).value.truncate(3));
    assert_told(&dropped, &["value RecipientOutcome.Verdict 3", RULE_2]);
    let dropped = told(|file| file.service[0].method.clear());
    assert_told(&dropped, &["rpc Delivery Deliver", RULE_2]);
    let dropped = told(|file| {
        file.message_type
            .retain(|message| message.name() != "DeliverHeader");
    });
    assert!(dropped.contains("message DeliverHeader"), "{dropped}");
    // It has seven fields.
    assert_eq!(dropped.matches(RULE_2).count(), 8, "{dropped}");
}

#[test]
fn what_is_gone_stays_reserved() {
    let line = "field DeliverHeader 6: string traceparent";
    let gone = LIST.replace(line, &format!("gone {line}"));
    let drop = |file: &mut FileDescriptorProto| {
        let fields = &mut message(file, "DeliverHeader").field;
        fields.retain(|field| field.name() != "traceparent");
    };
    let reserve = |file: &mut FileDescriptorProto| {
        let message = message(file, "DeliverHeader");
        message.reserved_range.push(Default::default());
        message.reserved_range[0].start = Some(6);
        message.reserved_range[0].end = Some(7);
        message.reserved_name.push("traceparent".to_owned());
    };
    assert_told(&told_with(&gone, drop), &["not `reserved`", RULE_2]);
    assert_told(&told_with(&gone, |_| {}), &["is used again", RULE_1]);
    let reserved = told_with(&gone, |file| {
        drop(file);
        reserve(file);
    });
    assert_eq!(reserved, "");
}

#[test]
fn a_value_keeps_its_name_and_its_number() {
    let told = told(|file| {
        for (value, number) in verdict(file).value[2..].iter_mut().zip([3, 2]) {
            value.number = Some(number);
        }
    });
    assert_eq!(told.matches(RULE_1).count(), 2, "{told}");
    assert!(told.contains("was `VERDICT_DEFERRED` and is `VERDICT_FAILED`"));
}

#[test]
fn a_method_keeps_its_messages_and_streams() {
    let changes: [(&str, Change<MethodDescriptorProto>); 3] = [
        ("is `DeliverRequest -> DeliverResponse`", |method| {
            method.client_streaming = Some(false);
        }),
        (
            "is `stream DeliverRequest -> stream DeliverResponse`",
            |method| method.server_streaming = Some(true),
        ),
        ("is `stream DeliverRequest -> Reply`", |method| {
            method.output_type = Some(".chasqui.delivery.v1.Reply".to_owned());
        }),
    ];
    for (words, change) in changes {
        let told = told(|file| change(method(file)));
        assert_told(&told, &["rpc Delivery Deliver was", words, RULE_1]);
    }
}

#[test]
fn what_is_new_is_to_be_listed_and_then_holds() {
    let add = |file: &mut FileDescriptorProto| {
        let mut new = field(file, "attempt").clone();
        new.name = Some("novelty".to_owned());
        new.number = Some(8);
        message(file, "DeliverHeader").field.push(new);
    };
    let line = "field DeliverHeader 8: int32 novelty";
    let told = told(add);
    assert_told(
        &told,
        &["chasqui.delivery.v1: add to proto/promises.txt", line],
    );
    let listed = format!("{LIST}\npackage chasqui.delivery.v1\n{line}\n");
    assert_eq!(told_with(&listed, add), "");
}
