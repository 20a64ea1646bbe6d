//! The export as a tar stream: one audio file a message, named by message id, then `manifest.json`,
//! `output.json` in the vendor's shape, and `index.html` for people. Ids are unique in a mailbox alone: where two mailboxes hold
//! one, the first file is named by the id and the further ones by id and mailbox, in all documents alike.
//!
//! Streamed from the live objects, a message at a time, the next ones opened while this one is read, and found part by part:
//! 10 GB costs the same memory as 10 MB, and no archive of personal data is left behind. A message that is erased while the stream runs is left out
//! of the manifest, which is written last.

use super::export::keep_visible;
use super::runs::list_runs;
use super::search::{Found, Walk, whole};
use super::subject::{Subject, target_of_phone};
use super::target::Target;
use super::{Gdpr, GdprError};
use crate::context::Context;
use crate::mailbox::as_played;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use serde_json::json;
use std::collections::VecDeque;
use tokio_util::task::AbortOnDropHandle;
use voicemail_api::gdpr::{Operation, RunState};
use voicemail_audio::WavFormat;
use voicemail_model::export_documents::{About, Documents, Names, Part};
use voicemail_model::export_page::Row;
use voicemail_model::{CallerId, CaseId, Run};
use voicemail_store::{Key, StoreError};
use voicemail_telemetry::carry;

/// Messages that are opened ahead of the one that is sent, so many that the search before them costs no more than they save. Of each no
/// more than its first piece is in memory.
const OPEN_AT_A_TIME: usize = 32;

type Chunk = Result<Bytes, StoreError>;
type File = (BoxStream<'static, Chunk>, Option<WavFormat>);

/// Finds the case's latest export and streams it.
pub(super) async fn stream(gdpr: &Gdpr, case: &CaseId) -> Result<BoxStream<'static, Chunk>, GdprError> {
    let context = gdpr.context.clone();
    let runs = list_runs(&context, case).await?;
    if runs.is_empty() {
        return Err(GdprError::UnknownCase);
    }
    let now = context.world().now();
    let fetchable = |run: &&Run| {
        run.operation == Operation::ExportMe
            && run.state == RunState::Ready
            && run.expires_at.is_some_and(|until| now < until)
    };
    let run = runs.iter().rev().find(fetchable).cloned().ok_or(GdprError::NotExportable)?;
    let sealed = run.sealed.as_deref().unwrap_or_default();
    let subject = Subject::open(&context, &run.id, sealed).ok_or(GdprError::NotExportable)?;
    let walk = Walk::new(&Target::of(&run), run.cutoff.unwrap_or(run.created_at));
    let mut archive = Archive {
        documents: Documents::new(&subject.phones, run.by_message),
        context,
        run,
        targets: Vec::new(),
        walk,
        left: VecDeque::new(),
        opening: VecDeque::new(),
        names: Names::default(),
    };
    // An error of the first part is the answer; one of a later part ends the stream.
    archive.find_more().await?;
    let Archive { context, run, .. } = &archive;
    let targets = subject.phones.iter().map(|phone| target_of_phone(context, phone, run));
    archive.targets = targets.map(Result::unwrap_or_default).collect();
    Ok(write(archive))
}

struct Archive {
    context: Context,
    run: Run,
    /// The callers that each phone of the request means.
    targets: Vec<Target>,
    walk: Walk,
    /// Messages that were found and aren't opened yet.
    left: VecDeque<Found>,
    opening: VecDeque<Opening>,
    documents: Documents,
    names: Names,
}

/// A message that is on its way into the archive.
struct Opening {
    message: Found,
    name: String,
    file: AbortOnDropHandle<Result<Option<File>, StoreError>>,
}

fn write(archive: Archive) -> BoxStream<'static, Chunk> {
    stream::unfold(Some(archive), |archive| async move { Some(next_part(archive?).await) }).flatten().boxed()
}

/// The next message, or the documents and the end.
async fn next_part(mut archive: Archive) -> (BoxStream<'static, Chunk>, Option<Archive>) {
    if let Err(error) = archive.find_more().await {
        let error = match error {
            GdprError::Store(error) => error,
            other => StoreError::Refused(other.to_string()),
        };
        return (stream::once(async move { Err(error) }).boxed(), None);
    }
    archive.begin_next();
    let Some(Opening { message, name, file }) = archive.opening.pop_front() else {
        return (archive.end(), None);
    };
    let opened =
        file.await.unwrap_or_else(|_| Err(StoreError::Unavailable("a message wasn't opened".into())));
    archive.begin_next();
    match opened {
        Ok(Some((file, format))) => match archive.note(&message, &name, format) {
            Ok(()) => (file, Some(archive)),
            Err(error) => (stream::once(async move { Err(error) }).boxed(), None),
        },
        Ok(None) => (stream::empty().boxed(), Some(archive)),
        Err(error) => (stream::once(async move { Err(error) }).boxed(), None),
    }
}

