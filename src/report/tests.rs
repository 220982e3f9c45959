//! Whole reports: every format of small tables, and folders that cannot be written.

use std::io;
use std::path::Path;

use polars::prelude::{DataType, ParquetReader, SerReader, TimeUnit, TimeZone};

use super::output::{OutputDir, ReportError};
use super::pictures::Picture;
use super::writers::{Plan, Writers};
use super::*;
use crate::metrics::rows::{AnomalyKind, AnomalyRow, CensusRow, TimeWaitRow};
use crate::metrics::synthetic::{self, Draft, Run, Shape, at};
use crate::tables::cell::Files;
use crate::tables::schema::{Row, Table};
use crate::tcp::segment::FrameId;
use crate::tcp::state::{Side, State};

fn csv_of<R: Row>(rows: &[R]) -> String {
    let mut out = Vec::new();
    csv::header::<R>(&mut out);
    csv::rows(&mut out, rows, &Files::default());
    String::from_utf8(out).unwrap()
}

fn json_of<R: Row>(rows: &[R]) -> String {
    let mut out = Vec::new();
    json::rows(&mut out, rows, &Files::default());
    String::from_utf8(out).unwrap()
}

fn anomalies() -> Vec<AnomalyRow> {
    let row = |conn_id, ts, side, detail: &str| AnomalyRow {
        conn_id,
        ts: at(ts),
        frame: FrameId::new(0, 7),
        side,
        kind: AnomalyKind::AckOfUnseen,
        detail: detail.into(),
        count: 3,
    };
    vec![
        row(Some(1), 1_388_720_759_360_849_001, Some(Side::Client), "1,448 bytes"),
        row(None, -1, None, "say \"no\"\nand é"),
        row(Some(u64::MAX), i64::MAX, None, ""),
    ]
}

#[test]
fn csv_quotes_what_must_be_and_writes_nine_digits() {
    assert_eq!(
        csv_of(&anomalies()),
        "conn_id,ts,frame,side,kind,detail,count,file\n\
         1,2014-01-03T03:45:59.360849001Z,7,client,ack_of_unseen,\"1,448 bytes\",3,\n\
         ,1969-12-31T23:59:59.999999999Z,7,,ack_of_unseen,\"say \"\"no\"\"\nand é\",3,\n\
         9223372036854775807,2262-04-11T23:47:16.854775807Z,7,,ack_of_unseen,\"\",3,\n"
    );
}

#[test]
fn csv_writes_times_as_timestamps_print_them() {
    for nanos in [i64::MIN, i64::MIN + 1, -86_400_000_000_000, 0, 951_782_400_000_000_000, i64::MAX] {
        let row = CensusRow { bucket_ts: at(nanos), side: Side::Client, state: State::TimeWait, connections: 1 };
        let csv = csv_of(&[row]);
        let line = csv.lines().nth(1).unwrap();
        assert_eq!(line.split(',').next(), Some(at(nanos).to_string().as_str()));
    }
}

#[test]
fn a_table_without_rows_has_its_header() {
    assert_eq!(csv_of::<CensusRow>(&[]), "bucket_ts,side,state,connections\n");
    assert_eq!(json_of::<CensusRow>(&[]), "");
}

#[test]
fn json_has_exact_numbers_and_nulls() {
    assert_eq!(
        json_of(&anomalies()),
        concat!(
            r#"{"conn_id":1,"ts":"2014-01-03T03:45:59.360849001Z","frame":7,"side":"client","kind":"ack_of_unseen","#,
            r#""detail":"1,448 bytes","count":3,"file":null}"#,
            "\n",
            r#"{"conn_id":null,"ts":"1969-12-31T23:59:59.999999999Z","frame":7,"side":null,"kind":"ack_of_unseen","#,
            r#""detail":"say \"no\"\nand é","count":3,"file":null}"#,
            "\n",
            r#"{"conn_id":9223372036854775807,"ts":"2262-04-11T23:47:16.854775807Z","frame":7,"side":null,"#,
            r#""kind":"ack_of_unseen","detail":"","count":3,"file":null}"#,
            "\n"
        )
    );
}

