//! Due items, the tenant document, users, groups, probes, quarantine, and what isn't ours.

use super::finding::{Code, Finding};
use super::mailbox::is_older;
use super::read::{self, Read};
use super::{Checker, GRACE};
use crate::gdpr::ChainHead;
use crate::mwi::{Courier, Delivered};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::time::Duration;
use voicemail_api::gdpr::{ReceiptLink, Seal, SignedSeal};
use voicemail_model::{
    AuditEvent, DepositKey, DueItem, Fronts, Group, GroupId, Mailing, RegisterEntry, TenantDocument, User,
    UserId,
};
use voicemail_store::{Key, StoreError, parse_mailing};

/// Work that is this late fails, or nobody does it.
const OVERDUE: Duration = Duration::from_secs(26 * 3_600);

impl Checker<'_> {
    pub(super) async fn check_due(&self, key: &Key) -> Result<Vec<Finding>, StoreError> {
        let code = match read::object::<DueItem>(self.store(), key).await? {
            Read::Missing => None,
            Read::Undecodable => Some(Code::UndecodableDue),
            Read::Newer(_) => Some(Code::NewerSchema),
            Read::Good(item) if Key::due(&item) != *key => Some(Code::Misfiled),
            Read::Good(item) => is_older(item.at, self.now, OVERDUE).then_some(Code::Overdue),
        };
        Ok(code.map(|code| Finding::new(code, key)).into_iter().collect())
    }

    pub(super) async fn check_other(&self, key: &Key) -> Result<Vec<Finding>, StoreError> {
        let segments: Vec<&str> = key.as_str().split('/').collect();
        let code = match *segments {
            ["tenant"] => self.check_tenant(key).await?,
            ["user", name] if UserId::is_key(name) => self.check_user(key, name).await?,
            ["group", name] if name.parse::<GroupId>().is_ok() => self.check_document::<Group>(key).await?,
            // Without a receiver: of a former release, which knew one.
            ["mwi", "courier"] | ["mwi", _, "courier"] => self.check_document::<Courier>(key).await?,
            ["mwi", "delivered", _] | ["mwi", _, "delivered", _] => {
                self.check_document::<Delivered>(key).await?
            }
            ["email", _, _] if parse_mailing(key.as_str()).is_some() => {
                self.check_document::<Mailing>(key).await?
            }
            ["audit", ..] => self.check_act(key).await?,
            ["fronts"] => self.check_document::<Fronts>(key).await?,
            ["receipts" | "ledger" | "seal", "head"] => self.check_document::<ChainHead>(key).await?,
            ["seal", "hour", hour] if hour.len() == 10 => None,
            ["seal", number] if number.len() == 20 && number.parse::<u64>().is_ok() => {
                self.check_seal(key, number).await?
            }
            ["receipts" | "ledger", number] if number.len() == 20 && number.parse::<u64>().is_ok() => {
                self.check_link(key).await?
            }
            ["deposit", digest] if digest.len() == 32 => {
                match read::object::<DepositKey>(self.store(), key).await? {
                    Read::Undecodable => Some(Code::UndecodableKey),
                    Read::Newer(_) => Some(Code::NewerSchema),
                    _ => None,
                }
            }
            ["register", _, _] => self.check_document::<RegisterEntry>(key).await?,
            ["probe", _] => match Key::probe_begun(key.as_str()) {
                Some(begun) => is_older(begun, self.now, GRACE * 26).then_some(Code::LeftoverProbe),
                None => Some(Code::ForeignKey),
            },
            ["quarantine", ..] => Some(match Key::quarantined(key.as_str()) {
                Some(_) => Code::Quarantined,
                None => Code::ForeignKey,
            }),
            _ => Some(Code::ForeignKey),
        };
        Ok(code.map(|code| Finding::new(code, key)).into_iter().collect())
    }

    async fn check_act(&self, key: &Key) -> Result<Option<Code>, StoreError> {
        let Some(at) = Key::audited_at(key.as_str()) else { return Ok(Some(Code::ForeignKey)) };
        Ok(match read::object::<AuditEvent>(self.store(), key).await? {
            Read::Missing => None,
            Read::Undecodable => Some(Code::UndecodableAudit),
            Read::Newer(_) => Some(Code::NewerSchema),
            // One that was written late stands under the hour in which it was.
            Read::Good(event) if event.at > at => Some(Code::Misfiled),
            Read::Good(_) => {
                let kept = self.context.config().audit.retention;
                is_older(at, self.now, kept.saturating_add(OVERDUE * 2)).then_some(Code::Overdue)
            }
        })
    }

    async fn check_document<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<Code>, StoreError> {
        Ok(match read::document::<T>(self.store(), key).await? {
            Read::Undecodable => Some(Code::UndecodableSettings),
            Read::Newer(_) => Some(Code::NewerSchema),
            _ => None,
        })
    }

    async fn check_user(&self, key: &Key, segment: &str) -> Result<Option<Code>, StoreError> {
        Ok(match read::document::<User>(self.store(), key).await? {
            Read::Undecodable => Some(Code::UndecodableSettings),
            Read::Newer(_) => Some(Code::NewerSchema),
            Read::Good(user) if user.owner(segment).is_none() => Some(Code::Misfiled),
            _ => None,
        })
    }

    /// A link of a chain, which says its own number.
    async fn check_link(&self, key: &Key) -> Result<Option<Code>, StoreError> {
        let number = key.as_str().rsplit('/').next().and_then(|name| name.parse::<u64>().ok());
        Ok(match read::object::<serde_json::Value>(self.store(), key).await? {
            Read::Good(link) if link["number"].as_u64().or(link["epoch"].as_u64()) != number => {
                Some(Code::Misfiled)
            }
            Read::Undecodable => Some(Code::UndecodableLink),
            Read::Newer(_) => Some(Code::NewerSchema),
            _ => None,
        })
    }

    /// A seal, which says its own number in its signed words.
    async fn check_seal(&self, key: &Key, number: &str) -> Result<Option<Code>, StoreError> {
        if let Read::Good(link) = read::object::<ReceiptLink>(self.store(), key).await? {
            return Ok((number.parse() != Ok(link.number)).then_some(Code::Misfiled));
        }
        Ok(match read::object::<SignedSeal>(self.store(), key).await? {
            Read::Good(signed) => match serde_json::from_str::<Seal>(&signed.seal) {
                Ok(seal) => (number.parse() != Ok(seal.number)).then_some(Code::Misfiled),
                Err(_) => Some(Code::UndecodableLink),
            },
            Read::Undecodable => Some(Code::UndecodableLink),
            Read::Newer(_) => Some(Code::NewerSchema),
            Read::Missing => None,
        })
    }

    async fn check_tenant(&self, key: &Key) -> Result<Option<Code>, StoreError> {
        Ok(match read::document::<TenantDocument>(self.store(), key).await? {
            Read::Missing | Read::Undecodable => Some(Code::UndecodableTenant),
            Read::Newer(_) => Some(Code::NewerSchema),
            Read::Good(tenant) => {
                let ids: BTreeSet<u32> = tenant.rule_sets.iter().map(|rules| rules.id).collect();
                (ids.len() != tenant.rule_sets.len()).then_some(Code::RuleSets)
            }
        })
    }
}
