//! What can go wrong, and in what order it does.

use super::random::Random;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    KillSubmission,
    KillRelay,
    KillDelivery,
    KillPostgres,
    FreezeRelay,
    Cut,
    Delay,
    Deafen,
    CutMidContent,
    CutBeforeReply,
    FillData,
    FillLog,
    FillMail,
    RollingRestart,
    Migration,
}

/// All kinds.
pub(super) const FAULTS: [Fault; 15] = [
    Fault::KillSubmission,
    Fault::KillRelay,
    Fault::KillDelivery,
    Fault::KillPostgres,
    Fault::FreezeRelay,
    Fault::Cut,
    Fault::Delay,
    Fault::Deafen,
    Fault::CutMidContent,
    Fault::CutBeforeReply,
    Fault::FillData,
    Fault::FillLog,
    Fault::FillMail,
    Fault::RollingRestart,
    Fault::Migration,
];

impl Fault {
    /// As it stands in tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::KillSubmission => "kill_submission",
            Self::KillRelay => "kill_relay",
            Self::KillDelivery => "kill_delivery",
            Self::KillPostgres => "kill_postgres",
            Self::FreezeRelay => "freeze_relay",
            Self::Cut => "cut",
            Self::Delay => "delay",
            Self::Deafen => "lose_answers",
            Self::CutMidContent => "cut_mid_data",
            Self::CutBeforeReply => "cut_before_reply",
            Self::FillData => "fill_postgres_data",
            Self::FillLog => "fill_postgres_log",
            Self::FillMail => "fill_mail",
            Self::RollingRestart => "rolling_restart",
            Self::Migration => "migration",
        }
    }

    /// Whether attempts that have reached the far end may be left without an end, so that they are made again.
    pub(super) fn leaves_attempts_open(self) -> bool {
        matches!(
            self,
            Self::KillRelay
                | Self::FreezeRelay
                | Self::KillPostgres
                | Self::FillLog
                | Self::Cut
                | Self::Delay
                | Self::Deafen
                | Self::CutBeforeReply
        )
    }

    /// Whether it takes a volume of its own.
    pub(super) fn needs_volumes(self) -> bool {
        matches!(self, Self::FillData | Self::FillLog | Self::FillMail)
    }
}

/// Deals faults as from a pack of cards: at random, and all kinds before any comes again.
#[derive(Debug)]
pub(super) struct Pack {
    kinds: Vec<Fault>,
    left: Vec<Fault>,
}

impl Pack {
    pub(super) fn of(kinds: Vec<Fault>) -> Self {
        Self {
            kinds,
            left: Vec::new(),
        }
    }

    /// The next; none from an empty pack.
    pub(super) fn deal(&mut self, random: &mut Random) -> Option<Fault> {
        if self.left.is_empty() {
            self.left.clone_from(&self.kinds);
            random.shuffle(&mut self.left);
        }
        self.left.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_come_before_any_comes_again() {
        let mut random = Random::new(1);
        let mut pack = Pack::of(FAULTS.to_vec());
        for _ in 0..2 {
            let mut dealt: Vec<Fault> = FAULTS
                .iter()
                .filter_map(|_| pack.deal(&mut random))
                .collect();
            dealt.sort_unstable();
            assert_eq!(dealt, FAULTS);
        }
    }
}
