//! Orders of steps that must never be written: each is a mistake that the simulation has to catch.
//!
//! In a real build every question is answered `false` at compile time. With the feature `fault-injection` one mistake can be
//! switched on for the current thread, to show that a random or a directed schedule finds it.

/// A deliberately broken order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// F4's list before F3's mark.
    MarkAfterList,
    /// D3 inserts without looking at the mark.
    NoFirstLook,
    /// D4 doesn't look after the insertion.
    NoLookAfterInsertion,
    /// Whoever flags doesn't look again.
    NoLookAfterFlagging,
    /// D3 doesn't look among the ids that are gone.
    NoPresenceCheck,
    /// Who loses the race for an Idempotency-Key keeps the id of their own.
    OwnIdAfterRace,
    /// D3 asks whether the mailbox is closed before whether the id is there.
    ClosedBeforePresent,
    /// X4 before X2.
    EntryBeforeAudio,
    /// A refused deposit removes its audio before its envelope.
    AudioBeforeEnvelope,
    /// A purge deletes without a manifest.
    NoManifest,
    /// X takes any entry of the id.
    DeleteAnyEntry,
    /// X1 refuses an entry that is being deleted.
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
    /// Whoever drops a mark doesn't look for runs that have lost theirs.
    LostMarkForgotten,
    /// D3 doesn't ask whether there is room.
    NoQuotaAtInsertion,
    /// D3 takes an attempt that found no room before, when there is some.
    RefusedAttemptForgotten,
    /// A user keeps a mailbox or group that was made again under its name.
    FormerPeopleStay,
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
