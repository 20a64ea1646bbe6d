//! The public form of an MWI state: the keys of the `gsipmwi` list that contact-centre desktops know.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use voicemail_model::{MailboxId, Mwi};

/// MWI counts by mailbox, as one user sees them.
pub type MwiByMailbox = BTreeMap<MailboxId, Mwi>;

/// One mailbox's MWI state and counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MwiEvent {
    /// The mailbox.
    #[serde(rename = "Mailbox")]
    #[schema(value_type = String)]
    pub mailbox: MailboxId,
    /// `True` when new messages wait, else `False`.
    #[serde(rename = "Messages-Waiting")]
    pub messages_waiting: String,
    /// Messages nobody has listened to.
    #[serde(rename = "NewMessages")]
    pub new_messages: u32,
    /// Messages that were listened to or saved.
    #[serde(rename = "OldMessages")]
    pub old_messages: u32,
    /// As RFC 3842 writes it: new/old (urgent new/urgent old).
    #[serde(rename = "Voice-Message")]
    pub voice_message: String,
}

impl MwiEvent {
    /// A mailbox with its counts.
    pub fn new(mailbox: &MailboxId, counts: &Mwi) -> Self {
        let Mwi { new, old, urgent_new, urgent_old } = counts;
        Self {
            mailbox: mailbox.clone(),
            messages_waiting: if counts.has_new() { "True" } else { "False" }.into(),
            new_messages: *new,
            old_messages: *old,
            voice_message: format!("{new}/{old} ({urgent_new}/{urgent_old})"),
        }
    }
}

/// The MWI states of all mailboxes of a user; a mailbox that isn't among them isn't theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MwiState {
    /// Every mailbox, by name.
    #[serde(rename = "Mailboxes")]
    pub mailboxes: Vec<MwiEvent>,
}

/// A mailbox that isn't the user's any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MwiGone {
    /// The mailbox.
    #[serde(rename = "Mailbox")]
    #[schema(value_type = String)]
    pub mailbox: MailboxId,
}

/// The next message for a subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Everything, at first.
    State(MwiState),
    /// The client's state is right, at first.
    Unchanged,
    /// One mailbox, new or changed.
    Mwi(MwiEvent),
    /// One mailbox less.
    Gone(MwiGone),
}

/// All of a user's MWI states, for a client that knows nothing.
pub fn state(counts: &MwiByMailbox) -> MwiState {
    MwiState { mailboxes: counts.iter().map(|(mailbox, counts)| MwiEvent::new(mailbox, counts)).collect() }
}

/// The steps from the MWI states that a client knows to the present ones, one mailbox at a time.
pub fn steps(known: &MwiByMailbox, now: &MwiByMailbox) -> Vec<(MailboxId, Option<Mwi>)> {
    let gone =
        known.keys().filter(|mailbox| !now.contains_key(*mailbox)).map(|mailbox| (mailbox.clone(), None));
    let new = now.iter().filter(|(mailbox, counts)| known.get(*mailbox) != Some(*counts));
    gone.chain(new.map(|(mailbox, counts)| (mailbox.clone(), Some(*counts)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mailboxes() -> impl Strategy<Value = MwiByMailbox> {
        let counts = (0u32..3, 0u32..3).prop_map(|(new, old)| Mwi { new, old, ..Mwi::default() });
        proptest::collection::btree_map("[a-d]".prop_map(|name| name.parse().unwrap()), counts, 0..4)
    }

    proptest! {
        #[test]
        fn the_steps_lead_from_what_is_known_to_what_is(known in mailboxes(), now in mailboxes()) {
            let mut followed = known.clone();
            for (mailbox, counts) in steps(&known, &now) {
                match counts {
                    Some(counts) => followed.insert(mailbox, counts),
                    None => followed.remove(&mailbox),
                };
            }
            prop_assert_eq!(followed, now.clone());
            prop_assert!(steps(&now, &now).is_empty());
        }
    }

    #[test]
    fn an_event_has_the_keys_of_the_desktops_list() {
        let counts = Mwi { new: 2, old: 3, urgent_new: 1, urgent_old: 0 };
        let event = MwiEvent::new(&"1001".parse().unwrap(), &counts);
        let expected = serde_json::json!({
            "Mailbox": "1001", "Messages-Waiting": "True", "NewMessages": 2, "OldMessages": 3,
            "Voice-Message": "2/3 (1/0)",
        });
        assert_eq!(serde_json::to_value(event).unwrap(), expected);
        let dark = MwiEvent::new(&"1001".parse().unwrap(), &Mwi { old: 9, ..Mwi::default() });
        assert_eq!(dark.messages_waiting, "False");
    }
}
