//! What the gateway tells about itself: log lines and metrics.
//!
//! Serving the metrics page is the job of [`crate::http`].

mod logging;
mod metrics;
mod process;
mod rate_limit;
mod redacted;
mod shard_metrics;

pub use logging::{LoggingError, install, parse_level};
pub use metrics::{Metrics, Page, Source};
pub use rate_limit::{Pass, RateLimit};
pub use redacted::Redacted;
pub use shard_metrics::{Counter, Gauge, Reasons, ShardMetrics};
