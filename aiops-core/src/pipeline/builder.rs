//! Composing a pipeline, one stage after the other in the order of the data. A stage that is missing is a type error.

use std::sync::{Arc, Mutex};

use async_lock::Semaphore;

use super::config::PipelineConfig;
use super::{CaseListener, Confirmation, Pipeline};
use crate::error::Result;
use crate::guard::GuardChain;
use crate::seam::{
    AuditSink, Compactor, Detector, Localizer, Mitigator, Notifier, Planner, Rca, TelemetrySource, Verifier,
};

/// Composes a [`Pipeline`]; `S` says what is still missing.
#[derive(Debug)]
pub struct PipelineBuilder<S>(S);

macro_rules! stages {
    ($($(#[$doc:meta])* $state:ident { $($had:ident: $held:ty),* } $method:ident($arg:ident: $seam:ident) -> $next:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub struct $state { $($had: $held),* }

            impl PipelineBuilder<$state> {
                /// Sets this stage.
                pub fn $method(self, $arg: impl $seam) -> PipelineBuilder<$next> {
                    let $state { $($had),* } = self.0;
                    PipelineBuilder($next { $($had,)* $arg: Arc::new($arg) })
                }
            }
        )*
    };
}

type Source = Arc<dyn TelemetrySource>;
type Detect = Arc<dyn Detector>;
type Localize = Arc<dyn Localizer>;
type Analyze = Arc<dyn Rca>;
type Plan = Arc<dyn Planner>;
type Mitigate = Arc<dyn Mitigator>;

stages! {
    /// Where telemetry comes from is missing.
    NeedsSource {} source(source: TelemetrySource) -> NeedsDetector;
    /// What finds anomalies is missing; more can be added at the end.
    NeedsDetector { source: Source } detector(detector: Detector) -> NeedsLocalizer;
    /// What ranks suspects is missing.
    NeedsLocalizer { source: Source, detector: Detect } localizer(localizer: Localizer) -> NeedsRca;
    /// What tells the cause is missing.
    NeedsRca { source: Source, detector: Detect, localizer: Localize } rca(rca: Rca) -> NeedsPlanner;
    /// What proposes remedies is missing.
    NeedsPlanner { source: Source, detector: Detect, localizer: Localize, rca: Analyze }
        planner(planner: Planner) -> NeedsGuards;
}

/// The guards are missing.
#[derive(Debug)]
pub struct NeedsGuards {
    source: Source,
    detector: Detect,
    localizer: Localize,
    rca: Analyze,
    planner: Plan,
}

/// What acts is missing.
#[derive(Debug)]
pub struct NeedsMitigator {
    before: NeedsGuards,
    guards: GuardChain,
}

/// What verifies is missing.
#[derive(Debug)]
pub struct NeedsVerifier {
    before: NeedsGuards,
    guards: GuardChain,
    mitigator: Mitigate,
}

/// Whole; the rest is optional.
#[derive(Debug)]
pub struct Ready {
    before: NeedsGuards,
    guards: GuardChain,
    mitigator: Mitigate,
    verifier: Arc<dyn Verifier>,
    more_detectors: Vec<Detect>,
    compactor: Option<Arc<dyn Compactor>>,
    notifier: Option<Arc<dyn Notifier>>,
    audit: Option<Arc<dyn AuditSink>>,
    listener: Option<Arc<dyn CaseListener>>,
    config: PipelineConfig,
}

impl PipelineBuilder<NeedsSource> {
    pub(super) fn new() -> Self {
        Self(NeedsSource {})
    }
}

impl PipelineBuilder<NeedsGuards> {
    /// Sets the guards that every action passes.
    #[must_use]
    pub fn guards(self, guards: GuardChain) -> PipelineBuilder<NeedsMitigator> {
        PipelineBuilder(NeedsMitigator { before: self.0, guards })
    }
}

impl PipelineBuilder<NeedsMitigator> {
    /// Sets what acts.
    pub fn mitigator(self, mitigator: impl Mitigator) -> PipelineBuilder<NeedsVerifier> {
        let NeedsMitigator { before, guards } = self.0;
        PipelineBuilder(NeedsVerifier { before, guards, mitigator: Arc::new(mitigator) })
    }
}

impl PipelineBuilder<NeedsVerifier> {
    /// Sets what verifies.
    pub fn verifier(self, verifier: impl Verifier) -> PipelineBuilder<Ready> {
        let NeedsVerifier { before, guards, mitigator } = self.0;
        PipelineBuilder(Ready {
            before,
            guards,
            mitigator,
            verifier: Arc::new(verifier),
            more_detectors: Vec::new(),
            compactor: None,
            notifier: None,
            audit: None,
            listener: None,
            config: PipelineConfig::default(),
        })
    }
}

impl PipelineBuilder<Ready> {
    /// Adds a detector beside the first.
    #[must_use]
    pub fn another_detector(mut self, detector: impl Detector) -> Self {
        self.0.more_detectors.push(Arc::new(detector));
        self
    }

    /// Adds a briefing to every round.
    #[must_use]
    pub fn compactor(mut self, compactor: impl Compactor) -> Self {
        self.0.compactor = Some(Arc::new(compactor));
        self
    }

    /// Tells people of actions, escalations and endings.
    #[must_use]
    pub fn notifier(mut self, notifier: impl Notifier) -> Self {
        self.0.notifier = Some(Arc::new(notifier));
        self
    }

    /// Keeps an audit log; when it cannot be written, nothing is done.
    #[must_use]
    pub fn audit(mut self, audit: impl AuditSink) -> Self {
        self.0.audit = Some(Arc::new(audit));
        self
    }

    /// Is told of every part as a case grows.
    #[must_use]
    pub fn listener(mut self, listener: impl CaseListener) -> Self {
        self.0.listener = Some(Arc::new(listener));
        self
    }

    /// Sets windows, budgets and limits.
    #[must_use]
    pub fn config(mut self, config: PipelineConfig) -> Self {
        self.0.config = config;
        self
    }

    /// The pipeline.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the configuration is out of range.
    pub fn build(self) -> Result<Pipeline> {
        let Ready {
            before,
            guards,
            mitigator,
            verifier,
            more_detectors,
            compactor,
            notifier,
            audit,
            listener,
            config,
        } = self.0;
        config.validate()?;
        let NeedsGuards { source, detector, localizer, rca, planner } = before;
        let detectors = std::iter::once(detector).chain(more_detectors).collect();
        Ok(Pipeline {
            source,
            detectors,
            localizer,
            rca,
            planner,
            guards,
            mitigator,
            verifier,
            compactor,
            notifier,
            audit,
            listener,
            slots: Semaphore::new(config.concurrency),
            confirmation: Mutex::new(Confirmation::new(config.confirmations)),
            handed_over: Mutex::default(),
            config,
        })
    }
}
