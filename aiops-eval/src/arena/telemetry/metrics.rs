//! Series, sampled at every scrape.

use aiops_core::model::{EntityId, EntityKind, MetricKind, SeriesKey, Unit};

use super::{Column, RATE_SCRAPES, Recorder, SCRAPE, in_seconds, quantile};
use crate::arena::sim::Simulator;
use crate::arena::sim::spec::{Role, Setting};
use crate::arena::sim::state::CODES;

/// Metric, whose it is, and what of it: names a column without a string.
pub(super) type Slot = (u8, usize, usize);

/// Share of scrapes of one target that fail.
const FAILED_SCRAPES: f64 = 0.003;

pub(super) struct Series {
    pub(super) number: u8,
    pub(super) name: &'static str,
    pub(super) kind: MetricKind,
    pub(super) unit: &'static str,
}

macro_rules! series {
    ($($number:literal $id:ident = $name:literal $kind:ident $unit:literal;)+) => {
        $(const $id: Series = Series { number: $number, name: $name, kind: MetricKind::$kind, unit: $unit };)+
    };
}
pub(super) use series;

series! {
    1 REQUESTS = "rate(http_server_requests_total)" Rate "{request}/s";
    2 P50 = "p50(http_server_request_duration_seconds)" Quantile "s";
    3 P95 = "p95(http_server_request_duration_seconds)" Quantile "s";
    4 ACTIVE = "http_server_active_requests" Gauge "{request}";
    5 CALLS = "rate(http_client_requests_total)" Rate "{request}/s";
    6 CALL_P95 = "p95(http_client_request_duration_seconds)" Quantile "s";
    7 POOL_USED = "db_client_connections_in_use" Gauge "{connection}";
    8 POOL_MAX = "db_client_connections_max" Gauge "{connection}";
    9 POOL_PENDING = "db_client_connections_pending_requests" Gauge "{request}";
    10 DESIRED = "kube_deployment_spec_replicas" Gauge "{replica}";
    11 READY = "kube_deployment_status_replicas_ready" Gauge "{replica}";
    12 DB_OPERATIONS = "rate(db_server_operations_total)" Rate "{operation}/s";
    13 DB_P95 = "p95(db_server_operation_duration_seconds)" Quantile "s";
    14 DB_ACTIVE = "db_server_active_connections" Gauge "{connection}";
    15 DB_LOCKS = "db_server_lock_waits" Gauge "{request}";
    16 DB_LAG = "db_server_replication_lag_seconds" Gauge "s";
    17 CACHE_REQUESTS = "rate(cache_requests_total)" Rate "{request}/s";
    18 CACHE_HITS = "cache_hit_ratio" Ratio "1";
    19 CACHE_P95 = "p95(cache_request_duration_seconds)" Quantile "s";
    20 COLD_STARTS = "rate(faas_coldstarts_total)" Rate "{start}/s";
    21 TENANT = "rate(gateway_tenant_requests_total)" Rate "{request}/s";
    22 BACKLOG = "messaging_queue_depth" Gauge "{message}";
    30 MEMORY = "process_resident_memory_bytes" Gauge "By";
    31 CPU = "rate(process_cpu_seconds_total)" Rate "1";
    32 DESCRIPTORS = "process_open_fds" Gauge "{fd}";
    33 COLLECTIONS = "rate(process_runtime_gc_seconds_total)" Rate "1";
    34 RESTARTS = "rate(kube_pod_container_status_restarts_total)" Rate "{restart}/s";
    35 MEMORY_LIMIT = "container_spec_memory_limit_bytes" Gauge "By";
    40 NODE_CPU = "node_cpu_utilization" Ratio "1";
    41 NODE_MEMORY = "node_memory_available_bytes" Gauge "By";
    42 NODE_DISK = "node_filesystem_avail_bytes" Gauge "By";
    43 NODE_IO = "rate(node_disk_io_time_seconds_total)" Rate "1";
    44 NODE_RETRANSMITS = "rate(node_netstat_tcp_retrans_segs_total)" Rate "{segment}/s";
    45 NODE_UP = "up" Gauge "1";
}

