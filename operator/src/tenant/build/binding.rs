//! What clients of the API need: the authority of its certificate, and where it is, as a Service Binding. Pure.
//!
//! The ConfigMap holds what is public. The Secret is one by its type alone, since the Service Binding Specification for
//! Kubernetes 1.1 wants one: it has no credential, as callers bring a token of their own service account.

use crate::tenant::build::names::{api_host, binding_name, ca_name, child};
use crate::tenant::build::service::API_PORT;
use crate::tenant::steps::validate::Plan;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use std::collections::BTreeMap;
use voicemail_cores::child_names::CA_CERTIFICATE;

/// Type of the Secret.
const TYPE: &str = "servicebinding.io/voicemail";

/// The authority; without content where clients trust that of the certificate anyway.
pub fn build_authority_map(plan: &Plan) -> ConfigMap {
    let content = |pem: &String| BTreeMap::from([(CA_CERTIFICATE.to_owned(), pem.clone())]);
    ConfigMap {
        metadata: child(plan, ca_name(&plan.name)),
        data: plan.authority.as_ref().map(content),
        ..Default::default()
    }
}

/// The Service Binding.
pub fn build_binding(plan: &Plan) -> Secret {
    let host = api_host(&plan.name, &plan.namespace);
    let mut content = BTreeMap::from([
        ("type".to_owned(), "voicemail".to_owned()),
        ("provider".to_owned(), "voicemail-operator".to_owned()),
        ("uri".to_owned(), format!("https://{host}:{API_PORT}")),
        ("host".to_owned(), host),
        ("port".to_owned(), API_PORT.to_string()),
        ("audience".to_owned(), plan.config.tenant_id.clone()),
    ]);
    content.extend(plan.authority.iter().map(|pem| ("certificates".to_owned(), pem.clone())));
    let data = content.into_iter().map(|(key, text)| (key, k8s_openapi::ByteString(text.into_bytes())));
    Secret {
        metadata: child(plan, binding_name(&plan.name)),
        type_: Some(TYPE.into()),
        data: Some(data.collect()),
        ..Default::default()
    }
}
