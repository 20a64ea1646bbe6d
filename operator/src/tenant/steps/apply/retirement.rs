//! Objects of a deletion in the cluster: the two Jobs, the volumes of their pods, and the cores' Deployment, which
//! serves first and has no pod at the end.

use crate::tenant::build::deployment::build_deployment;
use crate::tenant::build::names::{check_job_name, child_name, retire_job_name, selector_text};
use crate::tenant::build::retire_job::{Ending, Stage, build_retire_job};
use crate::tenant::build::{Built, BuiltStorage};
use crate::tenant::context::Context;
use crate::tenant::facts::belonging::is_owned;
use crate::tenant::steps::apply::applier::{Applier, stamp};
use crate::tenant::steps::apply::{ApplyError, remove_owned};
use crate::tenant::steps::validate::Plan;
use jiff::Timestamp;
use k8s_openapi::Resource;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use voicemail_resources::MANAGER;
use voicemail_resources::voicemail_tenant::VoicemailTenant;
use voicemail_runtime::calls::{CallError, within_deadline};
use voicemail_runtime::drift::APPLIED_HASH;

/// Annotation of a Job: what becomes of the store.
const ENDING: &str = "voicemail.dev/ending";

/// A deletion's objects.
pub struct Retirement<'a> {
    applier: Applier<'a>,
    /// As the cores run now: to stop them rolls none.
    serving: Plan,
    ending: Ending,
    jobs: Api<Job>,
}

impl<'a> Retirement<'a> {
    /// Of a tenant, by its plan.
    pub fn new(context: &'a Context, tenant: &VoicemailTenant, plan: &'a Plan, ending: Ending) -> Self {
        let present = tenant.status.as_ref().and_then(|status| status.image.clone());
        let serving = Plan { image: present.unwrap_or_else(|| plan.image.clone()), ..plan.clone() };
        let jobs = Api::namespaced(context.client.clone(), &plan.namespace);
        Self { applier: Applier { context, plan }, serving, ending, jobs }
    }

