//! OpenRCA's layout and AIOpsLab's problems: small tables written here, bad ones, and episodes of the arena there and back.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use aiops_core::Case;
use aiops_core::action::{IncidentId, Mode};
use aiops_core::jiff::Timestamp;
use aiops_core::jiff::civil::DateTime;
use aiops_core::jiff::tz::Offset;
use aiops_core::model::{
    EdgeKind, EntityId, EntityKind, FaultType, LogRecord, LogSeverity, Ranking, SpanStatus, Suspect,
    TelemetryWindow, TimeRange,
};
use aiops_eval::EvalError;
use aiops_eval::adapters::aiopslab::{
    Detected, DetectionAccuracy, Expected, FaultKind, Problems, Results, ServeReport, Submission,
    SystemLevel, Task, judge, pipeline, serve,
};
use aiops_eval::adapters::openrca::{
    Answer, Asked, OpenRcaConfig, Reading, ScoringPoints, Telemetry, export, from_text, grade, grade_system,
    predictions, questions, run, score, to_json,
};
use aiops_eval::arena::audit::Auditor;
use aiops_eval::arena::faults::{Fault as _, catalogue};
use aiops_eval::arena::protocol::RunConfig;
use serde_json::{Value, json};

/// 2021-03-04 14:00 in UTC+8.
const TWO: i64 = 1_614_837_600;

fn put(folder: &Path, name: &str, text: impl AsRef<[u8]>) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn hours(n: i64) -> TimeRange {
    let at = |t| Timestamp::from_second(t).unwrap();
    TimeRange::new(at(TWO), at(TWO + 3600 * n)).unwrap()
}

fn read(folder: &Path, range: TimeRange) -> Result<Reading, EvalError> {
    Telemetry::of(folder, Offset::constant(8), 1000).read(range)
}

const DAY: &str = "telemetry/2021_03_04";

#[test]
fn every_kind_of_table_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| put(dir.path(), &format!("{DAY}/{name}"), text);
    put(
        "metric/metric_app.csv",
        &format!("timestamp,rr,sr,cnt,mrt,tc\n{TWO},100.0,99.5,22,53.27,ServiceTest1\n"),
    );
    put(
        "metric/metric_container.csv",
        &format!(
            "timestamp,cmdb_id,kpi_name,value\n{TWO}.0,node-6.adservice-0,container_fs_writes,1.5\n{TWO},Tomcat04,cpu,26\n"
        ),
    );
    put(
        "metric/metric_node.csv",
        &format!("timestamp,cmdb_id,kpi_name,value\n{TWO},node-6,system.cpu.iowait,0.31\n"),
    );
    put(
        "metric/metric_service.csv",
        &format!("service,timestamp,rr,sr,mrt,count\nadservice-grpc,{TWO},100,100,2.4,61\n"),
    );
    put(
        "metric/metric_middleware.csv",
        &format!(
            "itemid,name,bomc_id,timestamp,value,cmdb_id\n9,connected_clients,ZJ,{TWO}000,25,redis_003\n"
        ),
    );
    put(
        "trace/trace_span.csv",
        &format!(
            "timestamp,cmdb_id,span_id,trace_id,duration,type,status_code,operation_name,parent_span\n\
             {TWO}361,frontend-0,a,t,49877,rpc,0,Place,\n{TWO}362,adservice-0,b,t,100,rpc,13,Get,a\n"
        ),
    );
    put(
        "log/log_service.csv",
        &format!(
            "log_id,timestamp,cmdb_id,log_name,value\nx,{TWO},adservice-0,l,\"severity: warning, message: late, again\"\ny,{TWO},Tomcat01,gc,plain\n"
        ),
    );
    put(
        "metric/metric_mesh.csv",
        &format!(
            "timestamp,cmdb_id,kpi_name,value\n{TWO},adservice-0.source.adservice.redis-cart,istio_tcp_sent_bytes.-,1255.0\n\
             {TWO},adservice-0.destination.unknown.adservice,istio_requests,4\n"
        ),
    );
    put(
        "trace/trace_calls.csv",
        &format!(
            "callType,startTime,elapsedTime,success,traceId,id,pid,cmdb_id,dsName,serviceName\n\
             JDBC,{TWO}999,2.0,TRUE,x,y,None,docker_006,db_003,\n"
        ),
    );
    let reading = read(dir.path(), hours(1)).unwrap();
    let window = reading.window;
    let whose: Vec<String> =
        window.metrics.iter().map(|m| format!("{} {}", m.entity(), m.key().name)).collect();
    assert_eq!(whose.len(), 4 + 2 + 1 + 4 + 1 + 2, "{whose:?}");
    assert!(whose.contains(&"service/redis_003 connected_clients".to_owned()), "{whose:?}");
    assert!(whose.contains(&"instance/adservice-0 container_fs_writes".to_owned()), "{whose:?}");
    assert!(whose.contains(&"node/node-6 system.cpu.iowait".to_owned()), "{whose:?}");
    // A copy is part of its service, runs on a node, and its spans and lines are the service's.
    let copy = EntityId::instance("adservice-0");
    assert_eq!(window.topology.whole(&copy), &EntityId::service("adservice"));
    let node = EntityId::new(EntityKind::Node, "node-6");
    assert_eq!(window.topology.needs(&copy, EdgeKind::RunsOn).collect::<Vec<_>>(), [&node]);
    let callee = &window.spans[1];
    assert_eq!((callee.entity.name(), callee.status), ("adservice", SpanStatus::Error));
    assert_eq!(callee.attributes.get("service.instance.id"), Some("adservice-0"));
    assert_eq!(window.spans[0].duration.as_micros(), 49_877);
    let caller = EntityId::service("frontend-0");
    assert!(window.topology.needs(&caller, EdgeKind::Calls).any(|e| e.name() == "adservice"));
    // A mesh and a client tell of calls that no span of the callee tells of.
    let mesh = window.metrics.iter().find(|m| m.key().name == "istio_tcp_sent_bytes.-").unwrap();
    assert_eq!(mesh.key().labels.get("destination_workload"), Some("redis-cart"));
    let calls = |from: &str, to: &str| {
        window.topology.needs(&EntityId::service(from), EdgeKind::Calls).any(|e| *e == EntityId::service(to))
    };
    assert!(calls("adservice", "redis-cart") && calls("docker_006", "db_003"));
    assert!(!calls("unknown", "adservice"));
    let jdbc = window.spans.iter().find(|s| s.entity.name() == "docker_006").unwrap();
    assert_eq!((jdbc.attributes.get("peer.service"), jdbc.status), (Some("db_003"), SpanStatus::Unset));
    let late = window.logs.iter().find(|l| l.severity.is_some()).unwrap();
    assert_eq!((late.severity, late.body.as_str()), (Some(LogSeverity::Warn), "late, again"));
}

