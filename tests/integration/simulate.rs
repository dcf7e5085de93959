//! `simulate` as a user runs it: the table, and what it says of wrong input.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// (exit code, stdout, stderr), run in a folder.
fn run(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .arg("simulate")
        .args(args)
        .current_dir(folder)
        .output()
        .expect("the binary starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Half an hour of three partitions; a wave that one replica cannot do alone.
fn folder() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let mut trace = String::from("time_seconds,a,b,c\n");
    for row in 1..=180_u32 {
        let wave = 60_u32.saturating_sub(row.abs_diff(90));
        let _ = writeln!(
            trace,
            "{},{},{},{}",
            row * 10,
            100 + 15 * wave,
            200,
            50 + 5 * wave
        );
    }
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a written file");
    };
    write("wave.csv", &trace);
    write(
        "faults.yaml",
        "- { kind: stuck, partition: b, from: 10m, to: 12m }\n",
    );
    write("bad.csv", "time_seconds,a\n5,1\n10,many\n");
    write("meteor.yaml", "- { kind: meteor, from: 10m, to: 12m }\n");
    write(
        "elsewhere.yaml",
        "- { kind: crash, trace: tide, from: 10m }\n",
    );
    write("late.yaml", "- { kind: crash, from: 30m }\n");
    write("fake.csv.gz", "time_seconds,a\n5,1\n10,1\n");
    write("twice.csv", "time_seconds,a,a\n5,1,1\n10,1,1\n");
    folder
}

#[test]
fn the_table_says_what_each_policy_made_of_each_cell() {
    let folder = folder();
    let args = "--trace wave.csv --faults faults.yaml --policy static:3 --policy keda-lag --policy cpu:70 --commit-interval 10s,after:50 --seeds 2 --json out.json --html out.html";
    let args: Vec<&str> = args.split(' ').collect();
    let (code, table, _) = run(folder.path(), &args);
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(table);
    assert_eq!(run(folder.path(), &args).1, table, "the same numbers again");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect(name);
    let json: serde_json::Value = serde_json::from_str(&read("out.json")).expect("JSON");
    assert_eq!(json["cells"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        json["summary"]["keda_lag_in_hindsight"]["tried"]
            .as_array()
            .map(Vec::len),
        Some(5)
    );
    assert!(read("out.html").contains("partition no. 1 stuck"));
}

#[test]
fn the_forecast_and_the_poll_interval_can_be_tried() {
    let folder = folder();
    let args = "--trace wave.csv --policy streamgauge:forecast=on --poll-interval 15s";
    let (code, table, error) = run(folder.path(), &args.split(' ').collect::<Vec<_>>());
    assert_eq!(code, Some(0), "{error}");
    assert!(table.contains("polls every 15 s"), "{table}");
    assert!(table.contains("streamgauge:forecast=on"), "{table}");
}

#[test]
fn wrong_input_is_refused_with_its_place_and_what_to_do() {
    let folder = folder();
    let mut said = String::new();
    for args in [
        "--policy hpa",
        "--policy streamgauge:maxReplica=3",
        "--policy keda-lag:0",
        "--scenario rain",
        "--commit-interval soon",
        "--faults faults.yaml",
        "--trace missing.csv",
        "--trace bad.csv",
        "--trace wave.csv --faults meteor.yaml",
        "--trace wave.csv --faults elsewhere.yaml",
        "--trace wave.csv --faults late.yaml",
        "--trace wave.csv --trace wave.csv",
        "--trace fake.csv.gz",
        "--trace twice.csv",
        "--trace wave.csv --min-replicas 5 --max-replicas 3",
        "--trace wave.csv --policy streamgauge:minReplicas=5 --max-replicas 3",
        "--trace wave.csv --poll-interval 7s",
        "--trace wave.csv --json missing/out.json",
    ] {
        let (code, table, error) = run(folder.path(), &args.split(' ').collect::<Vec<_>>());
        assert_eq!(table, "");
        let _ = writeln!(said, "> {args}\nexit {}\n{error}", code.unwrap_or(-1));
    }
    insta::assert_snapshot!(said);
}