/// Whose sample it is.
#[derive(Clone, Copy)]
pub(super) struct Whose<'a> {
    pub(super) number: usize,
    pub(super) part: usize,
    pub(super) entity: &'a EntityId,
    pub(super) labels: &'a [(&'a str, &'a str)],
}

impl Recorder {
    fn column(&mut self, series: &Series, whose: Whose<'_>) -> Option<&mut Column> {
        let slot = (series.number, whose.number, whose.part);
        let at = match self.index.get(&slot) {
            Some(at) => *at,
            None => {
                let mut key = SeriesKey::new(series.name);
                for (name, value) in whose.labels {
                    key = key.with(*name, *value);
                }
                self.columns.push(Column {
                    entity: whose.entity.clone(),
                    key,
                    kind: series.kind,
                    unit: Unit::new(series.unit),
                    first: self.scrapes,
                    values: Vec::with_capacity(512),
                    totals: [f64::NAN; RATE_SCRAPES + 1],
                });
                let at = self.columns.len() - 1;
                self.index.insert(slot, at);
                at
            }
        };
        self.columns.get_mut(at)
    }

    pub(super) fn level(&mut self, series: &Series, whose: Whose<'_>, value: f64) {
        let scrape = self.scrapes;
        let Some(column) = self.column(series, whose) else { return };
        column.values.resize(scrape - column.first, f64::NAN);
        column.values.push(value);
        self.samples += 1;
    }

    /// Rate of a running total over the last scrapes.
    pub(super) fn rate(&mut self, series: &Series, whose: Whose<'_>, total: f64) {
        let scrape = self.scrapes;
        let Some(column) = self.column(series, whose) else { return };
        let old = column.totals.iter().position(|t| !t.is_nan());
        let since = old.and_then(|i| Some((RATE_SCRAPES + 1 - i, *column.totals.get(i)?)));
        column.totals.rotate_left(1);
        if let Some(last) = column.totals.last_mut() {
            *last = total;
        }
        // A counter that is seen for the first time has no rate yet; one that began meanwhile began at zero.
        let (scrapes, before) =
            since.unwrap_or((RATE_SCRAPES, if scrape < RATE_SCRAPES { total } else { 0.0 }));
        let rate = (total - before).max(0.0) / (scrapes as f64 * in_seconds(SCRAPE));
        column.values.resize(scrape - column.first, f64::NAN);
        column.values.push(rate);
        self.samples += 1;
    }

    /// Quantiles of durations over the last scrapes.
    fn quantiles(
        &mut self,
        of: (usize, usize),
        fresh: Vec<f32>,
        wanted: &[(&Series, f64)],
        whose: Whose<'_>,
    ) {
        let window = self.windows.entry(of).or_default();
        window.push(fresh);
        if window.len() > RATE_SCRAPES {
            window.remove(0);
        }
        let mut all: Vec<f32> = window.concat();
        for (series, q) in wanted {
            if let Some(value) = quantile(&mut all, *q) {
                self.level(series, whose, value);
            }
        }
    }
}

impl Simulator {
    /// Samples everything.
    pub(crate) fn scrape(&mut self) {
        let now = self.now;
        let mut told = std::mem::replace(&mut self.telemetry, Recorder::new(&empty(), 0, 0.0));
        for index in 0..self.services.len() {
            self.scrape_service(&mut told, index);
        }
        for (n, node) in self.nodes.iter().enumerate() {
            let entity = EntityId::new(EntityKind::Node, &node.spec.name);
            let whose = Whose { number: n, part: 0, entity: &entity, labels: &[("node", &node.spec.name)] };
            if !node.down {
                let cores = node.spec.cores;
                told.level(&NODE_CPU, whose, (node.used / cores).min(1.0));
                told.level(&NODE_MEMORY, whose, (node.spec.memory - node.memory).max(0.0));
                told.level(&NODE_DISK, whose, (node.spec.disk - node.disk).max(0.0));
                told.rate(&NODE_IO, whose, node.disk_busy.min(in_seconds(now)));
                told.rate(&NODE_RETRANSMITS, whose, node.retransmits as f64);
            }
            told.level(&NODE_UP, whose, f64::from(u8::from(!node.down)));
        }
        self.scrape_fleet(&mut told);
        told.daily_lines(now, &self.services);
        told.scrapes += 1;
        self.telemetry = told;
    }

