//! OpenRCA's layout and AIOpsLab's problems: small tables written here, bad ones, and episodes of the arena there and back.

use std::fmt::Write as _;
use std::io::Cursor;
use std::path::Path;

use aiops_core::jiff::Timestamp;
use aiops_core::jiff::tz::Offset;
use aiops_core::model::{EdgeKind, EntityId, EntityKind, FaultType, LogSeverity, SpanStatus, TimeRange};
use aiops_eval::EvalError;
use aiops_eval::adapters::aiopslab::{
    Detected, Expected, FaultKind, Problems, Results, ServeReport, Submission, SystemLevel, Task, judge,
    pipeline, serve,
};
use aiops_eval::adapters::openrca::{
    Answer, Asked, OpenRcaConfig, Reading, ScoringPoints, Telemetry, export, from_text, grade, grade_system,
    run, score, to_json,
};
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
    let all = [answer("2021-03-04 14:57:00", "My\"sql", "r"), Answer::default()];
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
    assert_eq!(Asked::of("task_8"), None);
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
    let name =
        |folder: &Path| std::fs::read(folder.join(&report.systems[0].system).join("query.csv")).unwrap();
    assert_eq!(name(&set), name(&again));
}

#[test]
fn submissions_have_the_form_of_their_task() {
    let parse = Submission::parse;
    assert_eq!(parse(Task::Detection, &json!(" YES ")), Some(Submission::Detection(Detected::Yes)));
    assert_eq!(parse(Task::Detection, &json!("maybe")), Some(Submission::Detection(Detected::Neither)));
    assert_eq!(parse(Task::Detection, &json!(["Yes"])), None);
    assert_eq!(parse(Task::Localization, &json!(null)), Some(Submission::Localization(vec![])));
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
        let results = judge(Task::Localization, Some(&named), expected, false, Some(1.0), 2);
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
        judge(task, Submission::parse(task, &solution).as_ref(), expected, well, Some(3.5), 2).is_success()
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
    assert!(judged(Task::Mitigation, json!(null), &expected, true));
    assert!(!judged(Task::Mitigation, json!(null), &expected, false));
    assert!(
        !judge(Task::Mitigation, None, &expected, true, None, 0).is_success(),
        "who never submits has not"
    );
    let results = judge(Task::Detection, None, &expected, false, None, 1);
    let keys = serde_json::to_value(&results).unwrap();
    assert_eq!(keys, json!({"Detection Accuracy": "Invalid Format", "TTD": null, "steps": 1}));
}

/// What is said to `agent`, a line each, and what came of every problem.
fn played(problems: &Problems, agent: &[u8]) -> (Vec<Value>, Vec<ServeReport>) {
    let mut said = Vec::new();
    let reports = serve(problems, &mut Cursor::new(agent), &mut said).unwrap();
    let text = String::from_utf8(said).unwrap();
    // Nothing that is shown names the fault.
    assert!(!text.contains("code-"), "the id of a fault");
    (text.lines().map(|l| serde_json::from_str(l).unwrap()).collect(), reports)
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
        ["problem", "refused", "refused", "observation", "observation", "refused", "refused", "result"]
    );
    assert!(!lines[3]["content"].as_array().unwrap().is_empty());
    assert!(lines[4]["content"].as_array().unwrap().is_empty());
    assert_eq!(lines[7]["results"]["Detection Accuracy"], "Correct");
    // Ten minutes after the onset it was handed out, and a turn takes ten seconds.
    assert_eq!(lines[7]["results"]["TTD"], 670.0);
    // Who hangs up has submitted nothing; every problem ends, and none is begun for nobody.
    assert_eq!(reports.len() as u64, problems.end());
    assert_eq!(events(&lines[8..]), ["problem", "result", "problem", "result"]);
    assert!(reports[0].results.is_success() && !reports[2].results.is_success());
}

#[test]
fn an_agent_plays_in_the_words_of_the_suite() {
    let problems = Problems::new(only("code-failing-release"), vec![Task::Mitigation]).unwrap();
    let (lines, _) = played(&problems, b"exec_shell(\"kubectl get deployments -n default\")\n");
    let services = lines[1]["content"].as_array().unwrap();
    assert!(services.iter().all(|s| s["state"]["exists"] == true && s["state"]["replicas"].is_u64()));
    // Everybody who runs another revision than the first is gone back with: one of them is at fault.
    let mut agent =
        "```\nget_logs(\"default\",\n  \"nobody\")\n```\nget_metrics(\"elsewhere\", 5)\n".to_owned();
    let mut undone = 0;
    for service in services {
        let name = service["entity"].as_str().unwrap().split_once('/').unwrap().1;
        writeln!(agent, "\"```\\nexec_shell(\\\"kubectl rollout undo deployment/{name}\\\")\\n```\"")
            .unwrap();
        undone += 1;
    }
    agent.push_str("act('tenant/nobody', 'cache_purge')\nwait(10)\nsubmit()\n");
    let (lines, reports) = played(&problems, agent.as_bytes());
    let events = events(&lines);
    assert_eq!(events[..3], ["problem", "observation", "refused"], "{lines:?}");
    assert!(events[3..3 + undone].contains(&"observation"), "{lines:?}");
    assert_eq!(events[3 + undone..], ["refused", "observation", "result"]);
    assert!(reports[0].results.is_success(), "{:?}", lines.last());
    // Nobody does anything, and it does not heal by itself; to scale to nothing is no cure.
    let (_, reports) = played(&problems, b"submit()\n");
    assert!(!reports[0].results.is_success());
    let nobody: String = services
        .iter()
        .map(|s| s["entity"].as_str().unwrap().split_once('/').unwrap().1)
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
    assert_eq!(events(&lines), ["problem", "refused", "result"]);
    assert!(!reports[0].results.is_success());
    let (lines, _) = played(&problems, &vec![b'('; 3 << 20]);
    assert_eq!(events(&lines), ["problem", "refused", "result"]);
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
    let (_, layout) = problems.at(0).unwrap();
    let results = pipeline(Task::ALL, &layout).unwrap();
    assert_eq!(results.len(), 4);
    assert!(
        matches!(results[0], Results::Detection { .. }) && matches!(results[3], Results::Mitigation { .. })
    );
    assert!(results[0].is_success(), "{results:?}");
    assert!(problems.at(problems.end()).is_none());
    // Without a fault there is nothing to be mitigated, and everything can be asked.
    let config = RunConfig { nulls: 1, ..only("code-failing-release") };
    let problems = Problems::new(config, vec![Task::Detection, Task::Mitigation]).unwrap();
    let posed: Vec<Vec<Task>> = problems.episodes().map(|e| e.1.iter().map(|p| p.1).collect()).collect();
    assert_eq!(posed.len(), 2);
    let both = vec![Task::Detection, Task::Mitigation];
    assert!(posed.contains(&vec![Task::Detection]) && posed.contains(&both), "{posed:?}");
    let numbers: Vec<u64> = problems.episodes().flat_map(|e| e.1).map(|p| p.0).collect();
    assert!((0..problems.end()).all(|n| problems.at(n).is_some() == numbers.contains(&n)));
    assert!(Problems::new(only("code-failing-release"), Vec::new()).is_err());
}
