//! Due items: what must happen at a time, with all that is needed to do it.
//!
//! Filed as `due/<yyyymmddHHMM>/<kind>.<id>` and never changed, so that any replica can take one up
//! and a crash leaves it for the next. Names are deterministic where making one twice must do nothing.

use super::{AudioKey, ByRules, CallerHash, GreetingKey, MailboxId, MessageId, MessageName, RunId, Time};
use serde::{Deserialize, Serialize};

/// A stored due item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueItem {
    /// Version of this shape.
    #[serde(default = "first_schema")]
    pub schema: u32,
    /// Exact time; the key only has the minute.
    pub at: Time,
    /// The work to do.
    #[serde(flatten)]
    pub due: Due,
}

/// The kind of work of a due item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Due {
    /// X: finish a deletion. `attempt` makes the name this deletion's own.
    Delete {
        /// Mailbox of the message.
        mailbox: MailboxId,
        /// The message.
        id: MessageId,
        /// Its caller.
        caller: CallerHash,
        /// Its audio.
        audio: AudioKey,
        /// Region of the audio.
        region: String,
        /// Random.
        attempt: String,
    },
    /// Look for expired messages in a mailbox. Names no message.
    Retain {
        /// The mailbox.
        mailbox: MailboxId,
    },
    /// Finish closing a mailbox.
    Close {
        /// The mailbox.
        mailbox: MailboxId,
        /// Its generation when it was closed.
        generation: u32,
    },
    /// Delete a greeting's audio unless it is in force.
    Greeting {
        /// The audio.
        audio: GreetingKey,
        /// Why it may not be in force.
        stage: GreetingStage,
    },
    /// A message's legal hold has ended: if an erasure covered it meanwhile, it goes now.
    Released {
        /// The message.
        message: MessageName,
        /// The hold's reason.
        reason: String,
    },
    /// Forget what an Idempotency-Key stands for.
    DepositKey {
        /// Its place below `deposit/`.
        digest: String,
    },
    /// Move a GDPR run on.
    Run {
        /// The run.
        run: RunId,
        /// Why.
        stage: RunStage,
        /// Callers of the run: after its end these are only here and in the ledger.
        callers: Vec<CallerHash>,
        /// Messages of the run that were named.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        messages: Vec<MessageName>,
        /// Hashes under which other rule sets may have filed the callers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        doubtful: Option<ByRules>,
        /// Messages received up to then are covered.
        cutoff: Time,
    },
}

/// Why a greeting is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GreetingStage {
    /// It is being recorded: its maker may have died before it came into force.
    Recorded,
    /// Another is about to take its place.
    Replaced,
}

/// Why a run is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "name", content = "number")]
pub enum RunStage {
    /// A minute after the start: resume it, or mark once more.
    Resume,
    /// The purge or the export's end is due.
    Deadline,
    /// Superseded revisions can be pruned now; the number makes the item's name its own.
    History(i64),
    /// After the end: pass 1 at 1 h, 2 at 1 d, 3 at 8 d.
    After(u32),
}

/// Items of the first version don't say theirs.
fn first_schema() -> u32 {
    1
}

impl DueItem {
    /// The prefix of all due items' keys.
    pub const PREFIX: &'static str = "due/";

    /// Version written now, but for what the first can't do.
    pub const SCHEMA: u32 = 1;
    /// Items that name messages: a core that doesn't know them would end the run without having looked.
    pub const NAMED: u32 = 2;
    /// Items with hashes under which strangers are filed, too: a core that doesn't know them would leave messages out.
    pub const DOUBTFUL: u32 = 3;

    /// Key below the tenant's prefix.
    pub fn key(&self) -> String {
        format!("{}{}/{}", Self::PREFIX, self.at.minute(), self.due.name())
    }
}

impl Due {
    fn name(&self) -> String {
        match self {
            Self::Delete { mailbox, id, attempt, .. } => format!("delete.{}.{id}.{attempt}", mailbox.key()),
            Self::Retain { mailbox } => format!("retain.{}", mailbox.key()),
            Self::Close { mailbox, generation } => format!("close.{}.{generation}", mailbox.key()),
            Self::Greeting { audio, stage: GreetingStage::Recorded } => format!("{}.recorded", audio.flat()),
            Self::Greeting { audio, stage: GreetingStage::Replaced } => format!("{}.replaced", audio.flat()),
            Self::Released { message, .. } => format!("released.{}.{}", message.mailbox.key(), message.id),
            Self::DepositKey { digest } => format!("depositkey.{digest}"),
            Self::Run { run, stage, .. } => format!("run.{}.{}", run.flat(), stage.name()),
        }
    }

    /// At that time.
    pub fn at(self, at: Time) -> DueItem {
        let schema = match &self {
            Self::Run { doubtful: Some(doubtful), .. } if !doubtful.callers.is_empty() => DueItem::DOUBTFUL,
            Self::Run { messages, .. } if !messages.is_empty() => DueItem::NAMED,
            _ => DueItem::SCHEMA,
        };
        DueItem { schema, at, due: self }
    }
}

impl RunStage {
    fn name(self) -> String {
        match self {
            Self::Resume => "resume".into(),
            Self::Deadline => "deadline".into(),
            Self::History(round) => format!("history-{round}"),
            Self::After(pass) => format!("after-{pass}"),
        }
    }
}
