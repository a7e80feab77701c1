//! Incident classes of GPU fleets: each sees its fault, and not what only looks like it.

use aiops_core::model::{
    EntityId, EntityKind, LogRecord, MetricKind, MetricSeries, SeriesKey, Severity, TelemetryWindow,
};
use aiops_detect::gpu::dcgm::ClockReasons;
use aiops_detect::gpu::signature::{SIGNATURES, Sign, rank_of, recognise};
use aiops_detect::gpu::xid::{XIDS, XidAction, XidClass, lookup, parse};
use aiops_detect::gpu::{FabricManager, NcclHang, SchedulerStarvation, ThermalThrottle, XidEcc};
use aiops_testkit::generate;
use proptest::prelude::*;

use crate::usecase::{ROWS, detector, keeps_its_contract};
use crate::worlds::{at, empty, normal, rng, series, series_of};

fn gpu(i: usize) -> EntityId {
    EntityId::new(EntityKind::Gpu, format!("node-{}/{}", i / 4, i % 4))
}

fn node(i: usize) -> EntityId {
    EntityId::new(EntityKind::Node, format!("node-{i}"))
}

fn field(i: usize, name: &str, value: impl Fn(usize) -> f64) -> MetricSeries {
    let mut noise = rng(i as u64 * 31 + name.len() as u64);
    series(&gpu(i), name, ROWS, |row| value(row) * (1.0 + 0.01 * normal(&mut noise)))
}

/// A field without noise: codes, bits, totals.
fn exact(i: usize, name: &str, value: impl Fn(usize) -> f64) -> MetricSeries {
    series(&gpu(i), name, ROWS, value)
}

fn with_lines(lines: &[(usize, usize, &str)]) -> TelemetryWindow {
    let mut window = empty(ROWS);
    window.logs = lines.iter().map(|(row, n, text)| LogRecord::new(at(*row), node(*n), *text)).collect();
    window.sort();
    window
}

#[test]
fn the_table_of_xids_is_in_order_and_says_what_is_grave() {
    assert!(XIDS.is_sorted_by(|a, b| a.code < b.code) && XIDS.len() >= 100);
    assert!(XIDS.iter().all(|x| !x.mnemonic.is_empty() && !x.meaning.is_empty()));
    for (code, class, severity, action) in [
        (13, XidClass::Application, Severity::Warning, XidAction::RestartApp),
        (31, XidClass::Application, Severity::Warning, XidAction::RestartApp),
        (43, XidClass::Application, Severity::Info, XidAction::None),
        (45, XidClass::Sympathetic, Severity::Info, XidAction::None),
        (48, XidClass::Memory, Severity::Critical, XidAction::ResetGpu),
        (63, XidClass::Memory, Severity::Warning, XidAction::None),
        (64, XidClass::Memory, Severity::Critical, XidAction::ResetGpu),
        (74, XidClass::Nvlink, Severity::Critical, XidAction::CheckNvlink),
        (79, XidClass::Bus, Severity::Critical, XidAction::RestartNode),
        (92, XidClass::Memory, Severity::Warning, XidAction::ContactSupport),
        (94, XidClass::Memory, Severity::Warning, XidAction::RestartApp),
        (95, XidClass::Memory, Severity::Critical, XidAction::ResetGpu),
        (119, XidClass::Driver, Severity::Critical, XidAction::ResetGpu),
        (145, XidClass::Nvlink, Severity::Critical, XidAction::CheckNvlink),
        (172, XidClass::Memory, Severity::Critical, XidAction::ResetGpu),
    ] {
        let xid = lookup(code).unwrap();
        assert_eq!((xid.class, xid.severity, xid.action), (class, severity, action), "{code}");
    }
    assert_eq!((lookup(0), lookup(9), lookup(u32::MAX)), (None, None, None));
    for (line, pci, code) in [
        ("NVRM: Xid (0000:03:00): 14, Channel 00000001", "0000:03:00", 14),
        ("[  7.1] NVRM: Xid (PCI:0000:cb:00): 13, pid='<unknown>', name=<unknown>", "0000:cb:00", 13),
        ("NVRM: Xid (PCI:0000:3b:00): 79", "0000:3b:00", 79),
    ] {
        let logged = parse(line).unwrap();
        assert_eq!((logged.pci, logged.code), (pci, code));
    }
    for line in ["", "NVRM: Xid (", "NVRM: Xid (PCI:0): x", "Xid 79", "NVRM: Xid (a): 99999999999999"] {
        assert_eq!(parse(line), None, "{line}");
    }
}

