//! The body of a delivery and its signature, as Standard Webhooks has them. Pure.
//!
//! Signed is `id.timestamp.body` by HMAC-SHA256. A file may hold several secrets, newest first: each signs, so
//! that a receiver can change to another one without missing a request.

use crate::mwi::event::{MwiEvent, MwiGone};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use voicemail_model::{MailboxId, Mwi, Time};

/// Marks a secret.
const PREFIX: &str = "whsec_";
const SIZES: std::ops::RangeInclusive<usize> = 24..=64;

/// The secrets of a webhook.
pub(super) struct Secrets(Vec<hmac::Key>);

impl Secrets {
    /// Reads secrets of the form `whsec_BASE64`, separated by white space. The error is for an operator's eyes.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let read = |word: &str| {
            let bytes = STANDARD.decode(word.strip_prefix(PREFIX)?).ok()?;
            SIZES.contains(&bytes.len()).then(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes))
        };
        let secrets: Option<Vec<_>> = text.split_whitespace().map(read).collect();
        let secrets = secrets.filter(|secrets| !secrets.is_empty());
        secrets.map(Self).ok_or_else(|| "write whsec_ and the Base64 of 24 to 64 random bytes".into())
    }

    /// The signature's header.
    pub(super) fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let sign = |key: &hmac::Key| {
            let mut context = hmac::Context::with_key(key);
            context.update(format!("{id}.{seconds}.").as_bytes());
            context.update(body);
            format!("v1,{}", STANDARD.encode(context.sign()))
        };
        self.0.iter().map(sign).collect::<Vec<_>>().join(" ")
    }
}

/// The body of a delivery: a mailbox's counts, or that it is gone.
pub(super) fn body(mailbox: &MailboxId, counts: Option<&Mwi>, now: Time) -> Vec<u8> {
    let timestamp = now.rfc3339();
    let body = match counts {
        Some(counts) => {
            json!({ "type": "mwi.updated", "timestamp": timestamp, "data": MwiEvent::new(mailbox, counts) })
        }
        None => {
            let data = MwiGone { mailbox: mailbox.clone() };
            json!({ "type": "mwi.gone", "timestamp": timestamp, "data": data })
        }
    };
    body.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_standards_own_example() {
        let secrets = Secrets::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn every_secret_signs_and_bad_ones_are_refused() {
        let (one, two) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        let secrets = Secrets::parse(&format!("{one}\n{two}\n")).unwrap();
        assert_eq!(secrets.sign("a", 1, b"").split(' ').count(), 2);
        for bad in ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &format!("{one} x")] {
            assert!(Secrets::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_body_holds_mailbox_and_counts_and_nothing_else() {
        let counts = Mwi { new: 1, ..Mwi::default() };
        let body = body(&"1001".parse().unwrap(), Some(&counts), Time(1_790_000_000_000));
        let expected = json!({
            "type": "mwi.updated", "timestamp": "2026-09-21T14:13:20.000Z",
            "data": { "Mailbox": "1001", "Messages-Waiting": "True", "NewMessages": 1, "OldMessages": 0,
                      "Voice-Message": "1/0 (0/0)" },
        });
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap(), expected);
    }
}
