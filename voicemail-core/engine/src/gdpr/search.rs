//! Finding everything of a run's subject, part by part: the messages that were named, with their copies (see
//! [`named`](super::named)), and the envelopes of its callers, listed by hash, which answers for every mailbox.
//!
//! A part is dropped before the next is read, so that memory doesn't grow with the number of messages. Nor is a mailbox's
//! index kept longer than it takes to ask it. A walk is no picture of one moment: what the protocol orders before a list, a mark
//! before all, stands before the list of each part.

use super::GdprError;
use super::named::search_named;
use super::target::Target;
use crate::context::{Context, Memory};
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use voicemail_model::{CallerHash, Envelope, Index, MailboxId, MessageId, MessageName, RunId, Time};
use voicemail_store::codec::decode_envelope;
use voicemail_store::{Key, StoreError, parse_envelope};

/// A message found by its caller.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) mailbox: MailboxId,
    pub(super) id: MessageId,
    pub(super) caller: CallerHash,
    pub(super) envelope: Envelope,
}

/// A part of what a walk finds.
#[derive(Clone, Debug, Default)]
pub(super) struct Search {
    /// Messages received up to the cutoff.
    pub(super) found: Vec<Found>,
    /// Messages whose envelopes can't be decoded: whether they are covered isn't known.
    pub(super) unreadable: Vec<(MailboxId, MessageId, CallerHash)>,
    /// Messages that were named, and their copies, found or not.
    pub(super) named: BTreeSet<MessageName>,
    /// The messages among them that are gone, with all that is known to belong to them.
    pub(super) missing: BTreeSet<MessageName>,
}

impl Search {
    pub(super) fn take(&mut self, found: Found, cutoff: Time) {
        if found.envelope.received <= cutoff {
            self.found.push(found);
        }
    }
}

/// Refuses to call something complete that isn't.
pub(super) fn whole(unreadable: usize) -> Result<(), GdprError> {
    if unreadable == 0 { Ok(()) } else { Err(GdprError::Unreadable { count: unreadable }) }
}

/// Requests whose messages this process has hidden, with each of their envelopes read.
#[derive(Default)]
pub(super) struct Hidden(Mutex<BTreeSet<RunId>>);

impl Memory for Hidden {
    fn begin(_: &Context) -> Self {
        Self::default()
    }
}

impl Hidden {
    /// It was hidden whole.
    pub(super) fn note(&self, run: &RunId) {
        const MOST: usize = 1_000;
        let mut runs = self.0.lock();
        if runs.len() >= MOST {
            runs.clear();
        }
        runs.insert(run.clone());
    }
}

/// Envelopes that a part reads at most: some megabytes, and enough for the calls between two parts to be few.
const A_PART: usize = 4_000;

/// A walk over all messages of a subject that were received up to a cutoff.
pub(super) struct Walk {
    target: Target,
    cutoff: Time,
    /// Messages that this run hides already are known by their mailboxes' indexes.
    hidden_by: Option<RunId>,
    most: usize,
    /// The named messages were searched for.
    named: bool,
    /// Callers that are done.
    callers: usize,
    /// The last key that was looked at, of the next one's.
    after: String,
    /// Nothing comes after the part that was given last.
    pub(super) ended: bool,
}

impl Walk {
    pub(super) fn new(target: &Target, cutoff: Time) -> Self {
        Self {
            target: target.clone(),
            cutoff,
            hidden_by: None,
            most: A_PART,
            named: false,
            callers: 0,
            after: String::new(),
            ended: false,
        }
    }

    /// Of a request that may be looked at again.
    pub(super) fn of_run(context: &Context, run: &RunId, target: &Target, cutoff: Time) -> Self {
        let hidden = context.memory::<Hidden>().0.lock().contains(run);
        Self { hidden_by: hidden.then(|| run.clone()), ..Self::new(target, cutoff) }
    }