#[test]
fn a_node_is_one_wherever_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| put(dir.path(), &format!("{DAY}/{name}"), text);
    let nodes = format!(
        "itemid,name,bomc_id,timestamp,value,cmdb_id\n9,CPU_util_pct,ZJ,{TWO}000,25,os_017\n9,CPU_util_pct,ZJ,{}000,26,os_017\n",
        TWO + 60
    );
    put("metric/metric_node.csv", &nodes);
    // Both ends of a call tell of it under one id, and one of them twice.
    let span = |whom: &str, to: &str| format!("JDBC,{TWO}999,2.0,TRUE,x,y,None,{whom},{to},\n");
    let spans = [span("os_017", "db_003"), span("docker_006", "os_017"), span("os_017", "db_003")].concat();
    let header = "callType,startTime,elapsedTime,success,traceId,id,pid,cmdb_id,dsName,serviceName\n";
    put("trace/trace_jdbc.csv", &format!("{header}{spans}"));
    put("log/l.csv", &format!("log_id,timestamp,cmdb_id,log_name,value\nx,{TWO},os_017,l,late\n"));
    let reading = read(dir.path(), hours(1)).unwrap();
    let (window, node) = (reading.window, EntityId::new(EntityKind::Node, "os_017"));
    assert_eq!((window.metrics.len(), window.metrics[0].entity()), (1, &node));
    let docker = EntityId::service("docker_006");
    let mut whose: Vec<&EntityId> = window.spans.iter().map(|s| &s.entity).collect();
    whose.sort();
    let mut both = vec![&docker, &node];
    both.sort();
    assert_eq!((whose, reading.left_out.duplicate_spans), (both, 1));
    assert_eq!(window.logs[0].entity, node);
    assert!(window.topology.needs(&docker, EdgeKind::Calls).any(|e| *e == node));
    assert!(window.topology.entities().all(|e| e.id.name() != "os_017" || e.id == node));
}

#[test]
fn bad_tables_are_refused_by_file_and_line_and_bad_samples_counted() {
    let header = "timestamp,cmdb_id,kpi_name,value\n";
    let refused = |name: &str, text: &[u8], line: u64, why: &str| {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), &format!("{DAY}/{name}"), text);
        match read(dir.path(), hours(1)) {
            Err(EvalError::Table { path, line: at, what }) => {
                assert!(path.ends_with(name) && what.contains(why), "{what}");
                assert_eq!(at, line, "{what}");
            }
            other => panic!("{other:?}"),
        }
    };
    refused("metric/m.csv", b"timestamp,cmdb_id,value\n", 1, "missing [\"kpi_name\"]");
    refused("metric/m.csv", b"timestamp,cmdb_id,kpi_name,value,root_cause\n", 1, "unknown [\"root_cause\"]");
    refused("metric/m.csv", b"", 1, "no table");
    refused("metric/m.csv", format!("{header}{TWO},a,cpu,1\n{TWO},a,cpu,many\n").as_bytes(), 3, "no number");
    refused("metric/m.csv", format!("{header}soon,a,cpu,1\n").as_bytes(), 2, "no time");
    refused("metric/m.csv", format!("{header}99999999999999999,a,cpu,1\n").as_bytes(), 2, "no time");
    refused("metric/m.csv", format!("{header}{TWO},,cpu,1\n").as_bytes(), 2, "no cmdb_id");
    refused("metric/m.csv", &[header.as_bytes(), b"1614837600,\xff,cpu,1\n"].concat(), 2, "no UTF-8");
    let spans = "timestamp,cmdb_id,parent_id,span_id,trace_id,duration\n";
    refused("trace/t.csv", format!("{spans}{TWO}000,a,,s,t,-5\n").as_bytes(), 2, "no duration");
    refused("trace/t.csv", format!("{spans}{TWO}000,a,,s,t,NaN\n").as_bytes(), 2, "no duration");
    // A quote that is never closed is no reason to take the rest of the table into memory.
    let open = [
        header.as_bytes(),
        format!("{TWO},a,cpu,1\n{TWO},\"a,cpu,1\n").as_bytes(),
        &b"x,y\n".repeat(1 << 20),
    ]
    .concat();
    refused("metric/m.csv", &open, 3, "more than 1048576 bytes");
    let many: String = (0..1001).fold(header.to_owned(), |mut t, i| {
        writeln!(t, "{},a,cpu,1", TWO + i).unwrap();
        t
    });
    refused("metric/m.csv", many.as_bytes(), 1002, "more than 1000 rows");

    let dir = tempfile::tempdir().unwrap();
    // Out of order, twice, NaN, infinite, nothing, and outside of what was asked for.
    let rows = format!(
        "{header}{},a,cpu,3\n{},a,cpu,1\n{},a,cpu,9\n{TWO},a,cpu,NaN\n{TWO},b,cpu,inf\n{TWO},c,cpu,\n{},a,cpu,7\n",
        TWO + 60,
        TWO + 30,
        TWO + 30,
        TWO + 7200
    );
    put(dir.path(), &format!("{DAY}/metric/m.csv"), rows);
    put(dir.path(), &format!("{DAY}/trace/t.csv"), format!("{spans}{TWO}000,a,,s,t,5\n{TWO}000,a,,s,t,5\n"));
    let line =
        [b"log_id,timestamp,cmdb_id,log_name,value\nx,1614837600,a,l,".as_slice(), b"\xff!\n"].concat();
    put(dir.path(), &format!("{DAY}/log/l.csv"), line);
    let reading = read(dir.path(), hours(1)).unwrap();
    let series = &reading.window.metrics;
    assert_eq!(series.len(), 1);
    assert_eq!(series[0].values(), [1.0, 3.0]);
    let left = reading.left_out;
    assert_eq!((left.gaps, left.duplicate_samples, left.duplicate_spans, left.mended_lines), (3, 1, 1, 1));
    assert_eq!(reading.window.logs[0].body, "\u{fffd}!");
    // Another day has nothing to tell, and says so.
    let far = TimeRange::new(hours(1).start(), Timestamp::from_second(TWO + 86_400).unwrap()).unwrap();
    assert_eq!(read(dir.path(), far).unwrap().missing_days, ["2021_03_05"]);
}

