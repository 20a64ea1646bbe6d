//! Wires the two controllers to their watches, once per watched namespace, or once for all.
//!
//! Children lead back to their tenant by label, so that one rule covers owned and unowned ones. A tenant's
//! change wakes its requests; an undo wakes the other requests of its case.

use crate::tenant::context::Context;
use crate::tenant::memory::child_versions::Version;
use crate::{gdpr, tenant};
use futures::TryStreamExt;
use futures::future::join_all;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::Resource as _;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::PartialObjectMeta;
use kube::runtime::Controller;
use kube::runtime::controller::Action;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use voicemail_cores::pods::note_of;
use voicemail_resources::conditions::{READY, VALIDATED};
use voicemail_resources::{
    GdprOperation, GdprRequest, MANAGED_BY_LABEL, MANAGER, TENANT_LABEL, VoicemailPolicy, VoicemailTenant,
};
use voicemail_runtime::calls::CallError;
use voicemail_runtime::place::{place, place_of};
use voicemail_runtime::reconciling::queue::Queue;
use voicemail_runtime::reconciling::streams::{
    Guarded, scoped, sibling, watch_changes, watch_labelled, watch_primary,
};
use voicemail_runtime::reconciling::{Driver, Reconciler};

struct Tenants;

impl Reconciler for Tenants {
    type Object = VoicemailTenant;
    type Context = Context;
    type Error = tenant::TenantError;
    const NAME: &'static str = "voicemailtenant";
    const PATIENCE: Option<Duration> = None;
    const UNREADABLE: &'static str = READY;

    fn group(tenant: &VoicemailTenant) -> String {
        place_of(tenant)
    }

    async fn reconcile(&self, object: &VoicemailTenant, context: &Context) -> Result<Action, Self::Error> {
        tenant::reconcile(object, context).await
    }

    fn forget(&self, namespace: &str, name: &str, context: &Context) {
        context.memories.forget(namespace, name);
    }

    async fn after_end(&self, namespace: &str, name: &str, context: &Context) -> Result<(), CallError> {
        tenant::steps::apply::sweep(&context.client, namespace, name).await
    }
}

struct Requests;

impl Reconciler for Requests {
    type Object = GdprRequest;
    type Context = Context;
    type Error = gdpr::GdprError;
    const NAME: &'static str = "gdprrequest";
    const PATIENCE: Option<Duration> = Some(Duration::from_secs(5));
    const UNREADABLE: &'static str = VALIDATED;

    /// A tenant whose core is slow holds up its own requests.
    fn group(request: &GdprRequest) -> String {
        place(&request.namespace().unwrap_or_default(), &request.spec.tenant_ref.name)
    }

    async fn reconcile(&self, object: &GdprRequest, context: &Context) -> Result<Action, Self::Error> {
        gdpr::reconcile(object, context).await
    }
}

/// Runs everything until `stop`, and until running reconciles have ended.
pub async fn run(context: Arc<Context>, stop: CancellationToken) {
    let settings = &context.settings;
    let services = || context.services.clone();
    let (both, stopping) = (|| context.clone(), || stop.clone());
    let tenants = Arc::new(Driver::new(Tenants, both(), services(), settings.tenant_concurrency, stopping()));
    let requests = Arc::new(Driver::new(Requests, both(), services(), settings.gdpr_concurrency, stopping()));
    let given = &settings.watch_namespaces.0;
    let namespaces: Vec<Option<String>> =
        if given.is_empty() { vec![None] } else { given.iter().cloned().map(Some).collect() };
    let both = namespaces.into_iter().map(|namespace| {
        let namespace = namespace.as_deref();
        let (controller, known) = tenant_controller(&context, &tenants.queue, namespace);
        let (waker, woken) = futures::channel::mpsc::unbounded();
        let tenant_run =
            tenants.clone().run(controller.reconcile_on(woken), stop.clone(), settings.tenant_concurrency);
        let of_requests = request_controller(&context, &requests.queue, namespace);
        let shown = of_requests.store();
        let request_run = requests.clone().run(of_requests, stop.clone(), settings.gdpr_concurrency);
        let mirrors = gdpr::mirrors::keep_up(context.clone(), known, shown, waker, stop.clone());
        let deletions =
            gdpr::deletions::announce(context.clone(), namespace.map(str::to_owned), stop.clone());
        async { tokio::join!(tenant_run, request_run, deletions, mirrors) }
    });
    join_all(both).await;
}

