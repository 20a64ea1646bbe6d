//! `voicemail-operator run` works in a cluster; `crds [--check]` writes the CRD files; `import` turns the vendor's
//! list of tenants into manifests; `pre-delete` refuses the operator's removal while there are tenants; `migrate` converts
//! objects of the former API version.
//!
//! `run` installs the TLS provider first, answers probes, waits until it leads, and then runs both
//! controllers until a signal comes or the lease is lost; in both cases it ends, and is started again.

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use k8s_openapi::api::core::v1::Namespace;
use kube::client::ClientBuilder;
use kube::{Api, Client, Config, ResourceExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use voicemail_migration::{import, migrate};
use voicemail_operator::health::{self, Health};
use voicemail_operator::settings::{Namespaces, Settings, parse_namespaces};
use voicemail_operator::tenant::context::Context;
use voicemail_operator::tenant::facts::policies::read_file;
use voicemail_operator::{controllers, pre_delete, telemetry};
use voicemail_resources::crd_files;
use voicemail_runtime::calls::within_deadline;
use voicemail_runtime::fence::{Fence, FenceLayer};
use voicemail_runtime::leader;
use voicemail_runtime::metrics::Metrics;
use voicemail_runtime::reconciling::requests::CountLayer;

/// Running reconciles may end within this time after a signal.
const GRACE: Duration = Duration::from_secs(25);
/// After the lease is lost, another may begin in five seconds.
const GRACE_WITHOUT_LEASE: Duration = Duration::from_secs(4);

#[derive(Parser)]
#[command(version, about = "Kubernetes operator for voicemail tenants and data-subject requests")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the controllers.
    Run(Box<Settings>),
    /// Writes the CRD files.
    Crds {
        /// Compares instead of writing.
        #[arg(long)]
        check: bool,
        /// Top folder of the repository.
        #[arg(long, default_value = ".")]
        root: PathBuf,
    },
    /// Fails while there are tenants, which a removed operator would leave stuck.
    PreDelete {
        /// Namespaces to look into, separated by commas; all when empty.
        #[arg(long, env = "WATCH_NAMESPACES", default_value = "", value_parser = parse_namespaces)]
        watch_namespaces: Namespaces,
    },
    /// Turns the vendor's list of tenants and chart values into manifests.
    Import(import::Arguments),
    /// Converts objects of the former API version: what a cluster has stored, or manifests.
    Migrate(migrate::Arguments),
}

fn main() -> anyhow::Result<()> {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        bail!("a TLS provider is installed already");
    }
    match Arguments::parse().command {
        Command::Run(settings) => {
            telemetry::start();
            tokio::runtime::Runtime::new()?.block_on(run(*settings))
        }
        Command::PreDelete { watch_namespaces } => tokio::runtime::Runtime::new()?.block_on(async {
            let (client, _) = connect(&Fence::default(), &Arc::default()).await?;
            Ok(pre_delete::check(&client, &watch_namespaces).await?)
        }),
        Command::Import(arguments) => {
            print!("{}", import::run(&arguments)?);
            Ok(())
        }
        Command::Migrate(arguments) => {
            let text = match &arguments.file {
                Some(file) => migrate::convert_file(file)?,
                None => tokio::runtime::Runtime::new()?.block_on(async {
                    let (client, _) = connect(&Fence::default(), &Arc::default()).await?;
                    anyhow::Ok(migrate::convert_cluster(&client, &arguments).await?)
                })?,
            };
            print!("{text}");
            Ok(())
        }
        Command::Crds { check: true, root } => Ok(crd_files::check(&root)?),
        Command::Crds { check: false, root } => Ok(crd_files::write(&root)?),
    }
}

async fn run(mut settings: Settings) -> anyhow::Result<()> {
    settings.identity = Some(settings.replica());
    let metrics = Arc::new(Metrics::default());
    let health = Arc::new(Health::new(metrics.clone()));
    health::serve(settings.health_address, health.clone()).context("the health address can't be had")?;
    let signs = health.clone();
    tokio::spawn(async move { signs.give_signs().await });
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    let fence = Fence::default();
    let (client, fenced) = connect(&fence, &metrics).await?;
    let context = Arc::new(build_context(fenced, settings, metrics, fence.clone()).await?);
    health.set_ready();
    work(context, Election { client, fence }, stop).await
}

fn stop_on_signal(stop: CancellationToken) -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("stopping");
        stop.cancel();
    });
    Ok(())
}

/// Retrying is left to the work queue's back-off: kube's own retries could take minutes within one call.
///
/// Two clients: the election's, and the controllers', which writes only while this replica leads.
async fn connect(fence: &Fence, metrics: &Arc<Metrics>) -> anyhow::Result<(Client, Client)> {
    let mut config = Config::infer().await.context("no cluster is configured")?;
    config.default_retry = false;
    let counted = CountLayer(metrics.clone());
    let fenced = ClientBuilder::try_from(config.clone())?.with_layer(&counted);
    let fenced = fenced.with_layer(&FenceLayer(fence.clone())).build();
    Ok((ClientBuilder::try_from(config)?.with_layer(&counted).build(), fenced))
}

/// Inputs of the leader election.
struct Election {
    client: Client,
    fence: Fence,
}

async fn build_context(
    client: Client,
    settings: Settings,
    metrics: Arc<Metrics>,
    fence: Fence,
) -> anyhow::Result<Context> {
    let cluster = match &settings.cluster {
        Some(name) if !name.is_empty() => name.clone(),
        _ => read_cluster(&client).await?,
    };
    // Plain HTTP: without certificates that it could trust, since a machine without any would be refused. Each pod is
    // asked once a minute at most: to keep its connection would cost 24 KiB.
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).pool_max_idle_per_host(0).build()?;
    let of_file = settings.policies_file.as_deref().map(read_file).transpose()?.unwrap_or_default();
    Ok(Context::new(client, http, settings, cluster, metrics, fence).with_policies(of_file))
}

async fn read_cluster(client: &Client) -> anyhow::Result<String> {
    let api: Api<Namespace> = Api::all(client.clone());
    let namespace =
        within_deadline("read the UID of the namespace kube-system", api.get("kube-system")).await;
    let namespace = namespace.context("give this cluster a name by CLUSTER_NAME instead")?;
    namespace.uid().context("the namespace kube-system has no UID")
}

/// Waits for the lease, then works.
async fn work(context: Arc<Context>, election: Election, stop: CancellationToken) -> anyhow::Result<()> {
    let (elected, release) = (CancellationToken::new(), CancellationToken::new());
    let settings = &context.settings;
    let election = leader::lead(
        election.client,
        &settings.namespace,
        settings.replica(),
        context.metrics.clone(),
        election.fence,
        elected.clone(),
        release.clone(),
    );
    let controllers = async {
        tokio::select! { () = elected.cancelled() => {}, () = stop.cancelled() => return }
        controllers::run(context.clone(), stop.clone()).await;
    };
    tokio::pin!(election, controllers);
    tokio::select! {
        () = &mut election => {
            stop.cancel();
            let _ = tokio::time::timeout(GRACE_WITHOUT_LEASE, controllers).await;
            bail!("the lease is lost: another replica takes over");
        }
        () = end_within(&mut controllers, &stop) => {}
    }
    release.cancel();
    election.await;
    Ok(())
}

/// The controllers' end, or the end of the grace period after the signal.
async fn end_within(controllers: impl Future<Output = ()>, stop: &CancellationToken) {
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! { () = controllers => {}, () = overdue => tracing::warn!("a reconcile did not end in time") }
}
