//! The export as a tar stream: one audio file a message, named by message id, then `manifest.json`,
//! `output.json` in the vendor's shape, and `index.html` for people. Ids are unique in a mailbox alone: where two mailboxes hold
//! one, the first file is named by the id and the further ones by id and mailbox, in all documents alike.
//!
//! Streamed from the live objects, a message at a time, the next ones opened while this one is read: 10 GB costs the
//! same memory as 10 MB, and no archive of personal data is left behind. A message that is erased while the stream runs is left out
//! of the manifest, which is written last.

use super::export::keep_visible;
use super::runs::list_runs;
use super::search::{Found, find};
use super::subject::{Subject, target_of_phone};
use super::target::Target;
use super::{Gdpr, GdprError};
use crate::context::Context;
use crate::mailbox::as_played;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use serde_json::{Map, Value, json};
use std::collections::{HashSet, VecDeque};
use tokio_util::task::AbortOnDropHandle;
use voicemail_api::gdpr::{Operation, RunState};
use voicemail_audio::WavFormat;
use voicemail_model::export_page::{self as page, Row};
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
    let found = find(&context, &Target::of(&run), run.cutoff.unwrap_or(run.created_at)).await?;
    let found = keep_visible(&context, found).await?;
    Ok(write(Archive {
        context,
        run,
        subject,
        left: found.into(),
        opening: VecDeque::new(),
        done: Vec::new(),
        names: Names::default(),
    }))
}

struct Archive {
    context: Context,
    run: Run,
    subject: Subject,
    left: VecDeque<Found>,
    opening: VecDeque<Opening>,
    done: Vec<Packed>,
    names: Names,
}

/// A message that is on its way into the archive.
struct Opening {
    message: Found,
    name: String,
    file: AbortOnDropHandle<Result<Option<File>, StoreError>>,
}

/// A message that is in the archive.
struct Packed {
    message: Found,
    /// Its file, without the ending.
    name: String,
    format: Option<WavFormat>,
}

fn write(archive: Archive) -> BoxStream<'static, Chunk> {
    stream::unfold(Some(archive), |archive| async move { Some(next_part(archive?).await) }).flatten().boxed()
}

/// The next message, or the two documents and the end.
async fn next_part(mut archive: Archive) -> (BoxStream<'static, Chunk>, Option<Archive>) {
    archive.begin_next();
    let Some(Opening { message, name, file }) = archive.opening.pop_front() else {
        return (stream::iter(archive.documents().into_iter().map(Ok)).boxed(), None);
    };
    let opened =
        file.await.unwrap_or_else(|_| Err(StoreError::Unavailable("a message wasn't opened".into())));
    archive.begin_next();
    match opened {
        Ok(Some((file, format))) => {
            archive.done.push(Packed { message, name, format });
            (file, Some(archive))
        }
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
    /// Opens the next messages, each in a task of its own.
    fn begin_next(&mut self) {
        let most = OPEN_AT_A_TIME.min(self.context.abreast());
        while self.opening.len() < most
            && let Some(message) = self.left.pop_front()
        {
            let name = self.names.of(&message);
            let opening = tokio::spawn(carry(open(self.context.clone(), message.clone(), name.clone())));
            self.opening.push_back(Opening { message, name, file: AbortOnDropHandle::new(opening) });
        }
    }

    fn documents(&self) -> Vec<Bytes> {
        let mut parts = Vec::new();
        let files = [
            ("manifest.json", format!("{:#}\n", self.manifest())),
            ("output.json", format!("{:#}\n", self.output())),
            ("index.html", self.page()),
        ];
        for (name, text) in files {
            let text = Bytes::from(text);
            let seconds = self.run.created_at.0.div_euclid(1_000);
            if let Ok(header) = header(name, text.len() as u64, seconds) {
                let after = padding(text.len() as u64);
                parts.extend([header, text, after]);
            }
        }
        parts.push(Bytes::from_static(&[0; 1024]));
        parts
    }

    fn manifest(&self) -> Value {
        let messages = self.done.iter().map(|Packed { message, name, format }| {
            let Found { mailbox, id, envelope, .. } = message;
            json!({
                "id": id, "file": format!("{name}.wav"), "mailbox": mailbox, "region": envelope.region,
                "received": envelope.received.rfc3339(), "caller": envelope.caller,
                "callerName": envelope.caller_name, "durationMs": envelope.duration_ms,
                "size": envelope.size, "sha256": envelope.digest, "codec": format.map(|format| format.codec.name()),
                "sampleRate": format.map(|format| format.rate), "channels": format.map(|format| format.channels),
            })
        });
        json!({
            "caseid": self.run.case, "run": self.run.id, "createdAt": self.run.created_at.rfc3339(),
            "messages": messages.collect::<Vec<_>>(),
        })
    }

    fn output(&self) -> Value {
        let files = |phone: &String| {
            let target = target_of_phone(&self.context, phone, &self.run).unwrap_or_default();
            let given = |packed: &&Packed| packed.message.envelope.caller.clone();
            let own = self
                .done
                .iter()
                .filter(|packed| target.has(&self.context, &packed.message.caller, given(packed).as_ref()));
            own.map(|packed| Value::String(packed.name.clone())).collect::<Vec<_>>()
        };
        let consumers: Map<String, Value> =
            self.subject.phones.iter().map(|phone| (phone.clone(), files(phone).into())).collect();
        let mut output = json!({ "caseid": self.run.case, "consumers": consumers });
        if self.run.by_message {
            let names = self.done.iter().map(|packed| packed.name.clone());
            output["messages"] = names.collect::<Vec<_>>().into();
        }
        output
    }

    fn page(&self) -> String {
        let texts: Vec<_> = self.done.iter().map(Texts::of).collect();
        let rows: Vec<Row<'_>> =
            self.done.iter().zip(&texts).map(|(packed, texts)| texts.row(packed)).collect();
        page::render(self.run.case.as_str(), &self.run.created_at.rfc3339(), &rows)
    }
}

/// Names of files that are given away.
#[derive(Default)]
struct Names(HashSet<String>);

impl Names {
    /// The file's name, without the ending: as long as every archiver takes it, and no other file's, whatever case counts.
    fn of(&mut self, message: &Found) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.@+".contains(c) { c } else { '_' };
        let mailbox: String = message.mailbox.as_str().chars().map(plain).take(40).collect();
        let first = message.id.to_string();
        let second = format!("{first}-{mailbox}");
        let further = (2u32..).map(|number| format!("{second}-{number}"));
        let mut names = [first, second.clone()].into_iter().chain(further);
        names.find(|name| self.0.insert(name.to_ascii_lowercase())).unwrap_or(second)
    }
}

/// The texts in a row of the page.
struct Texts {
    file: String,
    received: String,
}

impl Texts {
    fn of(packed: &Packed) -> Self {
        let received = packed.message.envelope.received.rfc3339();
        Self { file: format!("{}.wav", packed.name), received }
    }

    fn row<'a>(&'a self, packed: &'a Packed) -> Row<'a> {
        let envelope = &packed.message.envelope;
        Row {
            file: &self.file,
            mailbox: packed.message.mailbox.as_str(),
            received: &self.received,
            caller: envelope.caller.as_ref().map(CallerId::reveal),
            name: envelope.caller_name.as_deref(),
            duration_ms: envelope.duration_ms,
        }
    }
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
