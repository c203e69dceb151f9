//! The statement that puts messages into the queue.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use sqlx::postgres::PgBindIterExt as _;

use crate::columns::{ContentColumn, body_column, bytea_array, int_array, one_line};
use crate::ids::{Shard, Tenant};
use crate::prepare::{FIRST_ATTEMPT, PreparedMessage, PreparedUnit};
use crate::way::Session;

/// A column of many rows. `unnest` stands in the select list, where it streams; as a table function
/// it would copy all content to a tuple store first.
macro_rules! each {
    () => {
        ""
    };
    ($column:literal) => {
        concat!("unnest(", $column, ")")
    };
}

/// The column of the only row. Setting up `unnest` thirty times takes Postgres as long as to insert
/// two messages. Without any, as in a rehearsal, there is no row.
macro_rules! only {
    () => {
        " WHERE cardinality($2::uuid[]) > 0"
    };
    ($column:literal) => {
        concat!("(", $column, ")[1]")
    };
}

/// Inserts messages of one shard with content, units and ledger delta: one statement, hence one
/// transaction and one round trip. Each table that it names costs as much as some rows do.
macro_rules! insert {
    ($row:ident, $inline_column:expr, $inline:expr, $apart:expr) => {
        concat!(
            "
WITH message AS (
    INSERT INTO queue.message (shard, id, tenant, size, accepted_at, remaining, body, reverse_path,
                               service, client, hello, login, tls, traceparent",
            $inline_column,
            ")
    SELECT $1, ",
            $row!("$2::uuid[]"), ", ", $row!("$3::bigint[]"), ", ", $row!("$4::bigint[]"), ", ",
            $row!("$5::timestamptz[]"), ", ", $row!("$6::int[]"), ", ", $row!("$7::smallint[]"), ", ",
            $row!("$8::bytea[]"), ", ", $row!("$9::text[]"), ", ", $row!("$10::text[]"), "::inet, ",
            $row!("$11::text[]"), ", ", $row!("$12::text[]"), ", ", $row!("$13::text[]"), ", ",
            $row!("$14::text[]"),
            $inline,
            $row!(),
            "
),",
            $apart,
            "
unit AS (
    INSERT INTO queue.unit (shard, message, number, tenant, domain, state, holder, leased_at,
                            attempt, due_at, expires_at, sole, recipients, recipient_numbers)
    SELECT $1, message, number, tenant, domain,
           CASE WHEN holder IS NULL THEN 'ready' ELSE 'leased' END::queue.unit_state,
           holder, CASE WHEN holder IS NOT NULL THEN now() END,
           CASE WHEN holder IS NULL THEN 0 ELSE $16 END,
           now(), expires_at, sole, recipients::bytea[], recipient_numbers::int[]
    FROM (SELECT ",
            $row!("$17::uuid[]"), " AS message, ", $row!("$18::int[]"), " AS number, ",
            $row!("$19::bigint[]"), " AS tenant, ", $row!("$20::text[]"), " AS domain, ",
            $row!("$21::bigint[]"), " AS holder, ", $row!("$22::timestamptz[]"), " AS expires_at, ",
            $row!("$23::boolean[]"), " AS sole, ", $row!("$24::text[]"), " AS recipients, ",
            $row!("$25::text[]"),
            " AS recipient_numbers",
            $row!(),
            ") AS new
)
INSERT INTO queue.ledger_delta (shard, tenant, event, recipients)
SELECT $1, ",
            $row!("$26::bigint[]"), ", 'accepted', ", $row!("$27::bigint[]"),
            $row!(),
        )
    };
}

/// Messages of any kind. The row of one with several units is updated as they end, and must be
/// small.
pub(crate) const ANY: &str = insert!(
    each,
    "",
    "",
    "
content AS (
    INSERT INTO queue.content (shard, id, data)
    SELECT $1, unnest($2::uuid[]), unnest($15::bytea[])
),"
);
/// Messages of one unit each.
pub(crate) const SOLE: &str = insert!(each, ", content", ", unnest($15::bytea[])", "");
/// One message of one unit; or none, which is a rehearsal.
pub(crate) const ONE: &str = insert!(only, ", content", ", ($15::bytea[])[1]", "");

/// The statement for a batch.
fn statement<M: Borrow<PreparedMessage>>(messages: &[M]) -> &'static str {
    let are_sole = messages
        .iter()
        .all(|message| message.borrow().units.len() == 1);
    match (are_sole, messages.len()) {
        (true, 0 | 1) => ONE,
        (true, _) => SOLE,
        (false, _) => ANY,
    }
}

/// Inserts a batch, all of it or nothing. All messages belong to `shard`. An empty batch goes all
/// the way, and changes nothing.
///
/// # Errors
/// Whatever the database says; with a data error, one of the messages is at fault.
pub(crate) async fn insert<M: Borrow<PreparedMessage>>(
    session: Session<'_>,
    shard: Shard,
    messages: &[M],
) -> Result<(), sqlx::Error> {
    let each = || messages.iter().map(Borrow::borrow);
    let origin = || each().map(|new| &new.message.origin);
    let units = || {
        each().flat_map(|new| {
            (0..)
                .zip(&new.units)
                .map(move |(number, unit)| Row { new, number, unit })
        })
    };
    let accepted = accepted_by_tenant(each());
    sqlx::query(statement(messages))
        .bind(shard.column())
        .bind(each().map(|new| new.message.id.as_uuid()).bind_iter())
        .bind(each().map(|new| new.message.tenant.0).bind_iter())
        .bind(
            each()
                .map(|new| count(new.message.content.len()))
                .bind_iter(),
        )
        .bind(each().map(|new| new.accepted_at).bind_iter())
        .bind(each().map(|new| number(new.units.len())).bind_iter())
        .bind(each().map(|new| body_column(new.message.body)).bind_iter())
        .bind(
            each()
                .map(|new| new.message.reverse_path.as_address().into_bytes())
                .bind_iter(),
        )
        .bind(origin().map(|origin| origin.service.as_str()).bind_iter())
        .bind(
            origin()
                .map(|origin| origin.client.map(|client| client.to_string()))
                .bind_iter(),
        )
        .bind(
            origin()
                .map(|origin| origin.hello.as_deref().map(one_line))
                .bind_iter(),
        )
        .bind(
            origin()
                .map(|origin| origin.login.as_deref().map(one_line))
                .bind_iter(),
        )
        .bind(
            origin()
                .map(|origin| origin.tls.as_deref().map(one_line))
                .bind_iter(),
        )
        .bind(each().map(|new| new.message.trace.to_string()).bind_iter())
        .bind(
            each()
                .map(|new| ContentColumn(&new.message.content))
                .bind_iter(),
        )
        .bind(FIRST_ATTEMPT)
        .bind(units().map(|row| row.new.message.id.as_uuid()).bind_iter())
        .bind(units().map(|row| row.number).bind_iter())
        .bind(units().map(|row| row.new.message.tenant.0).bind_iter())
        .bind(units().map(|row| row.unit.domain.as_str()).bind_iter())
        .bind(
            units()
                .map(|row| row.new.message.lease_to.map(|holder| holder.0))
                .bind_iter(),
        )
        .bind(units().map(|row| row.new.message.expires_at).bind_iter())
        .bind(units().map(|row| row.new.units.len() == 1).bind_iter())
        .bind(units().map(|row| row.addresses()).bind_iter())
        .bind(units().map(|row| row.numbers()).bind_iter())
        .bind(accepted.keys().map(|tenant| tenant.0).bind_iter())
        .bind(accepted.values().copied().bind_iter())
        .persistent(session.keeps)
        .execute(session.connection)
        .await
        .map(drop)
}

/// What the ledger gains. Summed up here, since Postgres takes longer to set up a sum than to make it.
fn accepted_by_tenant<'a>(
    messages: impl Iterator<Item = &'a PreparedMessage>,
) -> BTreeMap<Tenant, i64> {
    let mut accepted = BTreeMap::new();
    for new in messages {
        *accepted.entry(new.message.tenant).or_default() += count(new.recipients());
    }
    accepted
}

/// A row of `queue.unit`.
struct Row<'a> {
    new: &'a PreparedMessage,
    number: i32,
    unit: &'a PreparedUnit,
}

impl Row<'_> {
    fn addresses(&self) -> String {
        bytea_array(
            self.unit
                .recipients
                .iter()
                .map(|recipient| &recipient.mailbox),
        )
    }

    fn numbers(&self) -> String {
        int_array(
            self.unit
                .recipients
                .iter()
                .map(|recipient| recipient.number),
        )
    }
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

fn number(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}
