//! What is counted of logins. Labels are few and known beforehand.

use std::sync::LazyLock;

use opentelemetry::metrics::Counter;
use opentelemetry::{KeyValue, global};

static LOGINS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    let logins = global::meter("chasqui")
        .u64_counter("chasqui_logins")
        .with_description("AUTH commands, by their result")
        .build();
    // A rate is known only of what was seen before it rose.
    for ended in [
        Login::Accepted,
        Login::Rejected,
        Login::Throttled,
        Login::NotChecked,
    ] {
        logins.add(0, &ended.labels());
    }
    logins
});

/// To be called at the start, so that what has not happened yet is told as well.
pub(crate) fn begin() {
    LazyLock::force(&LOGINS);
}

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

impl Login {
    fn labels(self) -> [KeyValue; 1] {
        let result = match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Throttled => "throttled",
            Self::NotChecked => "not_checked",
        };
        [KeyValue::new("result", result)]
    }
}

pub(crate) fn login(ended: Login) {
    LOGINS.add(1, &ended.labels());
}
