//! Moving tenants to a new default image a few at a time.
//!
//! Flow: a new operator may bring a newer core. A tenant that names no image of its own keeps the one it has until
//! it gets a place in the [`RolloutBudget`], and gives it back once all its pods serve with the new one. When the
//! first ones don't get Ready they keep their places, and nobody follows them.
//!
//! A place is taken when nothing else keeps the tenant from moving: after its spec is found valid. A tenant that is
//! refused, paused or deleted, or fails on the way, gives it back and tries again later. The status of a waiting tenant
//! names those that have the places.
//!
//! The budget is rebuilt from the tenants' status when an operator begins to lead. A tenant that doesn't
//! serve anyway needs no place: it has nothing to lose, and must hold up nobody.

use crate::tenant::is_paused;
use crate::tenant::steps::readiness::serves;
use kube::ResourceExt;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use voicemail_resources::conditions::{READY, RECONCILING, find_condition};
use voicemail_resources::{VoicemailTenant, VoicemailTenantStatus};
use voicemail_runtime::place::place_of;

/// How many of those that have a place are named to one that waits.
const NAMED: usize = 5;
/// Reasons of a tenant that may come from its image.
const FROM_PODS: [&str; 4] = ["RolloutInProgress", "ImageCannotStart", "PodsRefused", "PodsUnschedulable"];

/// Which image a tenant gets now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// This one.
    Given(String),
    /// The one that it has, until it is its turn to get the newer one.
    Waiting {
        /// The image that its pods run.
        present: String,
        /// The image that it will get.
        next: String,
        /// Who has the places, as namespace and name; empty when that isn't known yet.
        holders: Vec<String>,
    },
}

impl Image {
    /// The image that the pods run now.
    pub fn present(&self) -> &str {
        match self {
            Self::Given(image) | Self::Waiting { present: image, .. } => image,
        }
    }
}

/// How many tenants may move at a time, and which do.
#[derive(Debug)]
pub struct RolloutBudget {
    limit: usize,
    moving: Mutex<Option<BTreeMap<String, String>>>,
}

impl RolloutBudget {
    /// At most that many at a time, at least one.
    pub fn new(limit: u16) -> Self {
        Self { limit: usize::from(limit.max(1)), moving: Mutex::new(None) }
    }

    /// Whether it knows yet who is moving. Until then nobody begins to.
    pub fn is_known(&self) -> bool {
        self.lock().is_some()
    }

    /// Learns from all tenants who is moving to that image.
    pub fn learn<'a>(&self, tenants: impl IntoIterator<Item = &'a VoicemailTenant>, default: &str) {
        let moving = tenants.into_iter().filter(|tenant| is_moving(tenant, default));
        let holders = moving.filter_map(|tenant| Some((tenant.uid()?, place_of(tenant)))).collect();
        self.lock().get_or_insert(holders);
    }

    /// Decides which image the tenant gets, and takes or gives back its place.
    pub fn choose(&self, tenant: &VoicemailTenant, default: &str) -> Image {
        let uid = tenant.uid().unwrap_or_default();
        if let Some(own) = &tenant.spec.image {
            self.forget(&uid);
            return Image::Given(own.clone());
        }
        let given = || Image::Given(default.to_owned());
        let Some(present) = tenant.status.as_ref().and_then(|status| status.image.clone()) else {
            return given();
        };
        if present == default {
            self.settle(&uid, is_moving(tenant, default));
            return given();
        }
        if tenant.metadata.deletion_timestamp.is_some() {
            self.forget(&uid);
            return Image::Given(present);
        }
        if !serves(tenant) || self.take_place(&uid, place_of(tenant)) {
            return given();
        }
        Image::Waiting { present, next: default.to_owned(), holders: self.name_holders() }
    }

    fn name_holders(&self) -> Vec<String> {
        self.lock().iter().flat_map(BTreeMap::values).take(NAMED).cloned().collect()
    }

    /// The tenant's status has become this: one that serves with the new image gives its place back.
    pub fn note_status(&self, tenant: &VoicemailTenant, default: &str) {
        let status = tenant.status.as_ref();
        if status.is_some_and(|status| status.image.as_deref() == Some(default)) {
            self.settle(&tenant.uid().unwrap_or_default(), is_moving(tenant, default));
        }
    }

    /// The tenant is gone, or isn't moved any more: refused, paused, being deleted, or failing before it could be.
    pub fn forget(&self, uid: &str) {
        self.settle(uid, false);
    }

    /// A tenant that has the new image gives its place back when it serves with it; it never takes one.
    fn settle(&self, uid: &str, moves: bool) {
        if let Some(moving) = self.lock().as_mut().filter(|_| !moves) {
            moving.remove(uid);
        }
    }

    fn take_place(&self, uid: &str, place: String) -> bool {
        let mut moving = self.lock();
        let Some(moving) = moving.as_mut() else { return false };
        let may = moving.contains_key(uid) || moving.len() < self.limit;
        if may {
            moving.insert(uid.to_owned(), place);
        }
        may
    }

    fn lock(&self) -> MutexGuard<'_, Option<BTreeMap<String, String>>> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn status_of(tenant: &VoicemailTenant) -> VoicemailTenantStatus {
    tenant.status.clone().unwrap_or_default()
}

