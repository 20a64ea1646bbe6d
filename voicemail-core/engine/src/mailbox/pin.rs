//! PINs by which a mailbox is opened from any telephone, and the token that a right one gives.
//!
//! Flow: the attempt is counted in the mailbox's settings by a conditional write, then the PIN is compared with its
//! digest (Argon2id, keyed by the tenant, so that a stolen store alone can't be guessed at), then the count is
//! cleared if it was right. Few digests are made at a time, since each takes memory and a core. Attempts for one mailbox
//! are made one after the other, so that several people with the right PIN don't count against one another.
//!
//! What can go wrong: a death between the last two steps leaves a failure counted that was none.

use super::settings::change_settings;
use super::{Directory, MailboxError};
use crate::context::{Context, Memory};
use crate::digests;
use crate::principal::{MailboxToken, OneMailbox, PinVersion};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::sync::Arc;
use tokio::sync::Semaphore;
use voicemail_model::{MailboxId, MailboxSettings, Pin, PinAttempt, PinDigest, Time, check_new_pin};
use voicemail_store::StoreError;
use voicemail_store::turns::Turns;

/// The least that OWASP's password storage cheat sheet recommends for Argon2id.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const DIGEST: usize = 32;

/// Digests of PINs that are made at a time: each takes a core, and 19 MiB.
const AT_A_TIME: usize = 2;

/// Turns at making digests.
struct Digests(Arc<Semaphore>);

/// Turns at a mailbox's PIN.
#[derive(Default)]
struct Attempts(Turns<MailboxId>);

impl Memory for Attempts {
    fn begin(_: &Context) -> Self {
        Self::default()
    }
}

impl Memory for Digests {
    fn begin(_: &Context) -> Self {
        Self(Arc::new(Semaphore::new(AT_A_TIME)))
    }
}

impl Directory {
    /// Sets a mailbox's PIN; what failed before is forgotten.
    ///
    /// # Errors
    /// `Invalid` for one that others would guess, `UnknownMailbox`, or the store's.
    pub async fn set_pin(&self, mailbox: &MailboxId, pin: &str) -> Result<(), MailboxError> {
        check_new_pin(pin, mailbox).map_err(|rule| MailboxError::Invalid(rule.into()))?;
        let context = self.context();
        let salt = hex::encode(context.world().random::<16>());
        let mut made = PinDigest { salt, digest: String::new(), memory: MEMORY_KIB, passes: PASSES };
        // The mailbox that the PIN is for: a digest takes its time.
        let generation = self.require_open(mailbox).await?;
        made.digest = digest(context, pin, &made).await?;
        self.change_pin_of(mailbox, generation, |pin| *pin = Some(Pin::new(made.clone()))).await
    }

    /// Takes a mailbox's PIN away: it can't be opened by telephone then.
    ///
    /// # Errors
    /// `UnknownMailbox`, or the store's.
    pub async fn remove_pin(&self, mailbox: &MailboxId) -> Result<(), MailboxError> {
        self.change_pin(mailbox, |pin| *pin = None).await
    }

    /// Ends a lock.
    ///
    /// # Errors
    /// `UnknownMailbox`, or the store's.
    pub async fn unlock_pin(&self, mailbox: &MailboxId) -> Result<(), MailboxError> {
        self.change_pin(mailbox, |pin| pin.iter_mut().for_each(Pin::forgive)).await
    }

