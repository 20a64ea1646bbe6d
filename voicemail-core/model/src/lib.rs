//! Values and rules of the voicemail domain: no IO, no clock, no async.
//!
//! Everything that a store holds is a value here, and every change to it is a function of the value,
//! an operation and the time. Services load a value, call such a function and write the result
//! conditionally; that is what lets model, property and crash tests drive the protocol.

mod audio_ref;
mod audit;
mod caller;
pub mod clock;
pub mod clock_trust;
pub mod daily;
mod deposit_key;
mod due;
mod email_address;
mod entries;
pub mod export_documents;
pub mod export_page;
pub mod fault_injection;
mod fronts;
mod greeting;
mod ids;
mod index;
mod index_ops;
mod known_class;
pub mod lineage;
mod mailbox_id;
mod mailing;
mod mark;
mod message_view;
mod mwi;
mod next_mail;
mod numbers;
mod own_box;
pub mod packed_text;
mod pin;
mod precondition;
mod provisioning;
mod recent_acts;
mod register;
mod run;
mod schedule;
mod seal;
mod shown;
mod statement;
mod tenant;
mod time;

pub use audio_ref::{AudioDigest, AudioForm, AudioKey, AudioParts, Mend};
pub use audit::{AuditAction, AuditEvent, AuditFilter, AuditSubject};
pub use caller::{ByRules, CallerHash, CallerId, CallerTag, TenantKey};
pub use deposit_key::DepositKey;
pub use due::{Due, DueItem, GreetingStage, RunStage};
pub use email_address::{EmailAddress, InvalidEmail};
pub use entries::{Entries, Position};
pub use fronts::{Front, FrontId, Fronts};
pub use greeting::{
    Greeting, GreetingKey, GreetingPlace, MailboxGreeting, MailboxGreetings, TenantGreeting, TenantGreetings,
};
pub use ids::{CaseId, GroupId, InvalidId, MessageId, MessageName, RunId, UserId};
pub use index::{
    Claim, Entry, Envelope, Forwarding, Index, LegalHold, MessageState, Present, Quota, Room, Trash,
};
pub use index_ops::{IndexOp, IndexOutcome, MessageChange, NewEntry, PurgeItem};
pub use known_class::KnownClass;
pub use mailbox_id::MailboxId;
pub use mailing::{Mailed, Mailing, Outcome, TURN};
pub use mark::{MARK_MINIMUM, Mark, MarkState, MarkedRun};
pub use message_view::{MessageView, ShownState, shown};
pub use mwi::Mwi;
pub use next_mail::{NextMail, next_mail};
pub use numbers::{PrefixRule, RuleSet, built_in_withheld, check_withheld_callers};
pub use own_box::{MailboxLimits, MailboxUse, PinState};
pub use pin::{Pin, PinAttempt, PinDigest, check_new_pin};
pub use precondition::Precondition;
pub use provisioning::{EmailChoice, EmailRefused, Group, MailboxSettings, Preferences, User};
pub use recent_acts::RecentActs;
pub use register::RegisterEntry;
pub use run::CUTOFF_MARGIN;
pub use run::{
    Advance, Approval, ApprovalReason, Approver, CopyKeeper, DecisionError, Denial, Door, Extension,
    Handling, Manifest, Receipt, RegionProgress, RequestName, Residual, Run, SignedReceipt, StartRun,
    Verified,
};
pub use schedule::{DateRange, Day, Schedule, WeeklyWindow};
pub use seal::{Seal, SealError};
pub use shown::{escape_html, minutes_and_seconds};
pub use statement::{StatementError, check_name, check_statement, looks_personal};
pub use tenant::{IdentityError, Opening, Probed, Registration, TenantDocument};
pub use time::Time;

/// Whether a field is left out of a document; serde passes references.
fn is_zero(number: &u64) -> bool {
    *number == 0
}
