//! The exporter: writes every metric from the published snapshots while it is scraped. Names: docs/metrics.md.
//!
//! What is unknown or too old has no sample (`partition_backlog_known` is 0 then); counters always have one.

mod baselines;
mod build;
mod calls;
mod certificate;
mod dropped;
mod family;
mod forecast;
mod groups;
mod incidents;
mod limits;
pub mod negotiate;
mod notifications;
mod partitions;
mod process;
mod recording;
mod replicas;
mod rpcs;
mod sources;
mod state;
mod targets;
mod text;

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::{encode_eof, encode_registry};

use crate::registry::Registry;

use self::negotiate::Form;
use self::text::TextForm;
use super::view::{self, GroupView, Now};
use super::views::Views;

/// Stands before every name.
const PREFIX: &str = "streamgauge";

/// Writes the metrics.
#[derive(Debug)]
pub struct Exporter {
    ours: prometheus_client::registry::Registry,
    /// Under the names that every exporter gives them.
    process: prometheus_client::registry::Registry,
}

impl Exporter {
    /// An exporter of these groups and views.
    pub fn new(registry: Arc<Registry>, views: Views, now: Now) -> Self {
        let mut exported = prometheus_client::registry::Registry::with_prefix(PREFIX);
        exported.register_collector(Box::new(Snapshots {
            registry,
            views,
            now,
            left_out: AtomicU64::new(0),
        }));
        let mut process = prometheus_client::registry::Registry::default();
        process.register_collector(Box::new(process::OfProcess));
        Self {
            ours: exported,
            process,
        }
    }

    /// Writes everything as it stands now.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write(&self, form: Form, to: impl Write) -> fmt::Result {
        match form {
            Form::OpenMetrics => self.write_open_metrics(to),
            Form::Text => self.write_open_metrics(TextForm::new(to)),
        }
    }

    fn write_open_metrics(&self, mut to: impl Write) -> fmt::Result {
        encode_registry(&mut to, &self.ours)?;
        encode_registry(&mut to, &self.process)?;
        encode_eof(&mut to)
    }
}

/// What is read at every scrape.
struct Snapshots {
    registry: Arc<Registry>,
    views: Views,
    now: Now,
    /// Series left out of scrapes so far.
    left_out: AtomicU64,
}

impl fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshots").finish_non_exhaustive()
    }
}

impl Collector for Snapshots {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut groups = view::groups(&self.registry, (self.now)());
        build::write(&mut encoder)?;
        let views = &self.views;
        sources::write(&mut encoder, &(views.sources)())?;
        sources::write_retentions(&mut encoder, &self.registry.retentions())?;
        if let Some(view) = (views.cluster)() {
            calls::write(&mut encoder, calls::KUBERNETES, &view)?;
        }
        if let Some(view) = (views.prometheus)() {
            calls::write(&mut encoder, calls::PROMETHEUS, &view)?;
        }
        if let Some(failures) = (views.recording)() {
            recording::write(&mut encoder, failures)?;
        }
        if let Some(view) = (views.state)() {
            state::write(&mut encoder, &view)?;
        }
        if let Some(view) = (views.notifications)() {
            notifications::write(&mut encoder, &view)?;
        }
        rpcs::write(&mut encoder, &views.rpcs)?;
        if let Some(members) = &views.members {
            replicas::write(&mut encoder, members, &groups, &views.rpcs)?;
            // Each group is exported once, by its owner.
            groups.retain(GroupView::is_led_here);
        }
        certificate::write(&mut encoder, (views.certificate)())?;
        limits::write(&mut encoder, &self.registry.usage())?;
        let (fitting, left_out) = partitions::fitting(&groups, self.registry.max_series());
        let before = self.left_out.fetch_add(left_out, Ordering::Relaxed);
        dropped::write(&mut encoder, before + left_out)?;
        partitions::write(&mut encoder, &fitting)?;
        groups::write(&mut encoder, &groups)?;
        forecast::write(&mut encoder, &groups)?;
        baselines::write(&mut encoder, &groups)?;
        incidents::write(&mut encoder, &groups)?;
        targets::write(&mut encoder, &groups, &self.registry.labels())
    }
}
