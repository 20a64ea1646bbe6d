//! State shared by handlers: the services once their store is open, the authenticator in force, the metrics.

use super::rates::Rates;
use super::senders::Senders;
use super::{ApiError, ProblemKind};
use crate::auth::{Authenticator, Issuers};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use voicemail_api::config::TenantConfig;
use voicemail_engine::core::Core;
use voicemail_mailer::Health;
use voicemail_model::clock::World;
use voicemail_telemetry::{Exports, Metrics};

/// How far the process has come.
#[derive(Clone)]
pub enum Stage {
    /// The store isn't open yet.
    Opening {
        /// Why not, in one word.
        reason: &'static str,
        /// Why not, in a sentence.
        message: String,
    },
    /// Serving.
    Open(Arc<Core>),
    /// Being shut down; requests under way are still served.
    Stopping(Arc<Core>),
}

/// Shared by all handlers; cheap to clone.
#[derive(Clone)]
pub struct App {
    stage: watch::Receiver<Stage>,
    authenticator: watch::Receiver<Arc<Authenticator>>,
    config: watch::Receiver<Arc<TenantConfig>>,
    world: World,
    rates: Arc<Rates>,
    senders: Arc<Senders>,
    demonstration: bool,
    /// Counters.
    pub metrics: Metrics,
    /// Where spans go.
    pub exports: Exports,
    /// Whether e-mails go out.
    pub mails: Arc<Health>,
    /// Whether people could sign in at the issuers of the pages.
    pub issuers: Arc<Issuers>,
    /// Deposits under way, which outlive their connections.
    pub uploads: TaskTracker,
}

impl App {
    /// An app that follows the stage, the authenticator and the configuration.
    pub fn new(
        stage: watch::Receiver<Stage>,
        authenticator: watch::Receiver<Arc<Authenticator>>,
        config: watch::Receiver<Arc<TenantConfig>>,
        world: World,
        metrics: Metrics,
    ) -> Self {
        let (rates, senders, uploads) = (Arc::default(), Arc::default(), TaskTracker::new());
        let exports = Exports::default();
        let demonstration = false;
        let (mails, issuers) = (Arc::default(), Arc::default());
        Self {
            stage,
            authenticator,
            config,
            world,
            rates,
            senders,
            demonstration,
            metrics,
            exports,
            mails,
            issuers,
            uploads,
        }
    }

    /// For people to look at: the pages say that it is no service.
    #[must_use]
    pub fn as_demonstration(self) -> Self {
        Self { demonstration: true, ..self }
    }

    /// Whether the pages say that this is no service.
    pub(crate) fn is_demonstration(&self) -> bool {
        self.demonstration
    }

    /// The configuration in force.
    pub(crate) fn config(&self) -> Arc<TenantConfig> {
        Arc::clone(&self.config.borrow())
    }

    /// The configuration in force, with news of its changes.
    pub(crate) fn watch_config(&self) -> watch::Receiver<Arc<TenantConfig>> {
        self.config.clone()
    }

    /// Waits, by this process's clock.
    pub(crate) async fn sleep(&self, duration: Duration) {
        self.world.sleep(duration).await;
    }

    /// The clients' use of their limits.
    pub(super) fn rates(&self) -> &Rates {
        &self.rates
    }

    /// Which accounts name callers.
    pub(super) fn senders(&self) -> &Senders {
        &self.senders
    }

    /// For intervals within this process.
    pub(super) fn monotonic(&self) -> Duration {
        self.world.monotonic()
    }

    /// How far the process has come.
    pub fn stage(&self) -> Stage {
        self.stage.borrow().clone()
    }

    /// Returns once the process is being stopped.
    pub(super) fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stage = self.stage.clone();
        async move {
            // The sender is gone only when the process is.
            let _ = stage.wait_for(|stage| matches!(stage, Stage::Stopping(_))).await;
        }
    }

    /// The authenticator in force.
    pub(crate) fn authenticator(&self) -> Arc<Authenticator> {
        Arc::clone(&self.authenticator.borrow())
    }

    /// The services, or that they can't be had yet.
    pub(crate) fn core(&self) -> Result<Arc<Core>, ApiError> {
        match self.stage() {
            Stage::Open(core) | Stage::Stopping(core) => Ok(core),
            Stage::Opening { reason, .. } => Err(ApiError::new(
                ProblemKind::NotOpen,
                format!("the store isn't open yet ({reason}): try again"),
            )),
        }
    }
}
