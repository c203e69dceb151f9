//! Figures of several rounds.

use std::fmt;

/// The median of some rounds, with the least and the most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    /// The middle one, or the mean of the two in the middle.
    pub(crate) median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    /// Takes the rounds' figures. None without any.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self {
            median,
            least,
            most,
        })
    }
}

impl fmt::Display for Spread {
    /// `1234 (1190–1301)`, with as many digits as say something.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.median {
            median if median >= 100.0 => 0,
            median if median >= 10.0 => 1,
            median if median >= 1.0 => 2,
            _ => 3,
        };
        write!(f, "{:.digits$}", self.median)?;
        if self.least < self.most {
            write!(f, " ({:.digits$}–{:.digits$})", self.least, self.most)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_told_with_the_extremes() {
        let spread = Spread::of([310.0, 290.0, 300.0]).unwrap();
        assert_eq!(spread.to_string(), "300 (290–310)");
        assert_eq!(
            Spread::of([1.0, 2.0]).unwrap().to_string(),
            "1.50 (1.00–2.00)"
        );
        assert_eq!(Spread::of([0.5]).unwrap().to_string(), "0.500");
        assert_eq!(Spread::of([]), None);
    }
}
