//! The loop that sends: learns which mailboxes changed, gives each its turn, waits when the server fails.
//!
//! Idle it asks the store for nothing but, at start and once a day (once an hour where that is free), which mailboxes have
//! readers: what a replica that died or stopped had not sent yet is found by that.

use crate::desk::{Desk, TurnError};
use crate::health::{Health, State};
use crate::post::Post;
use crate::turn::Ended;
use crate::waiting::{Waiting, pause};
use futures::{FutureExt, TryStreamExt};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use voicemail_api::config::EmailConfig;
use voicemail_email::{Sender, SmtpError, Templates};
use voicemail_engine::core::Core;
use voicemail_store::{Family, StoreError, parse_mailing};
use voicemail_telemetry::Metrics;

/// How long the mail under way may take to end when this stops.
const LAST_MAIL: Duration = Duration::from_secs(10);
/// How often the configuration is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How soon a mailbox whose turn another replica has is asked for again.
const NOT_OUR_TURN: Duration = Duration::from_secs(30);
/// When all mailboxes with readers are looked at after a start: at once, and when a replica that this one replaces has
/// surely stopped.
const FIRST_LOOKS: [Duration; 3] = [Duration::ZERO, Duration::from_secs(120), Duration::from_secs(900)];
/// And how often later, where that is free and where it costs money.
const FREE: Duration = Duration::from_secs(3_600);
const METERED: Duration = Duration::from_secs(86_400);

/// Sends while e-mails are configured, until told to stop: then the mail under way may end, and turns are given back.
pub async fn run(core: &Core, metrics: &Metrics, health: &Health, stop: &CancellationToken) {
    let patience = async {
        stop.cancelled().await;
        core.context.world().sleep(LAST_MAIL).await;
    };
    tokio::select! {
        () = serve_all(core, metrics, health, stop) => {}
        () = patience => {}
    }
}

async fn serve_all(core: &Core, metrics: &Metrics, health: &Health, stop: &CancellationToken) {
    let hub = core.context.mwi();
    while !stop.is_cancelled() {
        let config = core.context.config().email.clone();
        match config {
            None => {
                health.set(State::Off);
                tokio::select! {
                    () = core.context.world().sleep(LOOK) => {}
                    () = stop.cancelled() => {}
                }
            }
            Some(config) => {
                hub.follow_changes();
                health.set(State::Unknown);
                Courier::new(core, metrics, health, stop, config).work().await;
            }
        }
    }
}

struct Courier<'a> {
    core: &'a Core,
    metrics: &'a Metrics,
    health: &'a Health,
    stop: &'a CancellationToken,
    config: EmailConfig,
    holder: String,
    post: Post,
    /// The last words that were right, and why those of now aren't.
    templates: Templates,
    unusable: Option<&'static str>,
    waiting: Waiting,
    looks: usize,
    last_look: Duration,
    started: Duration,
    /// Failures of the server in a row, and until when nothing is tried.
    failures: u32,
    rests_until: Duration,
}

impl<'a> Courier<'a> {
    fn new(
        core: &'a Core,
        metrics: &'a Metrics,
        health: &'a Health,
        stop: &'a CancellationToken,
        config: EmailConfig,
    ) -> Self {
        let world = core.context.world();
        Self {
            post: Post::new(config.smtp.clone(), world.clone()),
            holder: world.random_hex(),
            templates: Templates::default(),
            unusable: None,
            waiting: Waiting::default(),
            looks: 0,
            started: world.monotonic(),
            last_look: world.monotonic(),
            failures: 0,
            rests_until: Duration::ZERO,
            core,
            metrics,
            health,
            stop,
            config,
        }
    }

    /// Until the configuration changes.
    async fn work(mut self) {
        while self.core.context.config().email.as_ref() == Some(&self.config) && !self.stop.is_cancelled() {
            if self.is_time_to_look() {
                self.look_at_all().await;
            }
            self.take_changes();
            self.read_templates();
            self.show();
            let now = self.now();
            match self.waiting.due(now).filter(|_| now >= self.rests_until) {
                Some(mailbox) => self.serve(&mailbox).await,
                None => self.rest().await,
            }
        }
    }

    fn now(&self) -> Duration {
        self.core.context.world().monotonic()
    }

    fn is_time_to_look(&self) -> bool {
        let period = if self.core.context.store().is_metered() { METERED } else { FREE };
        match FIRST_LOOKS.get(self.looks) {
            Some(after) => self.now().saturating_sub(self.started) >= *after,
            None => self.now().saturating_sub(self.last_look) >= period,
        }
    }

    async fn look_at_all(&mut self) {
        (self.looks, self.last_look) = (self.looks + 1, self.now());
        if let Err(error) = self.add_all().await {
            tracing::warn!(reason = error.reason(), %error, "mailboxes with readers of e-mails can't be listed");
            self.looks = self.looks.min(FIRST_LOOKS.len()).saturating_sub(1);
        }
    }

