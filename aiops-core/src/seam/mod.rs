//! The seams: small, dyn-compatible traits that a pipeline is composed of.
//!
//! | seam | in → out |
//! |---|---|
//! | [`TelemetrySource`] | `FetchRequest` → `TelemetryWindow` |
//! | [`Detector`] | `TelemetryWindow` → anomalies |
//! | [`Localizer`] | window, anomalies → `Ranking` |
//! | [`Rca`] | `Case` → `Diagnosis` |
//! | [`Guardrail`] | `Review` → `Verdict` |
//! | [`Mitigator`] | `Intended<Action>` → `Receipt` |
//! | [`Verifier`] | `ReceiptRecord`, what was detected → `RecoveryReport` |
//!
//! Every seam takes `&self` and a [`Context`](crate::Context) beside its request, is `Debug + Send + Sync + 'static`,
//! and is forwarded by `Arc`, `Box` and every [layer](crate::layer). `capability()` says what an implementation can do;
//! what it cannot is [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported).

mod approver;
mod audit;
mod bus;
mod change_feed;
mod compactor;
mod detector;
mod forward;
mod guardrail;
mod journal;
mod knowledge;
mod localizer;
mod mask;
mod mitigator;
mod model;
mod notifier;
mod planner;
mod rca;
mod source;
mod verifier;

pub use approver::Approver;
pub use audit::{AuditEvent, AuditSink};
pub use bus::{Delivered, Event, EventBus, Offset, Topic};
pub use change_feed::ChangeFeed;
pub use compactor::Compactor;
pub use detector::{Detector, Fit};
pub use guardrail::{Guardrail, Review};
pub use journal::Journal;
pub use knowledge::{KnowledgeBase, Passage};
pub use localizer::Localizer;
pub use mask::Mask;
pub use mitigator::{Mitigator, MitigatorCapability};
pub use model::{Completion, LanguageModel, Prompt};
pub use notifier::{Notification, NotificationKind, Notifier};
pub use planner::Planner;
pub use rca::Rca;
pub use source::{SourceCapability, TelemetrySource};
pub use verifier::Verifier;

/// Every seam can be a trait object; this fails to compile when one no longer can.
const _: () = {
    const fn dyn_compatible<T: ?Sized + Send + Sync + 'static>() {}
    dyn_compatible::<dyn TelemetrySource>();
    dyn_compatible::<dyn Detector>();
    dyn_compatible::<dyn Localizer>();
    dyn_compatible::<dyn Rca>();
    dyn_compatible::<dyn Guardrail>();
    dyn_compatible::<dyn Mitigator>();
    dyn_compatible::<dyn Verifier>();
    dyn_compatible::<dyn Compactor>();
    dyn_compatible::<dyn Planner>();
    dyn_compatible::<dyn Approver>();
    dyn_compatible::<dyn Notifier>();
    dyn_compatible::<dyn AuditSink>();
    dyn_compatible::<dyn Journal>();
    dyn_compatible::<dyn ChangeFeed>();
    dyn_compatible::<dyn KnowledgeBase>();
    dyn_compatible::<dyn LanguageModel>();
    dyn_compatible::<dyn EventBus>();
    dyn_compatible::<dyn Mask>();
};
