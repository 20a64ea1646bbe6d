//! What every controller needs, whatever it reconciles.
//!
//! ```text
//!  main ─▶ leader: one replica works at a time, and the fence stops the writes of one that lost the lease
//!  controllers ─▶ reconciling: watches ─▶ queue ─▶ a reconcile with a deadline ─▶ back-off
//!                     │                                 │
//!                     ▼                                 ▼
//!                  metrics, population               calls: one deadline and one class of error for each
//! ```
//!
//! No rule about tenants or requests is here. What can go wrong is told by the modules; none of them ends the process.

pub mod calls;
pub mod drift;
pub mod fence;
pub mod leader;
pub mod metrics;
pub mod place;
pub mod population;
pub mod reconciling;
pub mod redact;
