//! What a poll says of throughput, backlog and age, for the baselines.

use crate::model::partition::PartitionState;
use crate::model::quantity::Quantity;
use crate::model::signal::Signal;
use crate::model::time::Moment;

use super::GroupModel;
use super::facts::age_seconds;

impl GroupModel {
    /// Baselines learn from what is certain: a lower bound, or a part of the partitions, is no sample.
    pub(super) fn note_normal(&mut self, now: Moment) {
        let mut whole = [Some(0.0), Some(0.0), Some(0.0)];
        for partition in self.partitions.values_mut() {
            let readable = !matches!(partition.state, PartitionState::Failed(_));
            let throughput = readable.then(|| partition.processing_per_second());
            let backlog = partition.backlog().and_then(Quantity::exact);
            let values = [
                throughput.flatten(),
                backlog.map(|n| n as f64),
                age_seconds(partition),
            ];
            partition.normal.observe(now, values);
            let [rate, waiting, oldest] = &mut whole;
            *rate = rate.zip(values[0]).map(|(a, b)| a + b);
            *waiting = waiting.zip(values[1]).map(|(a, b)| a + b);
            *oldest = oldest.zip(values[2]).map(|(a, b)| a.max(b));
        }
        let signals = [Signal::Throughput, Signal::Backlog, Signal::Age];
        for (signal, value) in signals.into_iter().zip(whole) {
            self.normal.observe(now, signal, value);
        }
    }
}
