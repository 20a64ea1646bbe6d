//! One register: a run that came through the API or the `gdpr` command is shown as a `GdprRequest` too.
//!
//! Every twenty seconds, or in two minutes where there are a thousand, the cores of every tenant that is ready are asked, without a
//! token, for the mark that changes with any case. Where it did, and at the first look unless all say that there never was
//! a case, the recent cases are listed, and each run that no
//! resource opened or shows gets an object with `run` and the label `voicemail.dev/origin: api`. Its name follows from the
//! run, so that two operators make one. It goes a month after its end; an older run is not shown again. Where the last
//! object that showed an open run is deleted, the next look makes one again; of a run that has ended it stays deleted. A
//! case whose id a resource can't hold stays in the tenant's own register alone.
//!
//! What can go wrong: a core is silent, or of a version that has no mark. Then its cases are listed each time.

use crate::tenant::context::Context;
use crate::tenant::memory::{TenantKey, TenantMemory};
use crate::tenant::steps::readiness::serves;
use aws_lc_rs::digest::{SHA256, digest};
use futures::StreamExt;
use jiff::{Timestamp, ToSpan};
use kube::api::{ListParams, PostParams};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, ResourceExt};
use serde_json::json;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use voicemail_api::gdpr::{CaseView, MARK_OF_NO_CASE, Operation, RunView};
use voicemail_cores::core_client::{Core, CoreError};
use voicemail_cores::pods::ask_core;
use voicemail_resources::{GdprOperation, GdprRequest, MANAGER, VoicemailTenant};
use voicemail_runtime::calls::within_deadline;
use voicemail_runtime::reconciling::jittered;
use voicemail_runtime::reconciling::streams::Guarded;

/// Label of a mirror, with the door that its run came through.
pub const ORIGIN_LABEL: &str = "voicemail.dev/origin";
/// Cores answer how their store is, too: a full one shows in the tenant's conditions within 30 s.
const PAUSE: Duration = Duration::from_secs(20);
/// So much longer for each tenant: a thousand are asked every two minutes.
const PAUSE_EACH: Duration = Duration::from_millis(100);
/// Between two tenants with news: after a start all have some, and others' reconciles must get their turn.
const BREATH: Duration = Duration::from_millis(50);
/// Tenants whose cores are asked at the same time.
const AT_A_TIME: usize = 8;
/// A deadline is at most three months and a few days long.
const HOURS_BACK: i64 = 100 * 24;
/// An ended run is shown if it ended within that time.
const HOURS_AFTER_END: i64 = 24;
/// Pages of 50 cases that one look takes at most.
const PAGES: usize = 80;

/// Where a tenant is sent that must be reconciled.
pub type Waker = futures::channel::mpsc::UnboundedSender<ObjectRef<Guarded<VoicemailTenant>>>;

/// Looks again and again, until `stop`. A tenant with news is woken, since its ledger may have grown.
pub async fn keep_up(
    context: Arc<Context>,
    tenants: Store<Guarded<VoicemailTenant>>,
    requests: Store<Guarded<GdprRequest>>,
    waker: Waker,
    stop: CancellationToken,
) {
    loop {
        let many = u32::try_from(tenants.len()).unwrap_or(u32::MAX);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(jittered(PAUSE + PAUSE_EACH * many)) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = look(&context, &tenants, &requests, &waker) => {}
        }
        context.cores.drop_old();
    }
}

/// Namespace, tenant and run of everything that an object shows.
type Shown<'a> = HashSet<(String, &'a str, &'a str)>;

/// Notes which runs of these tenants no object shows any more.
fn follow(context: &Context, tenants: &[&VoicemailTenant], shown: &Shown<'_>) {
    for tenant in tenants {
        let key = TenantKey::of(tenant);
        context.memories.of(&key, |memory| memory.runs.follow(|run| is_shown(shown, &key, run)));
    }
}

fn is_shown(shown: &Shown<'_>, tenant: &TenantKey, run: &str) -> bool {
    shown.contains(&(tenant.namespace.clone(), tenant.name.as_str(), run))
}

fn list_all_shown(all: &[Arc<Guarded<GdprRequest>>]) -> Shown<'_> {
    all.iter().filter_map(|request| request.0.as_ref().ok()).filter_map(shown_by).collect()
}

/// Namespace, tenant and run that an object shows.
fn shown_by(request: &GdprRequest) -> Option<(String, &str, &str)> {
    let run = request.spec.run.as_ref().or_else(|| request.status.as_ref()?.run.as_ref())?;
    Some((request.namespace().unwrap_or_default(), &request.spec.tenant_ref.name, run))
}

