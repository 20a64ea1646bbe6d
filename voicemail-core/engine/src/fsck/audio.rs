//! Audio: whether an envelope names it, and whether it is in the region that its message says.

use super::finding::{Code, Finding};
use super::mailbox::is_older;
use super::read::{self, Read};
use super::{AUDIO_GRACE, Checker};
use voicemail_model::{AudioKey, Envelope};
use voicemail_store::{Key, StoreError};

impl Checker<'_> {
    pub(super) async fn check_audio(&mut self, region: &str, key: &Key) -> Result<Vec<Finding>, StoreError> {
        let Some((audio, parts)) = AudioKey::parse(key.as_str()) else {
            return Ok(vec![Finding::new(Code::ForeignKey, key)]);
        };
        let envelope = Key::envelope(&parts.caller, &parts.mailbox, parts.id);
        let code = match read::object::<Envelope>(self.store(), &envelope).await? {
            Read::Good(envelope) | Read::Newer(Some(envelope)) if envelope.audio == audio => {
                (envelope.region != region).then_some(Code::AudioElsewhere)
            }
            // A document that can't be read may name it.
            Read::Undecodable | Read::Newer(None) => None,
            _ => {
                let index = self.index(&parts.mailbox).await?;
                let entry = index.value().and_then(|index| index.entries.get(&parts.id));
                let known =
                    !matches!(*index, Read::Good(_)) || entry.is_some_and(|entry| entry.audio == audio);
                let old = is_older(parts.begun, self.now, AUDIO_GRACE);
                (old && !known).then_some(Code::OrphanAudio)
            }
        };
        let here = |code| Finding { region: Some(region.to_owned()), ..Finding::new(code, key) };
        Ok(code.map(here).into_iter().collect())
    }
}
