//! The audit log: an immutable object for each act, without a number, a name or any content of a message. Pure.
//!
//! Filed as `audit/<yyyymmddHH>/<ms in hex>-<random>`, so that a listing is in the order of time. Which operation is recorded
//! as which [`AuditAction`] is in the engine's table of operations (`voicemail-core/engine/src/door/operations.rs`); what
//! people read of it is in `docs/access.md`, "Who did what".

use super::{CaseId, GroupId, MailboxId, MessageId, Time, UserId};
use serde::{Deserialize, Serialize};

/// Something that somebody did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// Version of this shape.
    pub schema: u32,
    /// When.
    pub at: Time,
    /// Who: a service account's name, a digest of issuer and subject, or whom the operator decided for; `telephone`
    /// for the holder of a PIN, `email` for whoever used the link in an e-mail.
    pub actor: String,
    /// The user whose mailboxes they opened, if they act as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// The act.
    pub action: AuditAction,
    /// To what.
    #[serde(default)]
    pub subject: AuditSubject,
}

impl AuditEvent {
    /// The newest version of the shape.
    pub const SCHEMA: u32 = 1;

    /// Whether the event is one that the filter asks for.
    pub fn passes(&self, filter: &AuditFilter) -> bool {
        let AuditFilter { actions, actor, user, mailbox, case } = filter;
        let AuditSubject { mailbox: one, mailboxes: several, user: about, .. } = &self.subject;
        // Both may stand there by the name that keys have.
        let is_user = |user: &UserId| {
            let name = user.key().to_string();
            let acted = self.user.as_ref().is_some_and(|acting| acting == user || acting.to_string() == name);
            acted || about.as_ref() == Some(&name)
        };
        (actions.is_empty() || actions.contains(&self.action))
            && actor.as_ref().is_none_or(|actor| *actor == self.actor)
            && user.as_ref().is_none_or(is_user)
            && mailbox
                .as_ref()
                .is_none_or(|mailbox| one.as_ref() == Some(mailbox) || several.contains(mailbox))
            && case.as_ref().is_none_or(|case| self.subject.is_of(case))
    }
}

/// Which events to show: those that have all of what is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// One of these acts; any when empty.
    pub actions: Vec<AuditAction>,
    /// Done by them, as the record names them.
    pub actor: Option<String>,
    /// Done by somebody who acted as this user, or done to the user.
    pub user: Option<UserId>,
    /// Done to this mailbox, or to several with it among them.
    pub mailbox: Option<MailboxId>,
    /// Done in this case.
    pub case: Option<CaseId>,
}

/// The kind of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum AuditAction {
    /// A message's audio was fetched.
    Listen,
    /// Messages were searched.
    Search,
    /// A case's data was collected.
    Export,
    /// A case's archive was fetched.
    DownloadExport,
    /// An erasure was asked for.
    Forget,
    /// An erasure was taken back.
    UndoForget,
    /// A run that waited for a second person was approved.
    Approve,
    /// A request was denied.
    Deny,
    /// A deadline was extended.
    Extend,
    /// A request was cancelled.
    Cancel,
    /// A message was put under a legal hold, or the hold's reason was changed.
    PutHold,
    /// A message's legal hold was ended.
    EndHold,
    /// A mailbox was deleted with its messages.
    DeleteMailbox,
    /// A PIN was set.
    SetPin,
    /// A PIN was removed.
    RemovePin,
    /// A PIN's lock was ended.
    UnlockPin,
    /// This record was read.
    ReadAudit,
    /// A mailbox's messages were listed, with their callers.
    ViewMessages,
    /// A message was marked read, saved, new or urgent.
    ChangeMessage,
    /// A message was moved to the trash.
    TrashMessage,
    /// A message was taken out of the trash.
    RestoreMessage,
    /// A message was copied into other mailboxes.
    ForwardMessage,
    /// A member of a group claimed a message.
    ClaimMessage,
    /// A member of a group released a message.
    ReleaseMessage,
    /// A greeting was recorded.
    SetGreeting,
    /// A greeting was removed.
    RemoveGreeting,
    /// The times of the alternate greeting were set or removed.
    SetSchedule,
    /// A mailbox's preferences were set.
    SetPreferences,
    /// A user chose how much e-mails tell them, or by the link in one that none are to come.
    SetOwnEmail,
    /// A mailbox was made, or its settings were changed.
    PutMailbox,
    /// A user was made, or was given other mailboxes and groups.
    PutUser,
    /// A user was removed.
    DeleteUser,
    /// A group was made, or was given another mailbox.
    PutGroup,
    /// A group was removed.
    DeleteGroup,
    /// Mailboxes, users or groups were listed.
    ViewProvisioning,
    /// Mailboxes were looked up by the beginning of their names.
    ViewDirectory,
    /// Cases, their receipts, their register or a legal hold were read.
    ViewCases,
    /// Somebody signed in to the pages.
    SignIn,
    /// Somebody signed out of the pages.
    SignOut,
}

