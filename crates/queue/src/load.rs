//! Content read back from the queue, for units that were leased without it.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use sqlx::postgres::PgBindIterExt as _;
use sqlx::types::Uuid;

use crate::content::Content;
use crate::database::Queue;
use crate::error::QueueError;
use crate::ids::{QueueId, Shard};
use crate::lookup::at_message;

pub(crate) const LOAD: &str = concat!(
    "
SELECT m.id, coalesce(m.content, c.data)
FROM (SELECT $1::smallint AS shard, unnest($2::uuid[]) AS id) AS wanted
JOIN queue.message AS m ON ",
    at_message!("m", "wanted.shard", "wanted.id"),
    "
LEFT JOIN queue.content AS c ON m.content IS NULL AND ",
    at_message!("c", "wanted.shard", "wanted.id"),
    "
WHERE coalesce(m.content, c.data) IS NOT NULL"
);

impl Queue {
    /// Reads the content of messages. Those that are gone by now are missing in the answer.
    ///
    /// All of it comes into memory at once: the caller has seen to its budget, by the units'
    /// sizes.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn load_content(
        &self,
        messages: impl IntoIterator<Item = QueueId>,
    ) -> Result<HashMap<QueueId, Content>, QueueError> {
        let mut shards: BTreeMap<Shard, Vec<Uuid>> = BTreeMap::new();
        for message in messages {
            let ids = shards.entry(message.shard()).or_default();
            ids.push(message.as_uuid());
        }
        let mut contents = HashMap::new();
        for (shard, ids) in shards {
            let query = sqlx::query(LOAD)
                .bind(shard.column())
                .bind(ids.iter().bind_iter());
            let rows: Vec<(Uuid, Vec<u8>)> = self.fetch_all(query).await?;
            contents.extend(rows.into_iter().filter_map(|(id, data)| {
                let id = QueueId::try_from(id).ok()?;
                Some((id, Content::from(Bytes::from(data))))
            }));
        }
        Ok(contents)
    }
}
