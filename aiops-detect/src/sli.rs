//! Service level indicators derived from what a source has: the share of failed requests. // DET-07 (the SLI), ING-02
//!
//! An error counter is a poor signal: it does not exist before the first error, so it has no past to compare with, and
//! it grows with traffic. The share of failed requests exists wherever there is traffic, and is what users feel.

use std::collections::BTreeMap;

use aiops_core::model::{
    EntityId, FetchRequest, MetricFrame, MetricKind, MetricSeries, Selector, SeriesKey, Signal,
    TelemetryWindow, TimeAxis, Unit,
};
use aiops_core::seam::{SourceCapability, TelemetrySource};
use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// How to derive one indicator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorRatio {
    /// Name of the derived series, e.g. `error_ratio(http_server_requests_total)`.
    pub name: String,
    /// Name of the request rate in the source, e.g. `rate(http_server_requests_total)`.
    pub requests: String,
    /// Label that holds the outcome, e.g. `code`.
    pub outcome: String,
    /// Beginnings of outcomes that are no failure, `1` to `4` for HTTP. Any other outcome, known or not, is one. Requests
    /// without the label tell no outcome and are left out.
    pub succeeded: Vec<String>,
    /// Labels that stay; requests are summed over all others. With a service label and no instance label the indicator
    /// is about the whole service.
    pub by: Vec<String>,
    /// Label among `by` that names the service the indicator is about. Without one it is about the entity of its requests.
    #[serde(default)]
    pub service: Option<String>,
    /// Fewest requests per second for a share to mean anything; below it the indicator is a gap. Default 0.5.
    #[serde(default = "default_min_rate")]
    pub min_rate: f64,
}

fn default_min_rate() -> f64 {
    0.5
}

impl ErrorRatio {
    /// The share of requests answered with 5xx, of whole services, from a Prometheus request counter.
    pub fn of_services(counter: &str, code: &str, service: &str) -> Self {
        Self {
            name: format!("error_ratio({counter})"),
            requests: format!("rate({counter})"),
            outcome: code.to_owned(),
            succeeded: ["1", "2", "3", "4"].map(str::to_owned).to_vec(),
            by: vec![service.to_owned()],
            service: Some(service.to_owned()),
            min_rate: default_min_rate(),
        }
    }

    /// The same with another label to tell apart by, e.g. the peer that was called.
    #[must_use]
    pub fn also_by(mut self, label: &str) -> Self {
        self.by.push(label.to_owned());
        self
    }

    fn validate(&self) -> Result<()> {
        let invalid = |field: &'static str, why: &str| {
            Err(Error::new(ErrorKind::Invalid, format!("{field} {why}")).with("indicator", &self.name))
        };
        if self.name.is_empty() || self.name == self.requests {
            return invalid("name", "must be a name of its own");
        }
        if self.succeeded.is_empty() || self.succeeded.iter().any(String::is_empty) {
            return invalid(
                "succeeded",
                "must list at least one outcome, and none that is empty: every outcome begins so",
            );
        }
        if !(self.min_rate.is_finite() && self.min_rate >= 0.0) {
            return invalid("min_rate", "must be finite and not negative");
        }
        Ok(())
    }

    /// Derives the indicator from the requests in `window`, on a grid of `request.step`.
    ///
    /// An outcome that has no series, or a gap, at some time counts as none then. O(samples).
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the range and step of `request` make no grid.
    pub fn derive(&self, window: &TelemetryWindow, request: &FetchRequest) -> Result<Vec<MetricSeries>> {
        let mut groups: BTreeMap<(EntityId, SeriesKey), Vec<&MetricSeries>> = BTreeMap::new();
        for series in window.metrics.iter().filter(|s| s.key().name == self.requests) {
            let labels = &series.key().labels;
            if labels.get(&self.outcome).is_none() {
                continue;
            }
            let mut key = SeriesKey::new(&self.name);
            key.labels =
                self.by.iter().filter_map(|l| Some((l.clone(), labels.get(l)?.to_owned()))).collect();
            let service = self.service.as_ref().and_then(|l| labels.get(l)).map(EntityId::service);
            let entity = service.unwrap_or_else(|| series.entity().clone());
            groups.entry((entity, key)).or_default().push(series);
        }
        let axis = TimeAxis::covering(request.range, request.step)?;
        let of_group = |((entity, key), members): ((EntityId, SeriesKey), Vec<&MetricSeries>)| {
            let frame = MetricFrame::new(members, &axis)?;
            let failed: Vec<bool> = frame.keys().iter().map(|k| self.is_failure(k)).collect();
            let rows = frame.values().rows().into_iter().zip(frame.present().rows());
            let shares = rows.map(|(values, present)| {
                let mut total = 0.0;
                let mut bad = 0.0;
                for ((value, there), failed) in values.iter().zip(present).zip(&failed) {
                    if *there && value.is_finite() {
                        total += value;
                        bad += if *failed { *value } else { 0.0 };
                    }
                }
                (total >= self.min_rate && total > 0.0).then_some(bad / total)
            });
            let shares: Vec<Option<f64>> = shares.collect();
            let series = MetricSeries::new(key, entity, axis.clone(), shares)?;
            Ok(series.with_kind(MetricKind::Ratio).with_unit(Unit::new("1")))
        };
        groups.into_iter().map(of_group).collect()
    }

    fn is_failure(&self, key: &SeriesKey) -> bool {
        let outcome = key.labels.get(&self.outcome).unwrap_or_default();
        !self.succeeded.iter().any(|prefix| outcome.starts_with(prefix.as_str()))
    }
}

