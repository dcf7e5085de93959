//! Everything computed again, and held against what was decided and saved.

use std::io::{self, Write};
use std::time::Instant;

use crate::commands::table::grouped;
use crate::group::event::What;
use crate::journal::{ReplayStep, ReplayedGroup, shown};

use super::decisions::named;

/// So many differences are told one by one.
const TOLD: u64 = 10;

/// Whether anything differs, or could not be read.
pub(super) fn verify(past: &mut ReplayedGroup, out: &mut impl Write) -> io::Result<bool> {
    let started = Instant::now();
    let (mut events, mut samples, mut decisions, mut states) = (0_u64, 0_u64, 0_u64, 1_u64);
    let (mut unequal, mut missing, mut restarted) = (0_u64, 0_u64, 0_u64);
    while let Some(seen) = past.next_step() {
        match seen {
            ReplayStep::Began(header, continuity) => {
                states += 1;
                match continuity.missing {
                    Some(0) => {}
                    Some(lacking) => missing += lacking,
                    None => restarted += 1,
                }
                if let Some(byte) = continuity.differs_at {
                    unequal += 1;
                    let at = shown(header.moment().on_the_wall());
                    writeln!(
                        out,
                        "  unequal: the state saved at {at} (after event {}) differs from byte {byte} on",
                        header.position
                    )?;
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
                        writeln!(
                            out,
                            "  unequal: event {} at {}: another decision for {}",
                            happened.record.position,
                            shown(wall),
                            who.unwrap_or_default()
                        )?;
                    }
                }
            }
        }
    }
    if unequal > TOLD {
        writeln!(out, "  … and {} more", unequal - TOLD)?;
    }
    if missing > 0 {
        writeln!(
            out,
            "  {missing} events are missing: the disk was full or too slow then"
        )?;
    }
    if restarted > 0 {
        writeln!(
            out,
            "  {restarted} times the state does not follow from the events before: after a longer stop, or missing events"
        )?;
    }
    let seconds = started.elapsed().as_secs_f64().max(1e-9);
    writeln!(
        out,
        "  {}: {} events with {} partition samples, {} decisions, {} saved states, in {seconds:.1} s ({} samples/s)",
        if unequal == 0 { "equal" } else { "UNEQUAL" },
        grouped(events),
        grouped(samples),
        grouped(decisions),
        grouped(states),
        grouped((samples as f64 / seconds) as u64),
    )?;
    Ok(unequal > 0)
}
