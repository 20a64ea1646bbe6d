//! What people wait for when the store is in another city: `cargo bench -p voicemail-tests --bench latency`.
//!
//! MinIO behind a proxy that holds each answer back by 0, 10, 30 and 100 ms (`DELAYS=0,30` for others). The program serves
//! from it over HTTP, authentication and the audit log included, and beside it, through a proxy of its own, the bare store does the
//! same calls with the same number under way at a time, in turn and in one run. Told are both, the ratio, and how many requests to the store
//! each took. `ERASE=10000` erases so many messages besides, at 30 ms; `DELAYS= ERASE=50,600` erases only. Figures of a shared machine are compared, never judged: the bench
//! fails only if a request does.
//!
//! Then the same over a volume behind a network, where each operation of the file system takes 1 and 3 ms (`OPERATIONS=1` for others): told
//! are operations instead of requests.

mod bare;
mod requests;
mod rights;
mod scene;

use anyhow::{Context as _, Result};
use scene::Scene;
use std::time::Duration;

/// One line of the table.
pub(crate) struct Row {
    what: String,
    unit: &'static str,
    ours: f64,
    bare: f64,
    /// Requests of each to the store, for one of what is told.
    requests: (f64, f64),
}

impl Row {
    fn print(&self) {
        let Self { what, unit, ours, bare, requests } = self;
        // Of a rate more is better.
        let ratio = if unit.ends_with("/s") { ours / bare * 100.0 } else { bare / ours * 100.0 };
        println!(
            "| {what} | {ours:.1} {unit} | {bare:.1} {unit} | {ratio:.0} % | {:.1} | {:.1} |",
            requests.0, requests.1
        );
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    voicemail_test_machine::install_crypto();
    let given = std::env::var("DELAYS").unwrap_or_else(|_| "0,10,30,100".into());
    let delays = read_numbers(&given).context("DELAYS")?;
    let erase = read_numbers(&std::env::var("ERASE").unwrap_or_default()).context("ERASE")?;
    let given = std::env::var("OPERATIONS").unwrap_or_else(|_| "1,3".into());
    let operations = read_numbers(&given).context("OPERATIONS")?;
    if !delays.is_empty() || !erase.is_empty() {
        let scene = Scene::on_object_store().await?;
        measure(&scene, ("ms an answer", "requests"), &delays).await?;
        for many in erase {
            rights::measure_erasure_alone(&scene, many).await?;
        }
    }
    if !operations.is_empty() {
        let scene = Scene::on_volume().await?;
        measure(&scene, ("ms an operation of the volume", "operations"), &operations).await?;
    }
    Ok(())
}

/// The table at each distance.
async fn measure(scene: &Scene, (distance, calls): (&str, &str), delays: &[u64]) -> Result<()> {
    for delay in delays {
        let pause = Duration::from_millis(*delay);
        println!(
            "\n{delay} {distance}\n\n| what | voicemail | bare store | of the bare store's speed | {calls} | the bare store's |"
        );
        println!("|---|---|---|---|---|---|");
        requests::measure(scene, pause).await?;
        rights::measure(scene, pause).await?;
        scene.go_far(Duration::ZERO)?;
    }
    Ok(())
}

/// Numbers with commas between them; none of an empty text.
fn read_numbers(text: &str) -> Result<Vec<u64>> {
    let named = text.split(',').filter(|number| !number.is_empty());
    Ok(named.map(str::parse).collect::<Result<_, _>>()?)
}
