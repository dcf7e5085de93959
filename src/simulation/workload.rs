//! A trace with what goes wrong during it, and how arrivals scatter in one that is made up.

use std::sync::Arc;

use rand::RngExt;
use rand_pcg::Pcg64;

use super::faults::Fault;
use super::trace::Trace;

/// A trace with what goes wrong during it.
#[derive(Clone, Debug)]
pub struct Workload {
    /// What arrives.
    pub trace: Arc<Trace>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// What a policy saw before that is to have learned; `None`: the same trace.
    pub lesson: Option<Arc<Trace>>,
}

/// A count around `mean`, as independent arrivals scatter: sums of coin throws below 8, of twelve uniform draws above. Neither
/// needs a logarithm, whose last bit differs between machines.
pub(super) fn draw(mean: f64, rng: &mut Pcg64) -> u32 {
    if mean <= 0.0 {
        return 0;
    }
    if mean < 8.0 {
        let throws = 64;
        let chance = mean / f64::from(throws);
        return (0..throws)
            .filter(|_| rng.random_range(0.0..1.0) < chance)
            .count() as u32;
    }
    let normal = (0..12).map(|_| rng.random_range(0.0..1.0)).sum::<f64>() - 6.0;
    (mean + mean.sqrt() * normal).round().max(0.0) as u32
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn counts_scatter_around_their_mean_as_independent_arrivals_do() {
        let mut rng = Pcg64::seed_from_u64(1);
        for mean in [0.5, 5.0, 50.0] {
            let drawn: Vec<f64> = (0..20_000)
                .map(|_| f64::from(draw(mean, &mut rng)))
                .collect();
            let average = drawn.iter().sum::<f64>() / 20_000.0;
            let variance = drawn
                .iter()
                .map(|n| (n - average) * (n - average))
                .sum::<f64>()
                / 20_000.0;
            assert!((average / mean - 1.0).abs() < 0.03, "{average}");
            assert!((variance / mean - 1.0).abs() < 0.15, "{variance}");
        }
    }
}
