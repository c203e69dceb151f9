//! The one statement that ends attempts.

use std::collections::{BTreeMap, HashSet};

use smtp::EnhancedStatus;
use sqlx::postgres::PgBindIterExt as _;
use time::OffsetDateTime;

use crate::columns::{bytea_array, int_array, one_line};
use crate::completion::{Completion, Rest, Settlement};
use crate::ids::{Shard, Tenant};
use crate::journal::JournalEntry;
use crate::lookup::{at_message, at_unit};
use crate::way::Session;

/// Ends attempts at units of one shard: one statement, hence one transaction and one round trip.
///
/// - `done` and `kept` are fenced: a unit is touched only while holder and attempt match. (That it
///   is leased follows from its having a holder. Naming the state as well would offer the planner
///   the index on holders, under which a busy relay has thousands of entries.)
/// - Everything else hangs on `ended`, the completions that the fence let through.
/// - A message with several units is locked before its count is lowered: under READ COMMITTED the
///   lock delivers the latest count, where the statement's snapshot would show two relays that
///   finish its last two units the same old one. Locks are taken in id order.
/// - `IN (SELECT …)` in a select list is a hashed look-up, where a join of two lists of unknown
///   length might become quadratic.
pub(crate) const SETTLE: &str = concat!(
    "
WITH done AS (
    DELETE FROM queue.unit AS u
    USING (SELECT $1::smallint AS shard, unnest($2::int[]) AS i, unnest($3::uuid[]) AS message,
                  unnest($4::int[]) AS number, unnest($5::bigint[]) AS holder,
                  unnest($6::int[]) AS attempt) AS c
    WHERE ",
    at_unit!("u", "c.shard", "c.message, c.number"),
    "
      AND u.holder = c.holder AND u.attempt = c.attempt
    RETURNING c.i, u.shard, u.message, u.sole
),
kept AS (
    UPDATE queue.unit AS u
    SET state = CASE WHEN u.hold_requested THEN 'held' ELSE c.state::queue.unit_state END,
        hold_requested = false,
        holder = NULL,
        leased_at = NULL,
        due_at = CASE WHEN c.due_at IS NULL THEN now()
                      WHEN u.expires_at > now() THEN greatest(least(c.due_at, u.expires_at), now())
                      ELSE greatest(c.due_at, now()) END,
        tries = u.tries + c.charged::int,
        unclean_takeovers = CASE WHEN c.charged THEN 0 ELSE u.unclean_takeovers END,
        last_attempt_at = CASE WHEN c.charged THEN now() ELSE u.last_attempt_at END,
        last_status = coalesce(c.status, u.last_status),
        last_reply = coalesce(c.reply, u.last_reply),
        recipients = CASE WHEN c.settled IS NULL THEN u.recipients ELSE ARRAY(
            SELECT r.address
            FROM unnest(u.recipients, u.recipient_numbers)
                 WITH ORDINALITY AS r (address, number, position)
            WHERE r.number <> ALL (c.settled::int[]) ORDER BY r.position) END,
        recipient_numbers = CASE WHEN c.settled IS NULL THEN u.recipient_numbers ELSE ARRAY(
            SELECT r.number
            FROM unnest(u.recipient_numbers) WITH ORDINALITY AS r (number, position)
            WHERE r.number <> ALL (c.settled::int[]) ORDER BY r.position) END
    FROM (SELECT $1::smallint AS shard, unnest($7::int[]) AS i, unnest($8::uuid[]) AS message,
                 unnest($9::int[]) AS number, unnest($10::bigint[]) AS holder,
                 unnest($11::int[]) AS attempt, unnest($12::text[]) AS state,
                 unnest($13::timestamptz[]) AS due_at, unnest($14::boolean[]) AS charged,
                 unnest($15::text[]) AS status, unnest($16::text[]) AS reply,
                 unnest($17::text[]) AS settled) AS c
    WHERE ",
    at_unit!("u", "c.shard", "c.message, c.number"),
    "
      AND u.holder = c.holder AND u.attempt = c.attempt
    RETURNING c.i
),
ended AS (
    SELECT i FROM done UNION ALL SELECT i FROM kept
),
shared AS MATERIALIZED (
    SELECT shard, message, count(*)::int AS units FROM done WHERE NOT sole GROUP BY shard, message
),
locked AS MATERIALIZED (
    SELECT m.shard, m.id, m.remaining - s.units AS remaining
    FROM shared AS s
    JOIN queue.message AS m ON ",
    at_message!("m", "s.shard", "s.message"),
    "
    ORDER BY m.shard, m.id
    FOR UPDATE OF m
),
counted AS (
    UPDATE queue.message AS m
    SET remaining = l.remaining
    FROM locked AS l
    WHERE l.remaining > 0 AND ",
    at_message!("m", "l.shard", "l.id"),
    "
),
over AS MATERIALIZED (
    SELECT shard, message AS id FROM done WHERE sole
    UNION ALL
    SELECT shard, id FROM locked WHERE remaining <= 0
),
message_gone AS (
    DELETE FROM queue.message AS m USING over AS o WHERE ",
    at_message!("m", "o.shard", "o.id"),
    "
),
content_gone AS (
    DELETE FROM queue.content AS c USING over AS o WHERE ",
    at_message!("c", "o.shard", "o.id"),
    "
),
counts AS (
    INSERT INTO queue.ledger_delta (shard, tenant, event, recipients)
    SELECT $1, tenant, event::queue.ledger_event, sum(recipients)
    FROM (SELECT c.*, c.i IN (SELECT i FROM ended) AS held
          FROM (SELECT unnest($18::int[]) AS i, unnest($19::bigint[]) AS tenant,
                       unnest($20::text[]) AS event, unnest($21::bigint[]) AS recipients) AS c
         ) AS settled
    WHERE held
    GROUP BY tenant, event
),
journal AS (
    INSERT INTO queue.attempt (shard, node, fenced, message, unit, attempt, incarnation, domain,
                               reverse_path, delay_ms, traceparent, recipients, outcome, status,
                               reply, source_address, host, host_address, tls, duration_ms,
                               message_id)
    SELECT $1, $22, NOT (c.i IN (SELECT i FROM ended)), c.message, c.unit, c.attempt,
           c.incarnation, c.domain, c.reverse_path, c.delay_ms, c.traceparent,
           c.recipients::bytea[], c.outcome, c.status, c.reply, c.source_address::inet, c.host,
           c.host_address::inet, c.tls, c.duration_ms, c.message_id
    FROM (SELECT unnest($23::int[]) AS i, unnest($24::uuid[]) AS message,
                 unnest($25::int[]) AS unit, unnest($26::int[]) AS attempt,
                 unnest($27::bigint[]) AS incarnation, unnest($28::text[]) AS domain,
                 unnest($29::bytea[]) AS reverse_path, unnest($30::bigint[]) AS delay_ms,
                 unnest($31::text[]) AS traceparent, unnest($32::text[]) AS recipients,
                 unnest($33::text[]) AS outcome, unnest($34::text[]) AS status,
                 unnest($35::text[]) AS reply, unnest($36::text[]) AS source_address,
                 unnest($37::text[]) AS host, unnest($38::text[]) AS host_address,
                 unnest($39::text[]) AS tls, unnest($40::int[]) AS duration_ms,
                 unnest($41::text[]) AS message_id) AS c
)
SELECT i FROM ended
"
);