impl AuditAction {
    /// Whether the act may be done although the store takes no record of it for now: what owners of mailboxes need to
    /// hear their messages and to make room.
    pub fn may_wait(self) -> bool {
        use AuditAction::{
            ChangeMessage, Listen, RestoreMessage, SignIn, SignOut, TrashMessage, ViewMessages,
        };
        matches!(
            self,
            SignIn | SignOut | Listen | ViewMessages | ChangeMessage | TrashMessage | RestoreMessage
        )
    }
}

/// The object of an act. Never a number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditSubject {
    /// A mailbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub mailbox: Option<MailboxId>,
    /// A message of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub message: Option<MessageId>,
    /// The run of a case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The criterion of a search: `caller` or `time`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// A case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub case: Option<CaseId>,
    /// Whom it was about: a user's name as keys have it, so that one that may be an address is a digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// A group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub group: Option<GroupId>,
    /// The mailboxes that a user has since, or that took a copy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub mailboxes: Vec<MailboxId>,
    /// The groups that a user belongs to since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub groups: Vec<GroupId>,
    /// How many messages it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<u32>,
}

impl AuditSubject {
    /// A mailbox.
    pub fn mailbox(mailbox: &MailboxId) -> Self {
        Self { mailbox: Some(mailbox.clone()), ..Self::default() }
    }

    /// A message.
    pub fn message(mailbox: &MailboxId, id: MessageId) -> Self {
        Self { message: Some(id), ..Self::mailbox(mailbox) }
    }

    /// A case.
    pub fn case(case: &CaseId) -> Self {
        Self { case: Some(case.clone()), ..Self::default() }
    }

    /// A user, by the name that keys have.
    pub fn user(user: &UserId) -> Self {
        Self { user: Some(user.key().to_string()), ..Self::default() }
    }

    /// A group.
    pub fn group(group: &GroupId) -> Self {
        Self { group: Some(group.clone()), ..Self::default() }
    }

    /// Whether it is a case, or a run of it. Older releases recorded the fetching of an archive with the case for a run.
    fn is_of(&self, case: &CaseId) -> bool {
        let of_run = |run: &str| run.rsplit_once('/').map_or(run, |(case, _)| case) == case.as_str();
        self.case.as_ref() == Some(case) || self.run.as_deref().is_some_and(of_run)
    }

    /// A case's run.
    pub fn run(run: &str) -> Self {
        Self { run: Some(run.to_owned()), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(action: AuditAction, subject: AuditSubject) -> AuditEvent {
        let user = Some("alice".parse().unwrap());
        AuditEvent { schema: AuditEvent::SCHEMA, at: Time(0), actor: "desk".into(), user, action, subject }
    }

    #[test]
    fn an_event_passes_a_filter_when_it_has_all_that_is_asked_for() {
        let mailbox: MailboxId = "1001".parse().unwrap();
        let listened = event(AuditAction::Listen, AuditSubject::mailbox(&mailbox));
        let address: UserId = "ann@example.org".parse().unwrap();
        let put = event(
            AuditAction::PutUser,
            AuditSubject { mailboxes: vec![mailbox.clone()], ..AuditSubject::user(&address) },
        );
        let any = AuditFilter::default();
        for (filter, expected) in [
            (any.clone(), (true, true)),
            (
                AuditFilter { actions: vec![AuditAction::Listen, AuditAction::Forget], ..any.clone() },
                (true, false),
            ),
            (AuditFilter { actor: Some("desk".into()), ..any.clone() }, (true, true)),
            (AuditFilter { actor: Some("des".into()), ..any.clone() }, (false, false)),
            (AuditFilter { user: Some(address), ..any.clone() }, (false, true)),
            (AuditFilter { user: Some("alice".parse().unwrap()), ..any.clone() }, (true, true)),
            (AuditFilter { mailbox: Some(mailbox.clone()), ..any.clone() }, (true, true)),
            (AuditFilter { mailbox: Some("1002".parse().unwrap()), ..any.clone() }, (false, false)),
            (AuditFilter { case: Some("1".parse().unwrap()), ..any.clone() }, (false, false)),
            (
                AuditFilter { actions: vec![AuditAction::PutUser], mailbox: Some(mailbox), ..any },
                (false, true),
            ),
        ] {
            assert_eq!((listened.passes(&filter), put.passes(&filter)), expected, "{filter:?}");
        }
    }

    #[test]
    fn the_runs_of_a_case_are_found_by_the_case_and_by_no_other() {
        let of = |case: &str| AuditFilter { case: Some(case.parse().unwrap()), ..AuditFilter::default() };
        let run = event(AuditAction::Forget, AuditSubject::run("a/b/forgetme.1"));
        assert!(run.passes(&of("a/b")));
        assert!(!run.passes(&of("a")) && !run.passes(&of("b")));
        assert!(event(AuditAction::ViewCases, AuditSubject::case(&"a".parse().unwrap())).passes(&of("a")));
    }
}