#[test]
fn a_connection_reads_the_same_in_both_texts() {
    let row = Draft::to("[2001:db8::9]:443").handshake(1_000, 2_000).done().connection;
    let csv = csv_of(std::slice::from_ref(&row));
    let json: serde_json::Value = serde_json::from_str(&json_of(&[row])).unwrap();
    let (header, line) = csv.trim_end().split_once('\n').unwrap();
    assert!(line.starts_with("0,2001:db8::1,40000,2001:db8::9,443,6,true,,,1970-01-01T00:00:00.000001000Z,"), "{line}");
    for (name, cell) in header.split(',').zip(line.split(',')) {
        let value = match &json[name] {
            serde_json::Value::Null => String::new(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        assert_eq!(cell.trim_matches('"'), value, "{name}");
    }
}

#[test]
fn parquet_reads_back_with_zoned_nanoseconds_and_nulls() {
    let run = synthetic::run(Shape { connections: 300, ..Shape::default() });
    let rows: Vec<_> = run.tables().time_wait;
    for reports in [run.reports.as_slice(), &[]] {
        let dir = tempfile::tempdir().unwrap();
        let mut writers = begin(dir.path(), &[Format::Parquet], &[Table::TimeWait], false);
        reports.chunks(70).for_each(|some| writers.batch(some).unwrap());
        writers.finish(&run.told(), &run.summary).unwrap();
        let rows = if reports.is_empty() { &[] } else { rows.as_slice() };
        let bytes = std::fs::read(dir.path().join("time_wait.parquet")).unwrap();
        let frame = ParquetReader::new(io::Cursor::new(bytes)).finish().unwrap();
        assert_eq!((frame.height(), frame.width()), (rows.len(), TimeWaitRow::columns().len()));
        let entered = frame.column("entered_ts").unwrap();
        assert_eq!(entered.dtype(), &DataType::Datetime(TimeUnit::Nanoseconds, Some(TimeZone::UTC)));
        let nanos = entered.cast(&DataType::Int64).unwrap();
        let expected: Vec<_> = rows.iter().map(|row| Some(row.entered_ts.as_nanos())).collect();
        assert_eq!(nanos.i64().unwrap().iter().collect::<Vec<_>>(), expected);
        let unknown = rows.iter().filter(|row| row.duration_ns.is_none()).count();
        assert_eq!(frame.column("duration_ns").unwrap().null_count(), unknown);
    }
}

fn begin(dir: &Path, formats: &[Format], tables: &[Table], stream: bool) -> Writers {
    try_begin(dir, formats, tables, stream).unwrap()
}

fn try_begin(dir: &Path, formats: &[Format], tables: &[Table], stream: bool) -> Result<Writers, ReportError> {
    let plan = Plan { formats: formats.to_vec(), tables: tables.to_vec(), stream };
    Writers::begin(&OutputDir::open(dir).unwrap(), plan, Files::new(vec!["web.pcapng".into()]))
}

/// Writes a whole report, in batches of so many connections.
fn write(dir: &Path, run: &Run, formats: &[Format], tables: &[Table], batch: usize) -> Vec<String> {
    let mut writers = begin(dir, formats, tables, false);
    run.reports.chunks(batch).for_each(|some| writers.batch(some).unwrap());
    writers.finish(&run.told(), &run.summary).unwrap()
}

fn names(dir: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_report_has_the_files_that_were_asked_for_and_no_others() {
    let run = synthetic::run(Shape { connections: 30, ..Shape::default() });
    let dir = tempfile::tempdir().unwrap();
    let mut files = write(dir.path(), &run, &Format::ALL, &Table::ALL, 1_024);
    files.sort();
    assert_eq!(files, names(dir.path()));
    assert_eq!(files.len(), 1 + 3 * Table::ALL.len() + 2 * Picture::ALL.len() + 1);
    let files = write(&dir.path().join("some"), &run, &[Format::Csv], &[Table::TimeWait], 1_024);
    assert_eq!(files, ["summary.json", "time_wait.csv"]);
    let files = write(&dir.path().join("none"), &run, &[Format::Csv, Format::Parquet, Format::Html], &[], 1_024);
    assert_eq!(files, ["summary.json", "index.html"]);
}

#[test]
fn reports_of_one_run_are_the_same_bytes_in_batches_of_any_size() {
    let run = synthetic::run(Shape { connections: 300, ..Shape::default() });
    let reports = [300, 300, 7].map(|batch| {
        let dir = tempfile::tempdir().unwrap();
        let files = write(dir.path(), &run, &Format::ALL, &Table::ALL, batch);
        files.into_iter().map(|name| (std::fs::read(dir.path().join(&name)).unwrap(), name)).collect::<Vec<_>>()
    });
    let [one, same, small] = reports;
    for ((one, same), small) in one.into_iter().zip(same).zip(small) {
        assert!(one == same, "{}", one.1);
        assert!(one == small || one.1.ends_with(".parquet"), "{}", one.1);
    }
}

#[test]
fn on_a_stream_rows_are_there_after_each_batch_and_the_rest_at_the_end() {
    let run = synthetic::run(Shape { connections: 40, ..Shape::default() });
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("connections.csv"), "old").unwrap();
    let tables = [Table::Connections, Table::Anomalies, Table::Listeners];
    let mut writers = begin(dir.path(), &[Format::Csv, Format::Json, Format::Parquet], &tables, true);
    let lines = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap().lines().count();
    assert_eq!(lines("connections.csv"), 1);
    for (n, some) in (1..).zip(run.reports.chunks(10)) {
        writers.batch(some).unwrap();
        assert_eq!((lines("connections.csv"), lines("connections.jsonl")), (1 + n * 10, n * 10));
        assert!(lines("anomalies.csv") > 0 && !dir.path().join("listeners.csv").exists());
    }
    writers.finish(&run.told(), &run.summary).unwrap();
    assert!(lines("listeners.csv") > 1);
    let whole = tempfile::tempdir().unwrap();
    write(whole.path(), &run, &[Format::Csv, Format::Json, Format::Parquet], &tables, 10);
    assert_eq!(names(whole.path()), names(dir.path()));
    for name in names(whole.path()) {
        assert!(std::fs::read(whole.path().join(&name)).unwrap() == std::fs::read(dir.path().join(&name)).unwrap());
    }
}

#[test]
fn what_a_stream_has_shown_stays_when_it_is_given_up() {
    let run = synthetic::run(Shape { connections: 20, ..Shape::default() });
    let dir = tempfile::tempdir().unwrap();
    let mut writers = begin(dir.path(), &[Format::Csv, Format::Parquet], &[Table::Connections], true);
    writers.batch(&run.reports).unwrap();
    drop(writers);
    assert_eq!(names(dir.path()), ["connections.csv"]);
    assert_eq!(std::fs::read_to_string(dir.path().join("connections.csv")).unwrap().lines().count(), 21);
}

#[test]
fn when_one_file_fails_none_changes() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("summary.json"), "old").unwrap();
    // A folder of the temporary file's name is in the way of the last table.
    let blocked = |table: &str| dir.path().join(format!(".{table}.csv.{}.part", std::process::id()));
    std::fs::create_dir(blocked("anomalies")).unwrap();
    let error = try_begin(dir.path(), &[Format::Csv], &Table::ALL, false).map(|_| ()).unwrap_err();
    assert!(error.path.ends_with("anomalies.csv"), "{error}");
    assert_eq!(error.step, "create");
    std::fs::remove_dir(blocked("anomalies")).unwrap();
    std::fs::create_dir(blocked("listeners")).unwrap();
    let run = synthetic::run(Shape { connections: 3, ..Shape::default() });
    let writers = begin(dir.path(), &[Format::Csv], &Table::ALL, false);
    let error = writers.finish(&run.told(), &run.summary).unwrap_err();
    assert!(error.path.ends_with("listeners.csv"), "{error}");
    std::fs::remove_dir(blocked("listeners")).unwrap();
    assert_eq!(names(dir.path()), ["summary.json"]);
    assert_eq!(std::fs::read(dir.path().join("summary.json")).unwrap(), b"old");
}
