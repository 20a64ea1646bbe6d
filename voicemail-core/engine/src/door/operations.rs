//! All operations, each with its rule: which roles may ask for it, what right to a mailbox it takes, and how it is recorded.
//! Pure.

use super::rule::{OnMailbox, OnTenant, Operation, Record, Rule};
use voicemail_api::config::Role;
use voicemail_model::AuditAction;

const ANY_CALLER_HEARS_IT: &str = "every caller of the mailbox hears it";
const COUNTS_ALONE: &str = "it tells counts alone";
const OF_THE_CALLERS_OWN: &str = "it tells callers of themselves";

macro_rules! operations {
    ($($(#[$doc:meta])* $scope:ident $name:ident: [$($role:ident),+]
       $(, own: $right:ident)? $(, all: [$($all:ident),+])? $(, sign_in: $fresh:ident)? => $record:ident($how:expr);)+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $name;

            impl Operation for $name {
                const RULE: &'static Rule = &Rule {
                    name: stringify!($name),
                    roles: &[$(Role::$role),+],
                    everywhere: &[$($(Role::$all),+)?],
                    changes: operations!(@changes $($right)?),
                    fresh: operations!(@fresh $($fresh)?),
                    record: Record::$record($how),
                };
            }

            impl $scope for $name {}
        )+

        /// The rules of all operations.
        pub const ALL: &[&Rule] = &[$($name::RULE),+];
    };
    (@changes change) => { true };
    (@changes read) => { false };
    (@changes) => { false };
    (@fresh fresh) => { true };
    (@fresh) => { false };
}