    fn scrape_service(&mut self, told: &mut Recorder, index: usize) {
        let now = self.now;
        let tenants: Vec<(String, u64)> =
            self.spec.tenants.iter().zip(&self.by_tenant).map(|(t, n)| (t.name.clone(), *n)).collect();
        let names: Vec<String> = self.services.iter().map(|s| s.spec.name.clone()).collect();
        let Some(service) = self.services.get_mut(index) else { return };
        let fresh = std::mem::take(&mut service.served.durations);
        let calls: Vec<(usize, [u64; CODES.len()], Vec<f32>)> = service
            .called
            .iter_mut()
            .map(|(to, tally)| (*to, tally.codes, std::mem::take(&mut tally.durations)))
            .collect();
        if service.spec.role == Role::External {
            return;
        }
        let name = service.spec.name.clone();
        let entity = service.spec.entity();
        let whose = |part| Whose { number: index, part, entity: &entity, labels: &[] };
        let label = [("service", name.as_str())];
        let own = Whose { labels: &label, ..whose(0) };
        // What Kubernetes tells of it does not depend on its own collector.
        told.level(&DESIRED, own, f64::from(service.wanted));
        told.level(&READY, own, if service.down { 0.0 } else { f64::from(service.ready()) });
        for (r, copy) in service.replicas.iter().enumerate() {
            let instance = format!("{name}-{r}");
            let instance_entity = EntityId::instance(&instance);
            let labels = [("instance", instance.as_str()), ("service", name.as_str())];
            let whose = Whose { number: index, part: r, entity: &instance_entity, labels: &labels };
            told.rate(&RESTARTS, whose, copy.restarts as f64);
        }
        if let Some(since) = told.dark_since.get_mut(index) {
            *since = if service.dark { since.or(Some(now)) } else { None };
        }
        if service.dark || !service.spec.instrumented || told.rng.f64() < FAILED_SCRAPES {
            return;
        }
        let codes = service.served.codes;
        match service.spec.role {
            Role::Database => {
                let (good, bad) = (codes.first().copied().unwrap_or(0), codes.iter().skip(1).sum::<u64>());
                for (part, outcome, count) in [(0, "ok", good), (1, "error", bad)] {
                    let labels = [("db", name.as_str()), ("outcome", outcome)];
                    told.rate(&DB_OPERATIONS, Whose { labels: &labels, ..whose(part) }, count as f64);
                }
                let labels = [("db", name.as_str())];
                let own = Whose { labels: &labels, ..whose(0) };
                told.quantiles((index, usize::MAX), fresh, &[(&DB_P95, 0.95)], own);
                let busy: u32 = service.replicas.iter().map(|r| r.busy).sum();
                told.level(&DB_ACTIVE, own, f64::from(busy) + service.queue.len() as f64);
                told.level(&DB_LOCKS, own, service.lock_queue.len() as f64);
                told.level(&DB_LAG, own, service.lag);
            }
            Role::Cache => {
                let labels = [("cache", name.as_str())];
                let own = Whose { labels: &labels, ..whose(0) };
                told.rate(&CACHE_REQUESTS, own, codes.iter().sum::<u64>() as f64);
                told.quantiles((index, usize::MAX), fresh, &[(&CACHE_P95, 0.95)], own);
                let all = (service.hits + service.misses).max(1);
                told.level(&CACHE_HITS, own, service.hits as f64 / all as f64);
                (service.hits, service.misses) = (0, 0);
            }
            // Nobody sends them requests.
            role if !role.serves() => {}
            _ => {
                for (part, (code, count)) in CODES.iter().zip(codes).enumerate() {
                    if count > 0 {
                        let code = code.to_string();
                        let labels = [("code", code.as_str()), ("service", name.as_str())];
                        told.rate(&REQUESTS, Whose { labels: &labels, ..whose(part) }, count as f64);
                    }
                }
                told.quantiles((index, usize::MAX), fresh, &[(&P50, 0.5), (&P95, 0.95)], own);
                let busy: u32 = service.replicas.iter().map(|r| r.busy).sum();
                told.level(&ACTIVE, own, f64::from(busy) + service.queue.len() as f64);
                if service.spec.role == Role::Consumer {
                    told.level(&BACKLOG, own, service.queue.len() as f64);
                }
                if service.spec.role == Role::Function {
                    told.rate(&COLD_STARTS, own, service.cold_starts as f64);
                }
                if index == 0 {
                    for (part, (tenant, count)) in tenants.iter().enumerate() {
                        let labels = [("service", name.as_str()), ("tenant", tenant.as_str())];
                        told.rate(&TENANT, Whose { labels: &labels, ..whose(part) }, *count as f64);
                    }
                }
            }
        }
        for (to, codes, durations) in calls {
            let Some(peer) = names.get(to) else { continue };
            for (part, (code, count)) in CODES.iter().zip(codes).enumerate() {
                if count > 0 {
                    let code = code.to_string();
                    let labels = [
                        ("code", code.as_str()),
                        ("peer_service", peer.as_str()),
                        ("service", name.as_str()),
                    ];
                    let part = to * CODES.len() + part;
                    told.rate(&CALLS, Whose { labels: &labels, ..whose(part) }, count as f64);
                }
            }
            let labels = [("peer_service", peer.as_str()), ("service", name.as_str())];
            told.quantiles(
                (index, to),
                durations,
                &[(&CALL_P95, 0.95)],
                Whose { labels: &labels, ..whose(to) },
            );
        }
        let bound = service.settings.get(Setting::Pool) * f64::from(service.wanted.max(1));
        for (to, pool) in &service.pools {
            let Some(peer) = names.get(*to) else { continue };
            let labels = [("peer_service", peer.as_str()), ("service", name.as_str())];
            let whose = Whose { labels: &labels, ..whose(*to) };
            told.level(&POOL_USED, whose, f64::from(pool.in_use));
            told.level(&POOL_MAX, whose, bound.floor());
            told.level(&POOL_PENDING, whose, pool.waiting.len() as f64);
        }
        for (r, copy) in service.replicas.iter().enumerate().filter(|(_, c)| c.is_ready()) {
            let instance = format!("{name}-{r}");
            let entity = EntityId::instance(&instance);
            let labels = [("instance", instance.as_str()), ("service", name.as_str())];
            let whose = Whose { number: index, part: r, entity: &entity, labels: &labels };
            let jitter = 1.0 + 0.01 * (told.rng.f64() - 0.5);
            told.level(&MEMORY, whose, copy.memory(&service.settings) * jitter);
            told.level(&MEMORY_LIMIT, whose, service.settings.get(Setting::MemoryLimit));
            told.rate(&CPU, whose, copy.used);
            told.level(&DESCRIPTORS, whose, copy.descriptors.round() + f64::from(copy.busy));
            told.rate(&COLLECTIONS, whose, copy.collections);
        }
    }
}

fn empty() -> crate::arena::sim::spec::SystemSpec {
    crate::arena::sim::spec::SystemSpec {
        nodes: Vec::new(),
        services: Vec::new(),
        tenants: Vec::new(),
        diurnal: 0.0,
        wire: 0.0,
        traced: 0.0,
        batch: 0.0,
    }
}
