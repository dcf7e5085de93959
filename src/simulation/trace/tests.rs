//! Traces that can be used, and the exact words for those that cannot.

use super::*;

fn read(text: &str) -> Result<Vec<Vec<u32>>, String> {
    Trace::read("t", text.as_bytes())
        .map(|trace| trace.ticks().map(<[u32]>::to_vec).collect())
        .map_err(|error| error.to_string())
}

#[test]
fn rows_of_any_step_become_ticks_of_five_seconds_and_no_message_gets_lost() {
    let check = |text: &str, expect: &[&[u32]]| {
        let expect: Vec<Vec<u32>> = expect.iter().map(|row| row.to_vec()).collect();
        assert_eq!(read(text), Ok(expect), "{text}");
    };
    check("time_seconds,a,b\n5,1,2\n10,3,4\n", &[&[1, 2], &[3, 4]]);
    check(
        "time_seconds,a\n1,1\n2,1\n3,1\n4,1\n5,1\n6,7\n",
        &[&[5], &[7]],
    );
    // The first row covers as long as the second: from 45 s to 60 s.
    check(
        "time_seconds,a\n60,24\n75,9\n",
        &[&[8], &[8], &[8], &[3], &[3], &[3]],
    );
}

#[test]
fn a_file_that_is_no_trace_is_refused_with_line_and_column() {
    let check = |text: &str, expect: &str| {
        let error = read(text).unwrap_err();
        assert!(error.contains(expect), "{error}");
    };
    check(
        "timestamp,value\n1,2\n",
        "line 1: the header must be `time_seconds,",
    );
    check(
        "time_seconds,a\n5,1\n5,2\n",
        "line 3, column `time_seconds`: `5` is not a number of seconds, larger",
    );
    check(
        "time_seconds,a\n5,1\n10,-2\n",
        "line 3, column `a`: `-2` is not a whole number",
    );
    check(
        "time_seconds,a\r\n5,1\r\n10,-2\r\n",
        "line 3, column `a`: `-2` is not",
    );
    check(
        "time_seconds,a,b,a\n5,1,1,1\n",
        "line 1, column 4: `a` appears twice: give every partition its own column",
    );
    check(
        "time_seconds,a,\n5,1,1\n",
        "line 1, column 3: `` is not a valid name",
    );
    check(
        "time_seconds,a\n1,1\n2,4294967295\n3,4294967295\n",
        "column `a`, 5 s after the start: more than 4,294,967,295 messages within 5 s: check the values",
    );
    check("time_seconds,a\n5,1\n10,2,3\n", "line: 3");
    check("time_seconds,a\n5,1\n", "at least two rows");
    check("time_seconds,a\n5,1\n1e15,1\n", "too many");
}
