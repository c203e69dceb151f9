//! Incarnations: running relays, and what becomes of the leases of dead ones.

use sqlx::types::Uuid;

use crate::database::Queue;
use crate::error::QueueError;
use crate::ids::IncarnationId;
use crate::lookup::at_unit;
use crate::metrics;
use crate::suspect::HELD_TAKEOVERS;

/// What an incarnation tells about itself.
#[derive(Clone, Debug)]
pub struct Registration {
    /// `host:port` under which its hand-off service is reached.
    pub address: String,
    /// The name of the machine.
    pub node: String,
    /// The version of the program.
    pub version: String,
}

/// What a reclaim came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reclaimed {
    /// Units that are ready again.
    pub ready: u64,
    /// Units that are held now: an operator asked for it, or too many relays died of them.
    pub held: u64,
}

const REGISTER: &str = "
INSERT INTO queue.incarnation (address, node, version) VALUES ($1, $2, $3) RETURNING id
";

const END: &str = "
UPDATE queue.incarnation SET ended_at = now() WHERE id = $1 AND ended_at IS NULL
";

/// Makes units ready again whose holder is dead, whoever leased them to it and when.
///
/// Each dead holder's stretch of the index is scanned from `swept_until` on, up to which it is
/// known to be empty (dead index entries cost a visit each). It follows at a distance that no
/// statement outlasts, so that a lease committed late to a holder just pronounced dead is found.
///
/// A takeover is unclean if the holder was pronounced dead while it held the lease. Who ended in
/// good order, or was dead before it got the lease, never began the attempt.
pub(crate) const RECLAIM: &str = concat!(
    "
WITH dead AS MATERIALIZED (
    SELECT id, fenced_at, swept_until
    FROM queue.incarnation
    WHERE fenced_at IS NOT NULL OR ended_at IS NOT NULL
),
lost AS MATERIALIZED (
    SELECT u.shard, u.message, u.number,
           (d.fenced_at IS NOT NULL AND u.leased_at <= d.fenced_at)::int AS unclean
    FROM dead AS d
    CROSS JOIN LATERAL (
        SELECT u.shard, u.message, u.number, u.leased_at
        FROM queue.unit AS u
        WHERE u.state = 'leased' AND u.holder = d.id AND u.leased_at >= d.swept_until
        ORDER BY u.leased_at
        LIMIT $1
        FOR UPDATE SKIP LOCKED
    ) AS u
    LIMIT $1
),
taken AS (
    UPDATE queue.unit AS u
    SET state = CASE WHEN u.hold_requested OR u.unclean_takeovers + l.unclean >= $2 THEN 'held'
                     ELSE 'ready' END::queue.unit_state,
        last_reply = CASE WHEN u.unclean_takeovers + l.unclean >= $2
                          THEN 'held: ' || u.unclean_takeovers + l.unclean
                               || ' relays died while they attempted it'
                          ELSE u.last_reply END,
        unclean_takeovers = u.unclean_takeovers + l.unclean,
        hold_requested = false, holder = NULL, leased_at = NULL, due_at = now()
    FROM lost AS l
    WHERE ",
    at_unit!("u", "l.shard", "l.message, l.number"),
    "
    RETURNING u.message, u.number, u.state = 'held' AS held, u.unclean_takeovers
),
swept AS (
    UPDATE queue.incarnation AS i
    SET swept_until = now() - interval '1 minute'
    FROM dead AS d
    WHERE i.id = d.id AND d.swept_until < now() - interval '2 minutes'
      AND NOT EXISTS (SELECT FROM queue.unit AS u
                      WHERE u.state = 'leased' AND u.holder = d.id AND u.leased_at >= d.swept_until)
)
SELECT message, number, held, unclean_takeovers FROM taken
"
);

impl Queue {
    /// Registers a relay that starts.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn register(&self, registration: &Registration) -> Result<IncarnationId, QueueError> {
        let query = sqlx::query(REGISTER)
            .bind(&registration.address)
            .bind(&registration.node)
            .bind(&registration.version);
        let (id,) = self.fetch_one(query).await?;
        Ok(IncarnationId(id))
    }

    /// Notes that a relay ended in good order: what it still holds is taken over uncharged.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn end_incarnation(&self, incarnation: IncarnationId) -> Result<(), QueueError> {
        let query = sqlx::query(END).bind(incarnation.0);
        self.execute(query).await?;
        Ok(())
    }

    /// Takes the leases of incarnations that ended or were pronounced dead, at most `limit` of
    /// them; to be called about every second. A unit that too many relays died of is held, which
    /// is logged as an error.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn reclaim(&self, limit: u32) -> Result<Reclaimed, QueueError> {
        let query = sqlx::query(RECLAIM)
            .bind(i64::from(limit))
            .bind(i32::from(HELD_TAKEOVERS));
        let taken: Vec<(Uuid, i32, bool, i16)> = self.fetch_all(query).await?;
        let mut reclaimed = Reclaimed::default();
        for (message, unit, held, unclean_takeovers) in taken {
            if held {
                reclaimed.held += 1;
                tracing::error!(queue_id = %message, unit, unclean_takeovers, "a unit is held");
            } else {
                reclaimed.ready += 1;
            }
        }
        if reclaimed != Reclaimed::default() {
            metrics::reclaimed(reclaimed.ready + reclaimed.held);
            tracing::warn!(
                ready = reclaimed.ready,
                held = reclaimed.held,
                "took over the leases of dead relays"
            );
        }
        Ok(reclaimed)
    }
}