/// A message's header and audio; `None` when it has been erased meanwhile.
async fn open(context: Context, message: Found, name: String) -> Result<Option<File>, StoreError> {
    let store = context.region(&message.envelope.region)?;
    let Some(body) = store.read(&Key::audio(&message.envelope.audio), None).await? else {
        return Ok(None);
    };
    let mut bytes = as_played(body.bytes, 0, message.envelope.mends.clone());
    // Its first bytes say how it is coded.
    let first = bytes.next().await.transpose()?.unwrap_or_default();
    let format = WavFormat::of_file(&first);
    let seconds = message.envelope.received.0.div_euclid(1_000);
    let before = header(&format!("{name}.wav"), body.size, seconds)?;
    let after = padding(body.size);
    let file = stream::iter([Ok(before), Ok(first)]).chain(bytes);
    Ok(Some((file.chain(stream::once(async move { Ok(after) })).boxed(), format)))
}

impl Archive {
    /// Finds the next messages, once all that were found are opened.
    async fn find_more(&mut self) -> Result<(), GdprError> {
        while self.left.is_empty()
            && let Some(part) = self.walk.next(&self.context).await?
        {
            whole(part.unreadable.len())?;
            self.left = keep_visible(&self.context, part.found).await?.into();
        }
        Ok(())
    }

    /// Opens the next messages, each in a task of its own.
    fn begin_next(&mut self) {
        let most = OPEN_AT_A_TIME.min(self.context.abreast());
        while self.opening.len() < most
            && let Some(message) = self.left.pop_front()
        {
            let name = self.names.of(&message.mailbox, message.id);
            let opening = tokio::spawn(carry(open(self.context.clone(), message.clone(), name.clone())));
            self.opening.push_back(Opening { message, name, file: AbortOnDropHandle::new(opening) });
        }
    }

    /// Writes a message into the documents.
    fn note(&mut self, message: &Found, name: &str, format: Option<WavFormat>) -> Result<(), StoreError> {
        let Found { mailbox, id, caller, envelope } = message;
        let received = envelope.received.rfc3339();
        let entry = json!({
            "id": id, "file": format!("{name}.wav"), "mailbox": mailbox, "region": envelope.region,
            "received": received, "caller": envelope.caller,
            "callerName": envelope.caller_name, "durationMs": envelope.duration_ms,
            "size": envelope.size, "sha256": envelope.digest, "codec": format.map(|format| format.codec.name()),
            "sampleRate": format.map(|format| format.rate), "channels": format.map(|format| format.channels),
        });
        let row = Row {
            file: &format!("{name}.wav"),
            mailbox: mailbox.as_str(),
            received: &received,
            caller: envelope.caller.as_ref().map(CallerId::reveal),
            name: envelope.caller_name.as_deref(),
            duration_ms: envelope.duration_ms,
        };
        let given = envelope.caller.as_ref();
        let of_phones = self.targets.iter().map(|target| target.has(&self.context, caller, given));
        self.documents.add(name, &entry, &row, of_phones).map_err(not_packed)
    }

    /// The documents and the end of the archive.
    fn end(self) -> BoxStream<'static, Chunk> {
        let created = self.run.created_at;
        let (case, run, written) = (self.run.case.as_str(), self.run.id.as_str(), created.rfc3339());
        let documents = self.documents.finish(&About { case, run, created: &written });
        let files = documents.into_iter().map(move |(name, parts)| {
            let size = parts.iter().map(Part::length).sum();
            let before = stream::iter([header(name, size, created.0.div_euclid(1_000))]);
            before.chain(stream::iter(parts).flat_map(send)).chain(stream::iter([Ok(padding(size))]))
        });
        let end = Bytes::from_static(&[0; 1024]);
        stream::iter(files).flatten().chain(stream::iter([Ok(end)])).boxed()
    }
}

/// A part of a document, in pieces.
fn send(part: Part) -> BoxStream<'static, Chunk> {
    match part {
        Part::Plain(text) => stream::iter([Ok(Bytes::from(text))]).boxed(),
        Part::Packed(text) => match text.pieces() {
            Ok(pieces) => {
                stream::iter(pieces.map(|piece| piece.map(Bytes::from).map_err(not_packed))).boxed()
            }
            Err(error) => stream::iter([Err(not_packed(error))]).boxed(),
        },
    }
}

fn not_packed(error: std::io::Error) -> StoreError {
    StoreError::Refused(format!("a document of the archive can't be packed: {error}"))
}

/// A tar header of a plain file.
fn header(name: &str, size: u64, seconds: i64) -> Result<Bytes, StoreError> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name).map_err(|error| StoreError::Refused(format!("a file can't be named: {error}")))?;
    header.set_size(size);
    header.set_mode(0o600);
    header.set_mtime(u64::try_from(seconds).unwrap_or(0));
    header.set_cksum();
    Ok(Bytes::copy_from_slice(header.as_bytes()))
}

/// Files are padded to 512 bytes.
fn padding(size: u64) -> Bytes {
    let rest = usize::try_from(size % 512).unwrap_or(0);
    Bytes::from_static(&[0; 512]).slice(0..(512 - rest) % 512)
}
