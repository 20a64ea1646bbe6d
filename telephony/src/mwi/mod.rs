//! Message waiting (MWI) on desk phones: subscriptions to `message-summary` (RFC 3842, RFC 6665), and phones that are told without one.
//!
//! ```text
//! deposits · owners' calls · the core's streams ─▶ board ─┬▶ subscriptions ─▶ NOTIFY
//!                                                         └▶ unsolicited ───▶ NOTIFY by a trunk's proxy
//! ```
//!
//! What this process did itself is shown at once; what others did is pushed by the core, which is told the mailboxes that
//! somebody watches and no others.

mod board;
mod follower;
mod subscription;
mod summary;
mod unsolicited;

pub use board::Board;
pub use follower::follow;
pub use subscription::{Ended, serve};
pub use summary::{State, summary};
pub use unsolicited::tell_trunks;

use crate::calls::Services;
use crate::config::Config;
use crate::core::CoreError;
use crate::signalling::IncomingSubscription;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// Takes a subscription, or refuses it, and serves it to its end.
pub async fn take(
    services: Arc<Services>,
    board: Arc<Board>,
    incoming: IncomingSubscription,
    draining: watch::Receiver<bool>,
) {
    let Some(mailbox) = mailbox_of(&services, &incoming) else {
        services.metrics.count_notify("forbidden");
        return incoming.subscriber.refuse(403).await;
    };
    let counts = match services.voicemail.counts(&mailbox).await {
        Ok(counts) => board.watch(&mailbox, counts),
        Err(CoreError::Unknown) => return incoming.subscriber.refuse(404).await,
        Err(error) => {
            tracing::warn!(%error, "a subscription can't be taken without the core");
            return incoming.subscriber.refuse(503).await;
        }
    };
    let account = format!("sip:{mailbox}@{}", host_of(&services.config));
    let count = |outcome| services.metrics.count_notify(outcome);
    let ended = serve(incoming.subscriber, incoming.time, &account, counts, draining, count).await;
    services.metrics.count_notify(ended.label());
}

/// The host that mailboxes are said to be at.
fn host_of(config: &Config) -> String {
    match (&config.domain, config.advertised.first()) {
        (Some(domain), _) => domain.clone(),
        (None, IpAddr::V6(address)) => format!("[{address}]"),
        (None, IpAddr::V4(address)) => address.to_string(),
    }
}

/// The mailbox that may be watched: the one asked for, if it is the subscriber's own or the trunk sees all.
fn mailbox_of(services: &Services, incoming: &IncomingSubscription) -> Option<String> {
    let trunk = services.config.trunks.iter().find(|trunk| trunk.name == incoming.trunk)?;
    let own = incoming.identity.caller.as_deref().map(|caller| trunk.mailbox_of(caller));
    let asked = incoming.asked.as_deref().filter(|asked| !services.config.is_access_number(asked));
    let asked = asked.map(|asked| trunk.mailbox_of(asked));
    match asked {
        None => own,
        Some(asked) => (trunk.sees_all_mailboxes || own.as_ref() == Some(&asked)).then_some(asked),
    }
}
