//! A mailbox: its index against its envelopes, audio, marks, runs and due items.

use super::Checker;
use super::finding::{Code, Finding};
use super::read::{self, Read};
use super::refile::is_misfiled;
use std::collections::BTreeMap;
use std::time::Duration;
use voicemail_model::{
    CallerHash, Entry, Envelope, Index, MailboxId, MailboxSettings, Manifest, Mark, MarkState, MessageId,
    MessageName, MessageState, Mwi, Run, RunId, Time,
};
use voicemail_store::{Key, StoreError, parse_index};

const DAY: Duration = Duration::from_secs(86_400);

/// One mailbox while it is looked at.
struct Mailbox<'a> {
    name: MailboxId,
    key: &'a Key,
    index: &'a Index,
    marks: BTreeMap<CallerHash, Option<Mark>>,
    found: Vec<Finding>,
}

impl Mailbox<'_> {
    fn add(&mut self, code: Code, part: impl ToString) {
        self.found.push(Finding::of(code, self.key, part));
    }
}

impl Checker<'_> {
    pub(super) async fn check_mailbox(&mut self, key: &Key) -> Result<Vec<Finding>, StoreError> {
        let Some(name) = parse_index(key.as_str()) else { return self.check_settings(key).await };
        let read = read::document::<Index>(self.store(), key).await?;
        let mut findings = match &read {
            Read::Undecodable => vec![Finding::new(Code::UndecodableIndex, key)],
            Read::Newer(_) => vec![Finding::new(Code::NewerSchema, key)],
            _ => Vec::new(),
        };
        if let Some(index) = read.value() {
            let mut mailbox = Mailbox { name, key, index, marks: BTreeMap::new(), found: Vec::new() };
            self.check_index(&mut mailbox).await?;
            for (id, entry) in &index.entries {
                self.check_entry(&mut mailbox, *id, entry).await?;
            }
            findings.append(&mut mailbox.found);
        }
        Ok(findings)
    }

    async fn check_settings(&self, key: &Key) -> Result<Vec<Finding>, StoreError> {
        let name = key.as_str().strip_suffix("/settings").and_then(|path| path.rsplit('/').next());
        let name: Option<MailboxId> = name.and_then(MailboxId::of_key);
        if name.is_none_or(|name| Key::settings(&name) != *key) {
            return Ok(vec![Finding::new(Code::ForeignKey, key)]);
        }
        Ok(match read::document::<MailboxSettings>(self.store(), key).await? {
            Read::Undecodable => vec![Finding::new(Code::UndecodableSettings, key)],
            Read::Newer(_) => vec![Finding::new(Code::NewerSchema, key)],
            Read::Missing => Vec::new(),
            Read::Good(settings) => self.check_named_of_mailbox(key, &settings).await?,
        })
    }

    /// Checks that concern the mailbox as a whole.
    async fn check_index(&self, mailbox: &mut Mailbox<'_>) -> Result<(), StoreError> {
        let index = mailbox.index;
        for id in index.gone.keys().filter(|id| index.entries.contains_key(id)) {
            mailbox.add(Code::GoneAndEntry, id);
        }
        let visible = index.entries.values().any(Entry::is_visible);
        if index.closed && visible && !self.dues.closing.contains(&mailbox.name) {
            mailbox.found.push(Finding::new(Code::ClosedWithEntries, mailbox.key));
        }
        if count(index) != Mwi::count(index) {
            mailbox.found.push(Finding::new(Code::CountsDiffer, mailbox.key));
        }
        let waiting = index.entries.values().filter(|entry| entry.state != MessageState::Deleting);
        if let Some(first) = waiting.map(Entry::deadline).min().filter(|_| !index.closed) {
            // A look at the mailbox files the next; what is late or stands still is looked at daily.
            let due = first.max(self.now.plus(DAY)).end_of_day();
            let filed = self.dues.retain.get(&mailbox.name).is_some_and(|at| *at <= due);
            if !filed {
                mailbox.add(Code::ExpiryWithoutDue, first.rfc3339());
            }
        }
        Ok(())
    }

    async fn check_entry(
        &self,
        mailbox: &mut Mailbox<'_>,
        id: MessageId,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        if entry.state == MessageState::Deleting {
            let filed = self.dues.deletions.contains(&(mailbox.name.clone(), id));
            if !filed && !self.is_being_purged(&mailbox.name, id).await? {
                mailbox.add(Code::DeletingWithoutDue, id);
            }
            return Ok(());
        }
        self.check_objects(mailbox, id, entry).await?;
        self.check_flags(mailbox, id, entry).await
    }

    async fn check_objects(
        &self,
        mailbox: &mut Mailbox<'_>,
        id: MessageId,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        if is_misfiled(self.context, entry) {
            mailbox.add(Code::CallerWithheld, id);
        }
        let key = Key::envelope(&entry.caller_hash, &mailbox.name, id);
        match read::object::<Envelope>(self.store(), &key).await? {
            Read::Missing => mailbox.add(Code::MissingEnvelope, id),
            Read::Good(envelope) if differs(entry, &envelope) => mailbox.add(Code::EnvelopeDiffers, id),
            _ => {}
        }
        let Ok(region) = self.context.region(&entry.region) else {
            mailbox.add(Code::MissingAudio, id);
            return Ok(());
        };
        match region.read(&Key::audio(&entry.audio), Some(0..0)).await? {
            None => mailbox.add(Code::MissingAudio, id),
            Some(body) if body.size != entry.size => mailbox.add(Code::AudioSize, id),
            Some(_) => {}
        }
        Ok(())
    }

    /// Flags against runs and the caller's mark, both ways.
    async fn check_flags(
        &self,
        mailbox: &mut Mailbox<'_>,
        id: MessageId,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let Some(mark) = self.effective_mark(mailbox, id, entry).await? else { return Ok(()) };
        for (run, purge_at) in &entry.forget {
            let part = format!("{id} {run}");
            let read = read::document::<Run>(self.store(), &Key::run(run)).await?;
            match mark.runs.get(run) {
                _ if matches!(read, Read::Missing) => mailbox.add(Code::FlagWithoutRun, part),
                // A legal hold may outlive the mark.
                None if entry.legal_hold.is_some() && read.value().is_some_and(Run::has_ended) => {}
                None => mailbox.add(Code::FlagWithoutMark, part),
                Some(marked) if marked.state == MarkState::Undone => mailbox.add(Code::FlagOfUndone, part),
                Some(marked) if marked.purge_at != *purge_at => mailbox.add(Code::FlagDiffers, part),
                Some(_) => {}
            }
        }
        let covers = |(run, marked): &(&RunId, &voicemail_model::MarkedRun)| {
            entry.received <= marked.cutoff
                && marked.state != MarkState::Undone
                && !entry.forget.contains_key(*run)
                && !(marked.state == MarkState::Purged && entry.is_held(self.now))
        };
        for (run, _) in mark.runs.iter().filter(covers) {
            mailbox.add(Code::CoveredAndVisible, format!("{id} {run}"));
        }
        Ok(())
    }

    /// The marks that may cover the message: its caller's mark, and its own if it was named.
    async fn effective_mark(
        &self,
        mailbox: &mut Mailbox<'_>,
        id: MessageId,
        entry: &Entry,
    ) -> Result<Option<Mark>, StoreError> {
        let Some(mut mark) = self.mark(mailbox, &entry.caller_hash).await? else { return Ok(None) };
        for (run, only) in mark.runs.clone().into_iter().filter_map(|(run, marked)| Some((run, marked.only?)))
        {
            if !self.context.is_read_as(&only, entry.caller.as_ref(), &only.callers).await? {
                mark.runs.remove(&run);
            }
        }
        let unexplained = entry.forget.keys().any(|run| !mark.runs.contains_key(run));
        if entry.caller_hash.is_withheld() || unexplained {
            let key = Key::message_mark(&MessageName::new(&mailbox.name, id));
            let own = read::document::<Mark>(self.store(), &key).await?;
            mark.merge(own.value().cloned().unwrap_or_default());
        }
        Ok(Some(mark))
    }

    /// The caller's mark; `None` when it can't be read, which is found at the mark itself.
    async fn mark(&self, mailbox: &mut Mailbox<'_>, caller: &CallerHash) -> Result<Option<Mark>, StoreError> {
        if caller.is_withheld() {
            return Ok(Some(Mark::default()));
        }
        if let Some(mark) = mailbox.marks.get(caller) {
            return Ok(mark.clone());
        }
        let mark = match read::document::<Mark>(self.store(), &Key::mark(caller)).await? {
            Read::Missing => Some(Mark::default()),
            read => read.value().cloned(),
        };
        mailbox.marks.insert(caller.clone(), mark.clone());
        Ok(mark)
    }

    /// A message of a purge's round needs no due item of its own: it is in the round's manifest.
    pub(super) async fn is_being_purged(
        &self,
        mailbox: &MailboxId,
        id: MessageId,
    ) -> Result<bool, StoreError> {
        for run in &self.dues.runs {
            let read = read::document::<Run>(self.store(), &Key::run(run)).await?;
            let Some(open) = read.value().filter(|run| run.round > run.round_done) else { continue };
            let key = Key::manifest(run, open.round);
            let manifest = read::object::<Manifest>(self.store(), &key).await?;
            let items = manifest.value().and_then(|manifest| manifest.items.get(mailbox));
            if items.is_some_and(|items| items.iter().any(|item| item.id == id)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn differs(entry: &Entry, envelope: &Envelope) -> bool {
    let of_envelope = (&envelope.digest, &envelope.audio, &envelope.region, envelope.received);
    of_envelope != (&entry.digest, &entry.audio, &entry.region, entry.received)
}

/// The MWI counts, counted once more: not hidden, not in the trash, not being deleted.
fn count(index: &Index) -> Mwi {
    let shown = |entry: &&Entry| {
        entry.forget.is_empty() && entry.trash.is_none() && entry.state != MessageState::Deleting
    };
    let of = |new: bool, urgent: bool| {
        let mine = index.entries.values().filter(shown);
        let mine =
            mine.filter(|entry| (entry.state == MessageState::New) == new && (entry.urgent || !urgent));
        u32::try_from(mine.count()).unwrap_or(u32::MAX)
    };
    Mwi {
        new: of(true, false),
        old: of(false, false),
        urgent_new: of(true, true),
        urgent_old: of(false, true),
    }
}

/// Whether that much time has passed since.
pub(super) fn is_older(since: Time, now: Time, age: Duration) -> bool {
    since.plus(age) < now
}