async fn look(
    context: &Context,
    tenants: &Store<Guarded<VoicemailTenant>>,
    requests: &Store<Guarded<GdprRequest>>,
    waker: &Waker,
) {
    let all = tenants.state();
    let ready: Vec<_> =
        all.iter().filter_map(|tenant| tenant.0.as_ref().ok()).filter(|tenant| serves(tenant)).collect();
    follow(context, &ready, &list_all_shown(&requests.state()));
    let asked =
        ready.into_iter().map(|tenant| async move { (tenant, read_marks(context, tenant, waker).await) });
    let mut answers = futures::stream::iter(asked).buffer_unordered(AT_A_TIME);
    while let Some((tenant, marks)) = answers.next().await {
        if let Err(error) = take_news(context, tenant, marks, waker).await {
            let (reason, name) = (error.reason(), tenant.name_any());
            tracing::warn!(tenant = name, reason, "cases of the API and the gdpr command aren't shown now");
        }
    }
}

/// Shows a tenant's cases and wakes it, if its cores' marks say that there may be new ones.
async fn take_news(
    context: &Context,
    tenant: &VoicemailTenant,
    marks: Option<BTreeSet<String>>,
    waker: &Waker,
) -> Result<(), CoreError> {
    let key = TenantKey::of(tenant);
    let runs = context.memories.of(&key, |memory| memory.runs.clone());
    let news = are_news(marks.as_ref(), runs.tokens.as_ref());
    let now = Instant::now();
    context.memories.of(&key, |memory| memory.ledger.note_tokens(marks.is_some(), news, now));
    if !news {
        return Ok(());
    }
    tokio::time::sleep(BREATH).await;
    let mut shown = runs.shown;
    let done = show_cases(context, tenant, &mut shown, &runs.gone).await;
    // What was shown before something failed is shown.
    context.memories.of(&key, |memory| memory.runs.shown = shown);
    done?;
    context.memories.of(&key, |memory| memory.runs.tokens = marks.or(memory.runs.tokens.take()));
    let TenantKey { namespace, name, .. } = key;
    context.memories.wake(&namespace, &name);
    // Nobody listens any more only when the operator ends.
    let _ = waker.unbounded_send(ObjectRef::new(&name).within(&namespace));
    Ok(())
}

/// Pure: whether there may be cases that weren't seen at the last look, which found those marks.
fn are_news(marks: Option<&BTreeSet<String>>, known: Option<&BTreeSet<String>>) -> bool {
    let of_no_case = |marks: &BTreeSet<String>| marks.iter().all(|mark| mark == MARK_OF_NO_CASE);
    match (marks, known) {
        (None, _) => true,
        (Some(marks), None) => !of_no_case(marks),
        (Some(marks), Some(known)) => marks != known,
    }
}

/// The marks of all of a tenant's cores; none unless each of them gives one.
async fn read_marks(context: &Context, tenant: &VoicemailTenant, waker: &Waker) -> Option<BTreeSet<String>> {
    let (namespace, name) = (tenant.namespace().unwrap_or_default(), tenant.name_any());
    let mut answers = Vec::new();
    for address in context.memories.addresses(&namespace, &name) {
        answers.push(ask_core(&context.http, address).await?);
    }
    let now = Instant::now();
    let contradicted = |memory: &mut TenantMemory| memory.probes.note_answers(tenant, &answers, now);
    if context.memories.of(&TenantKey::of(tenant), contradicted) {
        context.memories.wake(&namespace, &name);
        let _ = waker.unbounded_send(ObjectRef::new(&name).within(&namespace));
    }
    let marks: Option<BTreeSet<String>> = answers.into_iter().map(|core| core.gdpr_mark).collect();
    marks.filter(|marks| !marks.is_empty())
}

async fn show_cases(
    context: &Context,
    tenant: &VoicemailTenant,
    known: &mut HashSet<String>,
    gone: &HashSet<String>,
) -> Result<(), CoreError> {
    let core: Arc<Core> = context.cores.connect(&context.client, tenant).await?;
    let mut shown = None;
    let now = Timestamp::now();
    let from = now.checked_sub(HOURS_BACK.hours()).unwrap_or(now).to_string();
    let mut cursor = None;
    for _ in 0..PAGES {
        let page =
            core.list_cases(&from, cursor.as_deref()).await.inspect_err(|_| context.cores.forget(tenant))?;
        for (mirror, run) in page.cases.iter().flat_map(|case| mirrors(tenant, case, &context.cluster, now)) {
            if known.contains(&run.id) || stays_deleted(run, gone) {
                continue;
            }
            let shown = match &shown {
                Some(shown) => shown,
                None => shown.insert(list_shown(context, tenant).await?),
            };
            if !shown.contains(&run.id) {
                create(context, &mirror).await?;
            }
            known.insert(run.id.clone());
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(());
        }
    }
    tracing::warn!(tenant = tenant.name_any(), "there are more recent cases than one look takes");
    Ok(())
}

