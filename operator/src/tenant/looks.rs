//! When the cores of a tenant that serves are asked for details again.
//!
//! Whether its pods serve is known from their Deployment, which is watched. Asking the cores costs a connection to
//! each, and tells what no object of the cluster shows: which store they serve, and which regions are away. So they
//! are always asked while something is wrong or unknown, every minute where there are several regions, and else
//! every ten minutes.

use crate::api::VoicemailTenant;
use crate::api::conditions::{ConditionStatus, STORAGE_READY, find_condition};
use kube::ResourceExt;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const SEVERAL_REGIONS: Duration = Duration::from_secs(50);
const ONE_REGION: Duration = Duration::from_secs(9 * 60);

/// When each tenant's cores were asked last.
#[derive(Debug, Default)]
pub struct Looks(Mutex<HashMap<String, Instant>>);

impl Looks {
    /// Whether it is time to ask; if so, it counts as done.
    pub fn is_due(&self, tenant: &VoicemailTenant) -> bool {
        self.is_due_at(tenant, Instant::now())
    }

    fn is_due_at(&self, tenant: &VoicemailTenant, now: Instant) -> bool {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let uid = tenant.uid().unwrap_or_default();
        // What the status says was true when the operator before this one looked.
        let last = *looks.entry(uid.clone()).or_insert(now);
        let due = !is_known(tenant) || now.duration_since(last) >= pause(tenant);
        if due {
            looks.insert(uid, now);
        }
        due
    }

    /// The tenant is gone.
    pub fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

fn is_known(tenant: &VoicemailTenant) -> bool {
    let Some(status) = &tenant.status else { return false };
    let storage = find_condition(&status.conditions, STORAGE_READY);
    status.store_id.is_some() && storage.is_some_and(|storage| storage.status == ConditionStatus::True)
}

fn pause(tenant: &VoicemailTenant) -> Duration {
    if tenant.spec.regions.len() > 1 { SEVERAL_REGIONS } else { ONE_REGION }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn tenant(storage: &str) -> VoicemailTenant {
        let mut value: Value = super::super::tests::example();
        value["status"] = json!({"storeId": "s", "conditions": [{
            "type": "StorageReady", "status": storage, "reason": "r", "message": "",
            "lastTransitionTime": "2026-11-23T10:00:00Z",
        }]});
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_tenant_in_trouble_is_always_asked() {
        let (looks, now) = (Looks::default(), Instant::now());
        assert!(looks.is_due_at(&tenant("False"), now) && looks.is_due_at(&tenant("Unknown"), now));
    }

    #[test]
    fn a_serving_tenant_is_asked_every_ten_minutes_and_not_right_after_a_restart() {
        let (looks, now) = (Looks::default(), Instant::now());
        assert!(!looks.is_due_at(&tenant("True"), now));
        assert!(!looks.is_due_at(&tenant("True"), now + Duration::from_secs(60)));
        assert!(looks.is_due_at(&tenant("True"), now + ONE_REGION));
        assert!(!looks.is_due_at(&tenant("True"), now + ONE_REGION + Duration::from_secs(60)));
    }
}
