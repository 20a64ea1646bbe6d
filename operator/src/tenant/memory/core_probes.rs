//! When the cores of a tenant that serves are asked for details again.
//!
//! Whether its pods serve is known from their Deployment, which is watched. Asking the cores costs a connection to
//! each, and tells what no object of the cluster shows: which store they serve, and which regions are away. So they
//! are always asked while something is wrong or unknown, every minute where there are several regions, and else
//! every ten minutes, unless the look at their marks has heard meanwhile that all is as the status says.

use crate::tenant::steps::email_status::says_as_much_of_mail;
use crate::tenant::steps::storage_status::said_hindrance;
use crate::tenant::steps::web_status::says_as_much_of_web;
use std::time::{Duration, Instant};
use voicemail_api::readiness::Readiness;
use voicemail_api::reasons::HINDRANCES;
use voicemail_resources::VoicemailTenant;
use voicemail_resources::conditions::{ConditionStatus, STORAGE_READY, find_condition};

const SEVERAL_REGIONS: Duration = Duration::from_secs(50);
const ONE_REGION: Duration = Duration::from_secs(9 * 60);

/// When a tenant's cores were asked last; nothing before the first time.
#[derive(Debug, Default)]
pub struct CoreProbeSchedule(Option<Probe>);

#[derive(Clone, Copy, Debug)]
struct Probe {
    at: Instant,
    /// Something else was heard since than the status says.
    contradicted: bool,
}

impl Probe {
    fn at(at: Instant) -> Self {
        Self { at, contradicted: false }
    }
}

impl CoreProbeSchedule {
    /// Whether it is time to ask; if so, it counts as done.
    pub fn is_due(&mut self, tenant: &VoicemailTenant, now: Instant) -> bool {
        // What the status says was true when the operator before this one looked.
        let last = *self.0.get_or_insert(Probe::at(now));
        let due = !is_known(tenant) || last.contradicted || now.duration_since(last.at) >= pause(tenant);
        if due {
            self.0 = Some(Probe::at(now));
        }
        due
    }

    /// All cores of the tenant gave these answers to another question. That stands for a look where it shows what the
    /// status says, but not where regions may come and go between two probes. True if one shows something else: then the
    /// tenant wants a look at once.
    pub fn note_answers(&mut self, tenant: &VoicemailTenant, answers: &[Readiness], now: Instant) -> bool {
        if !is_known(tenant) || answers.is_empty() {
            return false;
        }
        if !says_as_much(answers, tenant) {
            self.0.get_or_insert(Probe::at(now)).contradicted = true;
            return true;
        }
        let one_region = tenant.spec.regions.len() == 1;
        if one_region && answers.iter().all(|core| confirms(core, tenant)) {
            self.0 = Some(Probe::at(now));
        }
        false
    }
}

fn is_known(tenant: &VoicemailTenant) -> bool {
    let Some(status) = &tenant.status else { return false };
    let storage = find_condition(&status.conditions, STORAGE_READY);
    status.store_id.is_some() && storage.is_some_and(|storage| storage.status == ConditionStatus::True)
}

/// Whether a core serves the store that the status names, and reaches it.
fn confirms(core: &Readiness, tenant: &VoicemailTenant) -> bool {
    let known = tenant.status.as_ref().and_then(|status| status.store_id.as_ref());
    core.ready && core.store_id.as_ref() == known && core.regions.iter().all(|region| region.reachable)
}

/// Whether the cores say of a store that is full, or refuses to write, of the mail server and of the issuers of the
/// pages what the status says of them.
fn says_as_much(answers: &[Readiness], tenant: &VoicemailTenant) -> bool {
    let conditions = tenant.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let shown = find_condition(conditions, STORAGE_READY).map(|storage| storage.reason.as_str());
    let shown = shown.filter(|reason| HINDRANCES.contains(reason));
    let mut said = answers.iter().filter_map(said_hindrance).peekable();
    let of_store = match shown {
        None => said.peek().is_none(),
        Some(shown) => said.any(|reason| reason == shown),
    };
    let status = tenant.status.as_ref();
    of_store && says_as_much_of_mail(answers, status) && says_as_much_of_web(answers, status)
}