#[test]
fn lines_are_recognised_for_what_they_are() {
    for (line, sign) in [
        (
            "[rank3]:[E] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1)",
            Sign::CollectiveTimeout,
        ),
        ("node7:1:2 [0] NCCL WARN NET/IB : Got completion from peer with error 12", Sign::PeerLost),
        ("ncclRemoteError: remote process exited or there was a network error", Sign::PeerLost),
        ("Detected mismatch: collective operations on ranks do not match", Sign::Desynchronised),
        ("CUDA error 802: system not yet initialized", Sign::NotReady),
        ("nvidia-nvswitch0: SXid (PCI:0000:c1:00.0): 20034, Non-fatal, Link 30 LTSSM Fault Up", Sign::Fabric),
        ("nvidia-fabricmanager.service: Failed with result 'exit-code'", Sign::Fabric),
        ("NVRM: GPU 0000:3b:00.0: RmInitAdapter failed! (0x24:0x65:1436)", Sign::Device),
    ] {
        assert_eq!(recognise(line).map(|s| s.sign), Some(sign), "{line}");
    }
    for line in [
        "NCCL INFO Connected all rings",
        "collective training of staff failed to inspire",
        "",
        "\u{0}\u{fffd}",
    ] {
        assert_eq!(recognise(line), None, "{line}");
    }
    assert!(SIGNATURES.iter().all(|s| s.parts.iter().all(|p| !p.is_empty() && *p == p.to_lowercase())));
    assert_eq!(
        (rank_of("[Rank 3] x"), rank_of("[rank17]: y"), rank_of("rank: 5"), rank_of("frank")),
        (Some(3), Some(17), Some(5), None)
    );
    assert_eq!(ClockReasons::of(72.0).names(), ["hardware slowdown", "hardware thermal slowdown"]);
    assert_eq!(
        (ClockReasons::of(f64::NAN), ClockReasons::of(-1.0), ClockReasons::of(1e300)),
        Default::default()
    );
}

#[test]
fn xid_ecc() {
    let mut storm: Vec<(usize, usize, &str)> = vec![
        (50, 0, "NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen off the bus."),
        (60, 1, "NVRM: Xid (PCI:0000:86:00): 48, pid=2, DBE (double bit error)"),
        (61, 1, "NVRM: Xid (PCI:0000:86:00): 45, pid=2, Ch 00000008"),
    ];
    storm.extend((0..6).map(|i| (100 + i, 2, "NVRM: Xid (PCI:0000:18:00): 94, pid=3, Contained")));
    let mut fault = with_lines(&storm);
    fault.metrics = vec![
        exact(0, "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", |row| if row >= 60 { 2.0 } else { 0.0 }),
        exact(1, "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", |row| (row * 3) as f64).with_kind(MetricKind::Counter),
        exact(2, "DCGM_FI_DEV_ROW_REMAP_FAILURE", |_| 1.0),
        exact(3, "DCGM_FI_DEV_XID_ERRORS", |row| if row >= 90 { 95.0 } else { 0.0 }),
    ];
    // One crash of an application, two contained errors, a remapped row, a few corrected errors, an old total.
    let mut fine = with_lines(&[
        (50, 0, "NVRM: Xid (PCI:0000:3b:00): 13, pid=1, Graphics SM Warp Exception"),
        (60, 1, "NVRM: Xid (PCI:0000:86:00): 94, pid=2, Contained"),
        (61, 1, "NVRM: Xid (PCI:0000:86:00): 94, pid=2, Contained"),
        (62, 1, "NVRM: Xid (PCI:0000:86:00): 63, Row Remapper: New row marked for remapping"),
        (63, 1, "NVRM: loading NVIDIA UNIX Open Kernel Module"),
    ]);
    fine.metrics = vec![
        exact(0, "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", |_| 2.0),
        exact(1, "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", |row| (row / 20) as f64),
        exact(2, "DCGM_FI_DEV_ROW_REMAP_FAILURE", |_| 0.0),
        exact(3, "DCGM_FI_DEV_XID_ERRORS", |row| if row >= 90 { 31.0 } else { 0.0 }),
    ];
    // Numbers that stay as they are may still say that remapping failed; the contract spoils numbers.
    let mut numbers = fault.clone();
    numbers.metrics.retain(|s| {
        s.key().name != "DCGM_FI_DEV_ROW_REMAP_FAILURE" && s.key().name != "DCGM_FI_DEV_XID_ERRORS"
    });
    keeps_its_contract::<XidEcc>(&numbers, &fine);
    let found = detector::<XidEcc>().explain(&fault);
    let told: Vec<_> = found
        .iter()
        .map(|s| (s.entity.name(), s.series.labels.get("code").unwrap_or(&s.series.name), s.severity))
        .collect();
    assert_eq!(
        told,
        [
            ("node-0/0", "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", Severity::Critical),
            ("node-0/0000:3b:00", "79", Severity::Critical),
            ("node-0/1", "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", Severity::Warning),
            ("node-0/2", "DCGM_FI_DEV_ROW_REMAP_FAILURE", Severity::Critical),
            ("node-0/3", "DCGM_FI_DEV_XID_ERRORS", Severity::Critical),
            ("node-1/0000:86:00", "48", Severity::Critical),
            ("node-2/0000:18:00", "94", Severity::Warning),
        ]
    );
    assert!(found[1].evidence.contains("drain and restart the node"), "{}", found[1].evidence);
}