#[test]
fn stretches_are_read_again_and_again_without_the_rest_of_the_day() {
    let dir = tempfile::tempdir().unwrap();
    // Two hours of one series after another, as some tables are laid out, in more rows than are remembered together; one is out of order.
    let mut rows = "timestamp,cmdb_id,kpi_name,value\n".to_owned();
    for name in ["a", "b"] {
        for i in 0..720_i64 {
            let i = if i == 300 {
                301
            } else if i == 301 {
                300
            } else {
                i
            };
            writeln!(rows, "{},{name},cpu,{i}", TWO + 10 * i).unwrap();
        }
    }
    put(dir.path(), &format!("{DAY}/metric/m.csv"), &rows);
    let at = |i: i64| Timestamp::from_second(TWO + 10 * i).unwrap();
    let mut telemetry = Telemetry::of(dir.path(), Offset::constant(8), 1000);
    for (from, to) in [(0, 1), (255, 257), (299, 303), (700, 720), (100, 500), (720, 800)] {
        let window = telemetry.read(TimeRange::new(at(from), at(to)).unwrap()).unwrap().window;
        let expected: Vec<f64> = (from..to.min(720)).map(|i| i as f64).collect();
        let names: Vec<&str> = window.metrics.iter().map(|m| m.entity().name()).collect();
        if expected.is_empty() {
            assert!(names.is_empty());
            continue;
        }
        assert_eq!(names, ["a", "b"]);
        for series in &window.metrics {
            assert_eq!(series.values(), expected, "{from} to {to}");
        }
    }
    // A day is not touched by what ends where it begins.
    let midnight = Timestamp::from_second(TWO + 10 * 3600).unwrap();
    let evening = TimeRange::new(hours(9).end(), midnight).unwrap();
    assert!(telemetry.read(evening).unwrap().missing_days.is_empty());
    let twice = TimeRange::new(at(0), at(720)).unwrap();
    let failed = telemetry.read(twice).unwrap_err();
    assert!(failed.to_string().contains("more than 1000 rows"), "{failed}");
}

fn points(time: &str, component: &str, reason: &str) -> String {
    format!(
        "The only root cause occurrence time is within 1 minutes (i.e., <=1min) of {time}\n\
         The only predicted root cause component is {component}\n\
         The only predicted root cause reason is {reason}\n"
    )
}

fn answer(time: &str, component: &str, reason: &str) -> Answer {
    Answer { time: time.to_owned(), component: component.to_owned(), reason: reason.to_owned() }
}

#[test]
fn answers_are_scored_as_the_benchmark_scores_them() {
    let right = ScoringPoints::of(&points("2021-03-04 14:57:00", "Mysql02", "high memory usage"));
    let shares = |a: &[Answer], p: &ScoringPoints| {
        let s = score(a, p);
        (s.time.right, s.component.right, s.reason.right, s.full)
    };
    let memory = "high memory usage";
    assert_eq!(shares(&[answer("2021-03-04 14:58:00", "Mysql02", memory)], &right), (1, 1, 1, true));
    assert_eq!(shares(&[answer("2021-03-04 14:58:01", "Mysql02", memory)], &right), (0, 1, 1, false));
    assert_eq!(shares(&[answer("2021-03-04 14:56:00", "mysql02", memory)], &right), (1, 0, 1, false));
    assert_eq!(shares(&[answer("14:57", "Mysql02", "")], &right), (0, 1, 0, false));
    // As many as there are, or nothing.
    let twice = [answer("2021-03-04 14:57:00", "Mysql02", memory), Answer::default()];
    assert_eq!(shares(&twice, &right), (0, 0, 0, false));
    assert_eq!(shares(&[], &right), (0, 0, 0, false));
    // Of two failures the order does not count, but who goes with what does.
    let two = ScoringPoints::of(
        "The 1-th predicted root cause component is A\nThe 2-th predicted root cause component is B\n\
         The 1-th predicted root cause reason is x\nThe 2-th predicted root cause reason is y\n",
    );
    assert_eq!(two.failures(), 2);
    assert_eq!(shares(&[answer("", "B", "y"), answer("", "A", "x")], &two), (0, 2, 2, true));
    assert!(!score(&[answer("", "B", "x"), answer("", "A", "y")], &two).full);
    assert_eq!(ScoringPoints::of("The third predicted root cause component is A").failures(), 0);
}

