//! Provisioning of mailboxes: made, changed, closed, made again.
//!
//! A mailbox is opened by its settings and its index, and closed by a tombstone in the index, after
//! which its entries are deleted one by one, flagged ones when their run is decided. Opening it again
//! raises its generation: it is another mailbox then, with people, settings and tokens of its own.

use super::by_name::Names;
use super::precondition::{Precondition, tag_of};
use super::settings::{clear_settings, end_former, load_any_settings, next_generation};
use super::{MailboxError, Remover};
use crate::context::Context;
use std::sync::Arc;
use std::time::Duration;
use voicemail_api::mailboxes::MailboxView;
use voicemail_model::{Due, DueItem, Index, IndexOp, IndexOutcome, MailboxId, MailboxSettings, PurgeItem};
use voicemail_store::codec::encode;
use voicemail_store::documents::Decision;
use voicemail_store::retry_until_known::{delete, ensure};
use voicemail_store::{Key, StoreError};

/// When the sweeper takes an unfinished closing up.
const RESUME_AFTER: Duration = Duration::from_secs(300);
const MAX_LABEL: usize = 100;
/// How often others may be faster.
const ATTEMPTS: u32 = 8;

/// Provisioning of one tenant.
#[derive(Clone)]
pub struct Directory {
    context: Context,
}

/// The properties of a mailbox to be made.
#[derive(Clone, Copy)]
struct Making<'a> {
    class: &'a String,
    label: Option<&'a String>,
    expected: &'a Precondition,
}

/// The outcome of one attempt to make a mailbox.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Put {
    Done,
    /// It isn't as the request expects.
    Unexpected,
    StillClosing,
    /// It was opened or closed meanwhile.
    Overtaken,
}

impl Directory {
    /// Over a tenant's context.
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// Makes a mailbox, or changes its settings. A closed one is opened again once it is empty.
    ///
    /// # Errors
    /// `Invalid` for an unknown class, `StillClosing`, or the store's.
    pub async fn put_mailbox(
        &self,
        mailbox: &MailboxId,
        class_of_service: Option<String>,
        label: Option<String>,
    ) -> Result<MailboxView, MailboxError> {
        self.put_mailbox_if(mailbox, class_of_service, label, &Precondition::Always).await
    }

    /// As [`put_mailbox`](Self::put_mailbox), if the settings are as expected.
    ///
    /// # Errors
    /// `Changed` when they aren't, and as those of `put_mailbox`.
    pub async fn put_mailbox_if(
        &self,
        mailbox: &MailboxId,
        class_of_service: Option<String>,
        label: Option<String>,
        expected: &Precondition,
    ) -> Result<MailboxView, MailboxError> {
        let class =
            class_of_service.unwrap_or_else(|| voicemail_api::config::ClassOfService::STANDARD.into());
        if self.context.config().class_of_service(&class).is_none() {
            return Err(MailboxError::Invalid("classOfService: no class of that name is configured".into()));
        }
        if label.as_ref().is_some_and(|label| label.chars().count() > MAX_LABEL) {
            return Err(MailboxError::Invalid(format!("label: use at most {MAX_LABEL} characters")));
        }
        for attempt in 0..ATTEMPTS {
            let making = Making { class: &class, label: label.as_ref(), expected };
            let put = self.try_put(mailbox, making).await;
            // Members of the former mailbox of this name aren't members of this one.
            self.context.access().forget_all();
            match put? {
                Put::Done => {
                    self.context.memory::<Names>().note_made();
                    return self.get_mailbox(mailbox).await;
                }
                Put::Unexpected => return Err(MailboxError::Changed),
                Put::StillClosing => return Err(MailboxError::StillClosing),
                Put::Overtaken => self.context.world().back_off(attempt).await,
            }
        }
        Err(StoreError::Unavailable("others are making and closing the same mailbox".into()).into())
    }

    /// The settings are written for a generation first, which the index takes over when it is opened.
    async fn try_put(&self, mailbox: &MailboxId, making: Making<'_>) -> Result<Put, MailboxError> {
        let context = &self.context;
        let index = context.indexes().load(mailbox).await?;
        if let Some(closed) = index.as_ref().filter(|index| index.closed) {
            clear_settings(context, mailbox, closed.generation + 1).await?;
        }
        let open = index.as_ref().is_some_and(|index| !index.closed);
        let known: Option<MailboxSettings> = context.documents().load(&Key::settings(mailbox)).await?;
        let generation = next_generation(index.as_deref(), known.as_ref());
        end_former(context, mailbox, generation).await?;
        let change = |settings: Option<MailboxSettings>, _| {
            let mut new = settings.unwrap_or_default();
            if !making.expected.holds(open.then(|| self.tag_of_settings(mailbox, &new)).as_deref()) {
                return Decision::Keep(Put::Unexpected);
            }
            if !new.is_of(generation) {
                return Decision::Keep(Put::Overtaken);
            }
            (new.class_of_service, new.label) = (making.class.clone(), making.label.cloned());
            new.generation = Some(generation);
            Decision::Write(new, Put::Done)
        };
        let put = context.documents().update(&Key::settings(mailbox), change).await?;
        if put != Put::Done {
            return Ok(put);
        }
        Ok(match context.indexes().apply(mailbox, IndexOp::Open { generation }).await?.outcome {
            IndexOutcome::StillClosing => Put::StillClosing,
            IndexOutcome::Changed => Put::Overtaken,
            _ => Put::Done,
        })
    }

