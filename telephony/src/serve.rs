//! The process: parts are made, calls are served until SIGTERM, then those in progress may end.
//!
//! A process is ready once the core lets it in: one that is added to a running tenant comes before the core's settings know it,
//! and phones that subscribed then would be refused. A core that is away keeps nobody waiting: that is what the spool is for.
//!
//! After the first signal no new call is taken and `/readyz` says so; calls go on until `drain` is over; a recording that is
//! cut off then is kept. The spool is emptied as far as the core allows.

use crate::calls::{Changed, Logins, Services, Speaker, SpeechError, serve as serve_call};
use crate::config::Config;
use crate::core::{CoreError, HttpsCore, Voicemail};
use crate::media::Counters;
use crate::media::ports::Ports;
use crate::mwi::{self, Board};
use crate::signalling::rsip::{Rsip, RsipError};
use crate::signalling::{Incoming, Signalling};
use crate::spool::{Courier, Reporter, Spool, SpoolError};
use crate::telemetry::{Health, Metrics, serve as serve_http};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use voicemail_api::ErrorClass;

/// How long phones may take to hear that they must subscribe elsewhere.
const LEAVING: Duration = Duration::from_secs(5);
/// How often a core that refuses is asked again at the start.
const ADMISSION: Duration = Duration::from_secs(2);
/// The mailbox that the core is asked about then. Whether there is one doesn't matter.
const ANY: &str = "0";
/// How long the core may take to hear what stays in the spool.
const LAST_WORD: Duration = Duration::from_secs(2);

/// Why the process can't serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The core's files.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// The spool.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// Prompts or menu.
    #[error(transparent)]
    Speech(#[from] SpeechError),
    /// SIP.
    #[error(transparent)]
    Sip(#[from] RsipError),
    /// The port of health and metrics.
    #[error("listening on {0}: {1}")]
    Metrics(std::net::SocketAddr, std::io::Error),
}

impl ServeError {
    /// Whether starting again may help.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Core(error) => error.class(),
            Self::Spool(error) => error.class(),
            Self::Speech(error) => error.class(),
            Self::Sip(error) => error.class(),
            Self::Metrics(..) => ErrorClass::Transient,
        }
    }
}

/// Serves until `stop` is done, and then until calls are.
///
/// # Errors
/// [`ServeError`] if it can't begin.
pub async fn serve(config: Config, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
    let config = Arc::new(config);
    let health = Arc::new(Health::default());
    let (services, sip, board) = begin(&config, &health).await?;
    let (draining, told) = watch::channel(false);
    let (mut calls, mut phones) = (JoinSet::new(), JoinSet::new());
    let (mut stop, mut ready) = (std::pin::pin!(stop), false);
    let mut admitted = std::pin::pin!(wait_for_admission(services.voicemail.as_ref()));
    loop {
        tokio::select! {
            () = &mut stop => break,
            () = &mut admitted, if !ready => {
                ready = true;
                health.set_ready(true);
                tokio::spawn(tell_trunks(&services, &board, &sip));
            }
            incoming = sip.next() => match incoming {
                Some(Incoming::Call(call)) => drop(calls.spawn(serve_call(services.clone(), *call))),
                Some(Incoming::Subscription(phone)) => {
                    phones.spawn(mwi::take(services.clone(), board.clone(), *phone, told.clone()));
                }
                None => break,
            },
            Some(_ended) = phones.join_next() => {}
            Some(_ended) = calls.join_next() => {}
        }
    }
    health.set_ready(false);
    sip.drain();
    // Whoever listens is among the tasks that end by it.
    let _ = draining.send(true);
    tracing::info!(calls = calls.len(), "stopping");
    let leaving = async { while phones.join_next().await.is_some() {} };
    let (left, ()) =
        tokio::join!(tokio::time::timeout(LEAVING, leaving), drain(&services, sip.as_ref(), &mut calls));
    if left.is_err() {
        tracing::warn!("phones that don't answer weren't told of the end");
    }
    Ok(())
}

/// Returns once the core doesn't refuse this process.
async fn wait_for_admission(voicemail: &dyn Voicemail) {
    while let Err(error @ CoreError::Refused { status: 401 | 403 }) = voicemail.counts(ANY).await {
        tracing::warn!(%error, "not ready before the core lets this telephone in");
        tokio::time::sleep(ADMISSION).await;
    }
}

type Parts = (Arc<Services>, Arc<Rsip>, Arc<Board>);

