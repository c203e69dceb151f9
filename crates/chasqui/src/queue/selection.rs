//! Which units a command is about.

use ::queue::{Filter, QueueId, Tenant, UnitState};
use clap::{Args, ValueEnum};

/// Which mail is meant: what fits everything that is given. In patterns `*` stands for any
/// characters and `?` for one; case doesn't matter.
#[derive(Debug, Default, Args)]
pub(crate) struct Filters {
    /// Messages by their queue ids
    #[arg(value_name = "QUEUE_ID")]
    pub(crate) queue_ids: Vec<QueueId>,
    /// Mail from this sender, or senders of a pattern such as '*@example.org'; '<>' for reports
    #[arg(long, value_name = "PATTERN")]
    sender: Option<String>,
    /// Mail to this recipient, or recipients of a pattern
    #[arg(long, value_name = "PATTERN")]
    recipient: Option<String>,
    /// Mail to recipients at this domain, which is what its destination is named by
    #[arg(long, visible_alias = "destination")]
    domain: Option<String>,
    /// Mail of this tenant
    #[arg(long, value_name = "NUMBER")]
    tenant: Option<i64>,
    /// Mail in this state
    #[arg(long, value_name = "STATE")]
    in_state: Option<StateName>,
}

/// Which mail to steer.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    #[command(flatten)]
    pub(crate) filters: Filters,
    /// All mail
    #[arg(long)]
    pub(crate) all: bool,
    /// Stop after so many units (a message has one for each recipient domain)
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StateName {
    Ready,
    Leased,
    Deferred,
    Held,
}

impl From<StateName> for UnitState {
    fn from(name: StateName) -> Self {
        match name {
            StateName::Ready => Self::Ready,
            StateName::Leased => Self::Leased,
            StateName::Deferred => Self::Deferred,
            StateName::Held => Self::Held,
        }
    }
}

impl Filters {
    /// Whether nothing is chosen, which means everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.to_queue() == [Filter::default()]
    }

    /// In the words of the queue: what fits any of these is meant.
    pub(crate) fn to_queue(&self) -> Vec<Filter> {
        let rest = Filter {
            queue_id: None,
            tenant: self.tenant.map(Tenant),
            domain: self.domain.as_ref().map(|name| name.to_ascii_lowercase()),
            sender: self.sender.as_deref().map(without_brackets),
            recipient: self.recipient.as_deref().map(without_brackets),
            state: self.in_state.map(UnitState::from),
        };
        if self.queue_ids.is_empty() {
            return vec![rest];
        }
        let of_message = |queue_id: &QueueId| Filter {
            queue_id: Some(*queue_id),
            ..rest.clone()
        };
        self.queue_ids.iter().map(of_message).collect()
    }
}

/// `<>` and `<a@b>` are how paths stand in logs and replies.
fn without_brackets(pattern: &str) -> String {
    let inner = pattern
        .strip_prefix('<')
        .and_then(|pattern| pattern.strip_suffix('>'));
    inner.unwrap_or(pattern).to_owned()
}

#[cfg(test)]
mod tests {
    use ::queue::Shard;

    use super::*;

    #[test]
    fn nothing_given_means_everything() {
        let filters = Filters::default();
        assert!(filters.is_empty());
        assert_eq!(filters.to_queue(), [Filter::default()]);
    }

    #[test]
    fn each_queue_id_is_a_filter_of_its_own_with_all_the_rest() {
        let queue_ids: Vec<QueueId> = Shard::all().take(2).map(QueueId::generate).collect();
        let filters = Filters {
            queue_ids: queue_ids.clone(),
            sender: Some("<>".to_owned()),
            domain: Some("Example.ORG".to_owned()),
            ..Filters::default()
        };
        assert!(!filters.is_empty());
        let expected = queue_ids.into_iter().map(|queue_id| Filter {
            queue_id: Some(queue_id),
            sender: Some(String::new()),
            domain: Some("example.org".to_owned()),
            ..Filter::default()
        });
        assert_eq!(filters.to_queue(), expected.collect::<Vec<_>>());
    }
}
