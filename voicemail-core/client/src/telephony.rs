//! The calls of a media server: reception, greetings, deposit, and an owner's work by telephone.
//!
//! Flow: a call comes in, the front asks for the reception, plays, records, and deposits under an id of its own until it is
//! answered. An owner's PIN gives a token; [`Client::signed_in`] makes the client that works with it.
//!
//! Audio is asked for in the coding of the call, at 8 kHz: the core converts what was recorded otherwise, and gives what
//! is so already untouched.

use crate::{Client, ClientError};
use reqwest::multipart::{Form, Part};
use reqwest::{Response, header};
use serde_json::{Value, json};
use std::ops::Range;
use voicemail_api::percent::encode_segment;
use voicemail_api::telephony::{
    Counts, DepositFields, DepositReceipt, GreetingView, Law, ListedMessage, ListedPage, MailboxToken, Mark,
    ReceptionView,
};

/// Samples a second of every trunk.
const RATE: &str = "8000";

impl Client {
    /// The same connection for whoever has that token of a mailbox.
    #[must_use]
    pub fn signed_in(&self, token: &str) -> Self {
        Self { authorization: format!("Bearer {token}"), ..self.clone() }
    }

    /// What to play and what is allowed.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn reception(&self, mailbox: &str) -> Result<ReceptionView, ClientError> {
        self.get(&format!("mailboxes/{}/reception", encode_segment(mailbox)), &[]).await
    }

    /// A greeting's audio in that coding.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn greeting(
        &self,
        mailbox: &str,
        greeting: &GreetingView,
        law: Law,
    ) -> Result<Response, ClientError> {
        let kind = encode_segment(&greeting.kind);
        let path = match greeting.kind.as_str() {
            "default" | "disclaimer" => format!("greetings/{kind}"),
            _ => format!("mailboxes/{}/greetings/{kind}", encode_segment(mailbox)),
        };
        let query = [("codec", law.codec()), ("rate", RATE)];
        self.send(self.http.get(self.url(&path)).query(&query)).await
    }

    /// Leaves a message under an id of the sender's, a UUIDv7: repeated, it is stored once.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn deposit(
        &self,
        mailbox: &str,
        id: &str,
        fields: &DepositFields,
        wav: Vec<u8>,
    ) -> Result<DepositReceipt, ClientError> {
        let url = self.url(&format!("mailboxes/{}/messages", encode_segment(mailbox)));
        let audio = Part::bytes(wav).mime_str("audio/wav")?;
        let form = described(fields).part("audio", audio);
        let request = self.http.post(url).header("idempotency-key", id).multipart(form);
        self.read(self.send(request).await?).await
    }

    /// Asks whether a mailbox's PIN is right.
    ///
    /// # Errors
    /// [`ClientError`]; a problem of status 423 after too many wrong ones.
    pub async fn verify_pin(&self, mailbox: &str, pin: &str) -> Result<MailboxToken, ClientError> {
        self.post(&format!("mailboxes/{}/pin/verify", encode_segment(mailbox)), &json!({ "pin": pin })).await
    }

    /// Another token for the holder of one that a PIN gave: this client must be [signed in](Self::signed_in) with it.
    ///
    /// # Errors
    /// [`ClientError`]; a problem of status 403 when the PIN was given too long ago.
    pub async fn renew_pin(&self, mailbox: &str) -> Result<MailboxToken, ClientError> {
        let url = self.url(&format!("mailboxes/{}/pin/renew", encode_segment(mailbox)));
        self.read(self.send(self.http.post(url)).await?).await
    }

    /// Tells how many recordings wait at a telephone, and since when (RFC 3339) if any do.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn tell_spooled(
        &self,
        front: &str,
        spooled: u64,
        oldest: Option<&str>,
    ) -> Result<(), ClientError> {
        let url = self.url(&format!("telephony/fronts/{}", encode_segment(front)));
        let body = match oldest {
            Some(oldest) => json!({ "spooled": spooled, "oldest": oldest }),
            None => json!({ "spooled": spooled }),
        };
        self.send(self.http.put(url).json(&body)).await.map(drop)
    }

    /// A mailbox's counts.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn counts(&self, mailbox: &str) -> Result<Counts, ClientError> {
        self.get(&format!("mailboxes/{}/mwi", encode_segment(mailbox)), &[]).await
    }

    /// A page of messages with these parameters of the list.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_messages(
        &self,
        mailbox: &str,
        query: &[(&str, &str)],
    ) -> Result<ListedPage, ClientError> {
        self.get(&format!("mailboxes/{}/messages", encode_segment(mailbox)), query).await
    }

    /// A range of a message's audio in that coding; shorter at the end.
    ///
    /// # Errors
    /// [`ClientError`]; a problem of status 416 behind the end.
    pub async fn message_audio(
        &self,
        mailbox: &str,
        id: &str,
        law: Law,
        range: Range<u64>,
    ) -> Result<Response, ClientError> {
        let query = [("codec", law.codec()), ("rate", RATE)];
        let range = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let request = self.http.get(self.url(&format!("{}/audio", message_path(mailbox, id))));
        self.send(request.query(&query).header(header::RANGE, range)).await
    }

    /// Notes that a message was heard or is kept.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn mark_message(
        &self,
        mailbox: &str,
        id: &str,
        mark: Mark,
    ) -> Result<ListedMessage, ClientError> {
        let change = match mark {
            Mark::Heard => json!({ "heard": true }),
            Mark::Saved => json!({ "state": "saved" }),
        };
        let request = self.http.patch(self.url(&message_path(mailbox, id)));
        self.read(self.send(request.json(&change)).await?).await
    }

    /// Moves a message to the trash.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn trash_message(&self, mailbox: &str, id: &str) -> Result<ListedMessage, ClientError> {
        self.read(self.send(self.http.delete(self.url(&message_path(mailbox, id)))).await?).await
    }

    /// Replaces a greeting of a mailbox: `standard`, `alternate` or `name`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn record_greeting(
        &self,
        mailbox: &str,
        kind: &str,
        wav: Vec<u8>,
    ) -> Result<GreetingView, ClientError> {
        let path = format!("mailboxes/{}/greetings/{}", encode_segment(mailbox), encode_segment(kind));
        let request = self.http.put(self.url(&path)).header(header::CONTENT_TYPE, "audio/wav").body(wav);
        self.read(self.send(request).await?).await
    }

    /// Replaces a mailbox's PIN.
    ///
    /// # Errors
    /// [`ClientError`]; a problem of status 400 or 422 for one that is too easy.
    pub async fn set_pin(&self, mailbox: &str, pin: &str) -> Result<(), ClientError> {
        let path = format!("mailboxes/{}/pin", encode_segment(mailbox));
        let body: Value = json!({ "pin": pin });
        self.send(self.http.put(self.url(&path)).json(&body)).await.map(drop)
    }
}

fn message_path(mailbox: &str, id: &str) -> String {
    format!("mailboxes/{}/messages/{}", encode_segment(mailbox), encode_segment(id))
}

/// The fields before the audio.
fn described(fields: &DepositFields) -> Form {
    let text = |form: Form, name: &'static str, value: &Option<String>| match value {
        Some(value) => form.text(name, value.clone()),
        None => form,
    };
    let form = text(Form::new(), "caller", &fields.caller);
    let form = text(form, "callerName", &fields.caller_name);
    let form = text(form, "left", &fields.left);
    if fields.urgent { form.text("urgent", "true") } else { form }
}
