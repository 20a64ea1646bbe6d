//! A deposit's multipart body: small fields first, then the audio as a stream.
//!
//! The body is read by the deposit's own task, so that it goes on when its connection ends: a body that was
//! complete becomes a message, any other leaves nothing. Only the closing boundary makes a body complete.

use super::{ApiError, ProblemKind};
use crate::model::CallerId;
use crate::store::{BodyError, BodyStream};
use axum::extract::Request;
use axum::http::header;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use multer::{Constraints, Field, Multipart, SizeLimit};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};

/// Longest silence between two chunks.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a body may take as a whole, which is what an attempt at a deposit may take.
const LONGEST: Duration = Duration::from_secs(900);
/// No class of service allows more audio than this.
const LARGEST: u64 = 768 * 1024 * 1024;
/// Longest display name, in bytes.
const LONGEST_NAME: u64 = 256;

/// What precedes the audio.
#[derive(Default)]
pub(super) struct Form {
    pub(super) caller: Option<CallerId>,
    pub(super) caller_name: Option<String>,
    pub(super) urgent: bool,
}

/// A body whose fields have been read, and whose audio hasn't.
pub(super) struct Upload {
    pub(super) form: Form,
    source: Arc<Mutex<Source>>,
}

struct Source {
    parts: Multipart<'static>,
    audio: Option<Field<'static>>,
    end: Instant,
}

impl Upload {
    /// Reads up to the audio.
    pub(super) async fn begin(request: Request) -> Result<Self, ApiError> {
        let mut source = Source::open(request)?;
        let form = source.read_form().await?;
        Ok(Self { form, source: Arc::new(Mutex::new(source)) })
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
}

/// A body that is audio and nothing else.
///
/// # Errors
/// `WrongType` for a body that says that it is something else.
pub(super) fn raw_audio(request: Request) -> Result<BodyStream, ApiError> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !matches!(kind.as_str(), "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave") {
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

/// A chunk a poll: a parser that reads for as long as there is something would gather a whole recording of a fast
/// sender before it hands on the first byte.
fn one_at_a_time<S: Stream + Send + Unpin + 'static>(mut body: S) -> impl Stream<Item = S::Item> + Send {
    let mut gave = false;
    stream::poll_fn(move |context| {
        if std::mem::take(&mut gave) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = body.poll_next_unpin(context);
        gave = polled.is_ready();
        polled
    })
}

impl Source {
    fn open(request: Request) -> Result<Self, ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let boundary = kind.and_then(|kind| multer::parse_boundary(kind).ok());
        let boundary = boundary.ok_or_else(|| {
            ApiError::new(ProblemKind::WrongType, "send multipart/form-data with a boundary")
        })?;
        let limits = SizeLimit::new()
            .whole_stream(LARGEST)
            .for_field("caller", CallerId::MAX_BYTES as u64)
            .for_field("callerName", LONGEST_NAME)
            .for_field("urgent", 8);
        let body = one_at_a_time(request.into_body().into_data_stream());
        let parts = Multipart::with_constraints(body, boundary, Constraints::new().size_limit(limits));
        Ok(Self { parts, audio: None, end: Instant::now() + LONGEST })
    }

    async fn read_form(&mut self) -> Result<Form, ApiError> {
        let mut form = Form::default();
        loop {
            let field = timeout(SILENCE, self.parts.next_field()).await.map_err(|_| silent())?;
            let field = field.map_err(refuse)?.ok_or_else(|| {
                ApiError::new(ProblemKind::InvalidRequest, "the field audio is missing: send it last")
            })?;
            match field.name().map(str::to_owned).as_deref() {
                Some("audio") => {
                    self.audio = Some(field);
                    return Ok(form);
                }
                name => form.take(name, field).await?,
            }
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

    /// The audio's end is the body's end only behind the closing boundary.
    async fn finish(&mut self) -> Result<(), BodyError> {
        self.audio = None;
        match timeout(SILENCE, self.parts.next_field()).await {
            Ok(Ok(None)) => Ok(()),
            Ok(Ok(Some(_))) => Err(BodyError::Invalid("audio must be the last field of the body".into())),
            Ok(Err(error)) => Err(stopped(&error)),
            Err(_) => Err(BodyError::Interrupted(SILENT.into())),
        }
    }
}

impl Form {
    async fn take(&mut self, name: Option<&str>, field: Field<'static>) -> Result<(), ApiError> {
        let text = timeout(SILENCE, field.bytes()).await.map_err(|_| silent())?.map_err(refuse)?;
        let text =
            String::from_utf8(text.to_vec())
                .ok()
                .filter(|text| !text.chars().any(char::is_control))
                .ok_or_else(|| invalid("caller, callerName, urgent: use UTF-8 without control characters"))?;
        match name {
            Some("caller") => self.caller = CallerId::new(&text),
            Some("callerName") => {
                self.caller_name = Some(text.trim().to_owned()).filter(|name| !name.is_empty())
            }
            Some("urgent") => self.urgent = parse_urgent(&text)?,
            _ => return Err(invalid("the fields are caller, callerName, urgent and, last, audio")),
        }
        Ok(())
    }
}

fn parse_urgent(text: &str) -> Result<bool, ApiError> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "" | "false" | "0" => Ok(false),
        _ => Err(invalid("urgent: write true or false")),
    }
}

fn invalid(detail: &str) -> ApiError {
    ApiError::new(ProblemKind::InvalidValue, detail)
}

const SILENT: &str = "no bytes came for 30 s, or not all within 15 minutes: nothing was stored";

fn silent() -> ApiError {
    ApiError::new(ProblemKind::Interrupted, SILENT)
}

/// A failure before the audio.
fn refuse(error: multer::Error) -> ApiError {
    match error {
        multer::Error::FieldSizeExceeded { .. } => {
            invalid("caller and callerName take at most 256 bytes, urgent true or false")
        }
        error if is_interruption(&error) => ApiError::new(ProblemKind::Interrupted, STOPPED),
        _ => ApiError::new(ProblemKind::InvalidRequest, "the multipart body can't be read"),
    }
}

const STOPPED: &str = "the body stopped before its end: nothing was stored";

/// A failure within the audio.
fn stopped(error: &multer::Error) -> BodyError {
    match error {
        multer::Error::StreamSizeExceeded { .. } => BodyError::TooLong("the body is too large".into()),
        _ => BodyError::Interrupted(STOPPED.into()),
    }
}

fn is_interruption(error: &multer::Error) -> bool {
    use multer::Error::{IncompleteFieldData, IncompleteHeaders, IncompleteStream, StreamReadFailed};
    matches!(error, IncompleteFieldData { .. } | IncompleteHeaders | IncompleteStream | StreamReadFailed(_))
}
