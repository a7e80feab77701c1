use std::fs;
use std::io::Write as _;
use std::path::Path;

use aiops_core::model::{EdgeKind, EntityId, LogSeverity, MetricKind, Signal};
use aiops_eval::EvalError;
use aiops_eval::incidents::{IncidentSet, Layout, NormalSpans, front_door};
use flate2::Compression;
use flate2::write::GzEncoder;

pub(crate) fn put(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    if name.ends_with(".gz") {
        let mut gz = GzEncoder::new(fs::File::create(path).unwrap(), Compression::fast());
        gz.write_all(text.as_bytes()).unwrap();
        gz.finish().unwrap();
    } else {
        fs::write(path, text).unwrap();
    }
}

/// One fault injected at 1,000,000 s; a reference recorded later.
fn nezha() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let p = dir.path();
    put(
        p,
        "labels.csv",
        "case_id,day,inject_unix,service,pod,fault_type,fault_class,root_metric,root_code\n\
         a-0,d1,1000000,carts,carts-x,return,code,,X#1_X#2\n\
         a-1,d1,1003000,frontend,frontend-x,cpu_contention,cpu,cpu_pct,\n",
    );
    put(
        p,
        "metrics/a-0.csv.gz",
        "unix,_edge/latency_p90_s,carts/cpu_m,frontend/server_p95_s\n\
         999880,0.1,5,0.2\n999940,0.1,,0.2\n1000000,0.3,9,0.4\n1000060,0.3,9,0.4\n",
    );
    put(p, "ref/d1_metrics.csv.gz", "unix,carts/cpu_m\n1009000,5\n1009060,6\n");
    put(
        p,
        "traces/a-0.csv.gz",
        "start_us,dur_us,trace,span,parent,service,operation\n\
         999930000000,100,t0,s0,,frontend,GET /\n999930000010,50,t0,s1,s0,carts,load\n\
         999999000000,70,t1,s2,,frontend,GET /\n1000001000000,70,t2,s3,,frontend,GET /\n",
    );
    put(
        p,
        "ref/d1_traces.csv.gz",
        "start_us,dur_us,trace,span,parent,service,operation\n1009000000000,100,t0,s0,,frontend,GET /\n",
    );
    put(
        p,
        "logs/a-0.csv.gz",
        "unix_us,service,level,trace,span,message\n\
         1000002000000,carts,ERROR,t2,s3,\"failed, with a \"\"quote\"\"\"\n999930000001,carts,INFO,,,ok\n",
    );
    put(p, "quiet/d1_metrics.csv.gz", "unix,carts/cpu_m\n1,5\n61,6\n");
    put(p, "day/d1_metrics.csv.gz", "unix,carts/cpu_m\n1,5\n61,6\n");
    put(p, "day/d1_edge_latency_source.csv.gz", "unix,frontend>carts\n1,0.5\n");
    dir
}

#[test]
fn nezha_is_split_around_the_injection() {
    let dir = nezha();
    let set = IncidentSet::open(dir.path()).unwrap();
    assert_eq!((set.layout(), set.cases().len()), (Layout::Nezha, 2));
    let case = &set.cases()[0];
    assert_eq!(case.label().root, EntityId::service("carts"));
    assert_eq!(case.label().root_code.as_deref(), Some("X#1_X#2"));
    assert_eq!(case.label().root_metric, None);

    let incident = set.load(case).unwrap();
    let (normal, before, fault) = (&incident.reference, &incident.before, &incident.fault);
    assert_eq!((normal.spans.len(), before.spans.len(), fault.spans.len()), (3, 1, 1));
    assert_eq!((normal.logs.len(), before.logs.len(), fault.logs.len()), (1, 0, 1));
    assert_eq!(
        (before.range.start(), before.range.end()),
        ("1970-01-12T13:45:40Z".parse().unwrap(), case.onset)
    );
    assert_eq!(fault.range.start(), case.onset);
    assert!(fault.observed.contains(Signal::Logs) && fault.observed.contains(Signal::Traces));

    // The history before the fault and the later reference are one series; an empty cell is a gap.
    let cpu = |w: &aiops_core::model::TelemetryWindow| {
        let series = w.metrics.iter().find(|m| m.key().name == "cpu_m").unwrap();
        series.samples().collect::<Vec<_>>()
    };
    assert_eq!(cpu(normal), [Some(5.0), Some(5.0), Some(6.0)]);
    assert_eq!(cpu(before), [None]);
    assert_eq!(cpu(fault), [Some(9.0), Some(9.0)]);
    assert!(fault.metrics.iter().any(|m| m.entity() == &front_door()));
    let p95 = fault.metrics.iter().find(|m| m.key().name == "server_p95_s").unwrap();
    assert_eq!((p95.kind(), p95.unit().0.as_str()), (MetricKind::Quantile, "s"));

    // The same short ids of two recordings are different spans.
    let mut ids: Vec<_> =
        normal.spans.iter().chain(&before.spans).chain(&fault.spans).map(|s| s.span_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);
    assert_eq!(fault.logs[0].trace_id, Some(fault.spans[0].trace_id));
    assert_eq!(fault.logs[0].severity, Some(LogSeverity::Error));
    assert_eq!(fault.logs[0].body, "failed, with a \"quote\"");
    let (caller, callee) = (EntityId::service("frontend"), EntityId::service("carts"));
    let calls: Vec<_> = fault.topology.needs(&caller, EdgeKind::Calls).collect();
    assert_eq!(calls, [&callee]);

    assert_eq!(set.quiet().unwrap().len(), 1);
    let days = set.days().unwrap();
    assert_eq!((days.len(), days[0].metrics.len()), (1, 2));
    let edge = days[0].metrics.iter().find(|m| m.key().name == "edge_latency").unwrap();
    assert_eq!((edge.entity(), edge.key().labels.get("caller")), (&callee, Some("frontend")));

    // The second case has no telemetry of its own.
    assert!(matches!(set.load(&set.cases()[1]), Err(EvalError::Read { .. })));
}

