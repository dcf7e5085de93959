//! Text format 0.0.4 out of OpenMetrics 1.0, as far as this exporter writes it: no timestamps, and of exemplars the ids of traces only.

/// What an exemplar starts with. Quotes are escaped in label values, so it stands nowhere else.
const EXEMPLAR: &str = " # {trace_id=\"";

/// Rewrites the metadata and drops exemplars; else sample lines are the same in both formats.
pub(super) fn from_openmetrics(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    let (mut help, mut has_buckets) = (None, false);
    // Not `lines`, which would take a carriage return for part of the line break.
    for line in openmetrics.split_terminator('\n') {
        // A sample line starts with its name, so this never meets a label value.
        match line.strip_prefix("# ").and_then(|l| l.split_once(' ')) {
            Some(("HELP", rest)) => help = rest.split_once(' '),
            Some(("TYPE", rest)) => {
                has_buckets = rest.ends_with(" histogram");
                describe(&mut text, rest, help.take());
            }
            None if line == "# EOF" => {}
            Some(("UNIT", _)) => {}
            _ if has_buckets => push(&mut text, &[without_exemplar(line)]),
            _ => push(&mut text, &[line]),
        }
    }
    text
}

/// Writes HELP and TYPE. Here families are named as their samples are: counters with `_total`, infos with `_info`.
fn describe(text: &mut String, name_and_kind: &str, help: Option<(&str, &str)>) {
    let Some((name, kind)) = name_and_kind.split_once(' ') else {
        return;
    };
    let (suffix, kind) = match kind {
        "counter" => ("_total", "counter"),
        "info" => ("_info", "gauge"),
        "unknown" => ("", "untyped"),
        other => ("", other),
    };
    if let Some((_, help)) = help.filter(|(of, _)| *of == name) {
        push(text, &["# HELP ", name, suffix, " ", help]);
    }
    push(text, &["# TYPE ", name, suffix, " ", kind]);
}

fn without_exemplar(line: &str) -> &str {
    line.split_once(EXEMPLAR).map_or(line, |(sample, _)| sample)
}

fn push(text: &mut String, parts: &[&str]) {
    text.extend(parts.iter().copied().chain(["\n"]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_renamed_and_samples_stay_whatever_their_labels_hold() {
        let check = |openmetrics: &str, text: &str| assert_eq!(from_openmetrics(openmetrics), text);
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
