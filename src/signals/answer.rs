//! Reads the answer to an instant query: one number, or why there is none. Pure.

use serde::Deserialize;
use serde_json::Value;

use crate::model::sample::{Failure, FailureKind};

/// The value of an expression, or why it has none. Without a series it is unknown, never 0.
pub type Said = Result<f64, String>;

/// The longest part of a text of the server that is repeated.
const LONGEST_QUOTE: usize = 200;

#[derive(Deserialize)]
struct Envelope {
    status: String,
    data: Option<Data>,
    #[serde(default, rename = "errorType")]
    error_type: String,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

/// Reads the body of an answer with that HTTP status.
///
/// # Errors
/// The server is in trouble, rejects the query, or is not a Prometheus.
pub fn read(status: u16, body: &[u8]) -> Result<Said, Failure> {
    let envelope = serde_json::from_slice::<Envelope>(body).ok();
    match (status, envelope) {
        (200, Some(Envelope { status, data, .. })) if status == "success" => {
            let data = data.ok_or_else(|| garbled("no data"))?;
            value(&data)
        }
        // Its own word that the expression cannot be computed: asked again it would say the same.
        (400 | 422, Some(refusal)) if refusal.status == "error" => Ok(Err(format!(
            "prometheus rejected the expression: {}",
            quoted(&refusal.error_type, &refusal.error)
        ))),
        (401 | 403, _) => Err(Failure::new(
            FailureKind::Auth,
            format!("prometheus: status {status}: check the credentials of the prometheus section"),
        )),
        (404 | 405, _) | (300..=399, _) => Err(Failure::new(
            FailureKind::Misconfigured,
            format!(
                "prometheus: status {status}: prometheus.url must be the base URL of /api/v1/query"
            ),
        )),
        (429, _) => Err(Failure::new(
            FailureKind::Throttled,
            "prometheus is throttling requests: raise prometheus.interval",
        )),
        (500..=599, said) => {
            let why = said.map_or_else(String::new, |said| {
                format!(": {}", quoted(&said.error_type, &said.error))
            });
            let text = format!("prometheus: status {status}{why}: streamgauge retries");
            Err(Failure::new(FailureKind::Transient, text))
        }
        (200, _) => Err(garbled("not a Prometheus response: check prometheus.url")),
        _ => Err(garbled(&format!("status {status} was not expected"))),
    }
}

fn value(data: &Data) -> Result<Said, Failure> {
    let sample = match data.result_type.as_str() {
        "scalar" => &data.result,
        "vector" => {
            let series = data.result.as_array();
            let series = series.ok_or_else(|| garbled("a vector without series"))?;
            match series.as_slice() {
                [] => {
                    return Ok(Err(
                        "the expression returned no value: no series matches now".into(),
                    ));
                }
                [one] if one.get("histogram").is_some() => {
                    return Ok(Err("the expression returned a histogram: reduce it to a number, for example with histogram_quantile()".into()));
                }
                [one] => one
                    .get("value")
                    .ok_or_else(|| garbled("a series without value"))?,
                several => {
                    return Ok(Err(format!(
                        "the expression returned {} values: reduce them to one, for example with sum() or max()",
                        several.len()
                    )));
                }
            }
        }
        other => {
            let text = format!("the expression returned a {}, not a number", clipped(other));
            return Ok(Err(text));
        }
    };
    let text = sample.get(1).and_then(Value::as_str);
    let number: Option<f64> = text.and_then(|text| text.parse().ok());
    let number = number.ok_or_else(|| garbled("a value is not a number"))?;
    if number.is_finite() {
        return Ok(Ok(number));
    }
    let hint = "for example after dividing by a rate of 0";
    Ok(Err(format!("the expression returned {number}, {hint}")))
}

fn garbled(what: &str) -> Failure {
    let text = format!("prometheus: the response could not be parsed: {what}");
    Failure::new(FailureKind::Protocol, text)
}

fn quoted(kind: &str, text: &str) -> String {
    format!("{}: {}", clipped(kind), clipped(text))
}

/// A part of a text from outside, on one line.
fn clipped(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(LONGEST_QUOTE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_is_a_value_and_everything_else_says_why_it_is_none() {
        let check = |result_type: &str, result: &str, expect: Said| {
            let data = format!(r#"{{"resultType":"{result_type}","result":{result}}}"#);
            let body = format!(r#"{{"status":"success","data":{data},"warnings":["w"]}}"#);
            assert_eq!(read(200, body.as_bytes()), Ok(expect), "{body}");
        };
        let none = |why: &str| Err(why.to_owned());
        let series =
            |value: &str| format!(r#"{{"metric":{{"a":"b"}},"value":[1435781451.781,"{value}"]}}"#);
        check("scalar", r#"[1435781451.781,"0.25"]"#, Ok(0.25));
        check("vector", &format!("[{}]", series("1e-3")), Ok(0.001));
        check(
            "vector",
            "[]",
            none("the expression returned no value: no series matches now"),
        );
        check(
            "vector",
            &format!("[{},{}]", series("1"), series("2")),
            none(
                "the expression returned 2 values: reduce them to one, for example with sum() or max()",
            ),
        );
        check(
            "vector",
            &format!("[{}]", series("NaN")),
            none("the expression returned NaN, for example after dividing by a rate of 0"),
        );
        check(
            "scalar",
            r#"[1,"+Inf"]"#,
            none("the expression returned inf, for example after dividing by a rate of 0"),
        );
        check(
            "vector",
            r#"[{"metric":{},"histogram":[1,{"count":"1"}]}]"#,
            none(
                "the expression returned a histogram: reduce it to a number, for example with histogram_quantile()",
            ),
        );
        check(
            "matrix",
            "[]",
            none("the expression returned a matrix, not a number"),
        );
        check(
            "string",
            r#"[1,"x"]"#,
            none("the expression returned a string, not a number"),
        );
        let refusal = br#"{"status":"error","errorType":"bad_data","error":"1:3: parse\nerror"}"#;
        let why = "prometheus rejected the expression: bad_data: 1:3: parse error";
        assert_eq!(read(400, refusal), Ok(none(why)));
    }

    #[test]
    fn a_server_in_trouble_and_one_that_is_no_prometheus_are_told_apart() {
        let check = |status, body: &str, kind, text: &str| {
            let failure = read(status, body.as_bytes()).expect_err(body);
            assert_eq!((failure.kind, failure.text.as_str()), (kind, text));
        };
        check(
            503,
            r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#,
            FailureKind::Transient,
            "prometheus: status 503: timeout: query timed out: streamgauge retries",
        );
        check(
            502,
            "<html>",
            FailureKind::Transient,
            "prometheus: status 502: streamgauge retries",
        );
        check(
            401,
            "",
            FailureKind::Auth,
            "prometheus: status 401: check the credentials of the prometheus section",
        );
        check(
            404,
            "",
            FailureKind::Misconfigured,
            "prometheus: status 404: prometheus.url must be the base URL of /api/v1/query",
        );
        let garbled = "prometheus: the response could not be parsed: ";
        let kind = FailureKind::Protocol;
        let no_prometheus = format!("{garbled}not a Prometheus response: check prometheus.url");
        check(200, "<html>", kind, &no_prometheus);
        check(
            200,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"value":[1]}]}}"#,
            kind,
            &format!("{garbled}a value is not a number"),
        );
    }
}
