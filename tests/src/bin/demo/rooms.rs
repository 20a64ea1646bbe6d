//! Mailboxes, the people at them, and the messages that arrive: all over HTTPS, each with a token of its own.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use voicemail_engine::mailbox::MessageView;
use voicemail_model::{MessageId, Mwi};
use voicemail_tests::stage::{Accounts, Api, Deposit, Steps};

use crate::cast::{ALICE, BOB, Call, DIALLED, MAILBOXES, OWNERS, SUPPORT, make_calls, read_subject};

/// The API as each of the people who use it.
pub(super) struct Rooms {
    pub(super) media_server: Api,
    pub(super) alice: Api,
    pub(super) bob: Api,
    pub(super) privacy_officer: Api,
}

/// A message that was left, with its acknowledged id.
pub(super) struct Left {
    pub(super) id: MessageId,
    pub(super) call: Call,
}

impl Left {
    fn describe(&self) -> String {
        let Deposit { mailbox, caller, audio, .. } = &self.call.deposit;
        let caller = if caller.is_empty() { "withheld" } else { caller };
        format!("{caller:<18} ▸ {mailbox}  {:<5} {:6} bytes", self.call.coding.name(), audio.len())
    }
}

/// The agents' view: each mailbox's list and counts.
#[derive(Clone, PartialEq)]
pub(super) struct Sight {
    pub(super) lists: BTreeMap<&'static str, Vec<MessageView>>,
    pub(super) counts: BTreeMap<&'static str, Mwi>,
}

impl Rooms {
    /// Provisions the agents' personal mailboxes and one of a group.
    pub(super) async fn furnish(accounts: Accounts, api: Api, steps: &mut Steps) -> Result<Self> {
        let as_account = |name| Ok::<Api, anyhow::Error>(api.with_token(accounts.token(name)?));
        let provisioner = as_account("provisioner")?;
        let rooms = Self {
            media_server: as_account("media-server")?,
            alice: as_account("alice")?,
            bob: as_account("bob")?,
            privacy_officer: as_account("privacy-officer")?,
        };
        let provision = provision(&provisioner);
        steps.run("three personal mailboxes and one group mailbox are provisioned", provision).await?;
        Ok(rooms)
    }

    /// Leaves all messages, shows what agents now see, and plays each back.
    pub(super) async fn leave_messages(&self, steps: &mut Steps) -> Result<Vec<Left>> {
        let calls = async { make_calls(&read_subject()?) };
        let calls = steps.run("six messages are spoken, in PCM, A-law and µ-law", calls).await?;
        let leave = self.leave_all(calls);
        let left = steps.run("three callers, one of them withheld, have left six messages", leave).await?;
        left.iter().for_each(|left| steps.show(&left.describe()));
        let looking = async {
            let sight = self.look().await?;
            check_sight(&sight, &left)?;
            Ok(sight)
        };
        let sight = steps.run("lists and MWI show them", looking).await?;
        steps.show(&sight.describe());
        let playing = self.play_all(&left);
        let bytes = steps.run("each plays back byte by byte as it was left", playing).await?;
        steps.show(&format!("{bytes} bytes compared"));
        Ok(left)
    }

    async fn leave_all(&self, calls: Vec<Call>) -> Result<Vec<Left>> {
        let mut left = Vec::new();
        for call in calls {
            let answer = self.media_server.deposit(&call.deposit).await?;
            ensure!(answer.created, "a message was taken for a repeated one");
            left.push(Left { id: answer.id, call });
        }
        Ok(left)
    }

