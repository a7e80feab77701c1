use aiops_core::model::{
    CollectorHealth, FetchRequest, Labels, MetricSeries, SeriesKey, Signal, SignalSet, TelemetryWindow,
    TimeAxis,
};
use aiops_core::{Error, ErrorKind, Result};

use crate::family::SignalName;
use crate::mapping::EntityMapping;
use crate::selector::LabelMap;

/// Builds the window of one request, within its limits.
pub(super) struct Assembler<'a> {
    request: &'a FetchRequest,
    mapping: &'a EntityMapping,
    axis: TimeAxis,
    samples: usize,
    window: TelemetryWindow,
}

impl<'a> Assembler<'a> {
    pub(super) fn new(
        request: &'a FetchRequest,
        observed: SignalSet,
        mapping: &'a EntityMapping,
    ) -> Result<Self> {
        let axis = TimeAxis::covering(request.range, request.step)?;
        let mut window = TelemetryWindow::new(request.range);
        window.observed = observed;
        Ok(Self { request, mapping, axis, samples: 0, window })
    }

    pub(super) fn axis(&self) -> &TimeAxis {
        &self.axis
    }

    /// Adds a series on the request's grid, if the request selects it and it has a sample.
    pub(super) fn series(
        &mut self,
        signal: &SignalName,
        labels: LabelMap,
        values: Vec<Option<f64>>,
    ) -> Result<()> {
        let labels: Labels = labels.into_iter().filter(|(label, _)| label != "__name__").collect();
        let metric = signal.metric();
        let entity = self.mapping.resource(&metric, &labels).entity;
        let name = signal.to_string();
        let present = values.iter().filter(|value| value.is_some()).count();
        if present == 0 || !self.request.selector.selects(&name, &entity, &labels) {
            return Ok(());
        }
        if self.window.observed.contains(Signal::Topology) {
            self.mapping.extend_topology(&mut self.window.topology, &metric, &labels);
        }
        if !self.window.observed.contains(Signal::Metrics) {
            return Ok(());
        }
        let limits = self.request.limits;
        self.samples = self.samples.saturating_add(present);
        if self.window.metrics.len() >= limits.series || self.samples > limits.samples {
            return Err(Error::new(
                ErrorKind::Limit,
                "the window has more series or samples than the request allows",
            )
            .with("series", limits.series)
            .with("samples", limits.samples));
        }
        let series = MetricSeries::new(SeriesKey { name, labels }, entity, self.axis.clone(), values)?;
        self.window.metrics.push(series.with_kind(signal.kind()).with_unit(signal.unit()));
        Ok(())
    }

    /// Adds what a series proves about the topology, though its samples were not asked for.
    pub(super) fn topology(&mut self, metric: &str, labels: LabelMap) {
        let labels: Labels = labels.into_iter().filter(|(label, _)| label != "__name__").collect();
        let entity = self.mapping.resource(metric, &labels).entity;
        if self.window.observed.contains(Signal::Topology) && self.request.selector.selects_entity(&entity) {
            self.mapping.extend_topology(&mut self.window.topology, metric, &labels);
        }
    }

    /// Adds what could not be read.
    pub(super) fn health(&mut self, health: CollectorHealth) {
        let selected =
            health.entity.as_ref().is_none_or(|entity| self.request.selector.selects_entity(entity));
        if selected {
            self.window.health.push(health);
        }
    }

    pub(super) fn finish(mut self) -> TelemetryWindow {
        self.window.sort();
        self.window
    }

    /// The window, with an entry for each target whose last `up` is zero.
    pub(super) fn finish_with_up(mut self) -> TelemetryWindow {
        let down = |series: &MetricSeries| {
            let (_, last) = series.points().next_back()?;
            let mut health = CollectorHealth::new(Signal::Metrics);
            health.entity = Some(series.entity().clone());
            health.last_seen = series.points().rev().find(|(_, up)| *up > 0.0).map(|(at, _)| at);
            health.note = Some("the last scrape failed".to_owned());
            (last == 0.0).then_some(health)
        };
        let up = self.window.metrics.iter().filter(|series| series.key().name == "up");
        let entries: Vec<CollectorHealth> = up.filter_map(down).collect();
        self.window.health.extend(entries);
        self.finish()
    }
}