    /// In parts of at most so many. Fewer don't mean that there are no more. Messages that were named are few, and one part.
    pub(super) fn by(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// The next part; none after the last.
    pub(super) async fn next(&mut self, context: &Context) -> Result<Option<Search>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        if !self.named && !self.target.messages.is_empty() {
            let search = search_named(context, &self.target, self.cutoff).await?;
            (self.named, self.ended) = (true, self.target.all_callers().next().is_none());
            return Ok(Some(search));
        }
        let (mut search, mut filed) = (Search::default(), self.list(context).await?);
        if let Some(run) = &self.hidden_by {
            filed = take_hidden(context, run, (filed, self.cutoff), &mut search).await?;
        }
        self.look_at_all(context, filed, &mut search).await?;
        Ok(Some(search))
    }

    /// The next envelopes, of one caller after the other.
    async fn list(&mut self, context: &Context) -> Result<Vec<Filed>, StoreError> {
        let (mut part, most) = (Vec::new(), self.most);
        let callers: Vec<CallerHash> = self.target.all_callers().skip(self.callers).cloned().collect();
        let mut after = Some(std::mem::take(&mut self.after));
        let list = |caller| {
            let after = after.take().unwrap_or_default();
            async move { list_some(context, &caller, &after, most).await }
        };
        let lists = stream::iter(callers).map(list).buffered(context.abreast());
        let mut lists = std::pin::pin!(lists);
        while let Some((mut filed, mut more)) = lists.try_next().await? {
            let room = most.saturating_sub(part.len());
            more |= filed.len() > room;
            filed.truncate(room);
            let last = filed.last().map(|filed| filed.key.as_str().to_owned());
            part.append(&mut filed);
            if more {
                self.after = last.unwrap_or_default();
                return Ok(part);
            }
            self.callers += 1;
        }
        self.ended = true;
        Ok(part)
    }

    /// Sorts messages into those found, those that can't be read, and others.
    async fn look_at_all(
        &self,
        context: &Context,
        filed: Vec<Filed>,
        search: &mut Search,
    ) -> Result<(), StoreError> {
        let look = |filed| look_at(context, &self.target, filed);
        for (Filed { mailbox, id, caller, .. }, envelope) in
            context.all(filed, look).await?.into_iter().flatten()
        {
            match envelope {
                Some(envelope) => search.take(Found { mailbox, id, caller, envelope }, self.cutoff),
                None => search.unreadable.push((mailbox, id, caller)),
            }
        }
        Ok(())
    }
}

/// Asks mailboxes' indexes about some of their messages, mailboxes side by side; gives all answers. `ask` gets an index that can't be read as
/// its error.
pub(super) async fn ask_indexes<I: Send, T: Send>(
    context: &Context,
    messages: impl IntoIterator<Item = (MailboxId, I)>,
    ask: impl Fn(&MailboxId, Result<Arc<Index>, StoreError>, Vec<I>) -> Result<Vec<T>, StoreError> + Send + Sync,
) -> Result<Vec<T>, StoreError> {
    let mut boxes: BTreeMap<MailboxId, Vec<I>> = BTreeMap::new();
    for (mailbox, message) in messages {
        boxes.entry(mailbox).or_default().push(message);
    }
    let ask = &ask;
    let read = |(mailbox, messages): (MailboxId, Vec<I>)| async move {
        let index = match context.indexes().load(&mailbox).await {
            Err(error) if !error.is_about_one() => return Err(error),
            read => read.map(Option::unwrap_or_default),
        };
        ask(&mailbox, index, messages)
    };
    Ok(context.all(boxes, read).await?.into_iter().flatten().collect())
}