    /// Brings what the pods of Jobs and cores mount, run as and are reached by to what it should be: credentials and
    /// endpoints may change at any time, and a deletion in the foreground takes all that away at its beginning.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub async fn prepare(&self, built: Built, now: Timestamp) -> Result<(), ApplyError> {
        self.applier.converge(built.service_account).await?;
        self.applier.converge(built.config).await?;
        self.applier.ensure_certificate(now).await?;
        self.applier.converge(built.network_policy).await?;
        for service in built.services {
            self.applier.converge(service).await?;
        }
        if matches!(built.storage, BuiltStorage::ObjectStores(_)) {
            self.applier.ensure_storage(built.storage, None).await?;
        }
        Ok(())
    }

    /// Has no core serve.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub async fn stop_cores(&self) -> Result<(), ApplyError> {
        let stopped = Plan { replicas: 0, autoscaling: None, ..self.serving.clone() };
        self.applier.ensure_deployment(build_deployment(&stopped)).await.map(drop)
    }

    /// Has no pod take calls, and says whether all are gone: what callers left comes to the cores before these stop.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub async fn stop_telephony(&self) -> Result<bool, ApplyError> {
        self.applier.stop_telephony().await
    }

    /// How many pods of the cores are still there, ending ones too.
    ///
    /// # Errors
    /// The API server refuses or doesn't answer.
    pub async fn count_cores(&self) -> Result<usize, CallError> {
        let plan = self.applier.plan;
        let api: Api<Pod> = Api::namespaced(self.applier.context.client.clone(), &plan.namespace);
        let chosen = ListParams::default().labels(&selector_text(&plan.name));
        Ok(within_deadline("list the pods", api.list(&chosen)).await?.items.len())
    }

    /// A Job as it is.
    ///
    /// # Errors
    /// The API server doesn't answer, or a Job of that name is somebody else's.
    pub async fn read(&self, stage: Stage) -> Result<Option<Job>, ApplyError> {
        let name = job_name(&self.applier.plan.name, stage);
        let found = within_deadline("read a Job", self.jobs.get_opt(&name)).await?;
        if let Some(job) = &found {
            self.applier.check_ours(job, Job::KIND)?;
        }
        Ok(found)
    }

    /// Whether a Job is what would be made now.
    ///
    /// # Errors
    /// It can't be written as JSON.
    pub fn is_current(&self, stage: Stage, job: &Job) -> Result<bool, ApplyError> {
        let desired = self.desire(stage)?;
        let wanted = desired["metadata"]["annotations"][APPLIED_HASH].as_str();
        Ok(job.annotations().get(APPLIED_HASH).map(String::as_str) == wanted)
    }

    /// Makes a Job.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub async fn start(&self, stage: Stage) -> Result<(), ApplyError> {
        let job: Job = serde_json::from_value(self.desire(stage)?)?;
        tracing::info!(namespace = self.applier.plan.namespace, name = job.name_any(), "making a Job");
        let parameters = PostParams { field_manager: Some(MANAGER.into()), ..Default::default() };
        within_deadline("make a Job", self.jobs.create(&parameters, &job)).await?;
        Ok(())
    }

    fn desire(&self, stage: Stage) -> Result<Value, ApplyError> {
        let mut job = build_retire_job(self.applier.plan, stage, self.ending);
        job.annotations_mut().insert(ENDING.into(), word(self.ending).into());
        Ok(stamp(&job, Job::API_VERSION, Job::KIND)?)
    }

    /// Takes both Jobs away; the reconcile that follows has the cores serve again.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub async fn withdraw(&self) -> Result<(), ApplyError> {
        Ok(remove_jobs(&self.jobs, &self.applier.plan.name, &self.applier.plan.uid).await?)
    }

    /// As [`Self::withdraw`], for a tenant that may have no plan, if its deletion had begun.
    ///
    /// # Errors
    /// The API server refuses or doesn't answer.
    pub async fn withdraw_for(client: &Client, tenant: &VoicemailTenant) -> Result<(), CallError> {
        let (namespace, name) = (tenant.namespace().unwrap_or_default(), tenant.name_any());
        let jobs: Api<Job> = Api::namespaced(client.clone(), &namespace);
        let begun = within_deadline("read a Job", jobs.get_opt(&check_job_name(&name))).await?;
        if begun.is_none() {
            return Ok(());
        }
        let replicas =
            tenant.spec.autoscaling.as_ref().map_or(tenant.spec.replicas, |scaling| scaling.min_replicas);
        let api: Api<Deployment> = Api::namespaced(client.clone(), &namespace);
        let (child, patch) = (child_name(&name), Patch::Merge(json!({"spec": {"replicas": replicas}})));
        let parameters = PatchParams { field_manager: Some(MANAGER.into()), ..Default::default() };
        let patched = api.patch(&child, &parameters, &patch);
        match within_deadline("have the cores serve again", patched).await {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
        remove_jobs(&jobs, &name, &tenant.uid().unwrap_or_default()).await
    }

    /// Whether the store was let go in this way already.
    ///
    /// # Errors
    /// The API server refuses or doesn't answer.
    pub async fn is_done(
        client: &Client,
        tenant: &VoicemailTenant,
        ending: Ending,
    ) -> Result<bool, CallError> {
        let jobs: Api<Job> = Api::namespaced(client.clone(), &tenant.namespace().unwrap_or_default());
        let name = retire_job_name(&tenant.name_any());
        let Some(job) = within_deadline("read a Job", jobs.get_opt(&name)).await? else { return Ok(false) };
        let ours = is_owned(&job, &tenant.name_any(), &tenant.uid().unwrap_or_default());
        let same = job.annotations().get(ENDING).is_some_and(|found| found == word(ending));
        Ok(ours && same && job.status.is_some_and(|status| status.succeeded.unwrap_or(0) > 0))
    }
}

fn word(ending: Ending) -> &'static str {
    match ending {
        Ending::Deregister => "deregister",
        Ending::Remove => "remove",
    }
}

fn job_name(tenant: &str, stage: Stage) -> String {
    match stage {
        Stage::Check => check_job_name(tenant),
        Stage::End => retire_job_name(tenant),
    }
}

/// The first one last: while it is there, the deletion has begun.
pub(super) async fn remove_jobs(jobs: &Api<Job>, tenant: &str, owner: &str) -> Result<(), CallError> {
    for name in [retire_job_name(tenant), check_job_name(tenant)] {
        remove_owned(jobs, Job::KIND, &name, tenant, owner).await?;
    }
    Ok(())
}
