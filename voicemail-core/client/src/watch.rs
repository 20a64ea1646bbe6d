//! The counts of mailboxes that a telephone names, as they change: a stream of server-sent events.
//!
//! Flow: [`Client::watch_mwi`] opens it; [`MwiStream::next`] gives one step after the other: the state of all of them first, then
//! each change, and a sign of life where nothing changed for a while. It ends when the core says so or goes away; whoever opens it
//! again begins with the state.
//!
//! What can go wrong: see [`ClientError`]. An event longer than any of this API ends the stream.

use crate::{Client, ClientError, LONGEST};
use reqwest::Response;
use serde_json::json;
use voicemail_api::telephony::{Counts, GoneMwi, WatchedMwi, WatchedState};

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MwiStep {
    /// All mailboxes that there are among the named ones.
    State(Vec<(String, Counts)>),
    /// One is new or has changed.
    Changed(String, Counts),
    /// One was deleted.
    Gone(String),
    /// Nothing changed, and the core is there.
    Alive,
}

/// An open stream.
pub struct MwiStream {
    answer: Response,
    waiting: Vec<u8>,
}

impl Client {
    /// Follows the counts of 1 to 500 mailboxes.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn watch_mwi(&self, mailboxes: &[String]) -> Result<MwiStream, ClientError> {
        let request = self.http.post(self.url("mwi/watch")).json(&json!({ "mailboxes": mailboxes }));
        Ok(MwiStream { answer: self.send(request).await?, waiting: Vec::new() })
    }
}

impl MwiStream {
    /// The next step; `None` when the core has ended the stream. May be dropped while it waits.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn next(&mut self) -> Result<Option<MwiStep>, ClientError> {
        let status = self.answer.status().as_u16();
        loop {
            if let Some(block) = take_block(&mut self.waiting) {
                return read(&block).map(Some).ok_or(ClientError::Unreadable(status));
            }
            let Some(chunk) = self.answer.chunk().await? else { return Ok(None) };
            if self.waiting.len() + chunk.len() > LONGEST {
                return Err(ClientError::TooLong(status));
            }
            self.waiting.extend_from_slice(&chunk);
        }
    }
}

/// Takes an event out, which an empty line ends.
fn take_block(waiting: &mut Vec<u8>) -> Option<String> {
    let end = waiting.windows(2).position(|pair| pair == b"\n\n")?;
    let block: Vec<u8> = waiting.drain(..end + 2).collect();
    Some(String::from_utf8_lossy(&block).into_owned())
}

/// What an event says; events that aren't known are signs of life. `None` for one of another form.
fn read(block: &str) -> Option<MwiStep> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim_start);
    let data = field("data:").unwrap_or_default();
    Some(match field("event:") {
        Some("state") => {
            let state: WatchedState = serde_json::from_str(data).ok()?;
            MwiStep::State(state.mailboxes.into_iter().map(|one| (one.mailbox, one.counts)).collect())
        }
        Some("mwi") => {
            let one: WatchedMwi = serde_json::from_str(data).ok()?;
            MwiStep::Changed(one.mailbox, one.counts)
        }
        Some("gone") => MwiStep::Gone(serde_json::from_str::<GoneMwi>(data).ok()?.mailbox),
        _ => MwiStep::Alive,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(pieces: &[&str]) -> Vec<Option<MwiStep>> {
        let (mut waiting, mut found) = (Vec::new(), Vec::new());
        for piece in pieces {
            waiting.extend_from_slice(piece.as_bytes());
            while let Some(block) = take_block(&mut waiting) {
                found.push(read(&block));
            }
        }
        found
    }

    #[test]
    fn steps_are_read_however_they_are_cut() {
        let one = r#"{"Mailbox":"1001","Messages-Waiting":"True","NewMessages":2,"OldMessages":3,"Voice-Message":"2/3 (1/0)"}"#;
        let text = format!(
            "retry: 1234\nevent: state\nid: a\ndata: {{\"Mailboxes\":[{one}]}}\n\n: \n\nevent:mwi\ndata:{one}\n\n\
             event: gone\ndata: {{\"Mailbox\":\"1001\"}}\n\nevent: later\ndata: x\n\n"
        );
        let counts = Counts { new: 2, old: 3, urgent_new: 1, urgent_old: 0 };
        let expected = [
            MwiStep::State(vec![("1001".into(), counts)]),
            MwiStep::Alive,
            MwiStep::Changed("1001".into(), counts),
            MwiStep::Gone("1001".into()),
            MwiStep::Alive,
        ]
        .map(Some);
        assert_eq!(steps(&[&text]), expected);
        for cut in 1..text.len() {
            assert_eq!(steps(&[&text[..cut], &text[cut..]]), expected, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_step_of_this_api_is_told_from_a_sign_of_life() {
        for bad in
            ["event: state\ndata: {}\n\n", "event: mwi\ndata: {\"Mailbox\":\"1\"}\n\n", "event: gone\n\n"]
        {
            assert_eq!(steps(&[bad]), [None], "{bad}");
        }
        let forged = r#"{"Mailbox":"1","Voice-Message":"x/0 (0/0)"}"#;
        assert_eq!(steps(&[&format!("event: mwi\ndata: {forged}\n\n")]), [None]);
    }
}