    /// The agents' present view: Alice her own box and the group's, Bob his.
    pub(super) async fn look(&self) -> Result<Sight> {
        let (mut lists, mut counts) = (BTreeMap::new(), BTreeMap::new());
        for mailbox in MAILBOXES {
            lists.insert(mailbox, self.owner(mailbox).list(mailbox).await?);
        }
        for (agent, (name, own)) in [&self.alice, &self.bob].into_iter().zip(OWNERS) {
            let boxes = agent.own_mailboxes().await?.mailboxes;
            let names: Vec<&str> = boxes.iter().map(|found| found.mailbox.as_str()).collect();
            ensure!(names == [own, &[SUPPORT]].concat(), "{name} has mailboxes {names:?}");
            for mailbox in MAILBOXES {
                let found = boxes.iter().find(|found| found.mailbox.as_str() == mailbox);
                found.map(|found| counts.insert(mailbox, found.mwi));
            }
        }
        for mailbox in MAILBOXES {
            let mwi = self.media_server.mwi(mailbox).await?;
            ensure!(counts.get(mailbox) == Some(&mwi), "MWI and count of {mailbox} differ");
        }
        Ok(Sight { lists, counts })
    }

    /// Who listens to a mailbox here.
    pub(super) fn owner(&self, mailbox: &str) -> &Api {
        if mailbox == BOB { &self.bob } else { &self.alice }
    }

    async fn play_all(&self, left: &[Left]) -> Result<usize> {
        let mut bytes = 0;
        for Left { id, call } in left {
            let mailbox = &call.deposit.mailbox;
            let audio = self.owner(mailbox).audio(mailbox, *id).await?;
            ensure!(audio == call.deposit.audio, "message {id} plays back other bytes than were left");
            bytes += audio.len();
        }
        Ok(bytes)
    }
}

async fn provision(admin: &Api) -> Result<()> {
    for (mailbox, label) in [(ALICE, "Alice"), (BOB, "Bob"), (SUPPORT, "Support"), (DIALLED, "Alice's phone")]
    {
        admin.put_mailbox(mailbox, "standard", label).await?;
    }
    admin.put_group("support", SUPPORT).await?;
    for (user, mailboxes) in OWNERS {
        admin.put_user(user, mailboxes, &["support"]).await?;
    }
    Ok(())
}

/// Each list and MWI shows exactly these messages.
pub(super) fn check_sight<'a>(sight: &Sight, messages: impl IntoIterator<Item = &'a Left>) -> Result<()> {
    let mut wanted: BTreeMap<&str, Vec<&Left>> = BTreeMap::new();
    for left in messages {
        wanted.entry(&left.call.deposit.mailbox).or_default().push(left);
    }
    for (mailbox, list) in &sight.lists {
        let wanted = wanted.remove(mailbox).unwrap_or_default();
        let mut ids: Vec<MessageId> = wanted.iter().map(|left| left.id).collect();
        let mut listed: Vec<MessageId> = list.iter().map(|view| view.id).collect();
        ids.sort();
        listed.sort();
        ensure!(listed == ids, "mailbox {mailbox} lists {} messages instead of {}", listed.len(), ids.len());
        let urgent = wanted.iter().filter(|left| left.call.deposit.urgent).count();
        let mwi = sight.counts.get(mailbox).copied().unwrap_or_default();
        let counts = (mwi.new as usize, mwi.old, mwi.urgent_new as usize, mwi.urgent_old);
        ensure!(counts == (ids.len(), 0, urgent, 0), "the MWI of {mailbox} shows {counts:?}");
    }
    Ok(())
}

impl Sight {
    /// Lists and MWI as text.
    pub(super) fn describe(&self) -> String {
        let mut lines = Vec::new();
        for (mailbox, list) in &self.lists {
            let mwi = self.counts.get(mailbox).copied().unwrap_or_default();
            let counts = format!("{}/{} ({}/{})", mwi.new, mwi.old, mwi.urgent_new, mwi.urgent_old);
            lines.push(format!("mailbox {mailbox}  MWI {counts}"));
            lines.extend(list.iter().map(describe_message));
        }
        lines.join("\n")
    }
}

fn describe_message(view: &MessageView) -> String {
    let caller = view.caller.as_deref().unwrap_or("withheld");
    let urgent = if view.urgent { "  urgent" } else { "" };
    let seconds = view.duration_ms as f64 / 1000.0;
    format!("  {}  {caller:<18} {seconds:4.1} s {:6} bytes{urgent}", view.id, view.size)
}