/// Pure: whether somebody deleted what showed the run, and it has ended: there is nothing left to follow.
fn stays_deleted(run: &RunView, gone: &HashSet<String>) -> bool {
    run.ended_at.is_some() && gone.contains(&run.id)
}

/// Runs of the tenant that a resource shows already.
async fn list_shown(context: &Context, tenant: &VoicemailTenant) -> Result<HashSet<String>, CoreError> {
    let namespace = tenant.namespace().unwrap_or_default();
    let api: Api<Guarded<GdprRequest>> = Api::namespaced(context.client.clone(), &namespace);
    let requests = within_deadline("list the requests", api.list(&ListParams::default())).await?;
    let readable = requests.items.into_iter().filter_map(|request| request.0.ok()).collect();
    Ok(runs_of(&tenant.name_any(), readable))
}

fn runs_of(tenant: &str, requests: Vec<GdprRequest>) -> HashSet<String> {
    let ours = requests.into_iter().filter(|request| request.spec.tenant_ref.name == tenant);
    ours.filter_map(|request| request.spec.run.or_else(|| request.status?.run)).collect()
}

async fn create(context: &Context, mirror: &GdprRequest) -> Result<(), CoreError> {
    let api: Api<GdprRequest> =
        Api::namespaced(context.client.clone(), &mirror.namespace().unwrap_or_default());
    let parameters = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
    match within_deadline("create a mirror", api.create(&parameters, mirror)).await {
        Err(error) if error.is_conflict() => Ok(()),
        result => Ok(result.map(drop)?),
    }
}

/// Pure: the objects that show a case's runs that the API or the `gdpr` command opened, each with its run.
fn mirrors<'a>(
    tenant: &VoicemailTenant,
    case: &'a CaseView,
    cluster: &str,
    now: Timestamp,
) -> Vec<(GdprRequest, &'a RunView)> {
    let namespace = tenant.namespace().unwrap_or_default();
    let own = format!("{namespace}/");
    // Another cluster on the same store has namespaces and requests of the same names.
    let foreign = |run: &&RunView| {
        let ours = run.recorded_by.as_ref().is_none_or(|recorded| recorded == cluster);
        !(ours && run.request_key.as_ref().is_some_and(|key| key.starts_with(&own)))
    };
    let recent = |run: &&RunView| {
        let ended = run.ended_at.as_ref().and_then(|ended| ended.parse::<Timestamp>().ok());
        ended.is_none_or(|ended| now.duration_since(ended).as_hours() < HOURS_AFTER_END)
    };
    let shown = case.runs.iter().filter(|_| can_hold(&case.caseid)).filter(foreign).filter(recent);
    let show = |run: &'a RunView| Some((mirror(tenant, &namespace, &case.caseid, run)?, run));
    shown.filter_map(show).collect()
}

/// Whether the schema of a request accepts the case id.
fn can_hold(case: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._:/#-".contains(c);
    case.len() <= 128 && case.starts_with(|c: char| c.is_ascii_alphanumeric()) && case.chars().all(plain)
}

