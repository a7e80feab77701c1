//! Entities and operations by number.

use std::collections::HashMap;
use std::sync::Arc;

use aiops_core::model::EntityId;

use super::digest::Operation;

/// Names by number.
#[derive(Debug, Default)]
pub(super) struct Names {
    entities: Vec<Arc<EntityId>>,
    entity_ids: HashMap<Arc<EntityId>, u32>,
    operations: Vec<(u32, Arc<str>)>,
    /// By entity.
    operation_ids: Vec<HashMap<Arc<str>, u32>>,
}

/// Name of all operations beyond the limit.
pub(super) const OTHER: &str = "<other>";

/// Operation under which lines of no span are counted.
pub(super) const NONE: &str = "";

impl Names {
    /// Number of an entity; `None` when there are too many.
    pub(super) fn entity(&mut self, id: &EntityId, most: usize) -> Option<u32> {
        if let Some(known) = self.entity_ids.get(id) {
            return Some(*known);
        }
        if self.entities.len() >= most {
            return None;
        }
        let number = u32::try_from(self.entities.len()).ok()?;
        let id = Arc::new(id.clone());
        self.entities.push(Arc::clone(&id));
        self.entity_ids.insert(id, number);
        self.operation_ids.push(HashMap::new());
        Some(number)
    }

    /// Number of an operation of an entity; of [`OTHER`] when there are too many.
    pub(super) fn operation(&mut self, entity: u32, name: &str, most: usize) -> u32 {
        let Some(known) = self.operation_ids.get_mut(entity as usize) else { return u32::MAX };
        if let Some(known) = known.get(name) {
            return *known;
        }
        if self.operations.len() >= most && name != OTHER && name != NONE {
            return self.operation(entity, OTHER, most);
        }
        let number = u32::try_from(self.operations.len()).unwrap_or(u32::MAX);
        let name: Arc<str> = name.into();
        self.operations.push((entity, Arc::clone(&name)));
        known.insert(name, number);
        number
    }

    pub(super) fn named(&self, operation: u32) -> Option<Operation> {
        let (entity, name) = self.operations.get(operation as usize)?;
        Some((Arc::clone(self.entities.get(*entity as usize)?), Arc::clone(name)))
    }

    /// Number of the entity of an operation, and its name.
    pub(super) fn numbered(&self, operation: u32) -> Option<&(u32, Arc<str>)> {
        self.operations.get(operation as usize)
    }

    /// Number of a known entity.
    pub(super) fn number(&self, entity: &EntityId) -> Option<u32> {
        self.entity_ids.get(entity).copied()
    }
}
