//! Recordings that wait at telephones: nobody here can see whose they are, so every dry run, export and receipt tells how many
//! there are. One of an erased caller is erased when it comes; one that never comes is destroyed by the telephone.

use super::{Gdpr, GdprError};
use crate::context::Context;
use serde_json::Map;
use voicemail_api::gdpr::ResidualCopy;
use voicemail_model::{CopyKeeper, Front, FrontId, Fronts, Time};
use voicemail_store::documents::Decision;
use voicemail_store::{Key, StoreError};

impl Gdpr {
    /// A telephone says how many recordings wait there, and since when the oldest does; none when there are none.
    ///
    /// # Errors
    /// `InvalidField` where there is no room for another telephone, or the store's.
    pub async fn note_front(&self, front: &FrontId, waiting: Option<(u64, Time)>) -> Result<(), GdprError> {
        let note = |found: Option<Fronts>, now| {
            let known = found.unwrap_or_default();
            let mut new = known.clone();
            let unknown = known.fronts.get(front).map_or_else(Map::new, |front| front.unknown.clone());
            let waiting = waiting.map(|(spooled, oldest)| Front { spooled, oldest, at: now, unknown });
            match new.note(front, waiting) {
                fits if new == known => Decision::Keep(fits),
                fits => Decision::Write(new, fits),
            }
        };
        let rule = || "as many telephones as can be wait already: say of those that are gone that nothing is spooled";
        match self.context.documents().update(&Key::fronts(), note).await? {
            true => Ok(()),
            false => Err(GdprError::InvalidField("front", rule().into())),
        }
    }
}

/// As a keeper of copies, where something waits. What can't be read may be anything.
pub(super) async fn keeper(context: &Context) -> Option<CopyKeeper> {
    let found: Result<Option<Fronts>, StoreError> = context.documents().load(&Key::fronts()).await;
    let keeper = |days| CopyKeeper::new(&context.master(), ResidualCopy::SPOOL, days);
    let Ok(found) = found else { return Some(keeper(None)) };
    let fronts = found.unwrap_or_default();
    let copies = Some(fronts.spooled()).filter(|count| *count > 0)?;
    Some(CopyKeeper { copies: Some(copies), ..keeper(fronts.days(context.world().now())) })
}
