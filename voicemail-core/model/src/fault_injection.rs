//! Orders of steps that must never be written: each is a mistake that the simulation has to catch.
//!
//! In a real build every question is answered `false` at compile time. With the feature `fault-injection` one mistake can be
//! switched on for the current thread, to show that a random or a directed schedule finds it.

/// A deliberately broken order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A forget lists a caller's messages before it writes the mark.
    MarkAfterList,
    /// A forget lists a caller's messages beside the writing of the mark.
    MarkBesideList,
    /// A deposit's entry is inserted without a look at the mark.
    NoFirstLook,
    /// A deposit doesn't look at the mark after the insertion.
    NoLookAfterInsertion,
    /// After flagging a message nobody looks at the mark again.
    NoLookAfterFlagging,
    /// The insertion doesn't look among the ids that are gone.
    NoPresenceCheck,
    /// A deposit that loses the race for an Idempotency-Key keeps its own id.
    OwnIdAfterRace,
    /// The insertion asks whether the mailbox is closed before whether the id is there.
    ClosedBeforePresent,
    /// A deletion removes the entry before the audio.
    EntryBeforeAudio,
    /// A refused deposit removes its audio before its envelope.
    AudioBeforeEnvelope,
    /// A purge deletes without a manifest.
    NoManifest,
    /// A deletion takes any entry of the id.
    DeleteAnyEntry,
    /// The beginning of a deletion refuses an entry that is being deleted.
    RefuseDeleting,
    /// Two deletions of one message share a due item.
    SharedDueName,
    /// A run's due item is filed before the run exists.
    DueBeforeRun,
    /// Audio without envelope is removed after an hour.
    ShortGrace,
    /// An undo is allowed after `purge_at`.
    LateUndo,
    /// No passes after the end.
    NoPassesAfterEnd,
    /// A copy doesn't keep what its original comes from.
    CopyForgetsItsOrigin,
    /// A copy becomes a message without a look at the marks of what it comes from.
    NoLookAtOrigins,
    /// A round erases what came under a legal hold after its manifest was written.
    HoldIgnored,
    /// A purge that is resumed believes its due item alone whom it is about.
    NarrowDueItem,
    /// The removal of a mark doesn't look for runs that have lost theirs.
    LostMarkForgotten,
    /// What a worker has erased in a round is added to what is known of it.
    ProgressAdded,
    /// What a round has erased is noted whether or not the round is under way.
    ProgressOfAnyRound,
    /// What was found beside the end of a round counts, though another worker's round came meanwhile.
    SearchOfAnotherRound,
    /// A deposit's second look at the mark is made beside the insertion.
    LookBesideInsertion,
    /// The insertion doesn't ask whether there is room.
    NoQuotaAtInsertion,
    /// The insertion takes an attempt that found no room before, when there is some.
    RefusedAttemptForgotten,
    /// A user keeps a mailbox or group that was made again under its name.
    FormerPeopleStay,
    /// A turn of mails doesn't note what it may send before it sends.
    MailNotNoted,
    /// A mail goes out by what the turn found when it began.
    MailWithoutLook,
    /// A mail that the server may have counts as one that it hasn't.
    MailNotDoubted,
    /// An object that our own other try made counts as somebody else's.
    OwnWriteTakenForAnothers,
    /// Both tries to store a recording have one name.
    AttemptsShareAName,
}

/// Whether that mistake is to be made: never in a real build.
#[cfg(not(any(test, feature = "fault-injection")))]
pub const fn is(_: Broken) -> bool {
    false
}

#[cfg(any(test, feature = "fault-injection"))]
thread_local! {
    static ON: std::cell::Cell<Option<Broken>> = const { std::cell::Cell::new(None) };
}

/// Whether that mistake is to be made now, on this thread.
#[cfg(any(test, feature = "fault-injection"))]
pub fn is(mistake: Broken) -> bool {
    ON.get() == Some(mistake)
}

/// Switches a mistake on, or all off, for this thread.
#[cfg(any(test, feature = "fault-injection"))]
pub fn switch(mistake: Option<Broken>) {
    ON.set(mistake);
}
