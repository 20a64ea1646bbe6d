//! Ids for whatever media servers use as an Idempotency-Key: the same call, the same id.
//!
//! A UUIDv7 is an id itself. Any other key becomes one: with the time at which the message was left, by a keyed digest
//! alone. Without, somebody has to remember the time: an object `deposit/<digest>`, made before any audio is taken, holds
//! the id, and the first one made decides among racing repetitions. Its due item, made before it, removes it
//! after seven days, when an id of that age isn't taken any more.
//!
//! What can go wrong: the store's errors, after which a repetition is safe. A key that is used for two messages is found out
//! where ids are, by the messages themselves.

use super::{MailboxError, Mailboxes};
use crate::context::Context;
use voicemail_model::fault_injection::{self, Broken};
use voicemail_model::{DepositKey, Due, MailboxId, MessageId, Time};
use voicemail_store::codec::{decode, encode};
use voicemail_store::retry_until_known::{Created, create_or_read, delete, ensure};
use voicemail_store::{Key, StoreError};

/// One account's use of an Idempotency-Key of its own, for one purpose and one mailbox.
#[derive(Clone, Copy, Debug)]
pub struct KeyUse<'a> {
    /// The key's purpose: a key for a deposit and one for a forward are two.
    pub purpose: &'a str,
    /// The mailbox that is asked.
    pub mailbox: &'a MailboxId,
    /// The account that asks, as audits name it.
    pub account: &'a str,
    /// The key.
    pub key: &'a str,
}

impl Mailboxes {
    /// The id for a key of any form.
    ///
    /// # Errors
    /// `UnknownMailbox`, or the store's.
    pub async fn id_of_key(&self, used: KeyUse<'_>, left: Option<Time>) -> Result<MessageId, MailboxError> {
        let context = &self.context;
        let KeyUse { purpose, mailbox, account, key } = used;
        let text = format!("{purpose}\0{mailbox}\0{account}\0{key}");
        let bits = context.key().derive("deposit-key", text.as_bytes());
        if let Some(left) = left {
            let mut random = [0; 10];
            random.copy_from_slice(&bits[..10]);
            return Ok(MessageId::new(left, &random));
        }
        // No object is made for what isn't there.
        if context.indexes().load(mailbox).await?.is_none() {
            return Err(MailboxError::UnknownMailbox);
        }
        Ok(remembered(context, &hex::encode(&bits[..16]), self.new_id()).await?)
    }
}

/// The id that the first call by this key was given.
async fn remembered(context: &Context, digest: &str, new: MessageId) -> Result<MessageId, StoreError> {
    let key = Key::deposit_key(digest);
    let store = context.store();
    if let Some(found) = store.get(&key).await? {
        return Ok(decode::<DepositKey>(&found)?.id);
    }
    let item = Due::DepositKey { digest: digest.to_owned() }.at(new.forgotten_after());
    ensure(store, context.world(), &Key::due(&item), &encode(&item)?).await?;
    context.expect_due(item.at);
    let ours = encode(&DepositKey { schema: DepositKey::SCHEMA, id: new })?;
    match create_or_read(store, context.world(), &key, &ours, None).await? {
        Created::Ours => Ok(new),
        Created::Theirs(_) if fault_injection::is(Broken::OwnIdAfterRace) => Ok(new),
        Created::Theirs(found) => Ok(decode::<DepositKey>(&found)?.id),
    }
}

/// Removes what a key was remembered by, once no message by its id is taken any more.
pub(crate) async fn forget_deposit_key(context: &Context, digest: &str) -> Result<(), StoreError> {
    let key = Key::deposit_key(digest);
    let Some(found) = context.store().get(&key).await? else { return Ok(()) };
    // A key that was used again meanwhile has an item of its own.
    if decode::<DepositKey>(&found)?.id.forgotten_after() <= context.world().now() {
        delete(context.store(), context.world(), &key).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Site, mailbox};
    use futures::TryStreamExt;

    async fn id_of(site: &Site, account: &str, key: &str, left: Option<Time>) -> MessageId {
        let used = KeyUse { purpose: "deposit", mailbox: &mailbox("1001"), account, key };
        site.core.mailboxes.id_of_key(used, left).await.unwrap()
    }

    async fn remembered_keys(site: &Site) -> Vec<String> {
        site.store.list("deposit/").try_collect().await.unwrap()
    }

    #[tokio::test]
    async fn a_key_is_remembered_for_seven_days_and_says_nothing_of_itself() {
        let site = Site::in_memory().await;
        let first = id_of(&site, "pbx", "call+442079460123", None).await;
        site.sweep_after(6 * 86_400).await;
        assert_eq!(id_of(&site, "pbx", "call+442079460123", None).await, first);
        assert_eq!(site.holders("2079460123").await, Vec::<String>::new());
        assert_eq!(remembered_keys(&site).await.len(), 1);
        site.sweep_after(86_400 + 60).await;
        assert_eq!(remembered_keys(&site).await, Vec::<String>::new());
        assert_ne!(id_of(&site, "pbx", "call+442079460123", None).await, first);
    }

    #[tokio::test]
    async fn accounts_and_purposes_have_keys_of_their_own() {
        let site = Site::in_memory().await;
        let left = Some(site.now());
        assert_ne!(id_of(&site, "a", "1", None).await, id_of(&site, "b", "1", None).await);
        assert_ne!(id_of(&site, "a", "1", left).await, id_of(&site, "b", "1", left).await);
        assert_eq!(id_of(&site, "a", "1", left).await, id_of(&site, "a", "1", left).await);
        assert_eq!(id_of(&site, "a", "1", left).await.time(), site.now());
    }
}