/// A source with derived indicators beside its own signals.
///
/// An indicator can be asked for by name like any other series, so what it detected can be read again by itself. The limits of a
/// request hold for the requests underneath, too: a share needs all of them.
#[derive(Debug)]
pub struct SliSource<S> {
    inner: S,
    indicators: Vec<ErrorRatio>,
}

impl<S: TelemetrySource> SliSource<S> {
    /// `inner` with these indicators.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when an indicator is out of range, two have one name, or one is derived from another.
    pub fn new(inner: S, indicators: Vec<ErrorRatio>) -> Result<Self> {
        let mut names = std::collections::BTreeSet::new();
        for indicator in &indicators {
            indicator.validate()?;
            if !names.insert(&indicator.name) {
                return Err(Error::new(ErrorKind::Invalid, "two indicators have one name")
                    .with("name", &indicator.name));
            }
        }
        if let Some(indicator) = indicators.iter().find(|i| names.contains(&i.requests)) {
            return Err(Error::new(ErrorKind::Invalid, "an indicator is derived from another one")
                .with("name", &indicator.name)
                .with("requests", &indicator.requests));
        }
        drop(names);
        Ok(Self { inner, indicators })
    }

    /// The read of the inner source that `request` and the wanted indicators need. Conditions on labels that every wanted
    /// indicator keeps are passed on; those on entities and other labels are applied to what was derived, because requests
    /// carry other ones.
    fn inner_request(&self, request: &FetchRequest, wanted: &[&ErrorRatio]) -> FetchRequest {
        if wanted.is_empty() {
            return request.clone();
        }
        let mut selector = Selector::all();
        if !request.selector.metrics.is_empty() {
            let own =
                request.selector.metrics.iter().filter(|m| self.indicators.iter().all(|i| i.name != **m));
            let needed = wanted.iter().map(|i| &i.requests);
            selector = own.chain(needed).fold(selector, |s, name| s.with_metric(name.clone()));
        }
        let kept = |label: &str| wanted.iter().all(|i| i.by.iter().any(|by| by == label));
        let passed_on = request.selector.matchers.iter().filter(|m| kept(&m.label)).cloned();
        selector.matchers.extend(passed_on);
        request.clone().with_selector(selector)
    }
}

#[async_trait]
impl<S: TelemetrySource> TelemetrySource for SliSource<S> {
    fn capability(&self) -> SourceCapability {
        self.inner.capability()
    }

    async fn fetch(&self, request: &FetchRequest, ctx: &Context) -> Result<TelemetryWindow> {
        let asked = &request.selector.metrics;
        let wanted: Vec<&ErrorRatio> = self
            .indicators
            .iter()
            .filter(|i| {
                request.signals.contains(Signal::Metrics) && (asked.is_empty() || asked.contains(&i.name))
            })
            .collect();
        let mut window = self.inner.fetch(&self.inner_request(request, &wanted), ctx).await?;
        if wanted.is_empty() {
            return Ok(window);
        }
        let mut derived = Vec::new();
        for indicator in wanted {
            derived.extend(indicator.derive(&window, request)?);
        }
        window.metrics.extend(derived);
        let selector = &request.selector;
        window.metrics.retain(|s| selector.selects(&s.key().name, s.entity(), &s.key().labels));
        window.logs.retain(|l| selector.selects_entity(&l.entity));
        window.spans.retain(|s| selector.selects_entity(&s.entity));
        window.changes.retain(|c| selector.selects_entity(&c.entity));
        window.alerts.retain(|a| selector.selects_entity(&a.entity));
        request.limits.check(&window)?;
        window.sort();
        Ok(window)
    }
}