/// Three incidents of a day without a reference of spans; all were traced before their faults but `early`.
fn untraced(order: [&str; 4]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut labels =
        "case_id,day,inject_unix,service,pod,fault_type,fault_class,root_metric,root_code\n".to_owned();
    for id in order {
        let at = match id {
            "early" => 1_000_000,
            "second" => 1_010_000,
            "third" => 1_020_000,
            _ => 1_030_000,
        };
        labels += &format!("{id},d1,{at},carts,carts-x,cpu_contention,cpu,cpu_pct,\n");
        put(dir.path(), &format!("metrics/{id}.csv.gz"), &format!("unix,carts/cpu_m\n{at},5\n"));
        let before = if id == "early" { at + 1 } else { at - 90 };
        let trace = format!(
            "start_us,dur_us,trace,span,parent,service,operation\n{before}000000,{at},t0,s0,,carts,load {id}\n"
        );
        put(dir.path(), &format!("traces/{id}.csv.gz"), &trace);
    }
    put(dir.path(), "labels.csv", &labels);
    dir
}

#[test]
fn what_is_normal_does_not_depend_on_the_order_of_cases() {
    let by_case = |order: [&str; 4]| {
        let dir = untraced(order);
        let set = IncidentSet::open(dir.path()).unwrap();
        let normal = NormalSpans::of(&set).unwrap();
        let of = |id: &str| {
            let case = set.cases().iter().find(|c| c.id == id).unwrap();
            let completed = normal.complete(set.recording(case).unwrap(), case);
            assert_eq!(completed.normal.spans, normal.for_case(case));
            let operations = completed.normal.spans.iter().map(|s| s.operation.clone());
            let ids: Vec<_> = completed.normal.spans.iter().map(|s| s.span_id).collect();
            assert!(completed.window.spans.iter().all(|s| !ids.contains(&s.span_id)), "ids stay apart");
            operations.collect::<Vec<_>>()
        };
        ["early", "second", "third", "fourth"].map(of)
    };
    // The earliest other one that was traced before its fault; never what it is to be compared with itself.
    let expected = ["load second", "load third", "load second", "load second"].map(|o| vec![o.to_owned()]);
    assert_eq!(by_case(["early", "second", "third", "fourth"]), expected);
    assert_eq!(by_case(["fourth", "third", "early", "second"]), expected);
    // Where there is a reference of spans nothing is borrowed.
    let dir = nezha();
    put(dir.path(), "metrics/a-1.csv.gz", "unix,carts/cpu_m\n1003000,5\n");
    let set = IncidentSet::open(dir.path()).unwrap();
    let normal = NormalSpans::of(&set).unwrap();
    assert!(set.cases().iter().all(|case| normal.for_case(case).is_empty()));
}