/// Passes on what leads to a reconcile, and tells the queue's metrics of it.
fn noted<K>(queue: &Queue, references: &[ObjectRef<Guarded<K>>])
where
    K: Resource<DynamicType = ()>,
{
    references.iter().for_each(|reference| queue.note(reference.namespace.as_deref(), &reference.name));
}

fn tenant_controller(
    context: &Arc<Context>,
    queue: &Arc<Queue>,
    namespace: Option<&str>,
) -> (Controller<Guarded<VoicemailTenant>>, Store<Guarded<VoicemailTenant>>) {
    let (client, metrics) = (&context.client, &context.metrics);
    let (store, tenants) =
        watch_primary(scoped::<Guarded<VoicemailTenant>>(client, namespace), metrics.clone());
    let counted = store.clone();
    metrics.add_census(move |population, _| {
        let all = counted.state();
        all.iter().for_each(|tenant| match &tenant.0 {
            Ok(tenant) => population.add_tenant(tenant),
            Err(_) => population.add_unreadable("VoicemailTenant"),
        });
    });
    let noting = queue.clone();
    let tenants = tenants.inspect_ok(move |tenant| noted(&noting, &[ObjectRef::from_obj(tenant)]));
    let controller = Controller::for_stream(tenants, store.clone());
    let controller = watch_metadata::<ServiceAccount>(controller, context, queue, namespace);
    let controller = watch_metadata::<ConfigMap>(controller, context, queue, namespace);
    let controller = watch_metadata::<PersistentVolumeClaim>(controller, context, queue, namespace);
    let controller = watch_metadata::<Service>(controller, context, queue, namespace);
    let controller = watch_metadata::<PodDisruptionBudget>(controller, context, queue, namespace);
    let controller = watch_metadata::<NetworkPolicy>(controller, context, queue, namespace);
    // An autoscaler's metadata change with its status: what it should do is in its spec alone.
    let note = note_versions(context, HorizontalPodAutoscaler::KIND, namespace, Version::of_autoscaler);
    let controller = watch_children(controller, context, queue, namespace, note);
    // Whether a Deployment's pods serve, why a pod can't start and where it is reached is in no metadata.
    let note = note_versions(context, Deployment::KIND, namespace, Version::of_deployment);
    let controller = watch_children(controller, context, queue, namespace, note);
    let note = note_versions(context, StatefulSet::KIND, namespace, Version::of_stateful_set);
    let controller = watch_children(controller, context, queue, namespace, note);
    let controller = watch_children(controller, context, queue, namespace, note_pods(context, namespace));
    let controller = watch_ended_requests(controller, context, queue, namespace);
    (watch_policies(controller, &store, context, queue, namespace), store)
}

/// What the platform team changes is about any tenant. Where the operator sees some namespaces alone it can't see policies.
fn watch_policies(
    controller: Controller<Guarded<VoicemailTenant>>,
    store: &Store<Guarded<VoicemailTenant>>,
    context: &Arc<Context>,
    queue: &Arc<Queue>,
    namespace: Option<&str>,
) -> Controller<Guarded<VoicemailTenant>> {
    if namespace.is_some() {
        return controller;
    }
    let noting = context.clone();
    // Also when the watch lists anew: one that went meanwhile is told of by nothing else.
    let note = move |_: &Event<PartialObjectMeta<VoicemailPolicy>>| noting.policies.note_change();
    let api = Api::all(context.client.clone());
    let policies = watch_labelled(api, String::new(), context.metrics.clone(), note);
    let (store, context, queue) = (store.clone(), context.clone(), queue.clone());
    controller.watches_stream(policies, move |_| {
        let woken: Vec<_> = store.state().iter().map(|tenant| ObjectRef::from_obj(tenant.as_ref())).collect();
        for tenant in &woken {
            context.memories.wake(tenant.namespace.as_deref().unwrap_or_default(), &tenant.name);
        }
        noted(&queue, &woken);
        woken
    })
}