/// Ends the attempts of a batch, all units of `shard`. Tells which of them (by their position)
/// the fence let through; `node` names this machine in the journal.
///
/// # Errors
/// Whatever the database says; with a data error, one of the completions is at fault.
pub(crate) async fn settle(
    session: Session<'_>,
    shard: Shard,
    node: &str,
    completions: &[Completion],
) -> Result<HashSet<usize>, sqlx::Error> {
    let batch = Batch::new(completions);
    let done = || batch.done.iter();
    let kept = || batch.kept.iter();
    let counts = || batch.counts.iter();
    let lines = || batch.journal.iter();
    let query = sqlx::query_scalar(SETTLE)
        .bind(shard.column())
        .bind(done().map(|end| end.i).bind_iter())
        .bind(
            done()
                .map(|end| end.lease().unit.queue_id.as_uuid())
                .bind_iter(),
        )
        .bind(done().map(|end| end.lease().unit.number).bind_iter())
        .bind(done().map(|end| end.lease().holder.0).bind_iter())
        .bind(done().map(|end| end.lease().attempt).bind_iter())
        .bind(kept().map(|(end, _)| end.i).bind_iter())
        .bind(
            kept()
                .map(|(end, _)| end.lease().unit.queue_id.as_uuid())
                .bind_iter(),
        )
        .bind(kept().map(|(end, _)| end.lease().unit.number).bind_iter())
        .bind(kept().map(|(end, _)| end.lease().holder.0).bind_iter())
        .bind(kept().map(|(end, _)| end.lease().attempt).bind_iter())
        .bind(kept().map(|(_, rest)| rest.state).bind_iter())
        .bind(kept().map(|(_, rest)| rest.due_at).bind_iter())
        .bind(kept().map(|(_, rest)| rest.charged).bind_iter())
        .bind(
            kept()
                .map(|(_, rest)| rest.status.map(|status| status.to_string()))
                .bind_iter(),
        )
        .bind(kept().map(|(_, rest)| rest.reply.as_deref()).bind_iter())
        .bind(kept().map(|(end, _)| end.settled_numbers()).bind_iter())
        .bind(counts().map(|count| count.i).bind_iter())
        .bind(counts().map(|count| count.tenant.0).bind_iter())
        .bind(counts().map(|count| count.settlement.as_str()).bind_iter())
        .bind(counts().map(|count| count.recipients).bind_iter())
        .bind(node)
        .bind(lines().map(|(end, _)| end.i).bind_iter())
        .bind(
            lines()
                .map(|(end, _)| end.lease().unit.queue_id.as_uuid())
                .bind_iter(),
        )
        .bind(lines().map(|(end, _)| end.lease().unit.number).bind_iter())
        .bind(lines().map(|(end, _)| end.lease().attempt).bind_iter())
        .bind(lines().map(|(end, _)| end.lease().holder.0).bind_iter())
        .bind(
            lines()
                .map(|(end, _)| end.completion.unit.domain.as_str())
                .bind_iter(),
        )
        .bind(lines().map(|(end, _)| end.reverse_path()).bind_iter())
        .bind(lines().map(|(end, _)| end.delay_ms(batch.now)).bind_iter())
        .bind(
            lines()
                .map(|(end, _)| end.completion.unit.trace.to_string())
                .bind_iter(),
        )
        .bind(lines().map(|(end, line)| end.addresses(line)).bind_iter())
        .bind(lines().map(|(_, line)| line.outcome.as_str()).bind_iter())
        .bind(lines().map(|(_, line)| line.status.to_string()).bind_iter())
        .bind(lines().map(|(_, line)| one_line(&line.reply)).bind_iter())
        .bind(
            lines()
                .map(|(_, line)| line.source_address.map(|at| at.to_string()))
                .bind_iter(),
        )
        .bind(
            lines()
                .map(|(_, line)| line.host.as_deref().map(one_line))
                .bind_iter(),
        )
        .bind(
            lines()
                .map(|(_, line)| line.host_address.map(|at| at.to_string()))
                .bind_iter(),
        )
        .bind(
            lines()
                .map(|(_, line)| line.tls.as_deref().map(one_line))
                .bind_iter(),
        )
        .bind(lines().map(|(_, line)| milliseconds(line)).bind_iter())
        .bind(
            lines()
                .map(|(end, _)| end.completion.message_id.as_deref())
                .bind_iter(),
        );
    let query = query.persistent(session.keeps);
    let ended: Vec<i32> = query.fetch_all(session.connection).await?;
    Ok(ended
        .into_iter()
        .filter_map(|i| usize::try_from(i).ok())
        .collect())
}

