//! Looking at the directory of definitions again and again, and handing out what changed.

use std::sync::Arc;
use std::time::Duration;

use lwm2m::Models;
use tokio::time::{MissedTickBehavior, interval};

use super::Objects;

/// Looks every `step` and gives other definitions to `apply`. Never ends.
///
/// A change is in effect two looks behind the last write to its file.
pub async fn watch(objects: Arc<Objects>, step: Duration, apply: impl Fn(Arc<Models>) + Send) {
    let mut step = interval(step);
    step.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        step.tick().await;
        let looked = Arc::clone(&objects);
        // A network file system may take its time.
        let change = tokio::task::spawn_blocking(move || looked.look()).await;
        if let Ok(Some(models)) = change {
            let loaded = objects.loaded();
            let (definitions, refused) = (loaded.definitions.len(), loaded.refused());
            tracing::info!(event = "objects_changed", definitions, refused);
            apply(models);
        }
    }
}