#[test]
fn answers_are_written_in_the_order_that_is_looked_for() {
    let all = [answer("2021-03-04 14:57:00", "Mysql", "r"), Answer::default()];
    let text = to_json(&all, Asked::of("task_7").unwrap());
    let places = ["datetime", "component", "reason"].map(|w| text.find(w).unwrap());
    assert!(places.is_sorted(), "{text}");
    assert_eq!(from_text(&text), all);
    assert_eq!(from_text(&format!("Sure! ```json\n{text}\n``` done")), all);
    let component = to_json(&all[..1], Asked::of("task_3").unwrap());
    assert!(!component.contains("datetime") && !component.contains("reason"), "{component}");
    for nothing in ["", "}{", "{", "{]}", "none"] {
        assert!(from_text(nothing).is_empty());
    }
    // What stands between the quotes is not read as JSON.
    let quoted = to_json(&[answer("", "My\"sql", "")], Asked::of("task_3").unwrap());
    assert_eq!(from_text(&quoted), [answer("", "My\\\"sql", "")]);
    assert_eq!(Asked::of("task_8"), None);
}

#[test]
fn answers_are_found_as_the_evaluator_finds_them() {
    let (time, component, reason) = (
        r#""root cause occurrence datetime": "t""#,
        r#""root cause component": "c""#,
        r#""root cause reason": "r""#,
    );
    let all = answer("t", "c", "r");
    for (text, found) in [
        (format!("{{{time}, {component}, {reason}}}"), vec![all.clone()]),
        // Commas are not looked for, of those between keys one may be missing or too many at the end.
        (format!("{{\n{time}\n{component}\n{reason}\n}}"), vec![all.clone()]),
        (format!("{{{component},}}"), vec![answer("", "c", "")]),
        (format!("{{{time}, {component}, }}"), vec![answer("t", "c", "")]),
        (format!("{{{reason},}}"), vec![]),
        // Another key, no string.
        (format!("{{\"why\": 1, {component}}}"), vec![]),
        (format!("{{{component}, \"why\": 1}}"), vec![]),
        ("{\"root cause component\": null}".to_owned(), vec![]),
        ("{\"root cause component\" : \"c\"}".to_owned(), vec![]),
        ("{'root cause component': 'c'}".to_owned(), vec![]),
        ("{\"root cause component\": \"a\nb\"}".to_owned(), vec![]),
        // A value ends where the rest fits, even where that is not at its first quote.
        (format!("{{{component}, \"why\": \"x\"}}"), vec![answer("", "c\", \"why\": \"x", "")]),
        // So of keys in another order the first swallows the others, and nothing is right.
        (format!("{{{reason}, {component}}}"), vec![answer("", "", "r\", \"root cause component\": \"c")]),
        (
            format!("{{{component}, {time}}}"),
            vec![answer("", "c\", \"root cause occurrence datetime\": \"t", "")],
        ),
        // Words with braces before it, objects around it, one that is empty, and one in a list.
        (
            format!("If {{x}} then {{y: {{{component}}}}} or {{{reason}}}"),
            vec![answer("", "c", ""), answer("", "", "r")],
        ),
        (format!("{{\"1\": {{{component}}}, \"2\": {{ }}}}"), vec![answer("", "c", ""), Answer::default()]),
        (format!("[{{{component}}}]"), vec![answer("", "c", "")]),
    ] {
        assert_eq!(from_text(&text), found, "{text}");
    }
    // Quotes and keys without an end take no longer than they are.
    let endless = format!("{{{time}, {component}, ").repeat(20_000);
    assert!(from_text(&endless).is_empty());
    assert_eq!(from_text(&format!("{endless}{{{component}}}")).len(), 1);
}

