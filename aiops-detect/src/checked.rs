use std::fmt::Debug;

use aiops_compact::ConfigError;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Plain fields that configure something, with documented defaults and ranges.
pub trait Options:
    Debug + Clone + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field outside its range.
    fn validate(&self) -> Result<(), ConfigError>;
}

/// Options whose fields are within their ranges; reads and writes like the options themselves.
///
/// ```
/// use aiops_detect::{Checked, drift::PsiOptions};
/// let config = Checked::new(PsiOptions { bins: 20, ..Default::default() })?;
/// assert_eq!(config.options().bins, 20);
/// let error = Checked::new(PsiOptions { bins: 1, ..Default::default() }).unwrap_err();
/// assert_eq!(error.field(), "bins");
/// # Ok::<(), aiops_detect::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Checked<O: Options>(O);

impl<O: Options> Checked<O> {
    /// Checks `options`.
    ///
    /// # Errors
    /// Names the first field outside its range.
    pub fn new(options: O) -> Result<Self, ConfigError> {
        options.validate()?;
        Ok(Self(options))
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &O {
        &self.0
    }

    /// The options, to change some of them.
    #[must_use]
    pub fn into_options(self) -> O {
        self.0
    }
}

/// INVARIANT: defaults are within their ranges; a test of the crate checks each.
impl<O: Options> Default for Checked<O> {
    fn default() -> Self {
        Self(O::default())
    }
}

impl<O: Options> Serialize for Checked<O> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, O: Options> Deserialize<'de> for Checked<O> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(O::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
