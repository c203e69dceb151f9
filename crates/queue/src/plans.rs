//! Promises 8 and 13, tested: no statement of the hot path reads a whole table or a whole shard,
//! whatever the planner believes of their sizes; ready and deferred work share no index.
#![allow(clippy::unwrap_used)]

use sqlx::{AssertSqlSafe, Column as _, Connection as _, Executor as _, Row as _, SqlSafeStr as _};

use crate::database::{DatabaseConfig, Queue};

/// Fills the tables, so that the planner has something to misjudge: 1,000,000 deferred units, few of
/// anything else.
const FILL: &str = "
INSERT INTO queue.message (shard, id, tenant, size, accepted_at, remaining, body, reverse_path,
                           service, traceparent)
SELECT n % 16, overlay(gen_random_uuid()::text placing lpad(to_hex(n % 16), 2, '0') from 35)::uuid,
       1, 1, now(), 1, 7, '', 'inbound', ''
FROM generate_series(1, 1000000) AS n;
INSERT INTO queue.content (shard, id, data) SELECT shard, id, 'x' FROM queue.message;
INSERT INTO queue.unit (shard, message, number, tenant, domain, state, due_at, expires_at, attempt,
                        sole, recipients, recipient_numbers)
SELECT shard, id, 0, 1, 'example.com', 'deferred', now(), now(), 1, true, '{a}', '{0}'
FROM queue.message;
INSERT INTO queue.incarnation (address, node, version) VALUES ('', '', '');
";

async fn plan(queue: &Queue, statement: &'static str) -> String {
    let mut connection = queue.pool().acquire().await.unwrap();
    let described = connection.prepare(statement.into_sql_str()).await.unwrap();
    let parameters = match sqlx::Statement::parameters(&described) {
        Some(sqlx::Either::Left(types)) => types.len(),
        _ => 0,
    };
    let nulls = vec!["NULL"; parameters].join(", ");
    let arguments = if nulls.is_empty() {
        nulls
    } else {
        format!("({nulls})")
    };
    let mut transaction = connection.begin().await.unwrap();
    transaction
        .execute(AssertSqlSafe(format!("PREPARE explained AS {statement}")))
        .await
        .unwrap();
    let rows = transaction
        .fetch_all(AssertSqlSafe(format!(
            "EXPLAIN (COSTS OFF) EXECUTE explained{arguments}"
        )))
        .await
        .unwrap();
    transaction
        .execute(AssertSqlSafe("DEALLOCATE explained"))
        .await
        .unwrap();
    assert!(!rows.is_empty() && rows[0].column(0).name() == "QUERY PLAN");
    rows.iter()
        .map(|row| row.get::<String, _>(0))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Every access to a table of the queue that the plan makes, with its condition.
fn accesses(plan: &str) -> Vec<String> {
    let lines: Vec<&str> = plan.lines().collect();
    lines
        .iter()
        .enumerate()
        .filter(|(_, line)| {
            [
                "on unit ",
                "on message ",
                "on content ",
                "on unit",
                "on message",
                "on content",
            ]
            .iter()
            .any(|table| line.trim_end().ends_with(table.trim_end()) || line.contains(table))
                && line.contains("Scan")
        })
        .map(|(index, line)| {
            let condition = lines.get(index + 1).map_or("", |next| next.trim());
            format!("{} {condition}", line.trim())
        })
        .collect()
}

async fn check(queue: &Queue, name: &str, statement: &'static str, indexes: &[&str]) {
    let plan = plan(queue, statement).await;
    let accesses = accesses(&plan);
    assert!(!accesses.is_empty(), "{name}: no access found in\n{plan}");
    for access in accesses {
        assert!(
            indexes
                .iter()
                .any(|index| access.contains(&format!("using {index} "))),
            "{name}: {access}\nin\n{plan}"
        );
        let whole_key = !access.contains("_pkey ")
            || access.contains("(shard = ANY ")
                && (access.contains("ROW(message, number) >= ") || access.contains("(id >= "));
        assert!(whole_key, "{name}: {access}\nin\n{plan}");
    }
}

async fn check_all(queue: &Queue) {
    const KEYS: &[&str] = &["unit_pkey", "message_pkey", "content_pkey"];
    check(queue, "settle", crate::settle::SETTLE, KEYS).await;
    check(queue, "load", crate::load::LOAD, KEYS).await;
    check(queue, "adopt", crate::adopt::ADOPT, KEYS).await;
    check(queue, "give back", crate::give_back::GIVE_BACK, KEYS).await;
    check(queue, "holdings", crate::adopt::HOLDINGS, &["unit_leased"]).await;
    let by = |index: &'static str| [KEYS, &[index]].concat();
    check(queue, "claim", crate::claim::CLAIM, &by("unit_ready")).await;
    check(
        queue,
        "promote",
        crate::promote::PROMOTE,
        &by("unit_deferred"),
    )
    .await;
    check(queue, "expire", crate::expire::EXPIRE, &by("unit_expiry")).await;
    check(
        queue,
        "reclaim",
        crate::incarnation::RECLAIM,
        &by("unit_leased"),
    )
    .await;
    check(
        queue,
        "orphans",
        crate::jobs::RECLAIM_ORPHANS,
        &by("unit_leased"),
    )
    .await;
}

/// Looks one unit up, as the statements do.
const LOOK_UP: &str = concat!(
    "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)
     SELECT u.number
     FROM (SELECT unnest('{3}'::smallint[]) AS shard, message, number
           FROM (SELECT message, number FROM queue.unit WHERE shard = 3 ORDER BY message LIMIT 1) AS first
          ) AS c
     JOIN queue.unit AS u ON ",
    crate::lookup::at_unit!("u", "c.shard", "c.message, c.number"),
);

/// The pages that a look-up of a shard's first unit touches, finding out which that is included.
async fn pages_of_a_look_up(queue: &Queue) -> i64 {
    let rows = queue.pool().fetch_all(LOOK_UP).await.unwrap();
    let explained: serde_json::Value = rows[0].get(0);
    let pages = |kind: &str| explained[0]["Plan"][kind].as_i64().unwrap();
    pages("Shared Hit Blocks") + pages("Shared Read Blocks")
}

#[tokio::test]
async fn no_statement_reads_whole_tables_whatever_is_in_them() {
    let database = testkit::database().await;
    crate::migrate(database.url()).await.unwrap();
    let config = DatabaseConfig::new(database.url());
    check_all(&Queue::connect(&config).await.unwrap()).await;
    let mut connection = database.connect().await;
    connection.execute(FILL).await.unwrap();
    check_all(&Queue::connect(&config).await.unwrap()).await;
    connection.execute("ANALYZE").await.unwrap();
    let queue = Queue::connect(&config).await.unwrap();
    check_all(&queue).await;
    // Twice from the root of the index to a leaf and to the row; a shard has hundreds of leaves.
    let pages = pages_of_a_look_up(&queue).await;
    assert!(pages <= 12, "a look-up read {pages} pages");
}
