//! How statements look rows up by key.
//!
//! Not column by column with `=`, although it means the same: a queue that was empty when its
//! statistics were taken looks as if scanning a whole shard once were cheaper than looking up ten
//! keys in it, and the plan stays when a million rows have come. These two comparisons can't be
//! hashed or merged, and neither stands alone without the list, so that one plan is left: take the
//! list, and look each key up in the index that leads with all of these columns.
//!
//! - `u.shard = ANY (ARRAY[c.shard])` is an equality to the index, so that a scan ends where the
//!   message ends. With the shard as the first column of one row value it would go on to the end of
//!   the shard: such a comparison bounds a scan by its first column only.
//! - `(u.message, u.number) BETWEEN (…) AND (…)` is the rest of the key.
//!
//! For that, the list must not be merged into the query around it: `unnest` in its select list, a
//! materialised or a changing CTE, or a LIMIT see to it.

/// The unit `$row` whose key is (`$shard`, `$key`), the latter its message and number.
macro_rules! at_unit {
    ($row:literal, $shard:literal, $key:literal) => {
        concat!(
            $row,
            ".shard = ANY (ARRAY[",
            $shard,
            "]) AND (",
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

/// The message or content `$row` whose key is (`$shard`, `$id`).
macro_rules! at_message {
    ($row:literal, $shard:literal, $id:literal) => {
        concat!(
            $row,
            ".shard = ANY (ARRAY[",
            $shard,
            "]) AND ",
            $row,
            ".id BETWEEN ",
            $id,
            " AND ",
            $id
        )
    };
}

pub(crate) use {at_message, at_unit};
