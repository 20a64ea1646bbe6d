//! A call from its INVITE to its end: signalling, audio, the core and the spool tied together.
//!
//! ```text
//! call ─▶ what is it for? ─▶ deposit: reception · greeting · beep · recording ─▶ spool
//! ```

mod deposit;
mod line;
mod logins;
mod retrieval;
mod session;
mod speech;

pub use logins::Logins;
pub use speech::{Speaker, Speech, SpeechError};

use crate::config::Config;
use crate::core::Voicemail;
use crate::media::Counters;
use crate::media::ports::Ports;
use crate::signalling::IncomingCall;
use crate::signalling::evidence::Purpose;
use crate::spool::{Courier, Spool};
use crate::telemetry::Metrics;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;

/// Everything that calls use.
pub struct Services {
    /// The configuration.
    pub config: Arc<Config>,
    /// The core.
    pub voicemail: Arc<dyn Voicemail>,
    /// Recordings that wait.
    pub spool: Arc<Spool>,
    /// Who carries them.
    pub courier: Arc<Courier>,
    /// Ports of audio.
    pub ports: Arc<Ports>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Counts of audio.
    pub counters: Arc<Counters>,
    /// What is said, and what keys do, if that is configured.
    pub speaker: Option<Arc<Speaker>>,
    /// Failed logins.
    pub logins: Logins,
    /// Mailboxes whose counts may have changed.
    pub changed: mpsc::UnboundedSender<Changed>,
}

impl Services {
    /// The prompts and the menu of a call that begins now.
    fn speech(&self) -> Option<Arc<Speech>> {
        self.speaker.as_ref().map(|speaker| speaker.current())
    }
}

/// A mailbox that a call has changed.
pub type Changed = crate::spool::Deposited;

/// How a call ended, for metrics and the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A message was left.
    Recorded,
    /// Nothing was said.
    Empty,
    /// The caller hung up before the beep.
    Abandoned,
    /// It was refused with this status.
    Refused(u16),
    /// An owner opened a mailbox.
    Opened,
    /// Somebody dialled in and opened none.
    Closed,
    /// It failed on our side.
    Failed,
}

impl Outcome {
    /// The metric's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Empty => "empty",
            Self::Abandoned => "abandoned",
            Self::Refused(_) => "refused",
            Self::Opened => "opened",
            Self::Closed => "closed",
            Self::Failed => "failed",
        }
    }
}

/// Serves a call.
pub async fn serve(services: Arc<Services>, call: IncomingCall) {
    let (id, trunk, began) = (call.id, call.trunk.clone(), Instant::now());
    let purpose =
        services.config.trunks.iter().find(|known| known.name == trunk).and_then(|trunk| {
            call.evidence.purpose(trunk, |number| services.config.is_access_number(number))
        });
    let kind = match &purpose {
        Some(Purpose::Deposit(_)) => "deposit",
        Some(Purpose::Retrieval) => "retrieval",
        None => "none",
    };
    let active = services.metrics.begin_call(kind);
    let outcome = match purpose {
        Some(Purpose::Deposit(mailbox)) => deposit::serve(&services, call, mailbox).await,
        Some(Purpose::Retrieval) => match services.speech() {
            Some(speech) => retrieval::serve(&services, call, &speech).await,
            None => refuse(call, 404).await,
        },
        None => refuse(call, 404).await,
    };
    drop(active);
    services.metrics.count_call(&trunk, kind, outcome.label());
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(call = %id, trunk, kind, outcome = outcome.label(), ms, "call");
}

async fn refuse(call: IncomingCall, status: u16) -> Outcome {
    call.leg.reject(status).await;
    Outcome::Refused(status)
}