operations! {
    /// Leave a message.
    OnMailbox Deposit: [Telephony], all: [Telephony] => Unrecorded("the message itself is the record");
    /// Ask what to play to a caller and what is allowed.
    OnMailbox AskReception: [Telephony, Agent], own: read, all: [Telephony] => Unrecorded(ANY_CALLER_HEARS_IT);
    /// Renew a token that was given for a PIN.
    OnMailbox RenewToken: [Agent], own: change => Unrecorded("what the token opens is recorded");
    /// Exchange a PIN for a token.
    OnMailbox VerifyPin: [Telephony], all: [Telephony] => Unrecorded("what the token opens is recorded");

    /// Tell what waits at a telephone.
    OnTenant NoteFront: [Telephony, Admin] => Unrecorded("it tells a count alone");

    /// List a mailbox's messages.
    OnMailbox ListMessages: [Agent], own: read => View(AuditAction::ViewMessages);
    /// Read what is known of a message.
    OnMailbox ReadMessage: [Agent], own: read => View(AuditAction::ViewMessages);
    /// Listen to a message.
    OnMailbox Listen: [Agent], own: read => View(AuditAction::Listen);
    /// Make a ticket by which a browser listens to a message.
    OnMailbox MakeAudioTicket: [Agent], own: read => Unrecorded("listening by the ticket is recorded");
    /// Mark a message.
    OnMailbox ChangeMessage: [Agent], own: change => Act(AuditAction::ChangeMessage);
    /// Move a message to the trash.
    OnMailbox TrashMessage: [Agent], own: change => Act(AuditAction::TrashMessage);
    /// Take a message out of the trash.
    OnMailbox RestoreMessage: [Agent], own: change => Act(AuditAction::RestoreMessage);
    /// Copy a message into other mailboxes.
    OnMailbox ForwardMessage: [Agent], own: change => Act(AuditAction::ForwardMessage);
    /// Claim a message of a group.
    OnMailbox ClaimMessage: [Agent], own: change => Act(AuditAction::ClaimMessage);
    /// Release a message of a group.
    OnMailbox ReleaseMessage: [Agent], own: change => Act(AuditAction::ReleaseMessage);
    /// Read a mailbox's counts.
    OnMailbox ReadMwi: [Telephony, Agent], own: read, all: [Telephony] => Unrecorded(COUNTS_ALONE);

    /// List one's own mailboxes.
    OnTenant ListOwnMailboxes: [Agent] => Unrecorded(OF_THE_CALLERS_OWN);
    /// Find mailboxes by the beginning of their names.
    OnTenant FindMailboxes: [Agent] => View(AuditAction::ViewDirectory);
    /// Follow the counts of one's own mailboxes.
    OnTenant FollowMwi: [Agent] => Unrecorded(COUNTS_ALONE);
    /// Follow the counts of mailboxes that are named.
    OnTenant WatchMwi: [Telephony] => Unrecorded(COUNTS_ALONE);
    /// Make a ticket by which a browser follows counts.
    OnTenant MakeEventTicket: [Agent] => Unrecorded(COUNTS_ALONE);
    /// Read what e-mails tell oneself.
    OnTenant ReadOwnEmail: [Agent] => Unrecorded(OF_THE_CALLERS_OWN);
    /// Choose what e-mails tell oneself.
    OnTenant SetOwnEmail: [Agent] => Act(AuditAction::SetOwnEmail);
    /// Ask who one is here.
    OnTenant ReadSelf: [Telephony, Agent, Admin, Privacy] => Unrecorded(OF_THE_CALLERS_OWN);

    /// Set a mailbox's PIN.
    OnMailbox SetPin: [Agent, Admin], own: change, all: [Admin] => Act(AuditAction::SetPin);
    /// Remove a mailbox's PIN.
    OnMailbox RemovePin: [Agent, Admin], own: change, all: [Admin] => Act(AuditAction::RemovePin);
    /// Forget failures with a mailbox's PIN.
    OnMailbox UnlockPin: [Admin], all: [Admin] => Act(AuditAction::UnlockPin);
    /// List a mailbox's greetings.
    OnMailbox ListGreetings: [Telephony, Agent, Admin], own: read, all: [Telephony, Admin] => Unrecorded(ANY_CALLER_HEARS_IT);
    /// Hear a mailbox's greeting.
    OnMailbox HearGreeting: [Telephony, Agent, Admin], own: read, all: [Telephony, Admin] => Unrecorded(ANY_CALLER_HEARS_IT);
    /// Record a mailbox's greeting.
    OnMailbox SetGreeting: [Agent, Admin], own: change, all: [Admin] => Act(AuditAction::SetGreeting);
    /// Remove a mailbox's greeting.
    OnMailbox RemoveGreeting: [Agent, Admin], own: change, all: [Admin] => Act(AuditAction::RemoveGreeting);
    /// Read when a mailbox's alternate greeting is played.
    OnMailbox ReadSchedule: [Agent, Admin], own: change, all: [Admin] => Unrecorded(ANY_CALLER_HEARS_IT);
    /// Set when it is played, or that it always is.
    OnMailbox SetSchedule: [Agent, Admin], own: change, all: [Admin] => Act(AuditAction::SetSchedule);
    /// Read a mailbox's preferences.
    OnMailbox ReadPreferences: [Agent, Admin], own: change, all: [Admin] => Unrecorded(ANY_CALLER_HEARS_IT);
    /// Set a mailbox's preferences.
    OnMailbox SetPreferences: [Agent, Admin], own: change, all: [Admin] => Act(AuditAction::SetPreferences);
    /// Hear a greeting of the tenant.
    OnTenant HearTenantGreeting: [Telephony, Agent, Admin] => Unrecorded(ANY_CALLER_HEARS_IT);
    /// Record a greeting of the tenant.
    OnTenant SetTenantGreeting: [Admin] => Act(AuditAction::SetGreeting);
    /// Remove a greeting of the tenant.
    OnTenant RemoveTenantGreeting: [Admin] => Act(AuditAction::RemoveGreeting);

    /// Make a mailbox or change its settings.
    OnMailbox PutMailbox: [Admin], all: [Admin] => Act(AuditAction::PutMailbox);
    /// Read a mailbox's settings and use.
    OnMailbox ReadMailbox: [Admin], all: [Admin] => View(AuditAction::ViewProvisioning);
    /// Delete a mailbox with its messages.
    OnMailbox DeleteMailbox: [Admin], all: [Admin] => Act(AuditAction::DeleteMailbox);
    /// List mailboxes, users or groups.
    OnTenant ListProvisioning: [Admin] => View(AuditAction::ViewProvisioning);
    /// Make a user or give them other mailboxes and groups.
    OnTenant PutUser: [Admin] => Act(AuditAction::PutUser);
    /// Read a user's mailboxes and groups.
    OnTenant ReadUser: [Admin] => View(AuditAction::ViewProvisioning);
    /// Remove a user.
    OnTenant DeleteUser: [Admin] => Act(AuditAction::DeleteUser);
    /// Make a group or give it another mailbox.
    OnTenant PutGroup: [Admin] => Act(AuditAction::PutGroup);
    /// Read a group's mailbox.
    OnTenant ReadGroup: [Admin] => View(AuditAction::ViewProvisioning);
    /// Remove a group.
    OnTenant DeleteGroup: [Admin] => Act(AuditAction::DeleteGroup);
    /// Search all mailboxes for messages.
    OnTenant SearchMessages: [Admin, Privacy] => Act(AuditAction::Search);

    /// Erase everything of a caller.
    OnTenant Forget: [Privacy], sign_in: fresh => Act(AuditAction::Forget);
    /// Collect everything of a caller.
    OnTenant Export: [Privacy] => Act(AuditAction::Export);
    /// Take an erasure back.
    OnTenant UndoForget: [Privacy], sign_in: fresh => Act(AuditAction::UndoForget);
    /// Read a case.
    OnTenant ReadCase: [Privacy] => View(AuditAction::ViewCases);
    /// List cases.
    OnTenant ListCases: [Privacy] => View(AuditAction::ViewCases);
    /// Fetch the archive of a case.
    OnTenant DownloadExport: [Privacy] => Act(AuditAction::DownloadExport);
    /// Read a receipt.
    OnTenant ReadReceipt: [Privacy] => View(AuditAction::ViewCases);
    /// Approve a run.
    OnTenant Approve: [Privacy], sign_in: fresh => Act(AuditAction::Approve);
    /// Deny a request.
    OnTenant Deny: [Privacy], sign_in: fresh => Act(AuditAction::Deny);
    /// Extend a deadline.
    OnTenant Extend: [Privacy], sign_in: fresh => Act(AuditAction::Extend);
    /// Cancel a request.
    OnTenant Cancel: [Privacy], sign_in: fresh => Act(AuditAction::Cancel);
    /// Put a message under a legal hold.
    OnMailbox PutHold: [Privacy], all: [Privacy], sign_in: fresh => Act(AuditAction::PutHold);
    /// Read a message's legal hold.
    OnMailbox ReadHold: [Privacy], all: [Privacy] => View(AuditAction::ViewCases);
    /// End a message's legal hold.
    OnMailbox EndHold: [Privacy], all: [Privacy], sign_in: fresh => Act(AuditAction::EndHold);
    /// Read the register of requests.
    OnTenant ReadRegister: [Privacy] => View(AuditAction::ViewCases);
    /// Read the ledger of erasures.
    OnTenant ReadLedger: [Privacy] => Unrecorded("it holds digests and numbers of runs alone");
    /// Read what receipts and audit log are proved by.
    OnTenant ReadProofs: [Privacy] => Unrecorded("it holds digests, counts and signatures alone");
    /// Read the keys that receipts are checked with.
    OnTenant ReadKeys: [Privacy] => Unrecorded("they are public");
    /// Read the record of who did what.
    OnTenant ReadAudit: [Privacy] => View(AuditAction::ReadAudit);
}
