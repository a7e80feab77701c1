//! From a synchronous detector to the seam.

/// Implements [`Detector`](aiops_core::seam::Detector) for a type with a constant `ID`, a field `hash`, and a method `find(&TelemetryWindow)`:
/// everything but finding is the same in every detector.
macro_rules! detector {
    ($name:ty) => {
        #[async_trait::async_trait]
        impl aiops_core::seam::Detector for $name {
            fn id(&self) -> aiops_core::model::DetectorId {
                aiops_core::model::DetectorId(Self::ID.to_owned())
            }

            fn fitted(&self) -> aiops_core::model::FittedHash {
                self.hash.clone()
            }

            async fn detect(
                &self,
                window: &aiops_core::model::TelemetryWindow,
                ctx: &aiops_core::Context,
            ) -> aiops_core::Result<Vec<aiops_core::model::Anomaly>> {
                ctx.check().map_err(|e| e.at("Detector::detect"))?;
                Ok(self.find(window))
            }
        }
    };
}

pub(crate) use detector;
