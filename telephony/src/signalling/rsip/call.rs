//! A call over rsipstack's dialog: answer, acknowledgement, what the peer does, and the end.
//!
//! The dialog is taken out of the stack's table when it ends; the stack itself never does that. A leg that is dropped
//! hangs up.

use super::outbound::Way;
use super::party::key;
use super::places::Place;
use super::validate::{Refusal, session_expires};
use super::{Shared, headers_of};
use crate::media::telephone_event::Key;
use crate::sdp::Offer;
use crate::signalling::{Leg, LegEvent, SipError};
use async_trait::async_trait;
use rsipstack::dialog::dialog::{DialogState, DialogStateReceiver, TransactionHandle};
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::{Header, Method, Request, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What we know, in answers.
pub(super) const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, SUBSCRIBE";

pub(super) struct RsipLeg {
    pub(super) shared: Arc<Shared>,
    pub(super) dialog: InviteDialog,
    pub(super) states: DialogStateReceiver,
    /// The session's length, if it is timed.
    pub(super) session: Option<u32>,
    pub(super) expires: Option<Instant>,
    /// A new description that waits for our answer.
    pub(super) waiting: Option<TransactionHandle>,
    /// The way of our BYE, where it is another one than the dialogue's.
    pub(super) way: Option<Way>,
    /// The call's place among its trunk's.
    pub(super) _place: Place,
}

fn sdp() -> Header {
    Header::ContentType("application/sdp".into())
}

pub(super) fn other(name: &str, value: impl Into<String>) -> Header {
    Header::Other(name.to_owned(), value.into())
}

impl RsipLeg {
    /// Headers of an answer: what we know, and the session's time, which the caller keeps alive.
    fn described(&self) -> Vec<Header> {
        let mut headers = vec![sdp(), other("Allow", ALLOW), other("Supported", "timer")];
        if let Some(seconds) = self.session {
            headers.push(other("Require", "timer"));
            headers.push(other("Session-Expires", format!("{seconds};refresher=uac")));
        }
        headers
    }

    /// The session lives on for its length (RFC 4028: ended a little before, or a third of it).
    fn renew(&mut self) {
        self.expires = self.session.map(|seconds| Instant::now() + Duration::from_secs(u64::from(seconds)));
    }

    /// One step of the dialog; `None` if it concerns nobody but us.
    async fn step(&mut self, state: DialogState) -> Option<LegEvent> {
        match state {
            DialogState::Updated(_, request, handle) => return self.updated(&request, handle).await,
            DialogState::Info(_, request, handle) => {
                reply(&handle, StatusCode::OK).await;
                return key_of(&request).map(LegEvent::Key);
            }
            DialogState::Options(_, _, handle) => reply(&handle, StatusCode::OK).await,
            DialogState::Refer(_, _, handle)
            | DialogState::Message(_, _, handle)
            | DialogState::Publish(_, _, handle) => reply(&handle, StatusCode::MethodNotAllowed).await,
            DialogState::Notify(_, _, handle) => reply(&handle, StatusCode::BadEvent).await,
            DialogState::Terminated(..) => return Some(LegEvent::Ended),
            _ => {}
        }
        None
    }

    /// A re-INVITE or UPDATE: a new description, or a sign of life.
    async fn updated(&mut self, request: &Request, handle: TransactionHandle) -> Option<LegEvent> {
        match session_expires(&headers_of(&request.headers)) {
            Ok(Some(seconds)) => self.session = Some(seconds),
            Ok(None) => {}
            Err(refusal) => {
                refuse(&handle, &refusal).await;
                return None;
            }
        }
        self.renew();
        if request.body.is_empty() && request.method == Method::Update {
            let headers =
                self.described().into_iter().filter(|header| !matches!(header, Header::ContentType(_)));
            respond(&handle, StatusCode::OK, headers.collect(), None).await;
            return None;
        }
        match Offer::parse(&request.body) {
            Ok(offer) => {
                self.waiting = Some(handle);
                Some(LegEvent::Reoffer(offer))
            }
            // An offer of ours in a re-INVITE without one would have to wait for another answer: the peer asks again.
            Err(_) => {
                reply(&handle, StatusCode::NotAcceptableHere).await;
                None
            }
        }
    }
}

#[async_trait]
impl Leg for RsipLeg {
    async fn answer(&mut self, description: &str) -> Result<Option<Offer>, SipError> {
        let offered = !self.dialog.initial_request().body.is_empty();
        self.dialog
            .accept(Some(self.described()), Some(description.as_bytes().to_vec()))
            .map_err(|_| SipError::NotSent)?;
        loop {
            match self.states.recv().await {
                Some(DialogState::Confirmed(..)) => break,
                Some(DialogState::Terminated(..)) | None => return Err(SipError::Over),
                Some(_) => {}
            }
        }
        self.renew();
        if offered {
            return Ok(None);
        }
        let acknowledgement = self.dialog.last_remote_ack().ok_or(SipError::Description)?;
        Offer::parse(&acknowledgement.body).map(Some).map_err(|_| SipError::Description)
    }

    async fn reject(self: Box<Self>, status: u16) {
        if self.dialog.reject(Some(StatusCode::from(status)), None).is_err() {
            tracing::debug!("a call was over before it was refused");
        }
    }

    async fn event(&mut self) -> LegEvent {
        loop {
            let expires = self.expires;
            let expired = async move {
                match expires {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let state = tokio::select! {
                state = self.states.recv() => state,
                () = expired => return LegEvent::Expired,
            };
            let Some(state) = state else { return LegEvent::Ended };
            if let Some(event) = self.step(state).await {
                return event;
            }
        }
    }

    async fn answer_again(&mut self, description: &str) {
        let headers = self.described();
        if let Some(handle) = self.waiting.take() {
            respond(&handle, StatusCode::OK, headers, Some(description.as_bytes().to_vec())).await;
        }
    }
}

/// How often hanging up is tried while the dialog is busy with a request of the peer's.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// A leg that is dropped hangs up; nobody waits for the peer's answer.
impl Drop for RsipLeg {
    fn drop(&mut self) {
        let (shared, dialog) = (Arc::clone(&self.shared), self.dialog.clone());
        let way = self.way.take();
        tokio::spawn(async move {
            for _ in 0..TRIES {
                if hang_up(&shared, &dialog, way.as_ref()).await {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
            shared.layer.remove_dialog(&dialog.id());
            shared.calls.lock().remove(&key(&dialog.id()));
        });
    }
}

/// Whether the dialogue is over, or the peer has been told.
async fn hang_up(shared: &Shared, dialog: &InviteDialog, way: Option<&Way>) -> bool {
    match (dialog.state(), way) {
        (DialogState::Terminated(..), _) => true,
        (DialogState::Confirmed(..) | DialogState::WaitAck(..), Some(way)) => {
            // As of the stack's own: whatever the answer, the call is over.
            let _ = way.bye(shared, dialog).await;
            true
        }
        _ => dialog.bye().await.is_ok(),
    }
}

fn key_of(request: &Request) -> Option<Key> {
    let headers = headers_of(&request.headers);
    let kind = super::validate::values(&headers, "Content-Type").next()?;
    Key::of_info(kind, &request.body)
}

async fn reply(handle: &TransactionHandle, status: StatusCode) {
    respond(handle, status, Vec::new(), None).await;
}

async fn refuse(handle: &TransactionHandle, refusal: &Refusal) {
    let headers = refusal.header.iter().map(|(name, value)| other(name, value.clone())).collect();
    respond(handle, StatusCode::from(refusal.status), headers, None).await;
}

async fn respond(
    handle: &TransactionHandle,
    status: StatusCode,
    headers: Vec<Header>,
    body: Option<Vec<u8>>,
) {
    if handle.respond(status, Some(headers), body).await.is_err() {
        tracing::debug!("a request was given up before it was answered");
    }
}
