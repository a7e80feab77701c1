//! What every implementation of a seam must do.
//!
//! Each suite is an async function over `&dyn Seam` and a small fixture that tells it what to ask for. It returns a [`Report`]
//! instead of panicking, and the caller asserts the counts as literals:
//!
//! ```
//! use aiops_core::fake::InMemorySource;
//! use aiops_testkit::{conformance, sample};
//!
//! let source = InMemorySource::holding(sample::window());
//! let fixture = conformance::SourceFixture::new(sample::context(), sample::range(), sample::quiet_range());
//! let report = futures_lite::future::block_on(conformance::source(&source, &fixture));
//! report.assert_counts(18, 1);
//! ```
//!
//! A clause is skipped when the implementation's `capability()` or the fixture leaves nothing to judge, never silently. Suites
//! never remove what they wrote, so give them a scratch target; they may run many times on one.

mod approver;
mod audit;
mod bus;
mod change_feed;
mod compactor;
mod detector;
mod guardrail;
mod journal;
mod knowledge;
mod language_model;
mod localizer;
mod mask;
mod mitigator;
mod notifier;
mod planner;
mod rca;
mod report;
mod source;
mod verifier;

pub use approver::{ApproverFixture, approver};
pub use audit::{AuditFixture, audit};
pub use bus::{BusFixture, bus};
pub use change_feed::{ChangeFeedFixture, change_feed};
pub use compactor::{CompactorFixture, compactor};
pub use detector::{DetectorFixture, detector};
pub use guardrail::{GuardrailFixture, guardrail};
pub use journal::{JournalFixture, journal};
pub use knowledge::{KnowledgeFixture, knowledge};
pub use language_model::{LanguageModelFixture, language_model};
pub use localizer::{LocalizerFixture, localizer};
pub use mask::{MaskFixture, mask};
pub use mitigator::{MitigatorFixture, mitigator};
pub use notifier::{NotifierFixture, notifier};
pub use planner::{PlannerFixture, planner};
pub use rca::{RcaFixture, rca};
pub use report::Report;
pub use source::{SourceFixture, source};
pub use verifier::{VerifierFixture, verifier};
