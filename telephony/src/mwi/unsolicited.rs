//! Mailboxes whose phones are told though they never subscribed: by a NOTIFY to the proxy of a trunk.
//!
//! ```text
//! board ─▶ one task a mailbox ─▶ a place among those under way ─▶ NOTIFY ─▶ told, or again after a pause
//! ```
//!
//! Each process tells each state, at its start the one that there is: which of several processes has told it is known to none of
//! them, and one that dies takes nothing along. Requests of a mailbox follow one another, so that the last one says what is so.
//!
//! What can go wrong: the proxy is away, or refuses, since the phone isn't registered now. Both are tried again after pauses that
//! grow to a quarter of an hour; a change is told at once. Phones that don't answer hold up only each other.

use super::board::Board;
use super::host_of;
use super::summary::summary;
use crate::config::Config;
use crate::signalling::{Notice, Signalling, SipError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use voicemail_api::telephony::Counts;

/// Between two requests of a mailbox.
const APART: Duration = Duration::from_secs(1);
/// Before a state is told again, the first time and at most.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_secs(15 * 60);
/// Requests of a trunk under way: new states, and those that are told again.
const UNDER_WAY: usize = 64;

/// Counts a request of a trunk by its outcome.
type Count = Box<dyn Fn(&str, &'static str) + Send + Sync>;

/// A trunk's requests.
struct Line {
    trunk: String,
    signalling: Arc<dyn Signalling>,
    fresh: Semaphore,
    again: Semaphore,
    count: Count,
}

impl Line {
    async fn tell(&self, notice: &Notice, again: bool) -> Result<(), SipError> {
        let places = if again { &self.again } else { &self.fresh };
        // Never closed; without a place the request would only not be held back.
        let _place = places.acquire().await;
        let told = self.signalling.notify(notice).await;
        (self.count)(&self.trunk, label(&told));
        told
    }
}

/// For metrics.
const fn label(told: &Result<(), SipError>) -> &'static str {
    match told {
        Ok(()) => "told",
        Err(SipError::Refused(_)) => "refused",
        Err(SipError::Unreachable) => "unreachable",
        Err(_) => "unanswered",
    }
}

/// Tells all trunks that want it until it is dropped.
pub async fn tell_trunks(
    board: Arc<Board>,
    config: Arc<Config>,
    signalling: Arc<dyn Signalling>,
    count: impl Fn(&str, &'static str) + Clone + Send + Sync + 'static,
) {
    let mut mailboxes = JoinSet::new();
    let host = host_of(&config);
    for trunk in &config.trunks {
        let Some(notify) = &trunk.notify else { continue };
        let line = Arc::new(Line {
            trunk: trunk.name.clone(),
            signalling: signalling.clone(),
            fresh: Semaphore::new(UNDER_WAY),
            again: Semaphore::new(UNDER_WAY),
            count: Box::new(count.clone()),
        });
        for mailbox in notify.mailboxes() {
            let phone = Phone { to: notify.uri_of(&mailbox), account: format!("sip:{mailbox}@{host}") };
            mailboxes.spawn(tell(line.clone(), phone, board.expect(&mailbox)));
        }
    }
    while mailboxes.join_next().await.is_some() {}
}

struct Phone {
    to: String,
    account: String,
}

impl Phone {
    fn notice(&self, trunk: &str, counts: Counts) -> Notice {
        let body = summary(&self.account, counts);
        Notice { trunk: trunk.to_owned(), to: self.to.clone(), account: self.account.clone(), body }
    }
}

/// Tells a phone each state; ends with the board.
async fn tell(line: Arc<Line>, phone: Phone, mut counts: watch::Receiver<Option<Counts>>) {
    let (mut told, mut pause) = (None, SOONEST);
    loop {
        let known = counts.wait_for(|known| known.is_some() && *known != told).await.map(|known| *known);
        let Ok(Some(now)) = known else { return };
        match line.tell(&phone.notice(&line.trunk, now), pause > SOONEST).await {
            Ok(()) => {
                (told, pause) = (Some(now), SOONEST);
                tokio::time::sleep(APART).await;
            }
            Err(error) => {
                tracing::debug!(%error, trunk = line.trunk, "a phone's MWI is told again later");
                // It may have come, and the answer not: what was told before isn't known to be shown any more.
                told = None;
                pause = wait(pause, &mut counts).await;
            }
        }
    }
}

/// Waits before a state is told again; gives the next pause, which begins anew after a change.
async fn wait(pause: Duration, counts: &mut watch::Receiver<Option<Counts>>) -> Duration {
    tokio::select! {
        () = tokio::time::sleep(pause) => (pause * 2).min(LATEST),
        changed = counts.changed() => {
            if changed.is_err() {
                tokio::time::sleep(pause).await;
            }
            tokio::time::sleep(APART).await;
            SOONEST
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::MwiStep;
    use crate::signalling::Incoming;
    use async_trait::async_trait;
    use parking_lot::Mutex;
    use std::collections::BTreeSet;
    use tokio::sync::mpsc;
    use tokio::time::Instant;

    /// A proxy that says of each request what a test has written.
    struct Proxy {
        answers: Mutex<Vec<Result<(), SipError>>>,
        asked: mpsc::UnboundedSender<(Duration, Notice)>,
        begun: Instant,
    }

    #[async_trait]
    impl Signalling for Proxy {
        async fn next(&self) -> Option<Incoming> {
            None
        }

        fn drain(&self) {}

        async fn notify(&self, notice: &Notice) -> Result<(), SipError> {
            self.asked.send((self.begun.elapsed(), notice.clone())).unwrap();
            self.answers.lock().pop().unwrap_or(Ok(()))
        }
    }

    struct Scene {
        board: Arc<Board>,
        asked: mpsc::UnboundedReceiver<(Duration, Notice)>,
        counted: Arc<Mutex<Vec<(String, &'static str)>>>,
        _telling: JoinSet<()>,
    }

    const CONFIG: &str = "
listen: {sip: '0.0.0.0:5060', metrics: '0.0.0.0:9090'}
advertised: 192.0.2.10
domain: pbx.example.com
core: {url: 'https://core:8081/api/v1', tokenFile: /token}
trunks:
- name: pbx
  addresses: [192.0.2.0/24]
  notify: {proxy: 'pbx.example.com:5060', uri: 'sip:u{mailbox}@pbx', mailboxes: [{first: '1001', last: '1002'}]}
spool: {folder: /spool, keyFile: /key}
";

    fn open(mut answers: Vec<Result<(), SipError>>) -> Scene {
        answers.reverse();
        let (sender, asked) = mpsc::unbounded_channel();
        let proxy = Arc::new(Proxy { answers: Mutex::new(answers), asked: sender, begun: Instant::now() });
        let board = Arc::new(Board::default());
        let counted = Arc::<Mutex<Vec<(String, &'static str)>>>::default();
        let written = counted.clone();
        let count = move |trunk: &str, outcome| written.lock().push((trunk.to_owned(), outcome));
        let mut telling = JoinSet::new();
        telling.spawn(tell_trunks(board.clone(), Arc::new(Config::parse(CONFIG).unwrap()), proxy, count));
        Scene { board, asked, counted, _telling: telling }
    }

    impl Scene {
        /// The core says what 1001 has; there is no mailbox 1002.
        async fn push(&self, new: u32) {
            self.board.watched_has("1001").await;
            let (named, counts) =
                (BTreeSet::from(["1001".into(), "1002".into()]), Counts { new, ..Counts::default() });
            self.board.apply(&named, MwiStep::State(vec![("1001".into(), counts)]));
        }

        async fn next(&mut self) -> (u64, String) {
            let (at, notice) = self.asked.recv().await.unwrap();
            let told = notice.body.lines().find_map(|line| line.strip_prefix("Voice-Message: ")).unwrap();
            assert_eq!(
                (notice.to.as_str(), notice.account.as_str()),
                ("sip:u1001@pbx", "sip:1001@pbx.example.com")
            );
            (at.as_secs(), told.to_owned())
        }
    }

    impl Board {
        async fn watched_has(&self, mailbox: &str) {
            while !self.watched().contains(mailbox) {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_phone_is_told_the_state_once_and_each_change() {
        let mut scene = open(vec![]);
        scene.push(0).await;
        assert_eq!(scene.next().await, (0, "0/0 (0/0)".into()));
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        scene.push(0).await;
        scene.push(2).await;
        assert_eq!(scene.next().await, (3_600, "2/0 (0/0)".into()));
        scene.push(3).await;
        assert_eq!(scene.next().await, (3_601, "3/0 (0/0)".into()), "one a second");
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert!(scene.asked.try_recv().is_err());
        assert_eq!(*scene.counted.lock(), vec![("pbx".to_owned(), "told"); 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_taken_is_told_again_after_growing_pauses_and_a_change_at_once() {
        let refusals = [SipError::NotSent, SipError::Refused(480), SipError::Unreachable];
        let mut answers: Vec<Result<(), SipError>> = refusals.into_iter().map(Err).collect();
        answers.extend(vec![Err(SipError::NotSent); 12]);
        let mut scene = open(answers);
        scene.push(1).await;
        let mut times = Vec::new();
        for _ in 0..13 {
            let (at, told) = scene.next().await;
            assert_eq!(told, "1/0 (0/0)");
            times.push(at);
        }
        assert_eq!(times[..5], [0, 1, 3, 7, 15]);
        assert_eq!(times[12] - times[11], 900);
        assert_eq!(
            scene.counted.lock()[..3].iter().map(|(_, why)| *why).collect::<Vec<_>>(),
            ["unanswered", "refused", "unreachable"]
        );
        scene.push(2).await;
        assert_eq!(scene.next().await, (times[12] + 1, "2/0 (0/0)".into()));
        assert_eq!(scene.next().await, (times[12] + 2, "2/0 (0/0)".into()), "pauses are short again");
    }
}
