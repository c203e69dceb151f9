//! How statements look rows up by key.
//!
//! Each compares the whole key as one row value, `(u.shard, u.message, u.number) BETWEEN (…)`,
//! rather than column by column with `=`. The two mean the same, but not to the planner. A queue
//! that was empty when its statistics were taken looks as if scanning a whole shard once were
//! cheaper than looking up ten keys in it, and the plan stays when a million rows have come. A
//! comparison of row values, whose other side comes from a list, leaves one plan only: take the
//! list, and look each key up in the index that leads with all of these columns.
//!
//! For that, the list must not be merged into the query around it: `unnest` in its select list, a
//! materialised or a changing CTE, or a LIMIT see to it.

/// The unit `$row` whose key (shard, message, number) is `$key`.
macro_rules! at_unit {
    ($row:literal, $key:literal) => {
        concat!(
            "(",
            $row,
            ".shard, ",
            $row,
            ".message, ",
            $row,
            ".number) BETWEEN (",
            $key,
            ") AND (",
            $key,
            ")"
        )
    };
}

/// The message or content `$row` whose key (shard, id) is `$key`.
macro_rules! at_message {
    ($row:literal, $key:literal) => {
        concat!(
            "(",
            $row,
            ".shard, ",
            $row,
            ".id) BETWEEN (",
            $key,
            ") AND (",
            $key,
            ")"
        )
    };
}

pub(crate) use {at_message, at_unit};
