//! Waits until the machine has nothing else to do, so that no measurement pays for what came before it: a cluster that has
//! just started, or namespaces that were just removed.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::figures::machine_cpu_time;

const WINDOW: Duration = Duration::from_secs(5);
/// Of one core.
const IDLE_SHARE: f64 = 0.3;
const MOST_WINDOWS: usize = 60;

pub(crate) async fn await_idle() -> Result<()> {
    for _ in 0..MOST_WINDOWS {
        let before = machine_cpu_time()?;
        tokio::time::sleep(WINDOW).await;
        let spent = machine_cpu_time()?.saturating_sub(before);
        if spent.as_secs_f64() < IDLE_SHARE * WINDOW.as_secs_f64() {
            return Ok(());
        }
    }
    bail!("the machine doesn't come to rest: end what else runs, or nothing can be compared")
}