    /// A mailbox's settings and use.
    ///
    /// # Errors
    /// `UnknownMailbox`, or the store's.
    pub async fn get_mailbox(&self, mailbox: &MailboxId) -> Result<MailboxView, MailboxError> {
        let (index, settings) =
            self.open_with_settings(mailbox).await?.ok_or(MailboxError::UnknownMailbox)?;
        let class = self.context.class_named(&settings.class_of_service);
        Ok(MailboxView {
            mailbox: mailbox.to_string(),
            class_of_service: settings.class_of_service,
            label: settings.label,
            messages: u32::try_from(index.listed()).unwrap_or(u32::MAX),
            max_messages: class.max_messages,
        })
    }

    /// The tag of a mailbox's settings as they are now.
    ///
    /// # Errors
    /// The store's.
    pub async fn mailbox_tag(&self, mailbox: &MailboxId) -> Result<String, MailboxError> {
        let settings = self.context.documents().load(&Key::settings(mailbox)).await?;
        Ok(self.tag_of_settings(mailbox, &settings.unwrap_or_default()))
    }

    fn tag_of_settings(&self, mailbox: &MailboxId, settings: &MailboxSettings) -> String {
        let shown = (&settings.class_of_service, &settings.label);
        tag_of(self.context.key(), &Key::settings(mailbox), &shown)
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// The open mailbox's generation, for what is done to this one and to none that comes after it.
    ///
    /// # Errors
    /// `UnknownMailbox`, also for a closed one; or the store's.
    pub(super) async fn require_open(&self, mailbox: &MailboxId) -> Result<u32, MailboxError> {
        let index = self.open_index(mailbox).await?;
        index.map(|index| index.generation).ok_or(MailboxError::UnknownMailbox)
    }

    pub(super) async fn open_index(&self, mailbox: &MailboxId) -> Result<Option<Arc<Index>>, StoreError> {
        let index = self.context.indexes().load(mailbox).await?;
        Ok(index.filter(|index| !index.closed))
    }

    /// The index of an open mailbox and the settings that stand under its name, read side by side.
    ///
    /// # Errors
    /// The store's; of a mailbox that isn't open none about its settings.
    pub(super) async fn open_with_settings(
        &self,
        mailbox: &MailboxId,
    ) -> Result<Option<(Arc<Index>, MailboxSettings)>, StoreError> {
        let (index, settings) =
            futures::join!(self.open_index(mailbox), load_any_settings(&self.context, mailbox));
        let Some(index) = index? else { return Ok(None) };
        Ok(Some((index, settings?)))
    }

    /// Closes a mailbox for good and deletes its messages; those of an open forget run when it is decided.
    ///
    /// # Errors
    /// `UnknownMailbox`, or the store's; what is left is taken up by the sweeper.
    pub async fn delete_mailbox(&self, mailbox: &MailboxId) -> Result<(), MailboxError> {
        let index = self.open_index(mailbox).await?.ok_or(MailboxError::UnknownMailbox)?;
        let item = Due::Close { mailbox: mailbox.clone(), generation: index.generation }.at(self
            .context
            .world()
            .now()
            .plus(RESUME_AFTER));
        ensure(self.context.store(), self.context.world(), &Key::due(&item), &encode(&item)?).await?;
        // Releases before bind a PIN to nothing: one that is opened again must not be opened by an old one.
        self.remove_pin(mailbox).await?;
        let closed =
            self.context.indexes().apply(mailbox, IndexOp::Close { generation: index.generation }).await;
        self.context.access().forget_all();
        closed?;
        self.empty_in_time(mailbox, index.generation, &item).await
    }

    /// The mailbox is closed and shows nothing. What takes longer than people wait goes on by itself, from a due item.
    async fn empty_in_time(
        &self,
        mailbox: &MailboxId,
        generation: u32,
        filed: &DueItem,
    ) -> Result<(), MailboxError> {
        let (context, world) = (&self.context, self.context.world());
        match context.in_time(empty_closed(context, mailbox, generation)).await? {
            Some(true) => delete(context.store(), world, &Key::due(filed)).await?,
            Some(false) => {}
            None => {
                let item = filed.due.clone().at(world.now());
                ensure(context.store(), world, &Key::due(&item), &encode(&item)?).await?;
                context.expect_due(item.at);
            }
        }
        Ok(())
    }
}

/// Deletes the entries of a closed mailbox, flagged ones left out. True when none is left, or the mailbox
/// has been opened again.
pub(crate) async fn empty_closed(
    context: &Context,
    mailbox: &MailboxId,
    generation: u32,
) -> Result<bool, StoreError> {
    let key = Key::index(mailbox);
    let load = || context.documents().load::<Index>(&key);
    let is_ours = |index: &Index| index.closed && index.generation == generation;
    let Some(index) = load().await?.filter(|index| is_ours(index)) else { return Ok(true) };
    clear_settings(context, mailbox, generation + 1).await?;
    let going = index.entries.iter().filter(|(_, entry)| entry.forget.is_empty());
    let remove = |item: PurgeItem| async move { Remover::new(context).remove(mailbox, &item).await };
    context.all(going.map(|(id, entry)| PurgeItem::of_entry(*id, entry)), remove).await?;
    Ok(load().await?.is_none_or(|index| !is_ours(&index) || index.entries.is_empty()))
}
