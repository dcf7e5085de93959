//! How large events are on average, and with it how many of them throughput units let consumers read.

use std::collections::BTreeMap;

use super::management::PartitionProperties;

/// What one throughput unit gives out per second: 2 MiB or 4,096 events, whichever comes first. Source: Microsoft's "Scaling with
/// Event Hubs", throughput units.
const BYTES_PER_UNIT: f64 = 2.0 * 1024.0 * 1024.0;
const EVENTS_PER_UNIT: f64 = 4096.0;

/// Share of the newest measurement in the average.
const NEWEST: f64 = 0.2;

/// The average size of events, from offsets (bytes) and sequence numbers (events).
#[derive(Clone, Debug, Default)]
pub struct EventSizes {
    last: BTreeMap<String, (i64, i64)>,
    bytes_per_event: Option<f64>,
}

impl EventSizes {
    /// Takes in one partition. Offsets that are not numbers (geo-replicated event hubs) teach nothing.
    pub fn add(&mut self, partition: &PartitionProperties) {
        let Ok(offset) = partition.last_enqueued_offset.parse::<i64>() else {
            return;
        };
        let number = partition.last_enqueued_sequence_number;
        let before = self
            .last
            .insert(partition.partition_id.clone(), (number, offset));
        let Some((then, at)) = before else { return };
        let (events, bytes) = (number.saturating_sub(then), offset.saturating_sub(at));
        if events > 0 && bytes > 0 {
            let size = bytes as f64 / events as f64;
            let known = self.bytes_per_event.unwrap_or(size);
            self.bytes_per_event = Some(known + NEWEST * (size - known));
        }
    }

    /// Events per second that `units` throughput units give out at most.
    pub fn limit(&self, units: u32) -> f64 {
        let by_size = self
            .bytes_per_event
            .map_or(f64::INFINITY, |size| BYTES_PER_UNIT / size);
        f64::from(units) * by_size.min(EVENTS_PER_UNIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_events_are_bounded_by_their_number_and_large_ones_by_their_size() {
        let mut sizes = EventSizes::default();
        assert_eq!(sizes.limit(2), 8192.0, "nothing known of their size");
        let mut properties = PartitionProperties {
            partition_id: "0".to_owned(),
            beginning_sequence_number: 0,
            last_enqueued_sequence_number: 99,
            last_enqueued_offset: "1000".to_owned(),
            last_enqueued_at: None,
            is_empty: false,
            epoch: None,
        };
        sizes.add(&properties);
        properties.last_enqueued_sequence_number = 199;
        properties.last_enqueued_offset = (1000 + 100 * 4096).to_string();
        sizes.add(&properties);
        assert_eq!(sizes.limit(2), 1024.0);
        properties.last_enqueued_offset = "12:34:56".to_owned();
        sizes.add(&properties);
        assert_eq!(sizes.limit(2), 1024.0);
    }
}
