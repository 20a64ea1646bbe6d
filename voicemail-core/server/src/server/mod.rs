//! The process: two listeners, one store, and what may change while it runs.
//!
//! ```text
//! bind ─▶ metrics port up (ready: no) ─▶ certificate ─▶ API port up (503) ─▶ store open ─▶ ready, sweeping
//!                      each step is retried, and /readyz says which one it is and why
//! store restored meanwhile ─▶ ready: no (503), and it is opened again, which says what to do
//! stop ─▶ ready: no, sweeper cancelled ─▶ requests under way end ─▶ deposits under way end ─▶ exit
//! ```
//!
//! Configuration and certificate are files that are read again every few seconds; what is wrong with a
//! new one is logged and the last good one stays. Only a configuration that is wrong from the start, or an
//! address that can't be bound, ends the process.

mod error;
mod gate;
mod health;
mod listen;
mod loopback;
mod opening;
mod protocol;
mod reload;
mod tls;

pub use error::ServeError;

use crate::auth::Authenticator;
use crate::http::{App, Stage, router_beside};
use crate::web;
use axum::middleware::from_fn;
use gate::{Gate, Port};
use listen::Listener;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use voicemail_api::config::TenantConfig;
use voicemail_engine::core::Core;
use voicemail_mailer::Health;
use voicemail_model::clock::World;
use voicemail_telemetry::Metrics;

/// How long the API port still takes connections while the cluster learns that this replica stops.
const NOTICE: Duration = Duration::from_secs(3);
/// How long requests under way may take to end.
const DRAIN: Duration = Duration::from_secs(22);
/// How long deposits whose clients have gone, and the sweeper, may take to end after that. All in all a
/// stop takes less than the 30 s that a cluster grants by default.
const LAST_TASKS: Duration = Duration::from_secs(1);

const SHUTTING_DOWN: &str = "ShuttingDown";
const RESTORE_DETECTED: &str = "RestoreDetected";

/// A process that is bound to its ports.
pub struct Server {
    state: State,
    api: Listener,
    metrics: Listener,
}

/// State shared by the parts of the process.
#[derive(Clone)]
struct State {
    file: Arc<PathBuf>,
    app: App,
    world: World,
    config: Arc<watch::Sender<Arc<TenantConfig>>>,
    authenticator: Arc<watch::Sender<Arc<Authenticator>>>,
    stage: Arc<watch::Sender<Stage>>,
}

impl State {
    fn config(&self) -> Arc<TenantConfig> {
        Arc::clone(&self.config.borrow())
    }

    fn metrics(&self) -> &Metrics {
        &self.app.metrics
    }

    /// Says why the store isn't open yet.
    fn explain(&self, reason: &'static str, message: String) {
        tracing::warn!(reason, cause = %message, "not open yet");
        self.stage.send_replace(Stage::Opening { reason, message });
    }

    /// Takes readiness away; requests are still served.
    fn begin_stop(&self) {
        self.stage.send_modify(|stage| {
            *stage = match stage {
                Stage::Open(core) | Stage::Stopping(core) => Stage::Stopping(Arc::clone(core)),
                Stage::Opening { .. } => {
                    Stage::Opening { reason: SHUTTING_DOWN, message: "this replica is being stopped".into() }
                }
            };
        });
    }

    /// Puts the services into force; a stop that came first leaves readiness away.
    fn announce(&self, core: &Arc<Core>) {
        self.stage.send_modify(|stage| {
            let stopping = matches!(stage, Stage::Opening { reason: SHUTTING_DOWN, .. });
            let core = Arc::clone(core);
            *stage = if stopping { Stage::Stopping(core) } else { Stage::Open(core) };
        });
    }
}