/// The columns of a batch, one list for each kind of row.
struct Batch<'a> {
    now: OffsetDateTime,
    done: Vec<End<'a>>,
    kept: Vec<(End<'a>, Kept)>,
    counts: Vec<Count>,
    journal: Vec<(End<'a>, &'a JournalEntry)>,
}

impl<'a> Batch<'a> {
    fn new(completions: &'a [Completion]) -> Self {
        let mut batch = Self {
            now: OffsetDateTime::now_utc(),
            done: Vec::with_capacity(completions.len()),
            kept: Vec::new(),
            counts: Vec::with_capacity(completions.len()),
            journal: Vec::with_capacity(completions.len()),
        };
        let mut ends: Vec<End<'a>> = (0..)
            .zip(completions)
            .map(|(i, completion)| End { i, completion })
            .collect();
        // Rows are locked in the order of the list.
        ends.sort_unstable_by_key(|end| end.lease().unit);
        for end in ends {
            match &end.completion.rest {
                None => batch.done.push(end),
                Some(rest) => batch.kept.push((end, Kept::new(rest))),
            }
            batch.counts.extend(Count::of(end));
            let lines = end.completion.journal.iter();
            batch.journal.extend(lines.map(|line| (end, line)));
        }
        batch
    }
}

/// One completion, and its position in the batch.
#[derive(Clone, Copy)]
struct End<'a> {
    i: i32,
    completion: &'a Completion,
}

