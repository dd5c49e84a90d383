//! Medians of ratios.

/// Pairs of measurements, in seconds.
#[derive(Default)]
pub(super) struct Ratios {
    pairs: Vec<(f64, f64)>,
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2, sorted.get(middle.wrapping_sub(1))) {
        (Some(high), 0, Some(low)) => f64::midpoint(*low, *high),
        (Some(value), _, _) => *value,
        (None, _, _) => f64::NAN,
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The median of measurements, in seconds.
pub(super) fn median_of(values: Vec<f64>) -> f64 {
    median(&sorted(values.into_iter()))
}

/// A 95 % interval of the median: the order statistics n/2 -+ 0.98 sqrt(n) (binomial, by its normal
/// approximation).
fn interval(sorted: &[f64]) -> (f64, f64) {
    let count = f64::from(u32::try_from(sorted.len()).unwrap_or(u32::MAX));
    let (half, reach) = (count / 2.0, 0.98 * count.sqrt());
    let at = |position: f64| {
        // Finite and not negative: a rank below the number of values.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let rank = position.clamp(0.0, count - 1.0) as usize;
        sorted.get(rank).copied().unwrap_or(f64::NAN)
    };
    (at((half - reach).floor()), at((half + reach).ceil() - 1.0))
}

impl Ratios {
    pub(super) fn push(&mut self, one: f64, other: f64) {
        self.pairs.push((one, other));
    }

    fn sorted(&self) -> Vec<f64> {
        sorted(self.pairs.iter().map(|(one, other)| one / other))
    }

    pub(super) fn median(&self) -> f64 {
        median(&self.sorted())
    }

    /// Median of the differences, in seconds.
    pub(super) fn difference(&self) -> f64 {
        median(&sorted(self.pairs.iter().map(|(one, other)| one - other)))
    }

    fn interval(&self) -> (f64, f64) {
        interval(&self.sorted())
    }

    /// What the one side takes more, and the ratio.
    pub(super) fn added(&self, unit: &str, scale: f64) -> String {
        let (low, high) = interval(&sorted(self.pairs.iter().map(|(one, other)| one - other)));
        let (low, high, median) = (low * scale, high * scale, self.difference() * scale);
        let ratio = self.text(unit, scale);
        format!("{median:+.2} [{low:+.2}, {high:+.2}] {unit}; ratio {ratio}")
    }

    pub(super) fn text(&self, unit: &str, scale: f64) -> String {
        let (low, high) = self.interval();
        let one = median(&sorted(self.pairs.iter().map(|pair| pair.0))) * scale;
        let other = median(&sorted(self.pairs.iter().map(|pair| pair.1))) * scale;
        format!("{:.3} [{low:.3}, {high:.3}] ({one:.2} {unit} to {other:.2} {unit})", self.median())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_their_interval() {
        let mut ratios = Ratios::default();
        for number in 1..=40_u32 {
            ratios.push(f64::from(number), 1.0);
        }
        assert!((ratios.median() - 20.5).abs() < 1e-9);
        let (low, high) = ratios.interval();
        assert!((low, high) == (14.0, 27.0), "ranks 14 and 27 of 40: {low} {high}");
        let added = ratios.added("us", 10.0);
        let want =
            "+195.00 [+130.00, +260.00] us; ratio 20.500 [14.000, 27.000] (205.00 us to 10.00 us)";
        assert_eq!(added, want);
    }
}