#[test]
fn thermal_throttle() {
    let (mut fault, mut fine) = (empty(ROWS), empty(ROWS));
    let late = |row: usize| row >= 200;
    let reasons = "DCGM_FI_DEV_CLOCKS_EVENT_REASONS";
    fault.metrics = vec![
        exact(0, reasons, |row| if late(row) { 72.0 } else { 0.0 }),
        exact(1, reasons, |row| if late(row) { 32.0 } else { 4.0 }),
        exact(2, reasons, |_| 4.0),
        field(2, "DCGM_FI_DEV_SM_CLOCK", |row| if row >= 220 { 900.0 } else { 1980.0 }),
        exact(3, "DCGM_FI_DEV_THERMAL_VIOLATION", |row| row as f64 * 15e6 * 0.5)
            .with_kind(MetricKind::Counter),
    ];
    fine.metrics = vec![
        // Idle; busy at the power limit; a second of heat; clocks set by a user.
        exact(0, reasons, |_| 1.0),
        exact(1, reasons, |_| 4.0),
        field(1, "DCGM_FI_DEV_SM_CLOCK", |_| 1700.0),
        exact(2, reasons, |row| if row % 50 == 0 { 32.0 } else { 0.0 }),
        exact(3, reasons, |_| 2.0),
        exact(4, "DCGM_FI_DEV_THERMAL_VIOLATION", |row| row as f64 * 15e6 * 0.01)
            .with_kind(MetricKind::Counter),
    ];
    keeps_its_contract::<ThermalThrottle>(&fault, &fine);
    let found = detector::<ThermalThrottle>().explain(&fault);
    let told: Vec<_> = found.iter().map(|s| (s.entity.name(), s.severity)).collect();
    assert_eq!(
        told,
        [
            ("node-0/0", Severity::Critical),
            ("node-0/1", Severity::Warning),
            ("node-0/2", Severity::Warning),
            ("node-0/3", Severity::Warning),
        ]
    );
    assert!(found[0].evidence.contains("hardware thermal slowdown") && found[0].onset == at(200));
}

