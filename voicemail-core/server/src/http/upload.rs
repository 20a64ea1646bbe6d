//! A deposit's multipart body: small fields first, then the audio as a stream.
//!
//! ```text
//! body ─▶ Gate (slices, as many as granted) ─▶ parser ─▶ name ─▶ a field that is known: its first bytes kept
//!                                                          ├──▶ any other: read past, nothing kept
//!                                                          └──▶ audio: handed on as it comes, then the rest
//! ```
//!
//! The body is read by the deposit's own task, so that it goes on when its connection ends: a body that was
//! complete becomes a message, any other leaves nothing. Only the closing boundary makes a body complete.
//!
//! What can go wrong: fields that are larger than is read, or come too slowly, are 413; a body that stops is told so.

use super::converted::is_wav;
use super::decoration::NoteCode;
use super::extract::media_type;
use super::form::{FieldName, Form, Note, Notes, Value};
use super::gate::{Gate, Grant, TooMuch};
use super::{ApiError, ProblemKind};
use axum::extract::Request;
use axum::http::header;
use bytes::Bytes;
use futures::{StreamExt, stream};
use multer::{Constraints, Field, Multipart, SizeLimit};
use std::sync::{Arc, Mutex as Shared, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};
use voicemail_store::{BodyError, BodyStream};

/// Longest silence between two chunks.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a body may take as a whole, which is what an attempt at a deposit may take.
const LONGEST: Duration = Duration::from_secs(900);
/// How long fields that aren't kept may take, all together.
const LONGEST_PAST: Duration = Duration::from_secs(30);
/// No class of service allows more audio than this.
const LARGEST: u64 = 768 * 1024 * 1024;
/// The most bytes kept of all fields before the audio.
const MOST_KEPT: usize = 8 * 1024;

/// A body whose fields have been read, and whose audio hasn't.
pub(super) struct Upload {
    pub(super) form: Form,
    notes: Arc<Shared<Notes>>,
    source: Arc<Mutex<Source>>,
}

struct Source {
    parts: Multipart<'static>,
    audio: Option<Field<'static>>,
    grant: Arc<Grant>,
    notes: Arc<Shared<Notes>>,
    /// The time that fields that aren't kept have taken.
    past: Duration,
    end: Instant,
}

impl Upload {
    /// Reads up to the audio.
    pub(super) async fn begin(request: Request) -> Result<Self, ApiError> {
        let mut source = Source::open(request)?;
        let form = source.read_form().await?;
        Ok(Self { form, notes: Arc::clone(&source.notes), source: Arc::new(Mutex::new(source)) })
    }

    /// The audio; it ends well only if the whole body has.
    pub(super) fn audio(&self) -> BodyStream {
        let source = Arc::clone(&self.source);
        stream::try_unfold(source, |source| async move {
            let chunk = source.lock().await.next().await?;
            Ok(chunk.map(|chunk| (chunk, source)))
        })
        .boxed()
    }

    /// The fields left out or changed so far.
    pub(super) fn notes(&self) -> Vec<Note> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).list()
    }
}

/// A body that is audio and nothing else.
///
/// # Errors
/// `WrongType` for a body that says that it is something else.
pub(super) fn raw_audio(request: Request) -> Result<BodyStream, ApiError> {
    if !is_wav(&media_type(request.headers())) {
        return Err(ApiError::new(ProblemKind::WrongType, "send audio/wav"));
    }
    let end = Instant::now() + LONGEST;
    let body = request.into_body().into_data_stream();
    let chunks = stream::try_unfold(body, move |mut body| async move {
        match timeout_at(end.min(Instant::now() + SILENCE), body.next()).await {
            Ok(Some(Ok(chunk))) => Ok(Some((chunk, body))),
            Ok(Some(Err(_))) => Err(BodyError::Interrupted(STOPPED.into())),
            Ok(None) => Ok(None),
            Err(_) => Err(BodyError::Interrupted(SILENT.into())),
        }
    });
    Ok(chunks.boxed())
}

