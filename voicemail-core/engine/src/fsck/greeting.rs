//! Greetings: whether what is named is there, and what is there is named.

use super::finding::{Code, Finding};
use super::mailbox::is_older;
use super::read::{self, Read};
use super::{AUDIO_GRACE, Checker};
use voicemail_model::{
    Greeting, GreetingKey, GreetingPlace, MailboxGreeting, MailboxSettings, TenantGreeting, TenantGreetings,
};
use voicemail_store::{Key, StoreError};

impl Checker<'_> {
    pub(super) async fn check_greeting(&self, key: &Key) -> Result<Vec<Finding>, StoreError> {
        let Some((audio, place, begun)) = GreetingKey::parse(key.as_str()) else {
            return Ok(vec![Finding::new(Code::ForeignKey, key)]);
        };
        let is_ours = |named: Option<&Greeting>| named.is_some_and(|greeting| greeting.audio == audio);
        // Settings that can't be read, or were lost, may name it.
        let named = match &place {
            GreetingPlace::Mailbox(mailbox, kind) => {
                match read::document::<MailboxSettings>(self.store(), &Key::settings(mailbox)).await? {
                    Read::Good(settings) => is_ours(settings.greetings.get(*kind)),
                    _ => true,
                }
            }
            GreetingPlace::Tenant(kind) => {
                match read::document::<TenantGreetings>(self.store(), &Key::tenant_greetings()).await? {
                    Read::Good(greetings) => is_ours(greetings.get(*kind)),
                    _ => true,
                }
            }
        };
        let orphan = !named && is_older(begun, self.now, AUDIO_GRACE) && !self.is_replaced_lately(&audio);
        Ok(orphan.then(|| Finding::new(Code::OrphanGreeting, key)).into_iter().collect())
    }

    /// Whether its due item deletes it soon.
    fn is_replaced_lately(&self, audio: &GreetingKey) -> bool {
        self.dues.greetings.contains(audio)
    }

    pub(super) async fn check_tenant_greetings(&self, key: &Key) -> Result<Vec<Finding>, StoreError> {
        match read::document::<TenantGreetings>(self.store(), key).await? {
            Read::Undecodable => Ok(vec![Finding::new(Code::UndecodableSettings, key)]),
            Read::Newer(_) => Ok(vec![Finding::new(Code::NewerSchema, key)]),
            Read::Missing => Ok(Vec::new()),
            Read::Good(found) => {
                self.check_named(key, TenantGreeting::ALL.iter().filter_map(|kind| found.get(*kind))).await
            }
        }
    }

    pub(super) async fn check_named_of_mailbox(
        &self,
        key: &Key,
        settings: &MailboxSettings,
    ) -> Result<Vec<Finding>, StoreError> {
        let named = MailboxGreeting::ALL.iter().filter_map(|kind| settings.greetings.get(*kind));
        self.check_named(key, named).await
    }

    async fn check_named(
        &self,
        key: &Key,
        named: impl Iterator<Item = &Greeting>,
    ) -> Result<Vec<Finding>, StoreError> {
        let mut findings = Vec::new();
        for greeting in named {
            let found = self.store().read(&Key::greeting(&greeting.audio), Some(0..0)).await?;
            if found.is_none_or(|body| body.size != greeting.size) {
                findings.push(Finding::of(Code::MissingGreeting, key, greeting.audio.as_str()));
            }
        }
        Ok(findings)
    }
}
