//! What is watched.

use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct State {
    hot: bool,
    restarts: u32,
}

/// A boiler: 60 °C, or 95 °C until it is restarted.
#[derive(Debug, Default)]
pub struct Boiler(Mutex<State>);

impl Boiler {
    pub fn overheat(&self) {
        self.state().hot = true;
    }

    pub fn restart(&self) {
        let mut state = self.state();
        state.hot = false;
        state.restarts += 1;
    }

    pub fn restarts(&self) -> u32 {
        self.state().restarts
    }

    pub fn degrees(&self) -> f64 {
        if self.state().hot { 95.0 } else { 60.0 }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
