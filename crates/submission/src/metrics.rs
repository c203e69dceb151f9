//! What is counted of logins. Labels are few and known beforehand.

use std::sync::LazyLock;

use opentelemetry::metrics::Counter;
use opentelemetry::{KeyValue, global};

static LOGINS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    global::meter("chasqui")
        .u64_counter("chasqui_logins")
        .with_description("AUTH commands, by their result")
        .build()
});

/// How an AUTH command ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Login {
    /// The credentials are good.
    Accepted,
    /// They are not, or they ask to act as another.
    Rejected,
    /// Not looked at: too many failures from this address.
    Throttled,
    /// Nobody could say.
    NotChecked,
}

pub(crate) fn login(ended: Login) {
    let result = match ended {
        Login::Accepted => "accepted",
        Login::Rejected => "rejected",
        Login::Throttled => "throttled",
        Login::NotChecked => "not_checked",
    };
    LOGINS.add(1, &[KeyValue::new("result", result)]);
}
