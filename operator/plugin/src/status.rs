//! `kubectl voicemail status TENANT`: all that one wants to know first, on one page.

use super::PluginError;
use super::place::{Place, Requests};
use super::table::{age, render, time};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use voicemail_operator::tenant::facts::storage::claim_name;
use voicemail_resources::conditions::{Condition, REACHABLE, find_condition};
use voicemail_resources::voicemail_tenant::{Endpoint, VoicemailTenantStatus};
use voicemail_resources::{GdprRequest, VoicemailTenant};
use voicemail_runtime::calls::within_deadline;
use voicemail_runtime::population::state_of;

/// Everything that the page shows.
struct Seen {
    tenant: VoicemailTenant,
    pods: Vec<Pod>,
    claim: Option<PersistentVolumeClaim>,
    /// `None` for somebody who may not read them.
    requests: Option<Requests>,
}

/// The page.
pub(super) async fn describe(place: &Place, name: &str) -> Result<String, PluginError> {
    let tenant = place.tenant(name).await?;
    let claim = match claim_name(&tenant) {
        Some(claim) => within_deadline("read the claim", place.api().get_opt(&claim)).await?,
        None => None,
    };
    let requests = match place.requests(Some(name)).await {
        Ok(found) => Some(found),
        Err(PluginError::Call(error)) if error.is_forbidden() => None,
        Err(error) => return Err(error),
    };
    let seen = Seen { pods: place.pods(name).await?, tenant, claim, requests };
    Ok(write(&seen, Timestamp::now()))
}

