//! A receiver as this replica knows it: the mailboxes that wait for it, and whether it is this replica's turn.

use crate::context::Context;
use crate::mwi::backlog::Backlog;
use std::sync::{Mutex, MutexGuard, PoisonError};
use voicemail_api::config::WebhookConfig;
use voicemail_model::MailboxId;

/// Mailboxes that wait for a receiver; more than any tenant should have.
const MOST_DELIVERIES: usize = 100_000;
/// Characters of a receiver's digest, four bits each.
const DIGEST: usize = 16;

/// One receiver of the webhook.
pub(in crate::mwi) struct Receiver {
    name: String,
    digest: String,
    deliveries: Backlog<MailboxId>,
    turn: Mutex<Option<String>>,
}

impl Receiver {
    pub(super) fn new(context: &Context, config: &WebhookConfig) -> Self {
        Self {
            name: config.name.clone(),
            digest: digest(context, config),
            deliveries: Backlog::new(MOST_DELIVERIES),
            turn: Mutex::default(),
        }
    }

    /// As the configuration names it.
    pub(in crate::mwi) fn name(&self) -> &str {
        &self.name
    }

    /// Below which its memory stands.
    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    /// Mailboxes whose MWI state it may not know.
    pub(in crate::mwi) fn deliveries(&self) -> &Backlog<MailboxId> {
        &self.deliveries
    }

    /// Under which name this replica delivers now, if it is its turn.
    pub(super) fn turn(&self) -> MutexGuard<'_, Option<String>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names what is remembered of a receiver. The URL belongs to it: at another one, nobody has been told anything.
pub(super) fn digest(context: &Context, config: &WebhookConfig) -> String {
    let tag = context.key().tag("mwi-receiver", format!("{}\n{}", config.name, config.url).as_bytes());
    tag.chars().take(DIGEST).collect()
}
