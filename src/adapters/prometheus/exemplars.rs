//! Exemplars behind the buckets of histograms, in the OpenMetrics form. The library takes them for its own histograms only, and
//! ours are counted where something happens; so they are put in where the lines are.

use std::time::SystemTime;

use super::family::PREFIX;
use crate::trace::Exemplar;

/// The exemplars of one histogram, one place per bucket.
pub(super) struct Marked {
    /// Of the family.
    pub name: &'static str,
    /// Its one label and the value, as it stands in the text.
    pub label: (&'static str, String),
    /// In the order of the buckets.
    pub exemplars: Vec<Option<Exemplar>>,
}

/// The text with these exemplars.
pub(super) fn insert(text: &str, marked: &[Marked]) -> String {
    let mut out = String::with_capacity(text.len() + 128 * marked.len());
    let mut rest = text;
    for histogram in marked {
        let Marked { name, label, .. } = histogram;
        let (label, value) = (label.0, escaped(&label.1));
        // `…_bucket{le="0.01",source="main"} 3`, bucket after bucket.
        let (start, end) = (
            format!("{PREFIX}_{name}_bucket{{le=\""),
            format!("\",{label}=\"{value}\"}} "),
        );
        for exemplar in &histogram.exemplars {
            let Some(at) = line_end(rest, &start, &end) else {
                break;
            };
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(exemplar) = exemplar {
                out.push_str(&written(exemplar));
            }
        }
    }
    out.push_str(rest);
    out
}

/// The end of the first line that begins with one text and continues with the other.
fn line_end(text: &str, start: &str, label: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let line = from + text[from..].find(start)?;
        let end = line + text[line..].find('\n')?;
        if text[line..end].contains(label) {
            return Some(end);
        }
        from = end;
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn written(exemplar: &Exemplar) -> String {
    let since = exemplar.at.duration_since(SystemTime::UNIX_EPOCH);
    let at = since.unwrap_or_default().as_secs_f64();
    let Exemplar {
        trace_id, seconds, ..
    } = exemplar;
    format!(" # {{trace_id=\"{trace_id}\"}} {seconds} {at:.3}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_bucket_that_has_one_gets_its_own() {
        let text = "\
# TYPE streamgauge_poll_duration_seconds histogram
streamgauge_poll_duration_seconds_sum{source=\"a\"} 1
streamgauge_poll_duration_seconds_bucket{le=\"0.1\",source=\"a\"} 1
streamgauge_poll_duration_seconds_bucket{le=\"+Inf\",source=\"a\"} 2
streamgauge_poll_duration_seconds_bucket{le=\"0.1\",source=\"b\"} 3
streamgauge_poll_duration_seconds_bucket{le=\"+Inf\",source=\"b\"} 4
# EOF
";
        let exemplar = |seconds| {
            Some(Exemplar {
                trace_id: "0af7651916cd43dd8448eb211c80319c".to_owned(),
                seconds,
                at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250),
            })
        };
        let of = |source: &str, exemplars| Marked {
            name: "poll_duration_seconds",
            label: ("source", source.to_owned()),
            exemplars,
        };
        let marked = [
            of("a", vec![None, exemplar(0.5)]),
            of("b", vec![exemplar(0.05), None]),
            of("gone", vec![exemplar(0.05), None]),
        ];
        let id = "# {trace_id=\"0af7651916cd43dd8448eb211c80319c\"}";
        let expected = text
            .replace(
                "source=\"a\"} 2",
                &format!("source=\"a\"}} 2 {id} 0.5 1700000000.250"),
            )
            .replace(
                "source=\"b\"} 3",
                &format!("source=\"b\"}} 3 {id} 0.05 1700000000.250"),
            );
        assert_eq!(insert(text, &marked), expected);
    }
}
