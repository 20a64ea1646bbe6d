//! The findings of a check: stable codes, how bad each is, and its remedy.

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know; nothing is wrong.
    Note,
    /// Left over or late: nothing is lost, the cores should have seen to it.
    Warning,
    /// A promise is broken, or will be.
    Error,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $severity:ident, $remedy:literal;)*) => {
        /// A kind of finding; its name is stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the remedies say it")]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable name.
            pub fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug,)* }
            }

            /// How bad it is.
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            /// The remedy.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)* }
            }
        }
    };
}

codes! {
    UndecodableIndex = "undecodable-index", Error, "restore this document from a backup: the mailbox answers nothing, and requests that touch it stay open";
    UndecodableMark = "undecodable-mark", Error, "restore this document from a backup: the caller's deposits and erasures wait for it";
    UndecodableRun = "undecodable-run", Error, "restore this document from a backup: the request waits for it";
    UndecodableManifest = "undecodable-manifest", Error, "restore this object from a backup: the erasure waits for it";
    UndecodableReceipt = "undecodable-receipt", Error, "restore this object from a backup";
    UndecodableLink = "undecodable-chain", Error, "restore this object from a backup: the chain of receipts or the ledger is broken there";
    BrokenChain = "broken-chain", Error, "links of the chain of receipts or of seals, or sealed acts of the audit log, are missing or changed: restore them from a backup; gdpr verify --all names each";
    UndecodableTenant = "undecodable-tenant", Error, "restore this document from a backup: no core opens the store";
    UndecodableSettings = "undecodable-settings", Error, "--repair moves it to quarantine; then provision it again";
    UndecodableEnvelope = "undecodable-envelope", Error, "--repair moves it to quarantine and makes it again from its message, if there is one";
    UndecodableDue = "undecodable-due-item", Error, "--repair moves it to quarantine; check again for what it was to do";
    UndecodableKey = "undecodable-deposit-key", Error, "--repair moves it to quarantine; what is repeated by that key then makes a message of its own";
    UndecodableAudit = "undecodable-audit-event", Error, "restore this object from a backup, or leave it: it goes when the audit log's retention is over";
    NewerSchema = "newer-schema", Note, "written by a newer version: upgrade this program to check it wholly";
    Quarantined = "quarantined", Note, "look at it, or leave it to be removed after 30 days";
    MissingIndex = "missing-index", Error, "restore the mailbox's index from a backup: there are messages of it";
    MissingEnvelope = "missing-envelope", Error, "--repair makes it again from the message; until then no request finds the message by its caller";
    MissingAudio = "missing-audio", Error, "restore the audio from a backup, or delete the message";
    AudioSize = "audio-size", Error, "restore the audio from a backup, or delete the message";
    EnvelopeDiffers = "envelope-differs", Error, "compare the envelope with the message; restore the right one from a backup";
    WrongCaller = "wrong-caller", Error, "the envelope is filed under another caller than it names: restore it from a backup";
    CallerWithheld = "withheld-filed-as-caller", Error, "the caller gave no number, and older rules filed the message under what the network sent instead: --repair files it anew; one that an erasure covers takes an undo first";
    UnfinishedDeposit = "unfinished-deposit", Warning, "see that a core is running; --repair completes it, or drops it if it was refused";
    EnvelopeOfGone = "envelope-of-deleted", Error, "--repair deletes what is left of the message";
    EnvelopeOfOther = "envelope-of-refused", Warning, "--repair deletes what is left of the refused deposit";
    OrphanAudio = "orphan-audio", Warning, "see that a core is running; --repair deletes it";
    AudioElsewhere = "audio-in-other-region", Error, "the message says that its audio is in another region: move it there";
    OrphanGreeting = "orphan-greeting", Warning, "see that a core is running; --repair deletes it";
    MissingGreeting = "missing-greeting", Error, "record the greeting again: callers don't hear it";
    GoneAndEntry = "deleted-and-listed", Error, "the message is both deleted and listed: delete it again";
    ClosedWithEntries = "closed-with-messages", Error, "--repair files the work that empties the mailbox";
    DeletingWithoutDue = "deletion-without-due-item", Error, "--repair files the work that ends the deletion";
    ExpiryWithoutDue = "expiry-without-due-item", Error, "--repair files the day on which the messages expire";
    FlagWithoutRun = "flag-without-run", Error, "a message is hidden by a request that doesn't exist: restore the request from a backup";
    FlagOfUndone = "flag-of-undone", Error, "--repair shows the message again";
    FlagDiffers = "flag-differs", Error, "the message and the caller's mark disagree about the erasure's time: repeat the request";
    FlagWithoutMark = "flag-without-mark", Error, "the message is hidden and its caller isn't marked: repeat the request";
    CoveredAndVisible = "covered-and-visible", Error, "--repair hides the message that a request covers";
    MarkWithoutRun = "mark-without-run", Error, "a caller is marked by a request that doesn't exist: restore the request from a backup";
    MarkDiffers = "mark-differs", Error, "the mark of an ended request says that it is open: repeat the request";
    RunWithoutDue = "run-without-due-item", Error, "--repair files the work that moves the request on";
    RunRemembers = "ended-run-remembers", Error, "an ended request still holds its subject: restore it, or remove sealed and callers by hand";
    LeftOfRun = "left-of-run", Error, "a manifest or receipt of a request that doesn't exist: restore the request from a backup";
    Overdue = "overdue", Warning, "see that a core is running, and in its log why this fails";
    Misfiled = "misfiled", Error, "the object's name and contents disagree: restore it from a backup";
    CountsDiffer = "counts-differ", Error, "the MWI counts aren't those of the list: report this";
    RuleSets = "rule-sets", Error, "rule sets share a number: restore the tenant document from a backup";
    Unpruned = "unpruned-document", Warning, "the store keeps states that this document had, and with them callers who may be erased: see that a core is running; --repair removes them";
    LeftoverProbe = "leftover-probe", Warning, "see that a core is running; --repair deletes it";
    ForeignKey = "foreign-key", Warning, "not ours: move it out of the tenant's folder";
}

/// Something that isn't as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The kind of finding.
    #[serde(serialize_with = "write_code")]
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// Where: a key below the tenant's prefix. Keys hold no numbers.
    pub key: String,
    /// Of audio: its region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Of a mailbox: which message, run or day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The remedy.
    pub remedy: &'static str,
}

fn write_code<S: serde::Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.slug())
}

impl Finding {
    pub(super) fn new(code: Code, key: impl ToString) -> Self {
        let (severity, remedy) = (code.severity(), code.remedy());
        Self { code, severity, key: key.to_string(), region: None, part: None, remedy }
    }

    pub(super) fn of(code: Code, key: impl ToString, part: impl ToString) -> Self {
        Self { part: Some(part.to_string()), ..Self::new(code, key) }
    }
}