fn write(seen: &Seen, now: Timestamp) -> String {
    let status = seen.tenant.status.clone().unwrap_or_default();
    let parts = [
        head(&seen.tenant, &status, now),
        conditions(&status.conditions, now),
        pods(&seen.pods, now),
        regions(&status),
        seen.claim.as_ref().map(claim).unwrap_or_default(),
        requests(seen.requests.as_ref(), now),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

fn head(tenant: &VoicemailTenant, status: &VoicemailTenantStatus, now: Timestamp) -> String {
    let namespace = tenant.namespace().unwrap_or_default();
    let looked = match status.observed_generation == tenant.metadata.generation {
        true => "",
        false => " (of an older spec: the operator hasn't looked at the present one)",
    };
    let unseen = match tenant.status.is_none() && is_old(tenant, now) {
        true => {
            "\nNo operator has looked at this tenant: does one run, and does it watch this namespace (watchNamespaces of \
             its chart)?"
        }
        false => "",
    };
    format!(
        "Tenant:    {namespace}/{}\nState:     {}{looked}\nReplicas:  {} of {} serve\nImage:     {}\nStore:     {}\nAge:       {}\n{}",
        tenant.name_any(),
        state_of(tenant),
        status.ready_replicas,
        status.replicas,
        status.image.as_deref().unwrap_or("-"),
        status.store_id.as_deref().unwrap_or("-"),
        age(tenant.metadata.creation_timestamp.as_ref(), now),
        endpoints(status),
    ) + unseen
}

/// Where the tenant is reached: from within the cluster, by telephones, and by browsers.
fn endpoints(status: &VoicemailTenantStatus) -> String {
    let line = |endpoint: &Endpoint| {
        let label = match endpoint.name.as_str() {
            "api" => "API",
            "sip" => "Telephone",
            "web" => "Pages",
            other => other,
        };
        format!("{:<11}{}\n", format!("{label}:"), endpoint.url)
    };
    status.endpoints.iter().map(line).collect()
}

/// Older than an operator needs to look at it.
fn is_old(tenant: &VoicemailTenant, now: Timestamp) -> bool {
    let created = tenant.metadata.creation_timestamp.as_ref();
    created.is_some_and(|created| now.duration_since(created.0).as_secs() > 60)
}

pub(super) fn conditions(conditions: &[Condition], now: Timestamp) -> String {
    let row = |found: &Condition| {
        let since = age(Some(&found.last_transition_time), now);
        vec![
            found.type_.clone(),
            format!("{:?}", found.status),
            found.reason.clone(),
            since,
            found.message.clone(),
        ]
    };
    let rows: Vec<_> = conditions.iter().map(row).collect();
    render(&["CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"], &rows)
}

fn pods(pods: &[Pod], now: Timestamp) -> String {
    let rows: Vec<_> = pods.iter().map(|pod| pod_row(pod, now)).collect();
    render(&["POD", "PHASE", "READY", "RESTARTS", "AGE", "NODE"], &rows)
}

fn pod_row(pod: &Pod, now: Timestamp) -> Vec<String> {
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.container_statuses.unwrap_or_default();
    let ready = containers.iter().filter(|container| container.ready).count();
    let restarts: i32 = containers.iter().map(|container| container.restart_count).sum();
    let phase = match pod.metadata.deletion_timestamp.is_some() {
        true => "Terminating".into(),
        false => status.phase.unwrap_or_else(|| "-".into()),
    };
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    vec![
        pod.name_any(),
        phase,
        format!("{ready}/{}", containers.len()),
        restarts.to_string(),
        age(pod.metadata.creation_timestamp.as_ref(), now),
        node.unwrap_or_else(|| "-".into()),
    ]
}

fn regions(status: &VoicemailTenantStatus) -> String {
    let rows: Vec<_> = status
        .regions
        .iter()
        .map(|region| {
            let reachable = find_condition(&region.conditions, REACHABLE);
            let word = reachable.map_or("Unknown".to_owned(), |found| format!("{:?}", found.status));
            let message = reachable.map(|found| found.message.clone()).unwrap_or_default();
            vec![region.name.clone(), region.storage.clone(), format!("{:?}", region.role), word, message]
        })
        .collect();
    render(&["REGION", "STORAGE", "ROLE", "REACHABLE", "MESSAGE"], &rows)
}

fn claim(claim: &PersistentVolumeClaim) -> String {
    let (spec, status) = (claim.spec.clone().unwrap_or_default(), claim.status.clone().unwrap_or_default());
    let capacity = status.capacity.and_then(|amounts| amounts.get("storage").map(|amount| amount.0.clone()));
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let row = vec![
        claim.name_any(),
        or_dash(status.phase),
        or_dash(capacity),
        or_dash(spec.volume_name),
        or_dash(spec.storage_class_name),
    ];
    render(&["CLAIM", "PHASE", "CAPACITY", "VOLUME", "CLASS"], &[row])
}

fn requests(requests: Option<&Requests>, now: Timestamp) -> String {
    let Some(requests) = requests else {
        return "Open requests: you may not read GdprRequests here\n".into();
    };
    let phase =
        |request: &GdprRequest| request.status.as_ref().map(|status| status.phase).unwrap_or_default();
    let open: Vec<_> = requests.readable.iter().filter(|request| !phase(request).is_terminal()).collect();
    if open.is_empty() && requests.unreadable.is_empty() {
        return "Open requests: none\n".into();
    }
    let row = |request: &&GdprRequest| {
        let due = request.status.as_ref().and_then(|status| status.due_at.as_ref());
        vec![
            request.name_any(),
            format!("{:?}", request.spec.operation),
            format!("{:?}", phase(request)),
            time(due),
            age(request.metadata.creation_timestamp.as_ref(), now),
        ]
    };
    let rows: Vec<_> = open.iter().map(row).collect();
    render(&["OPEN REQUEST", "OPERATION", "PHASE", "DUE", "AGE"], &rows) + &requests.warnings()
}

#[cfg(test)]
mod tests {
    use super::*;
    use voicemail_resources::references::Reference;

    fn tenant() -> VoicemailTenant {
        let example = include_str!("../../../examples/volume-tenant.yaml");
        let mut tenant: VoicemailTenant = serde_yaml::from_str(example).unwrap();
        tenant.status = serde_yaml::from_str(
            "{replicas: 2, readyReplicas: 1, endpoints: [{name: api, url: 'https://acme-voicemail.voice.svc:8081'}, \
             {name: web, url: 'https://voicemail.acme.example/ui'}], conditions: [{type: Ready, status: 'False', reason: RolloutInProgress, \
             message: 1 of 2 replicas serve, lastTransitionTime: '2026-01-01T00:00:00Z'}], \
             regions: [{name: eu-west, storage: volume, role: Primary, conditions: [{type: Reachable, status: 'True', \
             reason: StoreAnswers, message: '', lastTransitionTime: '2026-01-01T00:00:00Z'}]}]}",
        )
        .unwrap();
        tenant
    }

    #[test]
    fn the_page_has_every_part_and_says_what_one_may_not_see() {
        let seen = Seen { tenant: tenant(), pods: vec![Pod::default()], claim: None, requests: None };
        let page = write(&seen, "2026-01-01T01:00:00Z".parse().unwrap());
        for part in [
            "State:     unknown",
            "1 of 2 serve",
            "API:       https://acme-voicemail.voice.svc:8081\nPages:     https://voicemail.acme.example/ui\n",
            "Ready       False    RolloutInProgress   60m     1 of 2 replicas serve",
            "eu-west   volume    Primary   True",
            "you may not read GdprRequests here",
        ] {
            assert!(page.contains(part), "{part:?} is not in\n{page}");
        }
    }

    #[test]
    fn a_tenant_that_no_operator_looks_at_says_what_may_be_the_cause() {
        let mut unseen = VoicemailTenant { status: None, ..tenant() };
        unseen.metadata.creation_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::UNIX_EPOCH));
        let page = |tenant: VoicemailTenant, now: &str| {
            let seen = Seen { pods: Vec::new(), tenant, claim: None, requests: None };
            write(&seen, now.parse().unwrap())
        };
        assert!(page(unseen.clone(), "1970-01-01T01:00:00Z").contains("watchNamespaces"));
        assert!(!page(unseen, "1970-01-01T00:00:30Z").contains("watchNamespaces"), "it is new");
        assert!(!page(tenant(), "2026-01-01T01:00:00Z").contains("watchNamespaces"));
    }

    #[test]
    fn only_open_requests_are_on_the_page() {
        let forget: GdprRequest =
            serde_yaml::from_str(include_str!("../../../examples/gdpr/forget.yaml")).unwrap();
        let mut ended = forget.clone();
        ended.metadata.name = Some("ended".into());
        ended.status = serde_yaml::from_str("{phase: Completed}").unwrap();
        let text = requests(
            Some(&Requests { readable: vec![forget, ended], unreadable: vec!["x can't be read".into()] }),
            Timestamp::UNIX_EPOCH,
        );
        assert!(text.contains("case-123456789-forget") && !text.contains("ended"), "{text}");
        assert!(text.ends_with("x can't be read\n"), "{text}");
    }

    #[test]
    fn the_claim_is_the_tenants_own_or_the_one_that_it_names() {
        let mut tenant = tenant();
        assert_eq!(claim_name(&tenant).as_deref(), Some("acme-voicemail"));
        let volume = tenant.spec.regions[0].storage.volume.as_mut().unwrap();
        (volume.claim, volume.existing_claim_ref) = (None, Some(Reference { name: "shared".into() }));
        assert_eq!(claim_name(&tenant).as_deref(), Some("shared"));
    }
}