    /// A token for this one mailbox, and until when it counts, if the PIN is right.
    ///
    /// # Errors
    /// `WrongPin`, `PinLocked`, `NoPin`, `UnknownMailbox`, or the store's.
    pub async fn verify_pin(&self, mailbox: &MailboxId, pin: &str) -> Result<(String, Time), MailboxError> {
        let context = self.context();
        let generation = self.require_open(mailbox).await?;
        let attempts = context.memory::<Attempts>();
        let _turn = attempts.0.take(mailbox.clone()).await;
        let known = match self.count_attempt(mailbox, generation).await? {
            None => return Err(MailboxError::NoPin),
            Some(PinAttempt::Locked { until }) => return Err(MailboxError::PinLocked { until }),
            Some(PinAttempt::Counted(known)) => known,
        };
        let made = digest(context, pin, &known).await?;
        if verify_slices_are_equal(made.as_bytes(), known.digest.as_bytes()).is_err() {
            return Err(MailboxError::WrongPin);
        }
        let forgive = |pin: &mut Option<Pin>| {
            pin.iter_mut().filter(|pin| pin.digest == known).for_each(Pin::forgive);
        };
        self.change_pin_of(mailbox, generation, forgive).await?;
        let version = PinVersion::of(context.key(), &known);
        Ok(MailboxToken::issue(context.key(), mailbox, generation, version, context.world().now()))
    }

    /// Another token for the holder of one, who was let in with it.
    ///
    /// # Errors
    /// `PinNeeded`.
    pub fn renew_token(&self, held: Option<&OneMailbox>) -> Result<(String, Time), MailboxError> {
        let context = self.context();
        let renew = |held| MailboxToken::renew(context.key(), held, context.world().now());
        held.and_then(renew).ok_or(MailboxError::PinNeeded)
    }

    async fn count_attempt(
        &self,
        mailbox: &MailboxId,
        generation: u32,
    ) -> Result<Option<PinAttempt>, MailboxError> {
        let count = |settings: &mut MailboxSettings, now| {
            let attempt = settings.pin.as_mut().map(|pin| pin.count_attempt(now));
            (matches!(attempt, Some(PinAttempt::Counted(_))), attempt)
        };
        change_settings(self.context(), mailbox, generation, count).await
    }

    async fn change_pin(
        &self,
        mailbox: &MailboxId,
        change: impl Fn(&mut Option<Pin>) + Send + Sync,
    ) -> Result<(), MailboxError> {
        let generation = self.require_open(mailbox).await?;
        self.change_pin_of(mailbox, generation, change).await
    }

    async fn change_pin_of(
        &self,
        mailbox: &MailboxId,
        generation: u32,
        change: impl Fn(&mut Option<Pin>) + Send + Sync,
    ) -> Result<(), MailboxError> {
        let apply = |settings: &mut MailboxSettings, _| {
            let before = settings.pin.clone();
            change(&mut settings.pin);
            (settings.pin != before, ())
        };
        change_settings(self.context(), mailbox, generation, apply).await
    }
}

/// The digest of a PIN as another was made, in hex.
async fn digest(context: &Context, pin: &str, like: &PinDigest) -> Result<String, StoreError> {
    let closed = |_| StoreError::Unavailable("shutting down".into());
    let turn = Arc::clone(&context.memory::<Digests>().0).acquire_owned().await.map_err(closed)?;
    let secret = context.key().derive("pin", b"");
    let (pin, like) = (pin.to_owned(), like.clone());
    let work = tokio::task::spawn_blocking(move || {
        let made = compute(&secret, &pin, &like);
        drop(turn);
        made
    });
    let ended = |error| StoreError::Unavailable(format!("a blocking call ended badly: {error}"));
    work.await.map_err(ended)?
}

fn compute(secret: &[u8], pin: &str, like: &PinDigest) -> Result<String, StoreError> {
    let undecodable = || StoreError::Undecodable { what: "a PIN's digest", column: 0 };
    let salt = hex::decode(&like.salt).map_err(|_| undecodable())?;
    let params = Params::new(like.memory, like.passes, 1, Some(DIGEST)).map_err(|_| undecodable())?;
    let argon = Argon2::new_with_secret(secret, Algorithm::Argon2id, Version::V0x13, params);
    let mut made = [0; DIGEST];
    let argon = argon.map_err(|_| undecodable())?;
    digests::make(&argon, pin.as_bytes(), &salt, &mut made).map_err(|_| undecodable())?;
    Ok(hex::encode(made))
}
