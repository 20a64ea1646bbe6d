//! Data-subject rights of the engine over a store in memory, with a clock that the test moves.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod cases;
mod copies;
mod exports;
mod holds;
mod limitations;
mod messages;
mod numbers;
mod receipts;
mod regions;
mod request_names;
mod restore;
mod seals;
mod superseded;

use voicemail_api::gdpr::{GdprBody, MessageRef, RunState, RunView};
use voicemail_engine::testing::Site;
use voicemail_model::MessageId;

const DAY: u64 = 86_400;

fn naming(case: &str, messages: &[(&str, MessageId)], window: &str) -> GdprBody {
    let name =
        |(mailbox, id): &(&str, MessageId)| MessageRef { mailbox: (*mailbox).into(), id: id.to_string() };
    GdprBody {
        caseid: case.into(),
        messages: messages.iter().map(name).collect(),
        undo_window: Some(window.into()),
        ..GdprBody::default()
    }
}

async fn run(site: &Site, case: &str) -> RunView {
    let case = site.core.gdpr.case(&case.parse().unwrap()).await.unwrap();
    case.runs.last().unwrap().clone()
}

async fn state(site: &Site, case: &str) -> RunState {
    run(site, case).await.state
}

async fn forward(site: &Site, from: &str, id: MessageId, to: &str) -> MessageId {
    let request = voicemail_engine::mailbox::ForwardRequest {
        from: voicemail_engine::testing::mailbox(from),
        id,
        to: voicemail_engine::testing::mailbox(to),
        key: site.core.mailboxes.new_id(),
        by: "ann".parse().unwrap(),
    };
    site.core.mailboxes.forward(&request).await.unwrap().id
}
