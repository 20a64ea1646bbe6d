//! What the people of a mailbox are told of it beside its messages: name, limits and use, and whether it has a PIN.
//!
//! Flow: settings and index of one generation, and the class in force ─▶ view. Pure.

use super::{Index, MailboxSettings, Pin, Quota, Room, Time};
use serde::{Deserialize, Serialize};
use voicemail_api::config::ClassOfService;

/// Limits of a mailbox, from its class of service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MailboxLimits {
    /// Messages that it may hold, trash not counted.
    pub messages: u32,
    /// Seconds of messages that it may hold in all; no limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
    /// Longest message, in seconds.
    pub message_seconds: u32,
}

/// How much of its limits a mailbox uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MailboxUse {
    /// Messages, trash not counted.
    pub messages: u32,
    /// Their length in seconds, rounded up.
    pub seconds: u64,
    /// Whether it takes no more messages.
    pub full: bool,
}

/// Whether a mailbox can be opened by telephone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PinState {
    /// Whether it has a PIN.
    pub set: bool,
    /// Until when no PIN is looked at, RFC 3339; absent unless it is locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked_until: Option<String>,
}

impl MailboxLimits {
    /// Those of the class.
    pub fn of(class: &ClassOfService) -> Self {
        let quota = Quota::of(class);
        Self { messages: quota.messages, seconds: quota.seconds, message_seconds: class.max_seconds }
    }
}

impl MailboxUse {
    /// What the index holds, against the class.
    pub fn of(index: &Index, class: &ClassOfService) -> Self {
        Self {
            messages: u32::try_from(index.listed()).unwrap_or(u32::MAX),
            seconds: index.listed_ms().div_ceil(1_000),
            full: index.room(&Quota::of(class)) != Room::Free,
        }
    }
}

impl PinState {
    /// As the settings have it at that moment.
    pub fn of(settings: &MailboxSettings, now: Time) -> Self {
        let locked = |pin: &Pin| pin.locked_until.filter(|until| *until > now);
        let locked_until = settings.pin.as_ref().and_then(locked).map(Time::rfc3339);
        Self { set: settings.pin.is_some(), locked_until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PinDigest;
    use std::time::Duration;

    #[test]
    fn a_lock_is_told_as_long_as_it_lasts() {
        let mut settings = MailboxSettings::default();
        let now = Time::from_seconds(1_000_000);
        assert_eq!(PinState::of(&settings, now), PinState { set: false, locked_until: None });
        let (salt, digest) = (String::new(), String::new());
        let mut pin = Pin::new(PinDigest { salt, digest, memory: 1, passes: 1 });
        for _ in 0..4 {
            pin.count_attempt(now);
        }
        settings.pin = Some(pin);
        let locked = PinState::of(&settings, now);
        assert_eq!(locked.locked_until, Some(now.plus(Duration::from_secs(600)).rfc3339()));
        let later = now.plus(Duration::from_secs(600));
        assert_eq!(PinState::of(&settings, later), PinState { set: true, locked_until: None });
    }
}