impl Source {
    fn open(request: Request) -> Result<Self, ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let boundary = kind.and_then(|kind| multer::parse_boundary(kind).ok());
        let boundary = boundary.ok_or_else(|| {
            ApiError::new(ProblemKind::WrongType, "send multipart/form-data with a boundary")
        })?;
        let grant = Grant::new();
        let body = Gate::new(request.into_body().into_data_stream(), Arc::clone(&grant));
        let limits = Constraints::new().size_limit(SizeLimit::new().whole_stream(LARGEST));
        let parts = Multipart::with_constraints(body, boundary, limits);
        let (notes, end) = (Arc::default(), Instant::now() + LONGEST);
        Ok(Self { parts, audio: None, grant, notes, past: Duration::ZERO, end })
    }

    fn note(&self, code: NoteCode) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).add(code);
    }

    /// The next field: its header, and none of its bytes.
    async fn next_field(&mut self) -> Result<Option<Field<'static>>, Failure> {
        self.grant.expect_header();
        let field = timeout(SILENCE, self.parts.next_field()).await.map_err(|_| Failure::Silent)?;
        let field = field.map_err(|error| Failure::of(&error))?;
        self.grant.expect_field();
        Ok(field)
    }

    async fn read_form(&mut self) -> Result<Form, ApiError> {
        let (mut form, mut kept) = (Form::default(), 0);
        loop {
            let field = self.next_field().await?.ok_or_else(|| {
                ApiError::new(ProblemKind::InvalidRequest, "the field audio is missing: send it last")
            })?;
            match FieldName::of(field.name()) {
                FieldName::Audio => {
                    self.grant.expect_audio();
                    self.audio = Some(field);
                    return Ok(form);
                }
                name => kept += self.read_field(name, field, &mut form).await?,
            }
            if kept > MOST_KEPT {
                return Err(Failure::TooMuch.into());
            }
        }
    }

    /// Reads a field of the form to its end; gives how much of it was kept meanwhile.
    async fn read_field(
        &mut self,
        name: FieldName,
        mut field: Field<'static>,
        form: &mut Form,
    ) -> Result<usize, ApiError> {
        let (mut bytes, mut whole) = (Vec::new(), true);
        while let Some(chunk) = self.next_chunk(&mut field, bytes.len() < name.most()).await? {
            let used = chunk.len().min(name.most().saturating_sub(bytes.len()));
            bytes.extend(chunk.iter().take(used));
            whole &= used == chunk.len();
        }
        let kind = field.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let charset = kind.and_then(charset_of);
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        form.take(name, &Value { bytes: &bytes, charset, whole }, &mut notes)?;
        Ok(bytes.len())
    }

    /// A chunk of a field that isn't the audio. A field that isn't kept uses up the time for such fields.
    async fn next_chunk(&mut self, field: &mut Field<'static>, kept: bool) -> Result<Option<Bytes>, Failure> {
        let left = LONGEST_PAST.saturating_sub(self.past);
        let patience = if kept { SILENCE } else { SILENCE.min(left) };
        let begun = Instant::now();
        let chunk = timeout(patience, field.chunk()).await;
        if !kept {
            self.past += begun.elapsed();
        }
        match chunk {
            Ok(chunk) => chunk.map_err(|error| Failure::of(&error)),
            Err(_) if patience < SILENCE => Err(Failure::TooMuch),
            Err(_) => Err(Failure::Silent),
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        let Some(audio) = &mut self.audio else { return Ok(None) };
        let patience = self.end.min(Instant::now() + SILENCE);
        match timeout_at(patience, audio.next()).await {
            Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
            Ok(Some(Err(error))) => Err(stopped(&error)),
            Ok(None) => self.finish().await.map(|()| None),
            Err(_) => Err(BodyError::Interrupted(SILENT.into())),
        }
    }

    /// The audio's end is the body's end only behind the closing boundary. A decorating field is too late there, and is
    /// no reason to lose the recording; a caller is.
    async fn finish(&mut self) -> Result<(), BodyError> {
        self.audio = None;
        while let Some(mut field) = self.next_field().await? {
            match FieldName::of(field.name()) {
                FieldName::Audio => {
                    return Err(BodyError::Invalid("send one field audio, the last one".into()));
                }
                FieldName::Caller | FieldName::Left => {
                    return Err(BodyError::Invalid(
                        "caller and left must precede audio: send it last".into(),
                    ));
                }
                _ => {}
            }
            self.note(NoteCode::FieldAfterAudio);
            while self.next_chunk(&mut field, false).await?.is_some() {}
        }
        Ok(())
    }
}

/// The charset that a part's content type names.
fn charset_of(kind: &str) -> Option<&str> {
    let mut parameters = kind.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let (_, value) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?;
    Some(value.trim().trim_matches('"'))
}

const SILENT: &str = "no bytes came for 30 s, or not all within 15 minutes: nothing was stored";
const STOPPED: &str = "the body stopped before its end: nothing was stored";
const TOO_MUCH: &str = "the fields beside the audio are too large: at most 8 KiB are kept of them, headers included, \
                        and others are read past up to 1 MiB and 30 s";
const UNREADABLE: &str = "the multipart body can't be read";

/// Why fields can't be read.
enum Failure {
    Silent,
    Stopped,
    TooMuch,
    TooLarge,
    Unreadable,
}

impl Failure {
    fn of(error: &multer::Error) -> Self {
        use multer::Error::{
            IncompleteFieldData, IncompleteHeaders, IncompleteStream, StreamReadFailed, StreamSizeExceeded,
        };
        match error {
            StreamReadFailed(cause) if cause.is::<TooMuch>() => Self::TooMuch,
            IncompleteFieldData { .. } | IncompleteHeaders | IncompleteStream | StreamReadFailed(_) => {
                Self::Stopped
            }
            StreamSizeExceeded { .. } => Self::TooLarge,
            _ => Self::Unreadable,
        }
    }
}

/// A failure before the audio.
impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        let (kind, detail) = match failure {
            Failure::Silent => (ProblemKind::Interrupted, SILENT),
            Failure::Stopped => (ProblemKind::Interrupted, STOPPED),
            Failure::TooMuch | Failure::TooLarge => (ProblemKind::BodyTooLarge, TOO_MUCH),
            Failure::Unreadable => (ProblemKind::InvalidRequest, UNREADABLE),
        };
        Self::new(kind, detail)
    }
}

/// A failure behind the audio.
impl From<Failure> for BodyError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Silent => Self::Interrupted(SILENT.into()),
            Failure::Stopped | Failure::Unreadable => Self::Interrupted(STOPPED.into()),
            Failure::TooMuch => Self::TooLong(TOO_MUCH.into()),
            Failure::TooLarge => Self::TooLong("the body is too large".into()),
        }
    }
}

/// A failure within the audio.
fn stopped(error: &multer::Error) -> BodyError {
    match error {
        multer::Error::StreamSizeExceeded { .. } => BodyError::TooLong("the body is too large".into()),
        _ => BodyError::Interrupted(STOPPED.into()),
    }
}