/// A tenant is looked at when one of its requests has ended: its ledger has grown.
fn watch_ended_requests(
    controller: Controller<Guarded<VoicemailTenant>>,
    context: &Arc<Context>,
    queue: &Arc<Queue>,
    namespace: Option<&str>,
) -> Controller<Guarded<VoicemailTenant>> {
    let api = scoped::<Guarded<GdprRequest>>(&context.client, namespace);
    let requests = watch_changes(api, context.metrics.clone());
    let (context, queue) = (context.clone(), queue.clone());
    controller.watches_stream(requests, move |request| {
        let request = request.0.as_ref().ok()?;
        let ended = request.status.as_ref().is_some_and(|status| status.phase.is_terminal());
        ended.then(|| {
            let tenant = &request.spec.tenant_ref.name;
            let namespace = request.namespace().unwrap_or_default();
            context.memories.at(&namespace, tenant, |memory| memory.ledger.note_end(Instant::now()));
            context.memories.wake(&namespace, tenant);
            let woken = sibling::<_, VoicemailTenant>(request, tenant);
            noted(&queue, std::slice::from_ref(&woken));
            woken
        })
    })
}

/// Watches what belongs to tenants, and wakes them. `note` keeps what is known of it up to date.
fn watch_children<W>(
    controller: Controller<Guarded<VoicemailTenant>>,
    context: &Context,
    queue: &Arc<Queue>,
    namespace: Option<&str>,
    note: impl Fn(&Event<W>) + Send + 'static,
) -> Controller<Guarded<VoicemailTenant>>
where
    W: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    W: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let labels = format!("{MANAGED_BY_LABEL}={MANAGER},{TENANT_LABEL}");
    let children =
        watch_labelled(scoped::<W>(&context.client, namespace), labels, context.metrics.clone(), note);
    let queue = queue.clone();
    controller.watches_stream(children, move |child: W| {
        let (_, tenant) = tenant_of(&child)?;
        let woken = sibling::<_, VoicemailTenant>(&child, &tenant);
        noted(&queue, std::slice::from_ref(&woken));
        Some(woken)
    })
}

/// Of kinds whose metadata tell all that matters.
fn watch_metadata<K>(
    controller: Controller<Guarded<VoicemailTenant>>,
    context: &Arc<Context>,
    queue: &Arc<Queue>,
    namespace: Option<&str>,
) -> Controller<Guarded<VoicemailTenant>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + k8s_openapi::Resource,
    K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let version = |child: &PartialObjectMeta<K>| Version::of(&child.metadata);
    let note = note_versions(context, K::KIND, namespace, version);
    watch_children(controller, context, queue, namespace, note)
}

/// Keeps what is known of the children of a kind up to date.
fn note_versions<W: Resource>(
    context: &Arc<Context>,
    kind: &'static str,
    scope: Option<&str>,
    version: impl Fn(&W) -> Version + Send + 'static,
) -> impl Fn(&Event<W>) + Send + 'static {
    let (context, scope) = (context.clone(), scope.map(str::to_owned));
    move |event| match event {
        Event::Init => context.memories.begin_list(kind, scope.as_deref()),
        Event::InitDone => context.memories.end_list(kind, scope.as_deref()),
        Event::Apply(child) | Event::InitApply(child) => {
            let Some((namespace, tenant)) = tenant_of(child) else { return };
            context.memories.note_child(kind, &namespace, &tenant, &child.name_any(), version(child));
        }
        Event::Delete(child) => {
            let Some((namespace, tenant)) = tenant_of(child) else { return };
            context.memories.note_child_gone(kind, &namespace, &tenant, &child.name_any());
        }
    }
}

