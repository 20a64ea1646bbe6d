//! `cargo scale`: many tenants on the local cluster, with pods that no kubelet runs, beside kubectl and helm.
//!
//! ```text
//! nodes ▸ tenants from nothing to Ready ▸ the same objects by kubectl ▸ by helm ▸ quiet ▸ restart ▸ changes beside broken ones
//! ```
//!
//! All in one run on one machine, so that the figures can be compared with one another. The cluster must have
//! nothing else to do. What the run made is removed at its end; the raw figures are printed as JSON too.

mod fake_cores;
mod fake_nodes;
mod figures;
mod idle;
mod peers;
mod spread;
mod tenants;

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use voicemail_test_cluster::Cluster;
use voicemail_test_cluster::image::{ImageRef, build_programs};
use voicemail_test_cluster::namespace::TestNamespace;
use voicemail_test_cluster::operator_audit::{mutations, requests, settle};
use voicemail_test_machine::cargo::Profile;
use voicemail_test_machine::progress::say;
use voicemail_tests::operator_process::{OperatorIdentity, OperatorProcess, install_crds};
use voicemail_tests::stage::{Installation, OperatorLock, Site};

use fake_nodes::FakeNodes;
use figures::{Figures, cpu_time, machine_cpu_time, resident_kib};
use idle::await_idle;
use spread::Spread;
use tenants::Tenants;

/// Measures an operator with many tenants.
#[derive(Parser)]
#[command(name = "cargo scale", bin_name = "cargo scale")]
struct Arguments {
    /// Tenants.
    #[arg(long, default_value_t = 1000, value_parser = parse_count)]
    tenants: usize,
    /// Tenants that are installed by helm, for comparison.
    #[arg(long, default_value_t = 100, value_parser = parse_count)]
    helm: usize,
    /// Minutes in which nothing happens.
    #[arg(long, default_value_t = 10)]
    quiet_minutes: u64,
    /// Tenants that can't become Ready, and changes that are timed beside them.
    #[arg(long, default_value_t = 100, value_parser = parse_count)]
    broken: usize,
}

/// Without one of each nothing can be compared.
fn parse_count(text: &str) -> Result<usize, String> {
    text.parse().map(NonZeroUsize::get).map_err(|_| "write a number of at least 1".to_owned())
}