fn mirror(tenant: &VoicemailTenant, namespace: &str, case: &str, run: &RunView) -> Option<GdprRequest> {
    let operation = match run.operation {
        Operation::ForgetMe => GdprOperation::ForgetMe,
        Operation::ExportMe => GdprOperation::ExportMe,
        Operation::UndoForget => return None,
    };
    let seed = format!("{}/{}", tenant.uid().unwrap_or_default(), run.id);
    let name = format!("api-{}", hex::encode(&digest(&SHA256, seed.as_bytes()).as_ref()[..10]));
    serde_json::from_value(json!({
        "apiVersion": "voicemail.dev/v1beta1", "kind": "GdprRequest",
        "metadata": { "name": name, "namespace": namespace, "labels": { ORIGIN_LABEL: "api" } },
        "spec": { "tenantRef": { "name": tenant.name_any() }, "operation": operation, "caseID": case, "run": run.id,
                  "ttlSecondsAfterFinished": 2592000 },
    }))
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::memory::shown_runs::ShownRuns;

    fn shown(caseid: &str, run: RunView) -> Vec<GdprRequest> {
        let tenant: VoicemailTenant =
            serde_yaml::from_str(include_str!("../../../examples/volume-tenant.yaml")).unwrap();
        let tenant = VoicemailTenant {
            metadata: kube::api::ObjectMeta {
                namespace: Some("voice".into()),
                uid: Some("u".into()),
                ..tenant.metadata
            },
            ..tenant
        };
        let run = RunView { id: format!("{caseid}/forgetme.1"), ..run };
        let now = "2026-02-01T10:00:00Z".parse().unwrap();
        let case = CaseView { caseid: caseid.into(), runs: vec![run] };
        mirrors(&tenant, &case, "here", now).into_iter().map(|(mirror, _)| mirror).collect()
    }

    #[test]
    fn a_run_whose_last_object_is_deleted_is_news_and_is_shown_again_while_it_is_open() {
        let mut tenant: VoicemailTenant =
            serde_yaml::from_str(include_str!("../../../examples/volume-tenant.yaml")).unwrap();
        (tenant.metadata.namespace, tenant.metadata.uid) = (Some("voice".into()), Some("u".into()));
        let name = tenant.name_any();
        let object = |run: &str| {
            let request = json!({ "apiVersion": "voicemail.dev/v1beta1", "kind": "GdprRequest",
                                  "metadata": { "name": "x", "namespace": "voice" },
                                  "spec": { "tenantRef": { "name": name }, "operation": "ForgetMe", "caseID": "7", "run": run } });
            Arc::new(serde_json::from_value::<Guarded<GdprRequest>>(request).unwrap())
        };
        let runs = ["7/forgetme.1", "7/forgetme.2"];
        let key = TenantKey::of(&tenant);
        let tokens = Some(BTreeSet::from(["m".into()]));
        let mut known = ShownRuns { shown: runs.map(str::to_owned).into(), tokens, ..ShownRuns::default() };
        let both = runs.map(object);
        known.follow(|run| is_shown(&list_all_shown(&both), &key, run));
        assert!(known.tokens.is_some() && known.gone.is_empty(), "all are there");
        known.follow(|run| is_shown(&list_all_shown(&both[..1]), &key, run));
        assert!(known.tokens.is_none(), "its cases are listed at this look");
        assert_eq!(known.shown, HashSet::from([runs[0].to_owned()]));
        let run = |ended: Option<&str>| RunView {
            id: runs[1].into(),
            ended_at: ended.map(str::to_owned),
            ..RunView::default()
        };
        assert!(!stays_deleted(&run(None), &known.gone));
        assert!(stays_deleted(&run(Some("2026-01-31T10:00:00Z")), &known.gone));
    }

    #[test]
    fn cores_that_never_had_a_case_need_no_first_look() {
        let marks = |marks: &[&str]| marks.iter().map(|&mark| mark.to_owned()).collect::<BTreeSet<_>>();
        let none = marks(&[MARK_OF_NO_CASE]);
        assert!(!are_news(Some(&none), None) && !are_news(Some(&none), Some(&none)));
        assert!(are_news(Some(&marks(&[MARK_OF_NO_CASE, "a"])), None), "one of them has had one");
        assert!(are_news(Some(&marks(&["a"])), Some(&none)) && are_news(Some(&none), Some(&marks(&["a"]))));
        assert!(!are_news(Some(&marks(&["a"])), Some(&marks(&["a"]))));
        assert!(are_news(None, Some(&none)), "a core is silent, or says no mark");
    }

    #[test]
    fn a_run_of_another_door_gets_the_same_object_every_time() {
        let first = shown("7", RunView::default());
        assert_eq!(first, shown("7", RunView::default()));
        let mirror = &first[0];
        assert!(mirror.spec.is_mirror() && mirror.labels()[ORIGIN_LABEL] == "api");
        assert_ne!(mirror.name_any(), shown("8", RunView::default())[0].name_any());
    }

    #[test]
    fn a_run_that_somebody_wrote_a_resource_for_is_shown_once() {
        let request = |tenant: &str, run: &str| {
            let spec = json!({ "tenantRef": { "name": tenant }, "operation": "ForgetMe", "caseID": "7", "run": run });
            serde_json::from_value(json!({ "apiVersion": "voicemail.dev/v1beta1", "kind": "GdprRequest",
                                           "metadata": { "name": "x" }, "spec": spec }))
            .unwrap()
        };
        let shown = runs_of("acme", vec![request("acme", "7/forgetme.1"), request("other", "7/forgetme.2")]);
        assert_eq!(shown, HashSet::from(["7/forgetme.1".to_owned()]));
    }

    #[test]
    fn runs_of_resources_ended_ones_and_strange_case_ids_get_none() {
        let keyed = || RunView { request_key: Some("voice/case-1".into()), ..RunView::default() };
        assert_eq!(shown("7", keyed()), []);
        let recorded = |cluster: &str| RunView { recorded_by: Some(cluster.into()), ..keyed() };
        assert_eq!(shown("7", recorded("here")), []);
        assert_eq!(
            shown("7", recorded("there")).len(),
            1,
            "a request of that name in another cluster opened it"
        );
        let ended = RunView { ended_at: Some("2026-01-30T10:00:00Z".into()), ..RunView::default() };
        assert_eq!(shown("7", ended), []);
        assert_eq!(shown("case 7", RunView::default()), []);
        let elsewhere = RunView { request_key: Some("a ticket".into()), ..RunView::default() };
        assert_eq!(shown("7", elsewhere).len(), 1);
    }
}
