//! Wires the two controllers to their watches, once per watched namespace, or once for all.
//!
//! Children lead back to their tenant by label, so that one rule covers owned and unowned ones. A tenant's
//! change wakes its requests; an undo wakes the other requests of its case.

use crate::api::{GdprOperation, GdprRequest, MANAGED_BY_LABEL, MANAGER, TENANT_LABEL, VoicemailTenant};
use crate::runtime::streams::{Guarded, scoped, sibling, watch_metadata, watch_primary};
use crate::runtime::{Context, Driver, Reconciler};
use crate::{gdpr, tenant};
use futures::future::join_all;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::PartialObjectMeta;
use kube::runtime::Controller;
use kube::runtime::controller::Action;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

struct Tenants;

impl Reconciler for Tenants {
    type Object = VoicemailTenant;
    type Error = tenant::TenantError;
    const NAME: &'static str = "voicemailtenant";

    async fn reconcile(&self, object: &VoicemailTenant, context: &Context) -> Result<Action, Self::Error> {
        tenant::reconcile(object, context).await
    }
}

struct Requests;

impl Reconciler for Requests {
    type Object = GdprRequest;
    type Error = gdpr::GdprError;
    const NAME: &'static str = "gdprrequest";

    async fn reconcile(&self, object: &GdprRequest, context: &Context) -> Result<Action, Self::Error> {
        gdpr::reconcile(object, context).await
    }
}

/// Runs everything until `stop`, and until running reconciles have ended.
pub async fn run(context: Arc<Context>, stop: CancellationToken) {
    let settings = &context.settings;
    let tenants = Arc::new(Driver::new(Tenants, context.clone(), settings.tenant_concurrency));
    let requests = Arc::new(Driver::new(Requests, context.clone(), settings.gdpr_concurrency));
    let given = &settings.watch_namespaces.0;
    let namespaces: Vec<Option<String>> =
        if given.is_empty() { vec![None] } else { given.iter().cloned().map(Some).collect() };
    let both = namespaces.into_iter().map(|namespace| {
        let namespace = namespace.as_deref();
        let tenant_run = tenants.clone().run(
            tenant_controller(&context, namespace),
            stop.clone(),
            settings.tenant_concurrency,
        );
        let request_run = requests.clone().run(
            request_controller(&context, namespace),
            stop.clone(),
            settings.gdpr_concurrency,
        );
        let mirrors = gdpr::mirrors::keep_up(context.clone(), namespace.map(str::to_owned), stop.clone());
        let deletions =
            gdpr::deletions::announce(context.clone(), namespace.map(str::to_owned), stop.clone());
        async { tokio::join!(tenant_run, request_run, deletions, mirrors) }
    });
    join_all(both).await;
}

fn tenant_controller(
    context: &Arc<Context>,
    namespace: Option<&str>,
) -> Controller<Guarded<VoicemailTenant>> {
    let client = &context.client;
    let (store, tenants) = watch_primary(scoped::<Guarded<VoicemailTenant>>(client, namespace));
    let controller = Controller::for_stream(tenants, store);
    let controller = watch_children::<ServiceAccount>(controller, context, namespace);
    let controller = watch_children::<ConfigMap>(controller, context, namespace);
    let controller = watch_children::<PersistentVolumeClaim>(controller, context, namespace);
    let controller = watch_children::<Service>(controller, context, namespace);
    let controller = watch_children::<PodDisruptionBudget>(controller, context, namespace);
    let controller = watch_children::<NetworkPolicy>(controller, context, namespace);
    let controller = watch_children::<HorizontalPodAutoscaler>(controller, context, namespace);
    let controller = watch_children::<Deployment>(controller, context, namespace);
    let controller = watch_children::<Pod>(controller, context, namespace);
    watch_ended_requests(controller, context, namespace)
}

/// A tenant is looked at when one of its requests has ended: its ledger has grown.
fn watch_ended_requests(
    controller: Controller<Guarded<VoicemailTenant>>,
    context: &Arc<Context>,
    namespace: Option<&str>,
) -> Controller<Guarded<VoicemailTenant>> {
    let (_, requests) = watch_primary(scoped::<Guarded<GdprRequest>>(&context.client, namespace));
    let context = context.clone();
    controller.watches_stream(requests, move |request| {
        let request = request.0.as_ref().ok()?;
        let ended = request.status.as_ref().is_some_and(|status| status.phase.is_terminal());
        ended.then(|| {
            let tenant = &request.spec.tenant;
            context.ledgers.note_end(&request.namespace().unwrap_or_default(), tenant);
            sibling::<_, VoicemailTenant>(request, tenant)
        })
    })
}

fn watch_children<K>(
    controller: Controller<Guarded<VoicemailTenant>>,
    context: &Arc<Context>,
    namespace: Option<&str>,
) -> Controller<Guarded<VoicemailTenant>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let labels = format!("{MANAGED_BY_LABEL}={MANAGER},{TENANT_LABEL}");
    let children = watch_metadata(scoped::<PartialObjectMeta<K>>(&context.client, namespace), &labels);
    let context = context.clone();
    controller.watches_stream(children, move |child: PartialObjectMeta<K>| {
        let tenant = child.labels().get(TENANT_LABEL).cloned();
        if let Some(tenant) = &tenant {
            let namespace = child.namespace().unwrap_or_default();
            context.orphans.note(&K::kind(&()), &namespace, tenant, &child.name_any());
        }
        tenant.map(|name| sibling::<_, VoicemailTenant>(&child, &name))
    })
}

fn request_controller(context: &Context, namespace: Option<&str>) -> Controller<Guarded<GdprRequest>> {
    let client = &context.client;
    let (store, requests) = watch_primary(scoped::<Guarded<GdprRequest>>(client, namespace));
    let (_, tenants) = watch_primary(scoped::<Guarded<VoicemailTenant>>(client, namespace));
    let (_, undone) = watch_primary(scoped::<Guarded<GdprRequest>>(client, namespace));
    let (of_tenant, of_case) = (store.clone(), store.clone());
    Controller::for_stream(requests, store)
        .watches_stream(tenants, move |tenant| wake_requests_of_tenant(&of_tenant, &tenant))
        .watches_stream(undone, move |request| wake_requests_of_case(&of_case, &request))
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
    matching(store, tenant.namespace(), |request| request.spec.tenant == name)
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
        request.spec.tenant == undo.spec.tenant
            && request.spec.case_id == undo.spec.case_id
            && request.spec.operation == GdprOperation::ForgetMe
    };
    matching(store, undo.namespace(), same)
}