/// Takes the messages that a request hides already, from their entries; gives the others, whose envelopes tell.
async fn take_hidden(
    context: &Context,
    run: &RunId,
    (filed, cutoff): (Vec<Filed>, Time),
    search: &mut Search,
) -> Result<Vec<Filed>, StoreError> {
    let ask = |_: &MailboxId, index: Result<Arc<Index>, StoreError>, filed: Vec<Filed>| {
        let index = index.ok();
        let tell = |filed: &Filed| {
            let index = index.as_ref()?;
            let entry = index.entries.get(&filed.id).filter(|entry| entry.caller_hash == filed.caller)?;
            let hidden = entry.forget.contains_key(run);
            hidden.then(|| Envelope::of_entry(entry, None, 0, index.generation))
        };
        Ok(filed.into_iter().map(|filed| (tell(&filed), filed)).collect())
    };
    let filed = filed.into_iter().map(|filed| (filed.mailbox.clone(), filed));
    let mut others = Vec::new();
    for (envelope, filed) in ask_indexes(context, filed, ask).await? {
        match envelope {
            Some(envelope) => {
                let Filed { mailbox, id, caller, .. } = filed;
                search.take(Found { mailbox, id, caller, envelope }, cutoff);
            }
            None => others.push(filed),
        }
    }
    Ok(others)
}

/// A message, and its envelope's key.
struct Filed {
    mailbox: MailboxId,
    id: MessageId,
    caller: CallerHash,
    key: Key,
}

/// A message of the subject's with its envelope, which is absent if it can't be decoded; `None` if it is somebody else's
/// or gone.
async fn look_at(
    context: &Context,
    target: &Target,
    filed: Filed,
) -> Result<Option<(Filed, Option<Envelope>)>, StoreError> {
    let Some(bytes) = context.store().get(&filed.key).await? else { return Ok(None) };
    Ok(match decode_envelope(&bytes) {
        Ok(envelope) if target.admits(context, &filed.caller, envelope.caller.as_ref()).await? => {
            Some((filed, Some(envelope)))
        }
        Err(_) if !is_known_stranger(context, target, &filed).await? => Some((filed, None)),
        _ => None,
    })
}

/// All envelopes that are filed under a hash.
pub(super) async fn list_envelopes(
    context: &Context,
    caller: &CallerHash,
) -> Result<Vec<(MailboxId, MessageId, Key)>, StoreError> {
    let (filed, _) = list_some(context, caller, "", usize::MAX).await?;
    Ok(filed.into_iter().map(|Filed { mailbox, id, key, .. }| (mailbox, id, key)).collect())
}

/// At most so many of them that come after a key, and whether there are more.
async fn list_some(
    context: &Context,
    caller: &CallerHash,
    after: &str,
    most: usize,
) -> Result<(Vec<Filed>, bool), StoreError> {
    let (prefix, mut filed) = (Key::envelopes(caller), Vec::new());
    let mut keys = context.store().list_after(&prefix, after);
    while let Some(key) = keys.try_next().await? {
        let parsed = parse_envelope(&key).zip(Key::listed(&key));
        let Some(((mailbox, id), key)) = parsed else { continue };
        if filed.len() == most {
            return Ok((filed, true));
        }
        filed.push(Filed { mailbox, id, caller: caller.clone(), key });
    }
    Ok((filed, false))
}

/// Whether the index tells of a message without a legible envelope that somebody else left it.
async fn is_known_stranger(context: &Context, target: &Target, filed: &Filed) -> Result<bool, StoreError> {
    if target.callers.contains(&filed.caller) {
        return Ok(false);
    }
    let index: Option<Index> = match context.documents().load(&Key::index(&filed.mailbox)).await {
        Err(error) if error.is_about_one() => return Ok(false),
        other => other?,
    };
    let entry = index.and_then(|index| index.entries.get(&filed.id).cloned());
    match entry.filter(|entry| entry.caller_hash == filed.caller) {
        Some(entry) => Ok(!target.admits(context, &filed.caller, entry.caller.as_ref()).await?),
        None => Ok(false),
    }
}

/// Messages by mailbox, each with its caller.
pub(super) type Boxes = BTreeMap<MailboxId, BTreeMap<MessageId, CallerHash>>;

/// Sorts messages by mailbox.
pub(super) fn by_mailbox(found: &[Found]) -> Boxes {
    let mut boxes = Boxes::new();
    for Found { mailbox, id, caller, .. } in found {
        boxes.entry(mailbox.clone()).or_default().insert(*id, caller.clone());
    }
    boxes
}
