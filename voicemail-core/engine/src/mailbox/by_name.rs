//! Mailboxes by the beginning of their names: where to forward a message to.
//!
//! Keys of mailboxes are spread by a hash, so that no listing gives them in the order of their names. A replica lists all
//! keys, in sixteen parts side by side, keeps the names for a minute, and looks at each mailbox that it is going to show: so
//! none is shown that was closed meanwhile. Flow: text ─▶ names that begin with it ─▶ index and settings of each ─▶ number
//! and label.
//!
//! What can go wrong: a mailbox that another replica made isn't found for up to a minute; the store fails.

use super::{Directory, Listed, MailboxError};
use crate::context::{Context, Memory};
use futures::{StreamExt, TryStreamExt, future, stream};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use voicemail_model::MailboxId;
use voicemail_store::{Family, StoreError, parse_index};

/// How long names are good for.
const KEPT: Duration = Duration::from_secs(60);
/// Parts that are listed side by side, by the first digit of the folders' names.
const PARTS: &[u8] = b"0123456789abcdef";

/// A mailbox as those see it who may forward to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FoundMailbox {
    /// Its name.
    #[schema(value_type = String)]
    pub mailbox: MailboxId,
    /// Its display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// Which mailboxes are sought.
#[derive(Clone, Copy, Debug)]
pub struct Sought<'a> {
    /// What their names begin with, in either case.
    pub prefix: &'a str,
    /// Only those that come after this one.
    pub after: Option<&'a MailboxId>,
    /// At most this many.
    pub limit: usize,
}

impl Sought<'_> {
    fn is(&self, mailbox: &MailboxId) -> bool {
        let begin = mailbox.as_str().get(..self.prefix.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(self.prefix))
            && self.after.is_none_or(|after| mailbox > after)
    }
}

/// All names, sorted; when they were listed, and how many mailboxes this process had made by then.
struct Known {
    names: Arc<[MailboxId]>,
    at: Duration,
    made: u64,
}

/// The names of a tenant's mailboxes as this process last listed them.
#[derive(Default)]
pub(super) struct Names {
    known: tokio::sync::Mutex<Option<Known>>,
    made: AtomicU64,
}

impl Memory for Names {
    fn begin(_: &Context) -> Self {
        Self::default()
    }
}

impl Names {
    /// This process has made a mailbox: whoever asks next finds it.
    pub(super) fn note_made(&self) {
        self.made.fetch_add(1, Ordering::SeqCst);
    }

    /// Those who ask at the same time wait for one listing.
    async fn all(&self, context: &Context) -> Result<Arc<[MailboxId]>, StoreError> {
        let mut known = self.known.lock().await;
        let (at, made) = (context.world().monotonic(), self.made.load(Ordering::SeqCst));
        if let Some(known) = &*known
            && known.made == made
            && at.saturating_sub(known.at) < KEPT
        {
            return Ok(Arc::clone(&known.names));
        }
        let names = list(context).await?;
        *known = Some(Known { names: Arc::clone(&names), at, made });
        Ok(names)
    }
}

async fn list(context: &Context) -> Result<Arc<[MailboxId]>, StoreError> {
    let parts = context.all(PARTS, |digit| list_part(context, char::from(*digit))).await?;
    let mut names = parts.concat();
    names.sort_unstable();
    Ok(names.into())
}

async fn list_part(context: &Context, digit: char) -> Result<Vec<MailboxId>, StoreError> {
    let prefix = Family::Mailbox.prefix();
    let begin = format!("{prefix}{digit}");
    let keys = context.store().list_after(prefix, &begin);
    let of_part = keys.try_take_while(|key| future::ready(Ok(key.starts_with(&begin))));
    of_part.try_filter_map(|key| future::ready(Ok(parse_index(&key)))).try_collect().await
}

impl Directory {
    /// Open mailboxes by the beginning of their names, in the order of their names.
    ///
    /// # Errors
    /// The store's.
    pub async fn find_mailboxes(&self, sought: Sought<'_>) -> Result<Listed<FoundMailbox>, MailboxError> {
        let context = self.context();
        let names = context.memory::<Names>().all(context).await?;
        let fitting = names.iter().filter(|mailbox| sought.is(mailbox)).cloned().map(Ok);
        self.first_open(stream::iter(fitting).boxed(), sought.limit, |mailbox| self.find(mailbox)).await
    }