/// It has the new image by default, and its pods don't all serve with it yet.
fn is_moving(tenant: &VoicemailTenant, default: &str) -> bool {
    let status = status_of(tenant);
    let find = |type_| find_condition(&status.conditions, type_);
    let settled = find(RECONCILING).is_some_and(|condition| condition.reason == "UpToDate") && serves(tenant);
    let from_pods = [READY, RECONCILING]
        .iter()
        .filter_map(|type_| find(type_))
        .any(|condition| FROM_PODS.contains(&condition.reason.as_str()));
    let left_alone = is_paused(tenant) || tenant.metadata.deletion_timestamp.is_some();
    !left_alone
        && tenant.spec.image.is_none()
        && status.image.as_deref() == Some(default)
        && !settled
        && from_pods
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn tenant(name: &str, image: Option<&str>, ready: bool, reason: &str) -> VoicemailTenant {
        let mut value: Value = crate::tenant::tests::example();
        value["metadata"]["uid"] = json!(name);
        let condition = |type_: &str, holds: bool, reason: &str| {
            json!({
                "type": type_, "status": if holds { "True" } else { "False" }, "reason": reason, "message": "",
                "lastTransitionTime": "2026-11-23T10:00:00Z",
            })
        };
        let settled = ready && reason == "Available";
        let conditions = [
            condition("Ready", ready, reason),
            condition("Reconciling", !settled, if settled { "UpToDate" } else { reason }),
        ];
        value["status"] = json!({"image": image, "conditions": conditions});
        serde_json::from_value(value).unwrap()
    }

    fn old(name: &str) -> VoicemailTenant {
        tenant(name, Some("core:1"), true, "Available")
    }

    fn budget(limit: u16) -> RolloutBudget {
        let budget = RolloutBudget::new(limit);
        budget.learn([], "core:2");
        budget
    }

    fn moves(budget: &RolloutBudget, tenant: &VoicemailTenant) -> bool {
        budget.choose(tenant, "core:2").present() == "core:2"
    }

    #[test]
    fn only_as_many_move_as_the_budget_allows_and_the_next_when_one_serves() {
        let budget = budget(2);
        assert!(moves(&budget, &old("a")) && moves(&budget, &old("b")) && !moves(&budget, &old("c")));
        let serving = tenant("a", Some("core:2"), true, "Available");
        assert!(moves(&budget, &serving));
        assert!(moves(&budget, &old("c")) && !moves(&budget, &old("d")));
    }

    #[test]
    fn nobody_follows_those_who_do_not_get_ready() {
        let budget = budget(1);
        assert!(moves(&budget, &old("a")));
        for reason in ["RolloutInProgress", "ImageCannotStart"] {
            assert!(moves(&budget, &tenant("a", Some("core:2"), true, reason)));
            assert!(!moves(&budget, &old("b")), "{reason}");
        }
    }

    #[test]
    fn an_operator_that_begins_to_lead_learns_who_is_moving() {
        let budget = RolloutBudget::new(1);
        assert!(!budget.is_known() && !moves(&budget, &old("b")));
        let stuck = tenant("a", Some("core:2"), false, "ImageCannotStart");
        budget.learn([&stuck, &old("b")], "core:2");
        assert!(!moves(&budget, &old("b")));
        budget.forget("a");
        assert!(moves(&budget, &old("b")));
    }

    #[test]
    fn a_tenant_that_is_broken_anyway_holds_up_nobody() {
        let budget = budget(1);
        assert!(moves(&budget, &tenant("broken", Some("core:1"), false, "ClaimPending")));
        assert!(moves(&budget, &old("a")));
        let stuck = tenant("broken", Some("core:2"), false, "ClaimPending");
        let fresh = RolloutBudget::new(1);
        fresh.learn([&stuck], "core:2");
        assert!(moves(&fresh, &old("a")));
    }

    #[test]
    fn new_tenants_and_those_with_an_image_of_their_own_need_no_place() {
        let budget = budget(1);
        assert!(moves(&budget, &old("a")));
        assert!(moves(&budget, &tenant("new", None, false, "RolloutInProgress")));
        let mut own = old("own");
        own.spec.image = Some("core:9".into());
        assert_eq!(budget.choose(&own, "core:2"), Image::Given("core:9".into()));
    }

    #[test]
    fn who_is_paused_or_deleted_on_its_way_gives_its_place_back_and_who_waits_knows_the_holders() {
        let stuck = || tenant("stuck", Some("core:2"), false, "ImageCannotStart");
        let (mut paused, mut deleting) = (stuck(), stuck());
        paused.annotations_mut().insert(voicemail_resources::PAUSED.into(), "true".into());
        deleting.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH));
        for left_alone in [paused, deleting] {
            let budget = RolloutBudget::new(1);
            budget.learn([&stuck()], "core:2");
            let waiting = budget.choose(&old("a"), "core:2");
            assert!(
                matches!(&waiting, Image::Waiting { holders, .. } if holders == &["voice/acme"]),
                "{waiting:?}"
            );
            budget.note_status(&left_alone, "core:2");
            assert!(moves(&budget, &old("a")), "with one place the fleet stops");
            let fresh = RolloutBudget::new(1);
            fresh.learn([&left_alone], "core:2");
            assert!(moves(&fresh, &old("a")));
        }
    }

    #[test]
    fn a_tenant_that_is_being_deleted_begins_no_move() {
        let budget = budget(1);
        let mut deleting = old("going");
        deleting.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH));
        assert!(!moves(&budget, &deleting));
        assert!(moves(&budget, &old("a")));
    }
}