#[test]
fn fabric_manager() {
    let mut fault = with_lines(&[
        (
            50,
            0,
            "nvidia-nvswitch3: SXid (PCI:0000:c4:00.0): 22013, Fatal, Link 12 Minion Link DLREQ interrupt (NVSwitch fatal)",
        ),
        (60, 1, "CUDA error: system not yet initialized"),
        (70, 2, "NVRM: Xid (PCI:0000:3b:00): 74, NVLink: fatal error detected on link 4"),
    ]);
    fault.metrics = vec![
        exact(12, "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", |row| (row * 10) as f64),
        exact(13, "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL", |row| (row / 10) as f64),
        exact(14, "DCGM_FI_DEV_FABRIC_MANAGER_STATUS", |row| if row >= 100 { 2.0 } else { 3.0 }),
    ];
    let mut fine = with_lines(&[
        (50, 0, "nvidia-nvswitch0: SXid (PCI:0000:c1:00.0): 20034, Non-fatal, Link 30 LTSSM"),
        (51, 0, "Successfully configured all the available NVSwitches to route GPU NVLink traffic."),
        (52, 0, "NVRM: Xid (PCI:0000:3b:00): 137, NVLink privilege error"),
    ]);
    fine.metrics = vec![
        exact(12, "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", |row| (row / 10) as f64),
        exact(13, "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL", |_| 500.0),
        exact(14, "DCGM_FI_DEV_FABRIC_MANAGER_STATUS", |row| if row < 10 { 2.0 } else { 3.0 }),
    ];
    // A status that is 3 throughout, as "constant" makes it, is healthy.
    keeps_its_contract::<FabricManager>(&fault, &fine);
    let found = detector::<FabricManager>().explain(&fault);
    let told: Vec<_> = found.iter().map(|s| (s.entity.to_string(), s.severity)).collect();
    let told: Vec<_> = told.iter().map(|(e, s)| (e.as_str(), *s)).collect();
    assert_eq!(
        told,
        [
            ("node/node-0", Severity::Critical),
            ("node/node-1", Severity::Critical),
            ("node/node-2", Severity::Critical),
            ("gpu/node-3/0", Severity::Warning),
            ("gpu/node-3/1", Severity::Critical),
            ("gpu/node-3/2", Severity::Critical),
        ]
    );
}

/// Eight GPUs of a job: from row 200 on, those of `spin` are busy at little power.
fn job(spin: &[usize], utilisation: f64) -> TelemetryWindow {
    let mut window = empty(ROWS);
    for i in 0..8 {
        let late = |row: usize| row >= 200 && spin.contains(&i);
        for mut s in [
            field(i, "DCGM_FI_DEV_POWER_USAGE", |row| if late(row) { 140.0 } else { 620.0 }),
            field(i, "DCGM_FI_DEV_GPU_UTIL", |row| if late(row) { utilisation } else { 98.5 }),
            field(i, "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", |row| if late(row) { 0.01 } else { 0.45 }),
        ] {
            let key: SeriesKey = s.key().clone().with("hpc_job", "pretrain-7");
            s = series_of(s.entity().clone(), key, s.samples().collect());
            window.metrics.push(s);
        }
    }
    window.sort();
    window
}

#[test]
fn nccl_hang() {
    let all: Vec<usize> = (0..8).collect();
    let fault = job(&all[..7], 100.0);
    // Idle GPUs after the job; one GPU that waits for its input; lost peers that came back.
    for fine in [
        job(&all, 0.0),
        job(&[3], 100.0),
        job(&[], 100.0),
        with_lines(&[
            (50, 0, "NCCL WARN NET/IB : Got completion with error 12"),
            (51, 0, "NCCL INFO Connected all trees"),
        ]),
    ] {
        keeps_its_contract::<NcclHang>(&fault, &fine);
    }
    let found = detector::<NcclHang>().explain(&fault);
    assert_eq!(found.len(), 7);
    for symptom in &found {
        assert!(
            symptom.evidence.contains("7 of 8 GPUs spin")
                && symptom.evidence.ends_with("waited for: node-1/3"),
            "{}",
            symptom.evidence
        );
        assert_eq!((symptom.severity, symptom.onset), (Severity::Critical, at(200)));
    }
    let lines = with_lines(&[
        (
            60,
            1,
            "[Rank 5] Watchdog caught collective operation timeout: WorkNCCL(OpType=ALLREDUCE, Timeout(ms)=600000)",
        ),
        (61, 1, "[Rank 2] Some NCCL operations have failed or timed out."),
    ]);
    let found = detector::<NcclHang>().explain(&lines);
    assert!(found.len() == 1 && found[0].evidence.contains("rank 5 first"), "{found:?}");
}

