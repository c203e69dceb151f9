//! Quantiles of latencies.

use std::time::Duration;

/// Latencies, sorted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Quantiles {
    sorted: Vec<Duration>,
}

impl Quantiles {
    /// Takes latencies in any order.
    pub(crate) fn of(mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        Self { sorted: latencies }
    }

    /// The least latency that at least this share (0 to 1) of all don't exceed, in milliseconds. None without any.
    pub(crate) fn ms(&self, share: f64) -> Option<f64> {
        let rank = (share * self.sorted.len() as f64).ceil() as usize;
        let latency = self.sorted.get(rank.saturating_sub(1))?;
        Some(latency.as_secs_f64() * 1000.0)
    }

    /// How many latencies there are.
    pub(crate) fn count(&self) -> usize {
        self.sorted.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_latencies_that_were_measured() {
        let quantiles = Quantiles::of((1..=100).rev().map(Duration::from_millis).collect());
        let close = |share: f64, ms: f64| (quantiles.ms(share).unwrap() - ms).abs() < 1e-9;
        assert!(close(0.5, 50.0) && close(0.99, 99.0) && close(1.0, 100.0));
        assert_eq!(Quantiles::default().ms(0.5), None);
    }
}
