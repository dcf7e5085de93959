//! Everything computed again, and held against what was decided and saved.

use std::time::Instant;

use crate::commands::table::grouped;
use crate::group::event::What;

use super::past::{ReplayStep, ReplayedGroup, named, shown};

/// So many differences are told one by one.
const TOLD: u64 = 10;

/// Whether anything differs, or could not be read.
pub(super) fn verify(mut past: ReplayedGroup) -> bool {
    let started = Instant::now();
    let (mut events, mut samples, mut decisions, mut states) = (0_u64, 0_u64, 0_u64, 1_u64);
    let (mut unequal, mut missing, mut anew) = (0_u64, 0_u64, 0_u64);
    while let Some(seen) = past.next() {
        match seen {
            ReplayStep::Began(header, continuity) => {
                states += 1;
                match continuity.missing {
                    Some(0) => {}
                    Some(lacking) => missing += lacking,
                    None => anew += 1,
                }
                if let Some(byte) = continuity.differs_at {
                    unequal += 1;
                    let at = shown(header.moment().on_the_wall());
                    println!(
                        "  unequal: the state saved at {at} (after event {}) differs from byte {byte} on",
                        header.position
                    );
                }
            }
            ReplayStep::Happened(wall, happened) => {
                events += 1;
                if let What::Observed(Ok(sample)) = &happened.record.event.what {
                    samples += sample.partitions.len() as u64;
                }
                decisions += happened.record.decided.len() as u64;
                if happened.decided != happened.record.decided {
                    unequal += 1;
                    if unequal <= TOLD {
                        let who = happened.decided.iter().chain(&happened.record.decided);
                        let who = who.map(|(key, _)| named(key)).next();
                        println!(
                            "  unequal: event {} at {}: another decision for {}",
                            happened.record.position,
                            shown(wall),
                            who.unwrap_or_default()
                        );
                    }
                }
            }
        }
    }
    if unequal > TOLD {
        println!("  … and {} more", unequal - TOLD);
    }
    if missing > 0 {
        println!("  {missing} events are missing: the disk was full or too slow then");
    }
    if anew > 0 {
        println!(
            "  {anew} times it begins anew: after a longer pause, another version, or missing events"
        );
    }
    let seconds = started.elapsed().as_secs_f64().max(1e-9);
    println!(
        "  {}: {} events with {} partition samples, {} decisions, {} saved states, in {seconds:.1} s ({} samples/s)",
        if unequal == 0 { "equal" } else { "UNEQUAL" },
        grouped(events),
        grouped(samples),
        grouped(decisions),
        grouped(states),
        grouped((samples as f64 / seconds) as u64),
    );
    unequal > 0 || past.is_damaged
}