fn pause(tenant: &VoicemailTenant) -> Duration {
    if tenant.spec.regions.len() > 1 { SEVERAL_REGIONS } else { ONE_REGION }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn tenant(storage: &str) -> VoicemailTenant {
        let mut value: Value = crate::tenant::tests::example();
        value["status"] = json!({"storeID": "s", "conditions": [{
            "type": "StorageReady", "status": storage, "reason": "r", "message": "",
            "lastTransitionTime": "2026-11-23T10:00:00Z",
        }]});
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_tenant_in_trouble_is_always_asked() {
        let (mut probes, now) = (CoreProbeSchedule::default(), Instant::now());
        assert!(probes.is_due(&tenant("False"), now) && probes.is_due(&tenant("Unknown"), now));
    }

    #[test]
    fn a_serving_tenant_is_asked_every_ten_minutes_and_not_right_after_a_restart() {
        let (mut probes, now) = (CoreProbeSchedule::default(), Instant::now());
        assert!(!probes.is_due(&tenant("True"), now));
        assert!(!probes.is_due(&tenant("True"), now + Duration::from_secs(60)));
        assert!(probes.is_due(&tenant("True"), now + ONE_REGION));
        assert!(!probes.is_due(&tenant("True"), now + ONE_REGION + Duration::from_secs(60)));
    }

    #[test]
    fn answers_to_other_questions_stand_for_a_look_if_they_show_what_the_status_says() {
        let core = |text: &str| serde_json::from_str::<Readiness>(text).unwrap();
        let well = core(r#"{"ready":true,"storeId":"s","regions":[{"name":"r","reachable":true}]}"#);
        let tenant = tenant("True");
        for (answers, due) in [
            (vec![well.clone(), well.clone()], false),
            (Vec::new(), true),
            (vec![well.clone(), Readiness { ready: false, ..well.clone() }], true),
            (vec![Readiness { store_id: Some("other".into()), ..well.clone() }], true),
            (vec![core(r#"{"ready":true,"storeId":"s","regions":[{"name":"r","reachable":false}]}"#)], true),
        ] {
            let (mut probes, begin) = (CoreProbeSchedule::default(), Instant::now());
            assert!(!probes.is_due(&tenant, begin));
            probes.note_answers(&tenant, &answers, begin + Duration::from_secs(300));
            assert_eq!(probes.is_due(&tenant, begin + ONE_REGION), due, "{answers:?}");
        }
    }

    #[test]
    fn a_store_that_is_full_is_looked_at_at_once_and_one_that_is_said_to_be_low_only_while_it_is() {
        let core = |reason: &str| Readiness {
            ready: true,
            reason: Some(reason.into()),
            store_id: Some("s".into()),
            ..Readiness::default()
        };
        let mut low = tenant("True");
        low.status.as_mut().unwrap().conditions[0].reason = "StorageLow".into();
        for (tenant, answers, due) in [
            (tenant("True"), vec![core("Ready"), core("StorageFull")], true),
            (tenant("True"), vec![core("Ready"), core("Ready")], false),
            (low.clone(), vec![core("Ready"), core("StorageLow")], false),
            (low, vec![core("Ready")], true),
        ] {
            let (mut probes, begin) = (CoreProbeSchedule::default(), Instant::now());
            assert!(!probes.is_due(&tenant, begin));
            assert_eq!(probes.note_answers(&tenant, &answers, begin), due, "{answers:?}");
            assert_eq!(probes.is_due(&tenant, begin + Duration::from_secs(1)), due, "{answers:?}");
            assert!(!probes.is_due(&tenant, begin + Duration::from_secs(2)));
        }
    }
}
