use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use aiops_core::model::{Entity, EntityId};

/// What is known of targets: environment, class, owner and labels. It is asked at every hearing: keep it quick, and keep what it says as current
/// as a policy needs.
pub trait Inventory: Debug + Send + Sync + 'static {
    /// What is known of `id`, or `None`.
    fn entity(&self, id: &EntityId) -> Option<Arc<Entity>>;
}

impl Inventory for BTreeMap<EntityId, Arc<Entity>> {
    fn entity(&self, id: &EntityId) -> Option<Arc<Entity>> {
        self.get(id).cloned()
    }
}