impl Server {
    /// Reads the configuration and binds both ports.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub fn bind(file: &Path, world: World) -> Result<Self, ServeError> {
        let (_, config) = reload::read(file)?;
        let authenticator = Arc::new(Authenticator::new(&config.auth, &world)?);
        let opening = Stage::Opening { reason: "Starting", message: "the store is being opened".into() };
        let (stage, stage_seen) = watch::channel(opening);
        let (authenticator, authenticator_seen) = watch::channel(authenticator);
        let (api, metrics) = (Listener::bind(config.listen.api)?, Listener::bind(config.listen.metrics)?);
        let metrics_of_tenant = Metrics::of_tenant(&config.tenant_id);
        let (config, config_seen) = watch::channel(Arc::new(config));
        let app = App::new(stage_seen, authenticator_seen, config_seen, world.clone(), metrics_of_tenant);
        {
            let config = config.borrow();
            app.exports.configure(config.telemetry.otlp.as_ref(), &config.tenant_id, &config.region)?;
        }
        let state = State {
            file: Arc::new(file.to_owned()),
            app,
            world,
            config: Arc::new(config),
            authenticator: Arc::new(authenticator),
            stage: Arc::new(stage),
        };
        Ok(Self { state, api, metrics })
    }

    /// As [`bind`](Self::bind), for people on this machine alone: the pages say that it is no service, and requests for
    /// another host are refused.
    ///
    /// # Errors
    /// See [`ServeError`]; `NotLoopback` for an address that others could reach.
    pub fn bind_demonstration(file: &Path, world: World) -> Result<Self, ServeError> {
        let Self { mut state, api, metrics } = Self::bind(file, world)?;
        if let Some(listener) = [&api, &metrics].into_iter().find(|one| !one.address.ip().is_loopback()) {
            return Err(ServeError::NotLoopback(listener.address));
        }
        state.app = state.app.as_demonstration();
        Ok(Self { state, api, metrics })
    }

    /// The services once the store is open; nothing when the process stops before.
    pub fn opened(&self) -> impl Future<Output = Option<Arc<Core>>> + Send + use<> {
        let mut stage = self.state.stage.subscribe();
        async move {
            let done =
                |stage: &Stage| !matches!(stage, Stage::Opening { reason, .. } if *reason != SHUTTING_DOWN);
            match &*stage.wait_for(done).await.ok()? {
                Stage::Open(core) => Some(Arc::clone(core)),
                _ => None,
            }
        }
    }

    /// Where the API listens.
    pub fn api_address(&self) -> SocketAddr {
        self.api.address
    }

    /// Where health and metrics listen.
    pub fn metrics_address(&self) -> SocketAddr {
        self.metrics.address
    }

    /// Serves until told to stop, then ends in good order: what was acknowledged is stored, what wasn't
    /// is either stored or gone.
    pub async fn run(self, stop: CancellationToken) {
        let Self { state, api, metrics } = self;
        tracing::info!(api = %api.address, metrics = %metrics.address, "listening");
        let notice = if api.address.ip().is_loopback() { Duration::ZERO } else { NOTICE };
        let (api_handle, metrics_handle) = (api.handle.clone(), metrics.handle.clone());
        let health = tokio::spawn(
            metrics.serve_plain(health::router(state.app.clone()), Gate::new(&state, Port::Metrics)),
        );
        let work = tokio::spawn(work(state.clone(), api, stop.clone()));
        let following = tokio::spawn(reload::follow(state.clone()));
        let watching = tokio::spawn(web::watch(state.app.clone()));
        stop.cancelled().await;
        tracing::info!("stopping");
        state.begin_stop();
        following.abort();
        watching.abort();
        state.world.sleep(notice).await;
        api_handle.graceful_shutdown(Some(DRAIN));
        report("work", timeout(DRAIN + LAST_TASKS, work).await.is_ok());
        state.app.uploads.close();
        report("uploads", timeout(LAST_TASKS, state.app.uploads.wait()).await.is_ok());
        metrics_handle.shutdown();
        report("health", timeout(LAST_TASKS, health).await.is_ok());
        state.app.exports.close().await;
        tracing::info!("stopped");
    }
}

fn report(what: &'static str, ended: bool) {
    if !ended {
        tracing::warn!(what, "didn't end in time");
    }
}

/// Brings the API port and the store up, sweeps until told to stop, and waits for the port's last request.
async fn work(state: State, api: Listener, stop: CancellationToken) {
    let Some(certificate) = opening::until(&stop, tls::load(&state)).await else { return };
    let (mut routes, gate) = (router_beside(state.app.clone(), web::routes()), Gate::new(&state, Port::Api));
    if state.app.is_demonstration() {
        routes = routes.layer(from_fn(loopback::require_own_name));
    }
    let (following, serving) = match certificate {
        Some((rustls, seen)) => {
            let following = tokio::spawn(tls::follow(state.clone(), rustls.clone(), seen));
            (Some(following), tokio::spawn(api.serve_tls(routes, rustls, gate)))
        }
        None => (None, tokio::spawn(api.serve_plain(routes, gate))),
    };
    let serving = async {
        if let Err(error) = serving.await {
            tracing::error!(%error, "the API's listener ended");
        }
    };
    let mut serving = pin!(serving);
    loop {
        let Some(core) = opening::until(&stop, opening::open(&state)).await else {
            serving.await;
            break;
        };
        let running = Box::pin(run(&core, &stop, serving.as_mut(), (state.metrics(), &state.app.mails)));
        match running.await {
            Ended::Stopped => break,
            // Nothing of what this core remembers of its store holds any more: another one opens it.
            Ended::Restored(what) => state.explain(RESTORE_DETECTED, what),
        }
    }
    if let Some(following) = following {
        following.abort();
    }
}

/// Why a core runs no longer.
enum Ended {
    Stopped,
    /// Its store was restored from a backup meanwhile, as said.
    Restored(String),
}

/// Sweeps until told to stop, and keeps MWI states right as long as requests may change them.
async fn run(
    core: &Core,
    stop: &CancellationToken,
    serving: impl Future<Output = ()>,
    (metrics, health): (&Metrics, &Health),
) -> Ended {
    let work = async {
        let sweeping = async {
            core.run_sweeper(stop.clone()).await;
            serving.await;
        };
        tokio::join!(sweeping, voicemail_mailer::run(core, metrics, health, stop));
    };
    tokio::select! {
        () = work => {}
        () = core.run_mwi() => {}
        what = core.await_restore() => return Ended::Restored(what),
    }
    if let Ok(Err(error)) = timeout(LAST_TASKS, core.leave_mwi()).await {
        tracing::warn!(reason = error.reason(), %error, "MWI states that weren't delivered wait for the next start");
    }
    Ended::Stopped
}
