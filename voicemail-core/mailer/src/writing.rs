//! What a mail tells of its messages, and the mail itself.

use crate::desk::{Desk, Place, TurnError};
use crate::link::link_to;
use crate::readers::Reader;
use crate::unsubscribe::unsubscribe_at;
use futures::TryStreamExt;
use voicemail_api::config::EmailContent;
use voicemail_email::{Caller, ComposeError, Letter, Mail, Recording, Told, compose};
use voicemail_engine::mailbox::MailboxError;
use voicemail_model::{Entry, MessageId};

/// Recordings of more bytes aren't attached to one mail: base64 makes 20 MB of them, which few servers take.
const MOST_ATTACHED: u64 = 15 * 1024 * 1024;

/// A message in a mail.
pub(crate) struct Piece {
    pub(crate) id: MessageId,
    entry: Entry,
    recording: Recording,
}

impl Piece {
    pub(crate) fn is_attached(&self) -> bool {
        matches!(self.recording, Recording::Attached(_))
    }

    /// Says that the recording is too large, if it was attached.
    pub(crate) fn without_recording(self) -> Self {
        let recording = if self.is_attached() { Recording::TooLarge } else { self.recording };
        Self { recording, ..self }
    }
}

impl Desk<'_> {
    /// The messages with their recordings, as far as the reader gets these; without those that were erased a moment ago.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn tell(
        &self,
        reader: &Reader,
        owed: Vec<(MessageId, Entry)>,
    ) -> Result<Vec<Piece>, TurnError> {
        let (mut pieces, mut room) = (Vec::new(), MOST_ATTACHED);
        for (id, entry) in owed {
            let recording = match reader.content {
                EmailContent::Audio if entry.size > room => Some(Recording::TooLarge),
                EmailContent::Audio => self.recording(&entry).await?,
                _ => Some(Recording::None),
            };
            let Some(recording) = recording else { continue };
            if let Recording::Attached(bytes) = &recording {
                room = room.saturating_sub(bytes.len() as u64);
            }
            pieces.push(Piece { id, entry, recording });
        }
        Ok(pieces)
    }

    /// The recording's bytes; `None` if it was erased a moment ago.
    async fn recording(&self, entry: &Entry) -> Result<Option<Recording>, TurnError> {
        match self.core.mailboxes.audio_of(entry, None).await {
            Err(MailboxError::UnknownMessage) => Ok(None),
            Err(error) => Err(error.into()),
            Ok(audio) => {
                let read = audio.bytes.try_fold(Vec::new(), |mut all, chunk| async move {
                    all.extend_from_slice(&chunk);
                    Ok(all)
                });
                Ok(Some(Recording::Attached(read.await?)))
            }
        }
    }

    /// The mail. Its id is that of its messages: a mail about others is another one to programs that show each once.
    ///
    /// # Errors
    /// See [`ComposeError`].
    pub(crate) fn write(
        &self,
        place: &Place,
        reader: &Reader,
        pieces: &[Piece],
    ) -> Result<Mail, ComposeError> {
        let context = &self.core.context;
        let ids: Vec<String> = pieces.iter().map(|piece| piece.id.to_string()).collect();
        let name = format!("{} {} {} {}", place.mailbox, place.generation, ids.join(" "), reader.user);
        let tag: String = context.key().tag("email-id", name.as_bytes()).chars().take(32).collect();
        let (config, of) = (context.config(), (&place.mailbox, place.generation));
        let unsubscribe = unsubscribe_at(self.core, &config, &reader.user, &reader.address, of);
        let messages: Vec<Told<'_>> = pieces.iter().map(|piece| self.told(place, reader, piece)).collect();
        let letter = Letter {
            to: &reader.address,
            language: reader.language,
            mailbox: &place.label,
            zone: &place.zone,
            messages: &messages,
            id: &tag,
            thread: &place.thread,
            unsubscribe: unsubscribe.as_deref(),
            now: context.world().now(),
        };
        compose(self.sender, self.templates, &letter)
    }

    fn told<'a>(&self, place: &Place, reader: &Reader, piece: &'a Piece) -> Told<'a> {
        let entry = &piece.entry;
        let caller = Caller {
            number: entry.caller.as_ref().map(|caller| caller.reveal()),
            name: entry.caller_name.as_deref(),
        };
        Told {
            received: entry.received,
            duration_ms: entry.duration_ms,
            urgent: entry.urgent,
            caller: (reader.content >= EmailContent::Caller).then_some(caller),
            link: link_to(&self.core.context.config(), reader.content, &place.mailbox, piece.id),
            recording: piece.recording.clone(),
        }
    }
}
