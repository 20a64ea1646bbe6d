//! Asks the API server who may do what, as `kubectl auth can-i --as` does.

use std::time::Duration;

use anyhow::{Result, bail};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::api::PostParams;
use kube::{Api, Client};

const AT_A_TIME: usize = 16;
const LOOKS: usize = 60;
const PAUSE: Duration = Duration::from_millis(500);

/// One question.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who.
    pub user: String,
    /// Does what.
    pub verb: String,
    /// Group of the kind.
    pub group: String,
    /// Plural of the kind, and perhaps a subresource behind a slash.
    pub resource: String,
    /// Of one object; empty for any.
    pub name: String,
    /// Where; empty for everywhere.
    pub namespace: String,
}

/// Whether the API server would let them.
pub async fn may(client: &Client, question: Question) -> Result<bool> {
    let (resource, subresource) = question.resource.split_once('/').unwrap_or((&question.resource, ""));
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let attributes = ResourceAttributes {
        verb: some(&question.verb),
        group: some(&question.group),
        resource: some(resource),
        subresource: some(subresource),
        name: some(&question.name),
        namespace: some(&question.namespace),
        ..ResourceAttributes::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: Some(question.user.clone()),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    let answer = api.create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// Asks all; returns those whose answer isn't the expected one.
pub async fn unexpected(client: &Client, questions: Vec<Question>, expected: bool) -> Result<Vec<String>> {
    let asked = stream::iter(questions).map(|question| async move {
        let answer = may(client, question.clone()).await?;
        Ok::<_, anyhow::Error>((answer != expected).then(|| format!("{question:?}")))
    });
    let answers: Vec<Option<String>> = asked.buffer_unordered(AT_A_TIME).try_collect().await?;
    Ok(answers.into_iter().flatten().collect())
}

/// Every verb on every resource of these rules.
pub fn questions(user: &str, namespace: &str, rules: &[PolicyRule]) -> Vec<Question> {
    let mut all = Vec::new();
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    let name = rule.resource_names.iter().flatten().next().cloned().unwrap_or_default();
                    let (user, namespace) = (user.to_owned(), namespace.to_owned());
                    let (verb, group, resource) = (verb.clone(), group.clone(), resource.clone());
                    all.push(Question { user, verb, group, resource, name, namespace });
                }
            }
        }
    }
    all
}

/// Waits until they may: a role and a binding count a moment after they were written.
pub async fn wait_allowed(client: &Client, question: &Question) -> Result<()> {
    let world = voicemail_store::real_world();
    for _ in 0..LOOKS {
        if may(client, question.clone()).await? {
            return Ok(());
        }
        world.sleep(PAUSE).await;
    }
    bail!("still not allowed: {question:?}")
}