#[tokio::main]
async fn main() -> ExitCode {
    voicemail_test_machine::install_crypto();
    let arguments = Arguments::parse();
    let mut figures = Figures { tenants: arguments.tenants, ..Figures::default() };
    let measured = measure(&arguments, &mut figures).await;
    // What was measured before something went wrong is worth a look too.
    say(&figures.table());
    if let Err(error) = measured {
        say(&format!("Error: {error:#}"));
        return ExitCode::FAILURE;
    }
    let missed = figures.missed();
    missed.iter().for_each(|bound| say(&format!("Missed: {bound}")));
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Shared state of all measurements.
struct Stage {
    cluster: Cluster,
    namespace: TestNamespace,
    identity: Arc<OperatorIdentity>,
    operator: OperatorProcess,
}

impl Stage {
    /// Mutating requests of the operator so far.
    async fn writes(&self, log: &voicemail_test_cluster::AuditLog) -> Result<Vec<String>> {
        settle(&self.cluster, log, self.namespace.name()).await?;
        mutations(log, &self.identity.username())
    }
}

async fn measure(arguments: &Arguments, figures: &mut Figures) -> Result<()> {
    tokio::task::spawn_blocking(|| build_programs(Profile::current())).await??;
    let cluster = Cluster::ensure().await?;
    // The tests' operator stays installed: two that watch the same tenants would undo each other's work.
    let site = Site::of_cluster(cluster.clone()).await?;
    let _lock = OperatorLock::alone(&site).await?;
    Installation::shared(&site).uninstall().await?;
    install_crds(&cluster)?;
    fake_cores::serve(cluster.client().await?).await?;
    let _nodes = FakeNodes::start(&cluster).await?;
    let spread = Spread::create(&cluster, "scale", arguments.tenants.max(arguments.broken)).await?;
    let tenants = Tenants::prepare(spread).await?;
    let namespace = TestNamespace::create(cluster.config().await?, "scale-operator").await?;
    let identity = Arc::new(OperatorIdentity::install_for_all(&cluster, namespace.name())?);
    let image = ImageRef::named("localhost/voicemail:none");
    let operator = OperatorProcess::start(identity.clone(), "operator-0", &image).await?;
    let mut stage = Stage { cluster, namespace, identity, operator };
    let played = play(&mut stage, arguments, &tenants, figures).await;
    drop(stage.operator);
    // While the fake nodes are there, which let go of their pods.
    played.and(tenants.remove().await).and(stage.identity.uninstall(&stage.cluster))
}

async fn play(
    stage: &mut Stage,
    arguments: &Arguments,
    tenants: &Tenants,
    figures: &mut Figures,
) -> Result<()> {
    await_idle().await?;
    let idle = resident_kib(stage.operator.pid()?)?;
    create_all(stage, arguments, tenants, idle, figures).await?;
    peers::compare(stage, arguments, tenants, figures).await?;
    rest(stage, arguments, figures).await?;
    restart(stage, arguments, figures).await?;
    change_beside_broken(arguments, tenants, figures).await
}

/// From nothing to Ready: a tenth first, then the rest, which shows whether it grows linearly.
async fn create_all(
    stage: &Stage,
    arguments: &Arguments,
    tenants: &Tenants,
    idle: u64,
    figures: &mut Figures,
) -> Result<()> {
    let log = stage.cluster.audit_log()?;
    let tenth = arguments.tenants.div_ceil(10);
    say(&format!("{} tenants, {tenth} of them first", arguments.tenants));
    let pid = stage.operator.pid()?;
    let before = (machine_cpu_time()?, cpu_time(pid)?);
    figures.first_tenth = tenants.create_ready(0..tenth).await?;
    figures.others = tenants.create_ready(tenth..arguments.tenants).await?;
    figures.machine_cpu = machine_cpu_time()?.saturating_sub(before.0);
    figures.operator_cpu = cpu_time(pid)?.saturating_sub(before.1);
    let writes = stage.writes(&log).await?;
    let objects = writes.iter().filter(|write| is_creation(write)).count();
    figures.objects_each = objects as f64 / arguments.tenants as f64;
    figures.writes_above = (writes.len() - objects) as f64 / arguments.tenants as f64;
    let asked = requests(&log, &stage.identity.username())?.len();
    figures.requests_each = asked as f64 / arguments.tenants as f64;
    let resident = resident_kib(pid)?;
    figures.resident_mib = resident as f64 / 1024.0;
    figures.kib_each = resident.saturating_sub(idle) as f64 / arguments.tenants as f64;
    Ok(())
}

/// An object that came to be, by server-side apply or by creation.
fn is_creation(write: &str) -> bool {
    write.ends_with(" 201")
}

async fn rest(stage: &Stage, arguments: &Arguments, figures: &mut Figures) -> Result<()> {
    await_idle().await?;
    say(&format!("{} quiet minutes", arguments.quiet_minutes));
    let (log, pid) = (stage.cluster.audit_log()?, stage.operator.pid()?);
    let (begin, before) = (Instant::now(), cpu_time(pid)?);
    tokio::time::sleep(Duration::from_secs(arguments.quiet_minutes * 60)).await;
    let spent = cpu_time(pid)?.saturating_sub(before);
    figures.quiet_cpu_percent = 100.0 * spent.as_secs_f64() / begin.elapsed().as_secs_f64();
    figures.quiet_writes = stage.writes(&log).await?.len();
    figures.quiet_minutes = arguments.quiet_minutes;
    Ok(())
}

async fn restart(stage: &mut Stage, arguments: &Arguments, figures: &mut Figures) -> Result<()> {
    say("a restart");
    let log = stage.cluster.audit_log()?;
    let begin = Instant::now();
    stage.operator.restart().await?;
    let wanted = arguments.tenants as f64;
    stage.operator.wait_for_reconcile(wanted - 0.5, Duration::from_secs(120)).await?;
    figures.restart = begin.elapsed();
    figures.restart_writes = stage.writes(&log).await?.len();
    Ok(())
}

async fn change_beside_broken(arguments: &Arguments, tenants: &Tenants, figures: &mut Figures) -> Result<()> {
    say(&format!("changes beside {} broken tenants", arguments.broken));
    tenants.create_broken(arguments.broken).await?;
    let mut times = Vec::new();
    for number in 0..arguments.broken.min(arguments.tenants) {
        times.push(tenants.time_change(number).await.with_context(|| format!("changing tenant {number}"))?);
    }
    ensure!(!times.is_empty(), "nothing was changed");
    times.sort();
    figures.change_median = times[times.len() / 2];
    figures.change_99th = times[(times.len() * 99).div_ceil(100) - 1];
    Ok(())
}