    async fn add_all(&mut self) -> Result<(), StoreError> {
        let core = self.core;
        let mut keys = core.context.store().list(Family::Mailing.prefix());
        while let Some(key) = keys.try_next().await? {
            if let Some(mailbox) = parse_mailing(&key) {
                self.waiting.add(mailbox, self.now());
            }
        }
        Ok(())
    }

    /// Takes over what changed here.
    fn take_changes(&mut self) {
        let hub = self.core.context.mwi();
        while let Some(mailbox) = hub.next_changed().now_or_never() {
            self.waiting.add(mailbox, self.now());
        }
    }

    /// Waits for a change, or until something is due or the configuration is to be looked at.
    async fn rest(&mut self) {
        self.post.rest().await;
        let hub = self.core.context.mwi();
        let next = self.waiting.next().map(|due| due.max(self.rests_until).saturating_sub(self.now()));
        let pause = next.unwrap_or(LOOK).clamp(Duration::from_millis(10), LOOK);
        tokio::select! {
            mailbox = hub.next_changed() => self.waiting.add(mailbox, self.now()),
            () = self.core.context.world().sleep(pause) => {}
            () = self.stop.cancelled() => {}
        }
    }

    async fn serve(&mut self, mailbox: &voicemail_model::MailboxId) {
        let sender = match Sender::parse(&self.config.from, self.config.reply_to.as_deref()) {
            Ok(sender) => sender,
            Err(error) => {
                tracing::error!(reason = error.reason(), %error, "no e-mails can be sent");
                return self.fail("SenderInvalid");
            }
        };
        let (metrics, now) = (self.metrics, self.now());
        let count = |outcome: &'static str| metrics.count_email(outcome);
        let desk = Desk {
            core: self.core,
            sender: &sender,
            templates: &self.templates,
            holder: &self.holder,
            count: &count,
            stop: self.stop,
        };
        let ended = desk.take_turn(&mut self.post, mailbox).await;
        if self.post.take_answered() {
            (self.failures, self.rests_until) = (0, Duration::ZERO);
            self.health.set(self.unusable.map_or(State::Ready, State::Failing));
        }
        match ended {
            Ok(Ended::Done) => {
                self.waiting.done(mailbox);
                self.forget_failure();
            }
            Ok(Ended::OutOfTime) => self.waiting.again(mailbox, now, Duration::ZERO),
            Ok(Ended::NotOurs) => self.waiting.again(mailbox, now, NOT_OUR_TURN),
            Ok(Ended::Deferred) => self.waiting.deferred(mailbox, now),
            Ok(Ended::Waits(left)) => {
                self.waiting.rest(mailbox, now, left);
                self.forget_failure();
            }
            Err(TurnError::Smtp(error)) => self.fail_by(&error),
            Err(TurnError::Compose(error)) => {
                tracing::error!(reason = error.reason(), %error, "e-mails about a mailbox can't be written");
                self.waiting.failed(mailbox, now);
            }
            Err(TurnError::Unsettled(error)) => {
                tracing::warn!(reason = error.reason(), %error, "the outcome of an e-mail waits for the store");
                self.waiting.failed(mailbox, now);
            }
            Err(TurnError::Mailbox(error)) => {
                tracing::warn!(%error, "e-mails about a mailbox wait for the store");
                self.waiting.failed(mailbox, now);
            }
        }
    }

    /// Words that can't be used are told, and mails go on with those that were right last.
    fn read_templates(&mut self) {
        let read = self.config.templates_dir.as_deref().map(Templates::read).transpose();
        let before = self.unusable;
        match read {
            Ok(read) => (self.templates, self.unusable) = (read.unwrap_or_default(), None),
            Err(error) => {
                self.unusable = Some(error.reason());
                if self.unusable != before {
                    tracing::error!(reason = error.reason(), %error, "the tenant's words of e-mails can't be used");
                }
            }
        }
        if self.unusable != before {
            self.health.set(self.unusable.map_or(State::Unknown, State::Failing));
        }
    }

    fn fail_by(&mut self, error: &SmtpError) {
        self.metrics.count_email("serverFailed");
        tracing::warn!(reason = error.reason(), %error, "e-mails wait");
        self.fail(error.reason());
    }

    /// Everything waits: the next mail would fare alike.
    fn fail(&mut self, reason: &'static str) {
        self.health.set(State::Failing(reason));
        self.failures += 1;
        self.rests_until = self.now().saturating_add(pause(self.failures));
    }

    /// Once nothing waits any more, nobody knows whether the server would take a mail now.
    fn forget_failure(&self) {
        let (waiting, _) = self.waiting.state(self.now());
        if waiting == 0 && matches!(self.health.state(), State::Failing(_)) {
            self.health.set(self.unusable.map_or(State::Unknown, State::Failing));
        }
    }

    fn show(&self) {
        let (mailboxes, longest) = self.waiting.state(self.now());
        self.metrics.show_emails_waiting(mailboxes, longest);
    }
}
