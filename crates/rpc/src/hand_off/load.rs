//! What credits are counted in.

use std::ops::{Add, AddAssign};

/// A number of units and of octets of content. Sums never wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Leases: a message to recipients in three domains takes three.
    pub units: u64,
    /// Octets of content that is handed over, rather than read back from Postgres.
    pub bytes: u64,
}

impl Load {
    /// Nothing.
    pub const ZERO: Self = Self { units: 0, bytes: 0 };

    /// Puts a load together.
    #[must_use]
    pub const fn new(units: u64, bytes: u64) -> Self {
        Self { units, bytes }
    }

    pub(super) fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    pub(super) fn fits_in(self, room: Self) -> bool {
        self.units <= room.units && self.bytes <= room.bytes
    }

    pub(super) fn checked_sub(self, other: Self) -> Option<Self> {
        Some(Self {
            units: self.units.checked_sub(other.units)?,
            bytes: self.bytes.checked_sub(other.bytes)?,
        })
    }

    pub(super) fn saturating_sub(self, other: Self) -> Self {
        Self {
            units: self.units.saturating_sub(other.units),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }

    pub(super) fn min(self, other: Self) -> Self {
        Self {
            units: self.units.min(other.units),
            bytes: self.bytes.min(other.bytes),
        }
    }

    pub(super) fn max(self, other: Self) -> Self {
        Self {
            units: self.units.max(other.units),
            bytes: self.bytes.max(other.bytes),
        }
    }

    /// Both numbers times `times`, divided by `parts`, rounded down.
    pub(super) fn scaled(self, times: u64, parts: u64) -> Self {
        let scale = |number: u64| number.saturating_mul(times) / parts.max(1);
        Self {
            units: scale(self.units),
            bytes: scale(self.bytes),
        }
    }
}

impl Add for Load {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            units: self.units.saturating_add(other.units),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

impl AddAssign for Load {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
