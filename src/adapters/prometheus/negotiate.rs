//! Which exposition format a client gets, by its Accept header (RFC 9110, 12.5.1).

/// The formats on offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Prometheus text 0.0.4: what everybody reads.
    Text,
    /// OpenMetrics 1.0.0: what Prometheus prefers.
    OpenMetrics,
}

impl Form {
    /// The Content-Type of an answer in this form.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The form for an Accept header. OpenMetrics if it is preferred, or named and liked as well; text also where
    /// neither is acceptable, as a scrape that reads strangely helps more than one refused.
    pub fn negotiate(accept: &str) -> Self {
        let text = preference(accept, "text", "plain", "0.0.4");
        let open = preference(accept, "application", "openmetrics-text", "1.0.0");
        let named_and_liked = open.quality == text.quality && open.specificity == NAMED;
        if open.quality > 0.0 && (open.quality > text.quality || named_and_liked) {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }
}

/// The specificity of a range that names both type and subtype.
const NAMED: u8 = 2;

/// How much a client wants something: of all ranges that match it, the most specific one says.
#[derive(Clone, Copy, Debug, Default)]
struct Preference {
    specificity: u8,
    quality: f64,
}

fn preference(accept: &str, kind: &str, subtype: &str, version: &str) -> Preference {
    accept
        .split(',')
        .filter_map(|range| matching(range, kind, subtype, version))
        .fold(Preference::default(), |best, next| {
            let key = |p: &Preference| (f64::from(p.specificity), p.quality);
            if key(&next) >= key(&best) { next } else { best }
        })
}

/// What one range says about this format; `None` if it is about something else.
fn matching(range: &str, kind: &str, subtype: &str, version: &str) -> Option<Preference> {
    let mut parts = range.split(';').map(str::trim);
    let (wanted_kind, wanted_subtype) = parts.next()?.split_once('/')?;
    let specificity = match (wanted_kind, wanted_subtype) {
        ("*", "*") => 0,
        (k, "*") if k.eq_ignore_ascii_case(kind) => 1,
        (k, s) if k.eq_ignore_ascii_case(kind) && s.eq_ignore_ascii_case(subtype) => NAMED,
        _ => return None,
    };
    let mut quality = 1.0;
    for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
        let value = value.trim().trim_matches('"');
        match name.trim() {
            "version" if value != version => return None,
            "q" | "Q" => quality = value.parse().ok().filter(|q| (0.0..=1.0).contains(q))?,
            _ => {}
        }
    }
    Some(Preference {
        specificity,
        quality,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_the_form_they_prefer_and_text_if_they_do_not_say() {
        let check = |accept: &str, expect| assert_eq!(Form::negotiate(accept), expect, "{accept}");
        check("", Form::Text);
        check("*/*", Form::Text);
        check("text/html,application/xhtml+xml,*/*;q=0.8", Form::Text);
        check("application/json", Form::Text);
        check("text/plain", Form::Text);
        check("application/openmetrics-text", Form::OpenMetrics);
        check(
            "application/openmetrics-text;q=0.5, */*;q=0.1",
            Form::OpenMetrics,
        );
        check(
            "application/openmetrics-text;q=0.2,text/plain;q=0.9",
            Form::Text,
        );
        check(
            "text/plain, application/openmetrics-text",
            Form::OpenMetrics,
        );
        check("application/openmetrics-text;q=0, */*", Form::Text);
        check("application/openmetrics-text;version=0.0.1", Form::Text);
        check("application/openmetrics-text;q=high", Form::Text);
        // Prometheus 2.42
        check(
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Form::OpenMetrics,
        );
        // Prometheus 3
        check(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;\
             q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            Form::OpenMetrics,
        );
        // Prometheus told to use the text format only
        check("text/plain;version=0.0.4;q=0.5,*/*;q=0.4", Form::Text);
    }
}