impl End<'_> {
    fn lease(&self) -> crate::lease::Lease {
        self.completion.lease()
    }

    /// Null when nobody was settled, so that the recipients stay as they are.
    fn settled_numbers(&self) -> Option<String> {
        let settled = &self.completion.settled;
        (!settled.is_empty()).then(|| int_array(settled.iter().map(|(number, _)| *number)))
    }

    fn reverse_path(&self) -> Vec<u8> {
        self.completion.unit.reverse_path.as_address().into_bytes()
    }

    fn delay_ms(&self, now: OffsetDateTime) -> i64 {
        let delay = now - self.completion.unit.accepted_at;
        i64::try_from(delay.whole_milliseconds()).unwrap_or(i64::MAX)
    }

    /// The addresses that a line of the journal is about.
    fn addresses(&self, line: &JournalEntry) -> String {
        let recipients = self.completion.unit.recipients.iter();
        bytea_array(
            recipients
                .filter(|recipient| line.recipients.contains(&recipient.number))
                .map(|recipient| &recipient.mailbox),
        )
    }
}

fn milliseconds(line: &JournalEntry) -> i32 {
    i32::try_from(line.duration.as_millis()).unwrap_or(i32::MAX)
}

/// The columns of a [`Rest`].
struct Kept {
    state: &'static str,
    due_at: Option<OffsetDateTime>,
    charged: bool,
    status: Option<EnhancedStatus>,
    reply: Option<String>,
}

impl Kept {
    fn new(rest: &Rest) -> Self {
        let untouched = Self {
            state: "ready",
            due_at: None,
            charged: false,
            status: None,
            reply: None,
        };
        match rest {
            Rest::Defer {
                due_at,
                status,
                reply,
            } => Self {
                state: "deferred",
                due_at: Some(*due_at),
                charged: true,
                status: Some(*status),
                reply: Some(one_line(reply)),
            },
            Rest::Release { charge } => Self {
                charged: *charge,
                ..untouched
            },
            Rest::Hold { reason } => Self {
                state: "held",
                reply: Some(one_line(reason)),
                ..untouched
            },
        }
    }
}

/// Recipients of one unit that were settled alike: what the ledger gains.
struct Count {
    i: i32,
    tenant: Tenant,
    settlement: Settlement,
    recipients: i64,
}

impl Count {
    fn of(end: End<'_>) -> impl Iterator<Item = Self> {
        let mut counts: BTreeMap<Settlement, i64> = BTreeMap::new();
        for (_, settlement) in &end.completion.settled {
            *counts.entry(*settlement).or_default() += 1;
        }
        let tenant = end.completion.unit.tenant;
        counts
            .into_iter()
            .map(move |(settlement, recipients)| Self {
                i: end.i,
                tenant,
                settlement,
                recipients,
            })
    }
}
