//! Names, keys, a configuration and a recording for tests.

use crate::principal::Principal;
use bytes::Bytes;
use futures::{StreamExt, stream};
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use voicemail_api::config::{ClassOfService, ListenConfig, RegionConfig, Role, StorageConfig, TenantConfig};
use voicemail_api::gdpr::GdprBody;
use voicemail_audio::{Recording, RecordingInfo};
use voicemail_model::{AudioDigest, CallerHash, MailboxId, TenantKey, Time};

/// Made for these tests; signs nothing else.
pub const RECEIPT_KEY: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----";

/// A mailbox's name.
pub fn mailbox(name: &str) -> MailboxId {
    name.parse().unwrap()
}

/// The key of every test's tenant.
pub fn key() -> TenantKey {
    TenantKey::new(&[7; 32]).unwrap()
}

/// The hash of a caller of that tenant.
pub fn hash(caller: &str) -> CallerHash {
    key().hash(caller)
}

/// A tenant of one region, `r`.
pub fn config() -> TenantConfig {
    TenantConfig {
        holder: None,
        tenant_id: "t".into(),
        cluster: "c".into(),
        region: "r".into(),
        regions: vec![RegionConfig {
            name: "r".into(),
            master: true,
            storage: StorageConfig::Volume { path: "/nowhere".into(), keep_free: Default::default() },
        }],
        keys_dir: "/nowhere".into(),
        listen: ListenConfig {
            api: "127.0.0.1:0".parse().unwrap(),
            metrics: "127.0.0.1:0".parse().unwrap(),
            tls: None,
        },
        auth: voicemail_api::config::AuthConfig::default(),
        classes_of_service: vec![ClassOfService {
            max_messages: 1_000,
            trash_hours: 0,
            retention_days: 3_650,
            ..ClassOfService::standard()
        }],
        default_number_region: "GB".into(),
        number_prefixes: Vec::new(),
        withheld_callers: Vec::new(),
        caller_tag: voicemail_api::config::CallerTagging::default(),
        upload_buffer_mib: 64,
        directory: Default::default(),
        store_calls: 64,
        gdpr: voicemail_api::config::GdprConfig::default(),
        mwi: voicemail_api::config::MwiConfig::default(),
        reception: voicemail_api::config::ReceptionConfig::default(),
        peers: None,
        browser_origins: Vec::new(),
        limits: voicemail_api::config::LimitsConfig::default(),
        audit: voicemail_api::config::AuditConfig::default(),
        telemetry: voicemail_api::config::TelemetryConfig::default(),
        web: None,
        email: None,
    }
}

/// A recording of a second: sixteen bytes of that value.
pub fn recording(audio: u8) -> Recording {
    let bytes = Bytes::from(vec![audio; 16]);
    let info = RecordingInfo::plain(1_000, 16, AudioDigest(format!("{audio:064x}")));
    let known = OnceLock::new();
    known.set(info).unwrap();
    Recording { body: stream::once(async move { Ok(bytes) }).boxed(), info: Arc::new(known) }
}

/// A request about a caller.
pub fn body(case: &str, caller: Option<&str>, window_seconds: u64) -> GdprBody {
    let consumers = caller.map(|caller| serde_json::json!({ "phone": [caller] }));
    GdprBody {
        caseid: case.into(),
        consumers: consumers.into_iter().collect(),
        undo_window: Some(format!("{window_seconds}s")),
        requester: Some("ann".into()),
        authority: Some(ISSUER.into()),
        ..GdprBody::default()
    }
}

/// Who vouches for the names of tests.
pub const ISSUER: &str = "https://id.example";

/// Somebody who decides, of the issuer that vouches for all names of tests.
pub fn officer(name: &str) -> Principal {
    Principal {
        subject: name.into(),
        authority: ISSUER.into(),
        user: None,
        mailbox: None,
        roles: BTreeSet::from([Role::Privacy]),
        expires: Time(i64::MAX),
    }
}
