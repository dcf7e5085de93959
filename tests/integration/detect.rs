//! `detect` as a user runs it: what it writes for a series, and what it says of wrong input.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

/// (exit code, stdout, stderr), run in a folder, with `input` on standard input.
fn run(folder: &Path, args: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .arg("detect")
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("an end");
    // A program that stops at the first fault need not read on.
    let _ = writer.join().expect("no panic");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Two days of a calm wave every five minutes; the third begins with a gap, a missing sample and a spike.
fn series() -> String {
    let mut text = String::from("timestamp,value\n");
    for row in 0..600_u32 {
        let (minute, wave) = (row * 5, 10 - (row % 20).abs_diff(10));
        let time = format!(
            "2026-03-{:02} {:02}:{:02}:00",
            2 + minute / 1440,
            minute / 60 % 24,
            minute % 60
        );
        let value = match row {
            580 => String::new(),
            585 | 586 => "400".to_owned(),
            _ => (100 + wave + row % 3).to_string(),
        };
        if !(560..570).contains(&row) {
            let _ = writeln!(text, "{time},{value}");
        }
    }
    text
}

#[test]
fn every_row_is_answered_and_a_spike_stands_out() {
    let folder = TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("series.csv"), series()).expect("a written file");
    let (code, rows, said) = run(folder.path(), &["series.csv"], "");
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert_eq!(rows.lines().count(), series().lines().count());
    let fired: Vec<&str> = rows.lines().filter(|row| row.ends_with(",1,1")).collect();
    assert_eq!(fired.len(), 1, "{fired:?}");
    assert!(fired[0].contains(",400,"), "{fired:?}");
    let shown = rows.lines().enumerate();
    let shown = shown.filter(|(n, _)| *n < 4 || (548..555).contains(n) || *n >= 568);
    let shown: Vec<&str> = shown.map(|(_, row)| row).collect();
    insta::assert_snapshot!(shown.join("\n"));

    let piped = run(folder.path(), &["-"], &series());
    assert_eq!((piped.0, &piped.1), (Some(0), &rows));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(series().as_bytes()).expect("in memory");
    std::fs::write(
        folder.path().join("series.csv.gz"),
        gzip.finish().expect("in memory"),
    )
    .expect("a written file");
    assert_eq!(run(folder.path(), &["series.csv.gz"], "").1, rows);
}

#[test]
fn times_may_be_written_in_several_ways_and_columns_stand_in_any_order() {
    let folder = TempDir::new().expect("a folder");
    let check = |input: &str| {
        let (code, rows, error) = run(folder.path(), &["-"], input);
        assert_eq!((code, error.as_str()), (Some(0), ""), "{input}");
        assert_eq!(rows.lines().count(), input.lines().count(), "{input}");
    };
    check(
        "timestamp,value\n2026-03-02 00:00:00,1\n2026-03-02T00:05:00Z,2\n2026-03-02 00:10:00.500,3\n",
    );
    check("timestamp,value\n1772409600,1\n1772409605.25,\n");
    check("\u{feff}value,host,timestamp\n1,a,2026-03-02 00:00:00\n1,a,2026-03-02 00:00:00\n");
    check("timestamp,value\n");
}

#[test]
fn rows_out_of_order_are_judged_by_their_place_with_a_warning_each() {
    let folder = TempDir::new().expect("a folder");
    // The hour from 01:00 on is written twice, as local time does in autumn.
    let mut twice = String::from("timestamp,value\n");
    for minute in (0..120).chain(60..180).step_by(5) {
        let _ = writeln!(
            twice,
            "2026-10-25 {:02}:{:02}:00,{minute}",
            minute / 60,
            minute % 60
        );
    }
    let (code, rows, said) = run(folder.path(), &["-"], &twice);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(rows.lines().count(), twice.lines().count());
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(said.len(), 11, "{said:#?}");
    let first = "warning: standard input: line 26: `2026-10-25 01:00:00` is earlier than the previous row, so its timestamp is ignored: ";
    assert!(said[0].starts_with(first), "{}", said[0]);
    assert_eq!(said[10], "warning: standard input: and 1 more");
}

#[test]
fn ten_megabytes_that_unpack_to_ten_gigabytes_end_with_an_error_and_little_memory() {
    let folder = TempDir::new().expect("a folder");
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&vec![b'7'; 10_000_000]).expect("packed");
    let packed = packed.finish().expect("packed");
    assert!(packed.len() < 100_000, "{}", packed.len());
    // Gzip files may be strung together.
    std::fs::write(folder.path().join("bomb.csv.gz"), packed.repeat(1_000)).expect("written");
    for command in ["detect bomb.csv.gz", "simulate --trace bomb.csv.gz"] {
        // Of addresses, which are more than what is used.
        let limited = format!("ulimit -v 1000000; exec \"$0\" {command}");
        let output = Command::new("sh")
            .args(["-c", &limited, env!("CARGO_BIN_EXE_streamgauge")])
            .current_dir(folder.path())
            .output()
            .expect("the binary starts");
        let said = String::from_utf8(output.stderr).expect("text");
        let expect = "a row is longer than 4 MiB, which is the limit";
        assert!(said.contains(expect), "{command}: {said}");
        assert!(said.contains("bomb.csv.gz"), "{command}: {said}");
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
    }
}

#[test]
fn wrong_input_is_refused_with_its_line_and_what_to_do() {
    let folder = TempDir::new().expect("a folder");
    let mut said = String::new();
    let (code, _, error) = run(folder.path(), &["missing.csv"], "");
    let _ = writeln!(said, "> missing.csv\nexit {}\n{error}", code.unwrap_or(-1));
    for input in [
        "",
        "time,value\n1,2\n",
        "timestamp,count\n1,2\n",
        "timestamp,value\n2026-03-02 00:00:00,1\nyesterday,2\n",
        "timestamp,value\n1772409600000,1\n",
        "timestamp,value\n2026-03-02 00:00:00,many\n",
        "timestamp,value\n2026-03-02 00:00:00,NaN\n",
        "timestamp,value\n2026-03-02 00:05:00,1,2\n",
    ] {
        let (code, _, error) = run(folder.path(), &["-"], input);
        let _ = writeln!(said, "> {input:?}\nexit {}\n{error}", code.unwrap_or(-1));
    }
    insta::assert_snapshot!(said);
}