    async fn find(&self, mailbox: MailboxId) -> Result<FoundMailbox, MailboxError> {
        let (index, settings) =
            self.open_with_settings(&mailbox).await?.ok_or(MailboxError::UnknownMailbox)?;
        Ok(FoundMailbox { mailbox, label: settings.as_of(index.generation).label })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Site, mailbox};
    use voicemail_store::Key;

    async fn site_with(names: &[&str]) -> Site {
        let site = Site::in_memory().await;
        for name in names {
            site.core.directory.put_mailbox(&mailbox(name), None, Some(format!("Box {name}"))).await.unwrap();
        }
        site
    }

    fn sought(prefix: &str) -> Sought<'_> {
        Sought { prefix, after: None, limit: 3 }
    }

    async fn found(site: &Site, prefix: &str) -> Vec<String> {
        let page = site.core.directory.find_mailboxes(sought(prefix)).await.unwrap();
        page.items.into_iter().map(|one| one.mailbox.to_string()).collect()
    }

    #[tokio::test]
    async fn mailboxes_are_found_by_the_beginning_of_their_names_in_order_with_their_labels() {
        let site = site_with(&["J.Smith", "j.small", "smith", "2100@b", "+4420", "*98"]).await;
        assert_eq!(found(&site, "J.SM").await, ["J.Smith", "j.small"]);
        assert_eq!(found(&site, "2100@").await, ["2100@b"]);
        assert_eq!(found(&site, "+").await, ["+4420"]);
        for nobody in ["mith", "9", "j.smith.and.more", "é", "2\u{301}"] {
            assert_eq!(found(&site, nobody).await, [""; 0], "{nobody}");
        }
        let page = site.core.directory.find_mailboxes(sought("smith")).await.unwrap();
        let label = Some("Box smith".to_owned());
        assert_eq!(page.items, [FoundMailbox { mailbox: mailbox("smith"), label }]);
    }

    #[tokio::test]
    async fn every_mailbox_is_on_one_of_the_pages_whatever_the_hash_of_its_name() {
        let names: Vec<String> = (3_000..3_200).map(|number| number.to_string()).collect();
        let site = site_with(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let sought = Sought { prefix: "3", after: after.as_ref(), limit: 7 };
            let page = site.core.directory.find_mailboxes(sought).await.unwrap();
            seen.extend(page.items.into_iter().map(|one| one.mailbox.to_string()));
            match page.next {
                Some(next) => after = Some(mailbox(&next)),
                None => break,
            }
        }
        assert_eq!(seen, names);
    }

    #[tokio::test]
    async fn a_closed_mailbox_is_found_no_more_and_one_made_here_at_once() {
        let site = site_with(&["3001", "3002", "3003", "3004"]).await;
        assert_eq!(found(&site, "3").await, ["3001", "3002", "3003"]);
        site.core.directory.delete_mailbox(&mailbox("3001")).await.unwrap();
        assert_eq!(found(&site, "3").await, ["3002", "3003", "3004"], "the next one takes its place");
        site.core.directory.put_mailbox(&mailbox("3001"), None, None).await.unwrap();
        let page = site.core.directory.find_mailboxes(sought("3001")).await.unwrap();
        assert_eq!(page.items[0].label, None, "what its former people called it is gone");
        site.core.directory.put_mailbox(&mailbox("30"), None, None).await.unwrap();
        assert_eq!(found(&site, "3").await, ["30", "3001", "3002"]);
    }

    #[tokio::test]
    async fn a_mailbox_that_another_replica_made_is_found_after_a_minute() {
        let site = site_with(&["3001"]).await;
        assert_eq!(found(&site, "3").await, ["3001"]);
        let other = site.replica().await;
        other.directory.put_mailbox(&mailbox("3002"), None, None).await.unwrap();
        assert_eq!(found(&site, "3").await, ["3001"]);
        site.pass_time(KEPT);
        assert_eq!(found(&site, "3").await, ["3001", "3002"]);
    }

    #[tokio::test]
    async fn what_cannot_be_read_hides_no_other() {
        let site = site_with(&["3001", "3002", "3003"]).await;
        site.write_document(&Key::settings(&mailbox("3001")), "not JSON").await;
        site.write_document(&Key::index(&mailbox("3002")), "not JSON").await;
        assert_eq!(found(&site, "3").await, ["3003"]);
    }
}