/// Two queues and ten GPUs of which so many idle.
fn cluster(idle: usize, queue: impl Fn(usize) -> f64) -> TelemetryWindow {
    let mut window = empty(ROWS);
    for i in 0..10 {
        window.metrics.push(field(i, "DCGM_FI_DEV_GPU_UTIL", |_| if i < idle { 0.0 } else { 95.0 }));
    }
    for name in ["train", "batch"] {
        window.metrics.push(series(
            &EntityId::new(EntityKind::Queue, name),
            "kueue_pending_workloads",
            ROWS,
            &queue,
        ));
    }
    window.sort();
    window
}

#[test]
fn scheduler_starvation() {
    let waiting = |row: usize| if row >= 120 { 6.0 } else { 0.0 };
    let fault = cluster(6, waiting);
    for fine in [
        cluster(0, waiting),
        cluster(6, |_| 0.0),
        // It drains; it flickers.
        cluster(6, |row| (ROWS - row) as f64 / 4.0 - 0.5),
        cluster(6, |row| if row % 3 == 0 { 1.0 } else { 0.0 }),
    ] {
        // A queue that never changes while GPUs idle starves too, so the numbers of the contract are not spoiled to 3.
        let found = detector::<SchedulerStarvation>().explain(&fine);
        assert_eq!(found, []);
    }
    let mut gauge = fault.clone();
    gauge.metrics.retain(|s| s.key().name == "kueue_pending_workloads");
    assert_eq!(detector::<SchedulerStarvation>().explain(&gauge), [], "nothing is known of GPUs");
    let found = detector::<SchedulerStarvation>().explain(&fault);
    assert_eq!(found.iter().map(|s| s.entity.name()).collect::<Vec<_>>(), ["batch", "train"]);
    assert!(found.iter().all(|s| s.severity == Severity::Critical && s.onset == at(120)));
    assert!(found[0].evidence.contains("6 of 10 GPUs idle"), "{}", found[0].evidence);
    starvation_contract(&fault, &cluster(0, waiting));
}

fn starvation_contract(fault: &TelemetryWindow, fine: &TelemetryWindow) {
    // In "constant" every number is 3: no GPU is below 5 %... so the idle bound is what spoils it; keep the check honest.
    let constant = {
        let mut w = fault.clone();
        w.metrics
            .iter_mut()
            .for_each(|s| *s = series_of(s.entity().clone(), s.key().clone(), vec![Some(7.0); ROWS]));
        w
    };
    assert_eq!(detector::<SchedulerStarvation>().find(&constant), []);
    let mut fixture =
        aiops_testkit::conformance::DetectorFixture::new(aiops_core::Context::system(), fault.clone());
    fixture.normal = Some(fine.clone());
    fixture.thin = Some(empty(ROWS));
    let report = futures_lite::future::block_on(aiops_testkit::conformance::detector(
        &detector::<SchedulerStarvation>(),
        &fixture,
    ));
    report.assert_counts(11, 0);
    for (what, spoiled) in crate::worlds::spoiled(fault).into_iter().filter(|(what, _)| *what != "constant") {
        assert_eq!(detector::<SchedulerStarvation>().find(&spoiled), [], "{what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_window_is_judged(window in generate::window(), body in generate::text()) {
        let mut window = window;
        for line in &mut window.logs {
            line.body = format!("NVRM: Xid (PCI:{body}): {}", body.len());
        }
        let mut found = detector::<XidEcc>().find(&window);
        found.extend(detector::<ThermalThrottle>().find(&window));
        found.extend(detector::<FabricManager>().find(&window));
        found.extend(detector::<NcclHang>().find(&window));
        found.extend(detector::<SchedulerStarvation>().find(&window));
        for a in found {
            prop_assert!(window.range.contains(a.onset) && a.onset <= a.last && a.baseline.scale > 0.0);
        }
        let _ = (recognise(&body), rank_of(&body), parse(&body));
    }
}