/// Keeps what is known of the pods up to date.
fn note_pods(context: &Arc<Context>, scope: Option<&str>) -> impl Fn(&Event<Pod>) + Send + 'static {
    let (context, scope) = (context.clone(), scope.map(str::to_owned));
    move |event| match event {
        Event::Init => context.memories.begin_list(Pod::KIND, scope.as_deref()),
        Event::InitDone => context.memories.end_list(Pod::KIND, scope.as_deref()),
        Event::Apply(pod) | Event::InitApply(pod) => {
            let Some((namespace, tenant)) = tenant_of(pod) else { return };
            context.memories.note_pod(&namespace, &tenant, &pod.name_any(), note_of(pod));
        }
        Event::Delete(pod) => {
            let Some((namespace, tenant)) = tenant_of(pod) else { return };
            context.memories.note_pod_gone(&namespace, &tenant, &pod.name_any());
        }
    }
}

/// The namespace and the tenant of a child.
fn tenant_of<W: Resource>(child: &W) -> Option<(String, String)> {
    Some((child.namespace().unwrap_or_default(), child.labels().get(TENANT_LABEL)?.clone()))
}

fn request_controller(
    context: &Context,
    queue: &Arc<Queue>,
    namespace: Option<&str>,
) -> Controller<Guarded<GdprRequest>> {
    let (client, metrics) = (&context.client, &context.metrics);
    let (store, requests) = watch_primary(scoped::<Guarded<GdprRequest>>(client, namespace), metrics.clone());
    let tenants = watch_changes(scoped::<Guarded<VoicemailTenant>>(client, namespace), metrics.clone());
    let undone = watch_changes(scoped::<Guarded<GdprRequest>>(client, namespace), metrics.clone());
    let (of_tenant, of_case, counted) = (store.clone(), store.clone(), store.clone());
    metrics.add_census(move |population, now| {
        let all = counted.state();
        all.iter().for_each(|request| match &request.0 {
            Ok(request) => population.add_request(request, now),
            Err(_) => population.add_unreadable("GdprRequest"),
        });
    });
    let [noting, by_tenant, by_case] = std::array::from_fn(|_| queue.clone());
    let requests = requests.inspect_ok(move |request| noted(&noting, &[ObjectRef::from_obj(request)]));
    Controller::for_stream(requests, store)
        .watches_stream(tenants, move |tenant| {
            let woken = wake_requests_of_tenant(&of_tenant, &tenant);
            noted(&by_tenant, &woken);
            woken
        })
        .watches_stream(undone, move |request| {
            let woken = wake_requests_of_case(&of_case, &request);
            noted(&by_case, &woken);
            woken
        })
}

fn matching(
    store: &Store<Guarded<GdprRequest>>,
    namespace: Option<String>,
    wanted: impl Fn(&GdprRequest) -> bool,
) -> Vec<ObjectRef<Guarded<GdprRequest>>> {
    let open =
        |request: &GdprRequest| !request.status.as_ref().is_some_and(|status| status.phase.is_terminal());
    let all =
        store.state().into_iter().filter(|object| object.0.as_ref().is_ok_and(|r| open(r) && wanted(r)));
    all.filter(|object| object.namespace() == namespace)
        .map(|object| ObjectRef::from_obj(object.as_ref()))
        .collect()
}

fn wake_requests_of_tenant(
    store: &Store<Guarded<GdprRequest>>,
    tenant: &Guarded<VoicemailTenant>,
) -> Vec<ObjectRef<Guarded<GdprRequest>>> {
    let name = tenant.name_any();
    matching(store, tenant.namespace(), |request| request.spec.tenant_ref.name == name)
}

fn wake_requests_of_case(
    store: &Store<Guarded<GdprRequest>>,
    undo: &Guarded<GdprRequest>,
) -> Vec<ObjectRef<Guarded<GdprRequest>>> {
    let Ok(undo) = undo.0.as_ref() else { return Vec::new() };
    if undo.spec.operation != GdprOperation::UndoForgetMe {
        return Vec::new();
    }
    let same = |request: &GdprRequest| {
        request.spec.tenant_ref == undo.spec.tenant_ref
            && request.spec.case_id == undo.spec.case_id
            && request.spec.operation == GdprOperation::ForgetMe
    };
    matching(store, undo.namespace(), same)
}