async fn begin(config: &Arc<Config>, health: &Arc<Health>) -> Result<Parts, ServeError> {
    let voicemail: Arc<dyn Voicemail> = Arc::new(HttpsCore::new(&config.core)?);
    let spool = Arc::new(Spool::open(&config.spool)?);
    let trunks = config.trunks.iter().map(|trunk| trunk.name.as_str());
    let metrics = Arc::new(Metrics::from_nought(trunks));
    let speaker = config.dialogue.as_ref().map(Speaker::read).transpose()?.map(Arc::new);
    speaker.iter().for_each(|speaker| drop(tokio::spawn(speaker.clone().follow())));
    let (changed, changes) = mpsc::unbounded_channel();
    let counted = metrics.clone();
    let count = move |outcome| counted.count_deposit(outcome);
    let courier =
        Courier::new(spool.clone(), voicemail.clone(), config.spool.max_age, changed.clone(), count);
    tokio::spawn(courier.clone().run());
    tokio::spawn(Reporter::new(spool.clone(), voicemail.clone(), config.front()).run());
    let board = Arc::new(Board::default());
    let counted = metrics.clone();
    tokio::spawn(mwi::follow(board.clone(), voicemail.clone(), move |outcome| counted.count_watch(outcome)));
    tokio::spawn(board.clone().settle(voicemail.clone()));
    tokio::spawn(tell_board(board.clone(), changes));
    let services = Arc::new(Services {
        ports: Ports::new(config.rtp, config.listen.sip.ip()),
        config: config.clone(),
        voicemail,
        spool,
        courier,
        metrics,
        counters: Arc::new(Counters::default()),
        speaker,
        logins: Logins::default(),
        changed,
    });
    let address = config.listen.metrics;
    let listener = TcpListener::bind(address).await.map_err(|error| ServeError::Metrics(address, error))?;
    let local = listener.local_addr().map_err(|error| ServeError::Metrics(address, error))?;
    let sip = Arc::new(Rsip::start(config.clone(), services.metrics.refused().clone()).await?);
    let told = services.clone();
    let text = move || told.metrics.text(&told.spool, &told.ports, &told.counters);
    let speaking = services.clone();
    let prompts = move || speaking.speaker.as_ref()?.current().fault();
    tokio::spawn(serve_http(listener, health.clone(), prompts, text));
    tracing::info!(sip = %sip.local(), metrics = %local, "listening");
    Ok((services, sip, board))
}

/// Phones that are told without a subscription; before the core lets us in nothing could be told.
fn tell_trunks(
    services: &Arc<Services>,
    board: &Arc<Board>,
    sip: &Arc<Rsip>,
) -> impl Future<Output = ()> + use<> {
    let metrics = services.metrics.clone();
    let count = move |trunk: &str, outcome| metrics.count_unsolicited(trunk, outcome);
    mwi::tell_trunks(board.clone(), services.config.clone(), sip.clone(), count)
}

/// What calls and deposits have changed.
async fn tell_board(board: Arc<Board>, mut changes: mpsc::UnboundedReceiver<Changed>) {
    while let Some((mailbox, counts)) = changes.recv().await {
        board.update(&mailbox, counts);
    }
}

/// Lets calls end, refusing new ones, and then brings away what they left.
async fn drain(services: &Arc<Services>, sip: &Rsip, calls: &mut JoinSet<()>) {
    let over = async { while calls.join_next().await.is_some() {} };
    let refusing = async {
        while let Some(incoming) = sip.next().await {
            match incoming {
                Incoming::Call(call) => call.leg.reject(503).await,
                Incoming::Subscription(phone) => phone.subscriber.refuse(503).await,
            }
        }
    };
    let ended = tokio::select! {
        () = over => true,
        () = tokio::time::sleep(services.config.drain) => false,
        () = refusing => true,
    };
    if !ended {
        tracing::warn!(calls = calls.len(), "calls are cut off: drain is over; their recordings are kept");
        // Dropped legs hang up, dropped recordings are kept.
        calls.shutdown().await;
    }
    let emptied = async {
        while services.spool.count_waiting() > 0 {
            let next = services.courier.carry_all().await;
            if services.spool.count_waiting() > 0 {
                tokio::time::sleep_until(next).await;
            }
        }
    };
    if tokio::time::timeout(services.config.spool.emptying, emptied).await.is_err() {
        tracing::warn!(recordings = services.spool.count_waiting(), "recordings wait for the next start");
    }
    // What stays, or that nothing does.
    let (spool, voicemail) = (services.spool.clone(), services.voicemail.clone());
    let mut reporter = Reporter::new(spool, voicemail, services.config.front());
    let last = reporter.look(jiff::Timestamp::now(), Duration::ZERO);
    if tokio::time::timeout(LAST_WORD, last).await.is_err() {
        tracing::warn!("the core couldn't be told what waits here");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tests::MemoryCore;

    #[tokio::test(start_paused = true)]
    async fn a_telephone_that_the_core_does_not_know_yet_is_not_ready_and_one_without_a_core_is() {
        let core = MemoryCore::default();
        for status in [401, 403] {
            core.fail(Some(CoreError::Refused { status }));
            let mut admitted = std::pin::pin!(wait_for_admission(&core));
            assert!(tokio::time::timeout(Duration::from_secs(60), &mut admitted).await.is_err());
            core.fail(None);
            tokio::time::timeout(Duration::from_secs(5), admitted).await.unwrap();
        }
        for answer in [None, Some(CoreError::Unknown), Some(CoreError::Away(String::new()))] {
            core.fail(answer);
            tokio::time::timeout(Duration::from_secs(1), wait_for_admission(&core)).await.unwrap();
        }
    }
}