#[test]
fn petshop_names_nodes_with_slashes() {
    let dir = tempfile::tempdir().unwrap();
    let p = dir.path();
    put(
        p,
        "labels.csv",
        "case_id,scenario,issue,inject_unix,target_node,target_metric,target_agg,root_node,root_metric,normal_available,command\n\
         c-0,low,i,300,PetSite,latency,p90,Api/prod,,1,x\nc-1,high,i,300,PetSite,latency,p90,Api/prod,,0,x\n",
    );
    for scenario in ["low", "high"] {
        put(p, &format!("graph/{scenario}.csv"), "caller,callee\nPetSite,Api/prod\n");
    }
    for name in ["cases/c-0.csv.gz", "cases/c-1.csv.gz", "normal/low.csv.gz"] {
        put(p, name, "unix,Api/prod/latency/p90\n300,1\n600,2\n");
    }
    let set = IncidentSet::open(p).unwrap();
    let case = &set.cases()[0];
    let incident = set.load(case).unwrap();
    let series = &incident.fault.metrics[0];
    assert_eq!((series.entity(), series.key().name.as_str()), (&case.label().root, "latency"));
    assert_eq!(series.key().labels.get("aggregation"), Some("p90"));
    assert_eq!(case.target.as_ref().unwrap().entity, EntityId::service("PetSite"));
    assert_eq!(incident.reference.metrics.len(), 1);
    assert_eq!(incident.fault.topology.edges().count(), 1);
    let other = &set.cases()[1];
    assert!(!other.comparable);
    assert!(set.load(other).unwrap().reference.metrics.is_empty());
}

#[test]
fn sockshop_is_split_at_the_first_anomalous_row() {
    let dir = tempfile::tempdir().unwrap();
    put(
        dir.path(),
        "labels.csv",
        "case_id,inject_unix,service,fault_type,root_metric,rows_normal,rows_anomalous\nk,100,carts,cpu,carts/cpu,2,1\n",
    );
    put(dir.path(), "cases/k.csv.gz", "unix,carts/cpu,carts/lod\n1,1,1\n2,1,1\n100,5,1\n");
    let set = IncidentSet::open(dir.path()).unwrap();
    let case = &set.cases()[0];
    assert_eq!(case.label().root_metric.as_deref(), Some("cpu"));
    let incident = set.load(case).unwrap();
    assert_eq!(incident.reference.metrics[0].len(), 2);
    assert_eq!(incident.fault.metrics[0].len(), 1);
    assert!(incident.before.metrics.is_empty() && set.quiet().unwrap().is_empty());
    // The source's own word is told in a common one.
    assert!(incident.fault.metrics.iter().any(|m| m.key().name == "workload"));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let wrong = |labels: &str| {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "labels.csv", labels);
        IncidentSet::open(dir.path()).unwrap_err().to_string()
    };
    assert!(wrong("a,b\n1,2\n").contains("none of the known tables"));
    let header = "case_id,inject_unix,service,fault_type,root_metric,rows_normal,rows_anomalous\n";
    let error = wrong(&format!("{header}k,soon,carts,cpu,,1,1\n"));
    assert!(error.contains("labels.csv:2") && error.contains("soon"), "{error}");
    assert!(wrong(&format!("{header}k,99999999999999999,carts,cpu,,1,1\n")).contains("labels.csv:2"));
    assert!(wrong(&format!("{header}k,1\n")).contains("labels.csv:2"));

    let dir = nezha();
    put(dir.path(), "metrics/a-0.csv.gz", "unix,carts/cpu_m\n1,many\n");
    let set = IncidentSet::open(dir.path()).unwrap();
    let error = set.load(&set.cases()[0]).unwrap_err().to_string();
    assert!(error.contains("a-0.csv.gz:2") && error.contains("many"), "{error}");
    // Not compressed although its name says so.
    fs::write(dir.path().join("metrics/a-0.csv.gz"), "unix,carts/cpu_m\n").unwrap();
    assert!(matches!(set.load(&set.cases()[0]), Err(EvalError::Table { .. })));
    assert!(matches!(IncidentSet::open(&dir.path().join("nowhere")), Err(EvalError::Read { .. })));
}

/// The real data sets where they are at hand; `AIOPS_DATA` names their folder.
#[test]
fn real_sets_are_read_where_they_are_at_hand() {
    let Some(data) = std::env::var_os("AIOPS_DATA") else { return };
    let folder = Path::new(&data).join("incidents");
    for name in ["nezha-tt", "nezha-ob", "petshop", "sockshop"] {
        let set = IncidentSet::open(&folder.join(name)).unwrap();
        assert!(set.cases().len() >= 20);
        for case in set.cases() {
            let incident = set.load(case).unwrap();
            assert!(!incident.fault.metrics.is_empty(), "{name} {}", case.id);
            assert!(incident.fault.range.contains(case.onset) || set.layout() == Layout::PetShop);
            let nodes = incident.fault.metrics.iter().any(|m| m.entity() == &case.label().root);
            assert!(nodes || set.layout() == Layout::PetShop, "{name} {}: no series of the root", case.id);
        }
        set.quiet().unwrap();
        set.days().unwrap();
    }
}
