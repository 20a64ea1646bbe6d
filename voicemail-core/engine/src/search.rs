//! Where a message is, for somebody who asks: by its caller, or by when it was left. Metadata only.
//!
//! By caller: the envelopes below the caller's hashes. By time: the audio's names, which are filed by hour. Either is
//! only where to look: what the mailbox's index doesn't show to its owner isn't found.

use crate::gdpr::SoughtCaller;
use crate::mailbox::{MailboxError, Mailboxes, ShownState, shown};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;
use voicemail_model::{AudioKey, Entry, MailboxId, MessageId, Time};
use voicemail_store::{Key, parse_envelope};

const HOUR: Duration = Duration::from_secs(3_600);

/// The criterion of a search.
#[derive(Clone, Debug)]
pub enum SearchBy {
    /// The caller, wherever they may be filed.
    Caller(SoughtCaller),
    /// When the call began.
    Time {
        /// From then on.
        from: Time,
        /// Up to then.
        to: Time,
    },
}

/// Which messages to find.
#[derive(Clone, Debug)]
pub struct MessageSearch {
    /// The criterion.
    pub by: SearchBy,
    /// In this mailbox alone.
    pub mailbox: Option<MailboxId>,
    /// At most this many.
    pub limit: usize,
    /// Go on after the page that gave this.
    pub cursor: Option<String>,
}

/// A message's metadata, without its caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FoundMessage {
    /// Its mailbox.
    #[schema(value_type = String)]
    pub mailbox: MailboxId,
    /// Its id.
    #[schema(value_type = String)]
    pub id: MessageId,
    /// State.
    pub state: ShownState,
    /// Urgent or not.
    pub urgent: bool,
    /// When it was deposited, RFC 3339.
    pub received: String,
    /// Length in milliseconds.
    pub duration_ms: u64,
    /// When retention deletes it, RFC 3339.
    pub expires: String,
    /// Whether it is a copy that somebody forwarded.
    pub forwarded: bool,
}

impl FoundMessage {
    fn new(mailbox: MailboxId, id: MessageId, entry: &Entry) -> Self {
        Self {
            mailbox,
            id,
            state: shown(entry),
            urgent: entry.urgent,
            received: entry.received.rfc3339(),
            duration_ms: entry.duration_ms,
            expires: entry.expires.rfc3339(),
            forwarded: entry.forwarded_from.is_some(),
        }
    }
}

/// A page of what was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FoundPage {
    /// By caller in the order of mailboxes, by time in the order of hours.
    pub messages: Vec<FoundMessage>,
    /// Gives the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Where a message may be.
type Place = (MailboxId, MessageId);

impl Mailboxes {
    /// Finds messages that their owners see.
    ///
    /// # Errors
    /// `Invalid` for a cursor that isn't ours, or the store's.
    pub async fn search(&self, search: MessageSearch) -> Result<FoundPage, MailboxError> {
        let after = search.cursor.as_deref().map(parse_cursor).transpose()?;
        let mut page = FoundPage { messages: Vec::new(), next: None };
        match &search.by {
            SearchBy::Caller(sought) => {
                let places = self.places_of(sought).await?;
                let places =
                    places.into_iter().filter(|place| after.as_ref().is_none_or(|after| place > after));
                self.gather(places, &search, Some(sought), &mut page).await?;
            }
            SearchBy::Time { from, to } => {
                let start = after.as_ref().map_or(*from, |(_, id)| id.time().max(*from));
                let mut hour = start;
                while hour.hour() <= to.hour() && page.next.is_none() {
                    let same_hour = |place: &Place| place.1.time().hour() == hour.hour();
                    let after = after.as_ref().filter(|after| same_hour(after));
                    let places = self.places_in(hour).await?.into_iter().filter(|place| {
                        let time = place.1.time();
                        time >= *from && time <= *to && after.is_none_or(|after| place > after)
                    });
                    self.gather(places, &search, None, &mut page).await?;
                    hour = hour.plus(HOUR);
                }
            }
        }
        Ok(page)
    }

    /// Looks places up until the page is full.
    async fn gather(
        &self,
        places: impl Iterator<Item = Place>,
        search: &MessageSearch,
        sought: Option<&SoughtCaller>,
        page: &mut FoundPage,
    ) -> Result<(), MailboxError> {
        let asked = |mailbox: &MailboxId| search.mailbox.as_ref().is_none_or(|asked| asked == mailbox);
        for (mailbox, id) in places.filter(|(mailbox, _)| asked(mailbox)) {
            let entry = match self.entry(&mailbox, id).await {
                Ok(entry) => entry,
                Err(MailboxError::UnknownMailbox | MailboxError::UnknownMessage) => continue,
                Err(error) => return Err(error),
            };
            if let Some(sought) = sought
                && !sought.left(&self.context, &entry.caller_hash, entry.caller.as_ref()).await?
            {
                continue;
            }
            if page.messages.len() == search.limit {
                page.next = page.messages.last().map(|last| format!("{}.{}", last.mailbox, last.id));
                return Ok(());
            }
            page.messages.push(FoundMessage::new(mailbox, id, &entry));
        }
        Ok(())
    }

    async fn places_of(&self, sought: &SoughtCaller) -> Result<BTreeSet<Place>, MailboxError> {
        let mut places = BTreeSet::new();
        for caller in sought.hashes() {
            let prefix = Key::envelopes(caller);
            let mut keys = self.context.store().list(&prefix);
            while let Some(key) = keys.try_next().await? {
                places.extend(parse_envelope(&key));
            }
        }
        Ok(places)
    }

    /// Messages whose audio is filed under that hour, in any region.
    async fn places_in(&self, hour: Time) -> Result<BTreeSet<Place>, MailboxError> {
        let mut places = BTreeSet::new();
        let prefix = Key::audio_of(hour);
        for (_, store) in self.context.regions() {
            let mut keys = store.list(&prefix);
            while let Some(key) = keys.try_next().await? {
                places.extend(AudioKey::parse(&key).map(|(_, parts)| (parts.mailbox, parts.id)));
            }
        }
        Ok(places)
    }
}

fn parse_cursor(text: &str) -> Result<Place, MailboxError> {
    let invalid = || MailboxError::Invalid("cursor: use the value of next from the page before".into());
    let (mailbox, id) = text.split_once('.').ok_or_else(invalid)?;
    Ok((mailbox.parse().map_err(|_| invalid())?, id.parse().map_err(|_| invalid())?))
}
