use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

/// Hides personal data and secrets (ING-08). Pure and synchronous, so that it can stand before every store and sender.
///
/// Equal secrets become equal tokens; text without secrets is returned as it is; masking twice changes nothing more.
pub trait Mask: Debug + Send + Sync + 'static {
    /// `text` without secrets.
    fn mask<'t>(&self, text: &'t str) -> Cow<'t, str>;
}

impl<M: Mask + ?Sized> Mask for Arc<M> {
    fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        (**self).mask(text)
    }
}

impl<M: Mask + ?Sized> Mask for Box<M> {
    fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        (**self).mask(text)
    }
}
