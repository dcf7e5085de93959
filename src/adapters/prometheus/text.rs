//! Text format 0.0.4 out of OpenMetrics 1.0, as far as this exporter writes it: no timestamps, and of exemplars the ids of traces only.

use std::fmt::{self, Write};

/// What an exemplar starts with. Quotes are escaped in label values, so it stands nowhere else.
const EXEMPLAR: &str = " # {trace_id=\"";

/// Takes OpenMetrics, passes text on line by line: rewrites the metadata and drops exemplars; else sample lines are the same in both
/// formats.
#[derive(Debug)]
pub(super) struct TextForm<W> {
    to: W,
    /// What came of a line that has not ended.
    line: String,
    /// Name and help text of the family that begins.
    help: Option<(String, String)>,
    has_buckets: bool,
}

impl<W: Write> TextForm<W> {
    pub fn new(to: W) -> Self {
        Self {
            to,
            line: String::new(),
            help: None,
            has_buckets: false,
        }
    }

    fn pass_on(&mut self, line: &str) -> fmt::Result {
        // A sample line starts with its name, so this never meets a label value.
        match line.strip_prefix("# ").and_then(|l| l.split_once(' ')) {
            Some(("HELP", rest)) => {
                let owned = |(name, help): (&str, &str)| (name.to_owned(), help.to_owned());
                self.help = rest.split_once(' ').map(owned);
                Ok(())
            }
            Some(("TYPE", rest)) => {
                self.has_buckets = rest.ends_with(" histogram");
                self.describe(rest)
            }
            None if line == "# EOF" => Ok(()),
            Some(("UNIT", _)) => Ok(()),
            _ if self.has_buckets => writeln!(self.to, "{}", without_exemplar(line)),
            _ => {
                self.to.write_str(line)?;
                self.to.write_char('\n')
            }
        }
    }

    /// Writes HELP and TYPE. Here families are named as their samples are: counters with `_total`, infos with `_info`.
    fn describe(&mut self, name_and_kind: &str) -> fmt::Result {
        let help = self.help.take();
        let Some((name, kind)) = name_and_kind.split_once(' ') else {
            return Ok(());
        };
        let (suffix, kind) = match kind {
            "counter" => ("_total", "counter"),
            "info" => ("_info", "gauge"),
            "unknown" => ("", "untyped"),
            other => ("", other),
        };
        if let Some((_, help)) = help.filter(|(of, _)| of == name) {
            writeln!(self.to, "# HELP {name}{suffix} {help}")?;
        }
        writeln!(self.to, "# TYPE {name}{suffix} {kind}")
    }
}

impl<W: Write> Write for TextForm<W> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let mut rest = part;
        // Not `lines`, which would take a carriage return for part of the line break.
        while let Some((end, after)) = rest.split_once('\n') {
            let mut line = std::mem::take(&mut self.line);
            line.push_str(end);
            self.pass_on(&line)?;
            line.clear();
            self.line = line;
            rest = after;
        }
        self.line.push_str(rest);
        Ok(())
    }
}

fn without_exemplar(line: &str) -> &str {
    line.split_once(EXEMPLAR).map_or(line, |(sample, _)| sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_renamed_and_samples_stay_whatever_their_labels_hold() {
        let check = |openmetrics: &str, text: &str| {
            for at_once in 1..=openmetrics.len() {
                let mut form = TextForm::new(String::new());
                let parts = openmetrics.as_bytes().chunks(at_once);
                for part in parts {
                    let part = std::str::from_utf8(part).expect("ASCII");
                    form.write_str(part).expect("written");
                }
                assert_eq!(form.to, text, "{at_once} bytes at once");
            }
        };
        check(
            "# HELP a Alpha.\n# TYPE a counter\na_total{x=\"# EOF\"} 1\n# EOF\n",
            "# HELP a_total Alpha.\n# TYPE a_total counter\na_total{x=\"# EOF\"} 1\n",
        );
        check(
            "# HELP b Beta.\n# TYPE b info\nb_info{v=\"1\"} 1\n# EOF\n",
            "# HELP b_info Beta.\n# TYPE b_info gauge\nb_info{v=\"1\"} 1\n",
        );
        check(
            "# HELP c_seconds Gamma.\n# TYPE c_seconds unknown\n# UNIT c_seconds seconds\nc_seconds{x=\"\r\"} 1.0\n# EOF\n",
            "# HELP c_seconds Gamma.\n# TYPE c_seconds untyped\nc_seconds{x=\"\r\"} 1.0\n",
        );
        check(
            "# TYPE d histogram\nd_bucket{le=\"+Inf\",x=\" # {trace_id=\\\"\"} 2 # {trace_id=\"0af7\"} 0.5 1700000000.25\n",
            "# TYPE d histogram\nd_bucket{le=\"+Inf\",x=\" # {trace_id=\\\"\"} 2\n",
        );
        check("# EOF\n", "");
    }
}