/// A system whose `broken` starts to burn its processor at 14:40, and one that does not.
fn system(folder: &Path, scoring: &str) {
    let mut rows = "timestamp,cmdb_id,kpi_name,value\n".to_owned();
    for i in 0..180_i64 {
        let at = TWO - 3600 + 60 * i;
        let noise = f64::from(u8::try_from(i * 7 % 5).unwrap()) / 10.0;
        let burning = at >= TWO + 2400;
        writeln!(rows, "{at},broken,cpu_usage_percent,{}", 20.0 + noise + if burning { 70.0 } else { 0.0 })
            .unwrap();
        writeln!(rows, "{at},fine,cpu_usage_percent,{}", 20.0 + noise).unwrap();
    }
    put(folder, &format!("{DAY}/metric/metric_container.csv"), rows);
    let query = format!(
        "task_index,instruction,scoring_points\n\
         task_7,\"On March 4, 2021, within the time range of 14:30 to 15:00, a single failure.\",\"{scoring}\"\n\
         task_3,\"At some time, a single failure.\",The only predicted root cause component is broken\n"
    );
    put(folder, "query.csv", query);
    put(folder, "candidates.json", r#"{"reasons": ["high disk space usage", "high CPU usage"]}"#);
}

#[test]
fn a_question_is_answered_from_telemetry_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (honest, lying) = (dir.path().join("set/honest"), dir.path().join("set/lying"));
    system(&honest, &points("2021-03-04 14:40:00", "broken", "high CPU usage"));
    system(&lying, &points("2021-03-04 14:31:00", "fine", "high disk space usage"));
    // Nobody reads it, so it may be anything.
    put(&lying, "record.csv", b"\xff\xff");
    let out = dir.path().join("out");
    let report = run(&dir.path().join("set"), &out, &OpenRcaConfig::default(), |_, _| {}).unwrap();
    let written = |name: &str| std::fs::read(out.join(name).join("prediction.csv")).unwrap();
    assert_eq!(written("honest"), written("lying"), "labels change nothing");
    let [first, second] = report.systems.as_slice() else { panic!("{report:?}") };
    assert_eq!((first.system.as_str(), second.system.as_str()), ("honest", "lying"));
    let rights = |s: &aiops_eval::adapters::openrca::AxisScores| {
        (s.time.right, s.component.right, s.reason.right, s.full.right)
    };
    assert_eq!(
        rights(&first.tasks["task_7"]),
        (1, 1, 1, 1),
        "{}",
        String::from_utf8_lossy(&written("honest"))
    );
    assert_eq!(rights(&second.tasks["task_7"]), (0, 0, 0, 0));
    // An instruction without a time is answered with nothing, and said.
    assert!(first.notes.values().any(|why| why.contains("no date")), "{:?}", first.notes);
    assert_eq!((first.all.component.right, first.all.component.of), (1, 2));
    assert!(report.text().contains("1 questions: the instruction names no date"), "{}", report.text());
    assert!(report.text().contains("2 systems"));
    // What was written is scored by itself, and rows must match.
    let graded = grade(&out.join("honest/prediction.csv"), &honest.join("query.csv")).unwrap();
    assert!(graded[0].full && !graded[1].full);
    let own = grade_system(&out.join("honest/prediction.csv"), &honest, &OpenRcaConfig::default()).unwrap();
    assert_eq!((own.questions, &own.tasks), (2, &first.tasks));
    let nowhere = run(&out.join("honest"), &out, &OpenRcaConfig::default(), |_, _| {}).unwrap_err();
    assert!(nowhere.chain().contains("no query.csv"), "{}", nowhere.chain());
    // Rows that are numbered are taken by their numbers.
    let turned =
        "prediction,row_id\n\"{\"\"1\"\": {\"\"root cause component\"\": \"\"broken\"\"}}\",1\nnothing,0\n";
    put(&out, "turned.csv", turned);
    let graded = grade(&out.join("turned.csv"), &honest.join("query.csv")).unwrap();
    assert!(!graded[0].full && graded[1].full);
    put(&out, "turned.csv", "prediction,row_id\nnothing,first\n");
    let failed = grade(&out.join("turned.csv"), &honest.join("query.csv")).unwrap_err();
    assert!(failed.chain().contains("row_id is no number"), "{}", failed.chain());
    put(&honest, "query.csv", "task_index,instruction,scoring_points\n");
    let fewer = grade(&out.join("honest/prediction.csv"), &honest.join("query.csv"));
    assert!(matches!(fewer, Err(EvalError::LineCount { lines: 2, labels: 0, .. })));
    // Nor is one that speaks of too many failures, and the rest is.
    put(
        &honest,
        "query.csv",
        "task_index,instruction,scoring_points\ntask_3,\"99 failures on March 4, 2021, 14:00 to 14:30\",The only predicted root cause component is broken\n",
    );
    let many = run(&honest, &out, &OpenRcaConfig::default(), |_, _| {}).unwrap();
    assert!(many.systems[0].notes[&2].contains("99 failures"), "{:?}", many.systems[0].notes);
    for (query, why) in [
        ("task_index,scoring_points\n", "no column instruction"),
        ("task_index,instruction,scoring_points\ntask_9,x,y\n", "unknown task"),
    ] {
        put(&honest, "query.csv", query);
        let failed = run(&honest, &out, &OpenRcaConfig::default(), |_, _| {}).unwrap_err();
        assert!(failed.chain().contains(why), "{}", failed.chain());
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    for (text, field) in [
        (r#"{"zone_hours": 15}"#, "zone_hours"),
        (r#"{"history": "1s"}"#, "history"),
        (r#"{"separation": "2h"}"#, "separation"),
        (r#"{"most_rows": 1}"#, "most_rows"),
    ] {
        let config: OpenRcaConfig = serde_json::from_str(text).unwrap();
        assert!(config.validate().unwrap_err().to_string().starts_with(field), "{text}");
    }
    assert!(serde_json::from_str::<OpenRcaConfig>(r#"{"tuned": 1}"#).is_err());
}

fn only(faults: &str) -> RunConfig {
    RunConfig { of_each: 1, nulls: 0, only: Some(faults.to_owned()), ..RunConfig::default() }
}

#[test]
fn episodes_of_the_arena_go_there_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let (set, out) = (dir.path().join("set"), dir.path().join("out"));
    let config = OpenRcaConfig::default();
    let done = export(&set, 2, only("code-"), &config, |_, _| {}).unwrap();
    assert_eq!(done.systems.len(), 2);
    let report = run(&set, &out, &config, |_, _| {}).unwrap();
    assert_eq!(report.systems.len(), 2);
    for system in &report.systems {
        // Every task is asked, and none goes without an answer.
        assert_eq!((system.questions, system.tasks.len()), (7, 7));
        assert_eq!((system.all.time.of, system.all.component.of, system.all.reason.of), (4, 4, 4));
        assert_eq!(system.left_out.duplicate_spans, 0);
        let text = std::fs::read_to_string(out.join(&system.system).join("prediction.csv")).unwrap();
        assert_eq!(text.lines().count(), 8);
    }
    let found: usize = report.systems.iter().map(|s| s.all.component.right).sum();
    assert!(found >= 4, "at least one of two roots is found:\n{}", report.text());
    let twice = export(&set, 2, only("code-"), &config, |_, _| {}).unwrap_err();
    assert!(matches!(twice, EvalError::Write { .. }), "{twice}");
    // The same again is the same to the last byte.
    let again = dir.path().join("again");
    export(&again, 2, only("code-"), &config, |_, _| {}).unwrap();
    let (first, second) = (files(&set), files(&again));
    assert!(first.len() > 2 * 8, "{:?}", first.keys());
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    for (name, bytes) in first {
        assert!(second[&name] == bytes, "{}", name.display());
    }
    // When is answered within the stretch that is asked about, wherever the localiser looked.
    for system in &report.systems {
        let place = Path::new(&system.system);
        let asked = questions(&set.join(place).join("query.csv"), Offset::constant(8)).unwrap();
        let answers = predictions(&out.join(place).join("prediction.csv")).unwrap();
        for (question, answers) in asked.iter().zip(answers).filter(|(q, _)| q.asked.time) {
            let range = question.range.clone().unwrap();
            let at = DateTime::strptime("%Y-%m-%d %H:%M:%S", &answers[0].time).unwrap();
            let at = Offset::constant(8).to_timestamp(at).unwrap();
            assert!(at >= range.start() && at <= range.end(), "{at} is not of {range}");
        }
    }
}

/// Every file below `folder`, by its path from there.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn look(root: &Path, folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(root, &path, found);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    look(folder, folder, &mut found);
    found
}

#[test]
fn submissions_have_the_form_of_their_task() {
    let parse = Submission::parse;
    assert_eq!(parse(Task::Detection, &json!(" YES ")), Some(Submission::Detection(Detected::Yes)));
    assert_eq!(parse(Task::Detection, &json!("maybe")), Some(Submission::Detection(Detected::Neither)));
    assert_eq!(parse(Task::Detection, &json!(["Yes"])), None);
    assert_eq!(parse(Task::Localization, &json!(null)), None, "who names nobody says so with an empty list");
    assert_eq!(parse(Task::Localization, &json!([])), Some(Submission::Localization(vec![])));
    assert_eq!(parse(Task::Localization, &json!([1])), None);
    assert_eq!(parse(Task::Localization, &json!("a")), Some(Submission::Localization(vec!["a".into()])));
    assert_eq!(parse(Task::Analysis, &json!("None")), None);
    let told =
        parse(Task::Analysis, &json!({"system_level": "operating system", "fault_type": "Code Defect"}));
    let Some(Submission::Analysis(Some(cause))) = told else { panic!("{told:?}") };
    assert_eq!(cause.system_level, Some(SystemLevel::OperatingSystem));
    assert_eq!(cause.fault_type, Some(FaultKind::CodeDefect));
    let odd = parse(Task::Analysis, &json!({"system_level": "Kernel"}));
    let Some(Submission::Analysis(Some(cause))) = odd else { panic!("{odd:?}") };
    assert_eq!((cause.system_level, cause.fault_type), (None, None));
}

#[test]
fn submissions_are_judged_by_the_definitions_of_the_suite() {
    let roots = [EntityId::service("user")];
    let expected = Expected::of(&roots, &[FaultType::Network], false);
    let nothing = Expected::of(&[], &[], false);
    let locate = |names: &[&str], expected: &Expected| {
        let named = Submission::Localization(names.iter().map(|n| (*n).to_owned()).collect());
        let results = judge(Task::Localization, Some(&named), expected, false, Some(1.0), Some(2));
        let Results::Localization { accuracy, success, is_subset, .. } = results else { panic!() };
        (accuracy, success, is_subset)
    };
    assert_eq!(locate(&["user"], &expected), (100.0, true, true));
    assert_eq!(locate(&["user", "geo"], &expected), (50.0, false, true));
    assert_eq!(locate(&["geo"], &expected), (0.0, false, false));
    assert_eq!(locate(&[], &expected), (0.0, false, false));
    assert_eq!(locate(&[], &nothing), (100.0, true, true));
    assert_eq!(locate(&["geo"], &nothing), (0.0, false, true));
    let judged = |task, solution: Value, expected: &Expected, well| {
        judge(task, Submission::parse(task, &solution).as_ref(), expected, well, Some(3.5), Some(2))
            .is_success()
    };
    assert!(judged(Task::Detection, json!("Yes"), &expected, false));
    assert!(!judged(Task::Detection, json!("Yes"), &nothing, false));
    assert!(judged(Task::Detection, json!("No"), &nothing, false));
    assert!(!judged(Task::Detection, json!(true), &expected, false));
    assert!(!judged(Task::Detection, json!("maybe"), &expected, false));
    assert!(!judged(Task::Detection, json!("maybe"), &nothing, false));
    let cause = |level: &str| json!({"system_level": level, "fault_type": "network/storage issue"});
    assert!(judged(Task::Analysis, cause("Application"), &expected, false));
    assert!(!judged(Task::Analysis, cause("Hardware"), &expected, false));
    assert!(!judged(Task::Analysis, json!(null), &expected, false));
    // A level and a kind of two causes are no cause.
    let two = Expected::of(&roots, &[FaultType::Hardware, FaultType::Code], false);
    let cause = |level: &str, kind: &str| json!({"system_level": level, "fault_type": kind});
    assert!(judged(Task::Analysis, cause("Hardware", "Network/Storage Issue"), &two, false));
    assert!(judged(Task::Analysis, cause("Application", "Code Defect"), &two, false));
    assert!(!judged(Task::Analysis, cause("Hardware", "Code Defect"), &two, false));
    assert!(judged(Task::Mitigation, json!(null), &expected, true));
    assert!(!judged(Task::Mitigation, json!(null), &expected, false));
    assert!(
        !judge(Task::Mitigation, None, &expected, true, None, Some(0)).is_success(),
        "who never submits has not"
    );
    let results = judge(Task::Detection, None, &expected, false, None, Some(1));
    let keys = serde_json::to_value(&results).unwrap();
    assert_eq!(keys, json!({"Detection Accuracy": "Invalid Format", "TTD": null, "steps": 1}));
}

#[test]
fn all_that_tie_are_named_as_the_services_they_are_of() {
    let at = Timestamp::from_second(TWO).unwrap();
    let named = |suspects: &[(EntityId, f64)]| {
        let mut case = Case::open(IncidentId::new("i"), at, Mode::Suggest);
        let suspects = suspects.iter().map(|(entity, score)| Suspect::new(entity.clone(), *score));
        case.localize(at, Ranking::new(suspects.collect()));
        let Submission::Localization(named) = Submission::of(Task::Localization, Some(&case)) else {
            panic!()
        };
        named
    };
    let (orders, copy) = (EntityId::service("orders"), EntityId::instance("orders-0"));
    assert_eq!(named(&[(copy.clone(), 2.0), (orders.clone(), 1.0)]), ["orders"]);
    assert_eq!(named(&[(copy, 2.0), (orders, 2.0)]), ["orders"]);
    let others =
        [(EntityId::service("pay-1"), 2.0), (EntityId::service("geo"), 2.0), (EntityId::service("c"), 1.0)];
    let mut both = named(&others);
    both.sort();
    assert_eq!(both, ["geo", "pay-1"]);
}

/// What is said to `agent`, a line each, and what came of every problem.
fn played(problems: &Problems, agent: &[u8]) -> (Vec<Value>, Vec<ServeReport>) {
    let mut said = Vec::new();
    let reports = serve(problems, &mut Cursor::new(agent), &mut said).unwrap();
    let text = String::from_utf8(said).unwrap();
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    // Nothing that is shown names a fault, or says how well anything was done.
    let recipes = catalogue();
    let auditor = Auditor::new(recipes.iter().map(|r| r.id()));
    let mut window = TelemetryWindow::new(hours(1));
    for line in lines.iter().filter(|l| l["event"] != "problem") {
        assert!(line["event"] != "end" || line.as_object().unwrap().len() == 1, "{line}");
        window.logs.push(LogRecord::new(hours(1).start(), EntityId::service("agent"), line.to_string()));
    }
    assert_eq!(auditor.audit(&window), []);
    (lines, reports)
}

fn events(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|l| l["event"].as_str().unwrap()).collect()
}

#[test]
fn an_agent_plays_over_lines_of_json() {
    let problems = Problems::new(only("code-failing-release"), Task::ALL.to_vec()).unwrap();
    let agent = [
        "not json\n".as_bytes(),
        b"\xff\n",
        b"{\"api\":\"get_metrics\",\"duration\":2}\n",
        b"\n{\"api\":\"get_logs\",\"service\":\"nobody\"}\n",
        b"{\"api\":\"get_traces\",\"duration\":0}\n",
        b"{\"api\":\"exec_shell\",\"command\":\"rm -rf /\"}\n",
        b"{\"api\":\"submit\",\"solution\":\"Yes\"}\n",
        b"{\"api\":\"submit\",\"solution\":[]}\n",
    ]
    .concat();
    let (lines, reports) = played(&problems, &agent);
    assert_eq!(
        events(&lines[..8]),
        ["problem", "refused", "refused", "observation", "observation", "refused", "refused", "end"]
    );
    assert!(!lines[3]["content"].as_array().unwrap().is_empty());
    assert!(lines[4]["content"].as_array().unwrap().is_empty());
    // Ten minutes after the onset it was handed out, and a turn takes ten seconds.
    let Results::Detection { accuracy, ttd, steps } = &reports[0].results else { panic!("{reports:?}") };
    assert_eq!((*accuracy, *ttd, *steps), (DetectionAccuracy::Correct, Some(670.0), Some(7)));
    // Who hangs up has submitted nothing; every problem ends, and none is begun for nobody.
    assert_eq!(reports.iter().map(|r| r.problem).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(events(&lines[8..]), ["problem", "end", "problem", "end"]);
    assert!(reports[0].results.is_success() && !reports[2].results.is_success());
}

#[test]
fn an_agent_plays_in_the_words_of_the_suite() {
    let problems = Problems::new(only("code-failing-release"), vec![Task::Mitigation]).unwrap();
    let (lines, _) = played(&problems, b"exec_shell(\"kubectl get deployments -n default\")\n");
    let services = lines[1]["content"].as_array().unwrap();
    assert!(services.iter().all(|s| s["state"]["exists"] == true && s["state"]["replicas"].is_u64()));
    let name = |service: &Value| service["entity"].as_str().unwrap().split_once('/').unwrap().1.to_owned();
    let undo =
        |name: &str| format!("\"```\\nexec_shell(\\\"kubectl rollout undo deployment/{name}\\\")\\n```\"\n");
    let (_, _, layout) = problems.posed().next().unwrap();
    let [guilty] = layout.culprits().0 else { panic!("one is at fault") };
    // Everybody is gone back with, and where that is nothing, begun anew: the guilty one is among them, and no good operator does that.
    let mut agent =
        "```\nget_logs(\"default\",\n  \"nobody\")\n```\nget_metrics(\"elsewhere\", 5)\n".to_owned();
    for service in services {
        agent.push_str(&undo(&name(service)));
    }
    let innocent: Vec<String> =
        services.iter().map(name).filter(|name| name != guilty.name()).take(2).collect();
    for name in &innocent {
        writeln!(agent, "exec_shell('kubectl rollout restart deployment/{name}')").unwrap();
    }
    agent.push_str("act('tenant/nobody', 'cache_purge')\nwait(10)\nsubmit()\n");
    let (lines, reports) = played(&problems, agent.as_bytes());
    let events = events(&lines);
    assert_eq!(events[..3], ["problem", "observation", "refused"], "{lines:?}");
    let (undone, rest) = events[3..].split_at(services.len());
    assert!(undone.contains(&"observation"), "{lines:?}");
    assert_eq!(rest, ["observation", "observation", "refused", "observation", "end"]);
    assert!(!reports[0].results.is_success(), "{reports:?}");
    // The guilty one alone is a cure.
    let agent = format!("{}wait(10)\nsubmit()\n", undo(guilty.name()));
    let (_, reports) = played(&problems, agent.as_bytes());
    assert!(reports[0].results.is_success(), "{reports:?}");
    // Nobody does anything, and it does not heal by itself; to scale to nothing is no cure.
    let (_, reports) = played(&problems, b"submit()\n");
    assert!(!reports[0].results.is_success());
    let nobody: String = services
        .iter()
        .map(name)
        .map(|name| format!("exec_shell('kubectl scale deploy/{name} --replicas=0')\n"))
        .collect();
    let (_, reports) = played(&problems, format!("{nobody}submit()\n").as_bytes());
    assert!(!reports[0].results.is_success());
}

#[test]
fn hostile_turns_end() {
    let problems = Problems::new(only("code-failing-release"), vec![Task::Detection]).unwrap();
    // A block without an end, a line without one, and more turns than there are.
    let (lines, reports) = played(&problems, b"```\nget_logs(\n");
    assert_eq!(events(&lines), ["problem", "refused", "end"]);
    assert!(!reports[0].results.is_success());
    let (lines, _) = played(&problems, &vec![b'('; 3 << 20]);
    assert_eq!(events(&lines), ["problem", "refused", "end"]);
    let endless = [b"```\n".as_slice(), &b"((((((((\n".repeat(200_000)].concat();
    let (lines, _) = played(&problems, &endless);
    assert_eq!(lines.len(), 102, "100 turns are answered");
    // Nobody reads what is said.
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let reports = serve(&problems, &mut Cursor::new("wait(1)\n"), &mut Closed).unwrap();
    assert!(!reports[0].results.is_success());
}

#[test]
fn the_pipeline_answers_every_task() {
    let problems = Problems::new(only("code-failing-release"), Task::ALL.to_vec()).unwrap();
    let (_, _, layout) = problems.posed().next().unwrap();
    let results = pipeline(Task::ALL, &layout).unwrap();
    assert_eq!(results.len(), 4);
    assert!(
        matches!(results[0], Results::Detection { steps: None, .. })
            && matches!(results[3], Results::Mitigation { .. })
    );
    assert!(results[0].is_success(), "{results:?}");
    assert!(Problems::new(only("code-failing-release"), Vec::new()).is_err());
}

#[test]
fn nothing_that_is_asked_tells_of_what_is_asked_before_it() {
    // Without a fault there is nothing to be mitigated, and everything else can be asked.
    let config = RunConfig { nulls: 2, ..only("code-failing-release") };
    let tasks = vec![Task::Mitigation, Task::Localization, Task::Detection, Task::Detection];
    let problems = Problems::new(config, tasks).unwrap();
    let posed: Vec<(u64, Task)> = problems.posed().map(|(number, task, _)| (number, task)).collect();
    let expected = [Task::Detection, Task::Localization].map(|task| [task; 3]).concat();
    let expected: Vec<(u64, Task)> = (0..).zip(expected.into_iter().chain([Task::Mitigation])).collect();
    assert_eq!(posed, expected, "task by task, without a gap");
    // Taken episode by episode they have the same numbers.
    let mut by_episode: Vec<(u64, Task)> = problems.episodes().flat_map(|e| e.1).collect();
    by_episode.sort();
    assert_eq!(by_episode, posed);
    // Who hangs up has answered nothing, and nothing is handed out any more.
    let (lines, reports) = played(&problems, b"submit('Yes')\n");
    assert_eq!(events(&lines), ["problem", "end", "problem", "end"]);
    assert_eq!(reports.iter().map(|r| (r.problem, r.task)).collect::<Vec<_>>(), posed);
    assert!(reports[1..].iter().all(|r| !r.results.is_success()));
}

#[test]
fn everything_measured_is_shown_and_the_latest_of_what_was_told() {
    let problems = Problems::new(only("code-failing-release"), vec![Task::Detection]).unwrap();
    let agent = b"get_metrics('default', 5)\nget_traces('default', 5)\nsubmit('Yes')\n";
    let (lines, _) = played(&problems, agent);
    let rows = |line: &Value| line["content"].as_array().unwrap().clone();
    let metrics = rows(&lines[1]);
    assert_eq!(lines[1]["left_out"], 0);
    let whose: std::collections::BTreeSet<String> =
        metrics.iter().map(|m| m["entity"].as_str().unwrap().to_owned()).collect();
    // Everybody of the inventory that tells something by itself, most of all the services.
    let services = lines[0]["system"].as_array().unwrap().iter().map(|e| e.as_str().unwrap());
    for service in services.filter(|e| e.starts_with("service/")) {
        assert!(whose.contains(service), "{service}");
    }
    let times: Vec<Timestamp> =
        rows(&lines[2]).iter().map(|s| s["time"].as_str().unwrap().parse().unwrap()).collect();
    assert!(times.is_sorted() && !times.is_empty());
    assert!(times.len() == 400 || lines[2]["left_out"] == 0);
}

#[test]
fn a_constant_answer_solves_few_analyses() {
    let config = RunConfig { of_each: 1, nulls: 5, ..RunConfig::default() };
    let problems = Problems::new(config, vec![Task::Analysis]).unwrap();
    let mut right: BTreeMap<Option<(SystemLevel, FaultKind)>, usize> = BTreeMap::new();
    for (_, _, layout) in problems.posed() {
        let (roots, types) = layout.culprits();
        let causes = Expected::of(roots, types, layout.needs_all()).causes;
        if causes.is_empty() {
            *right.entry(None).or_default() += 1;
        }
        let known: std::collections::BTreeSet<_> =
            causes.into_iter().filter_map(|(l, k)| Some((l, k?))).collect();
        for cause in known {
            *right.entry(Some(cause)).or_default() += 1;
        }
    }
    // The guide says so.
    let best = right.iter().max_by_key(|(_, n)| **n).unwrap();
    let code = Some((SystemLevel::Application, FaultKind::CodeDefect));
    assert_eq!((best, problems.count()), ((&code, &26), 83), "{right:?}");
}
