//! The additions as Kubernetes' own types, and how they come into a pod. Pure.

use super::protected::{check_container, check_init, check_security, check_volume};
use super::{PodTemplate, TemplateError};
use crate::pods::Metadata;
use k8s_openapi::api::core::v1::{
    Affinity, Container, HostAlias, PodDNSConfig, PodSecurityContext, PodSpec, Toleration,
    TopologySpreadConstraint, Volume,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Additions to a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Additions {
    /// Labels that a node must have.
    pub node_selector: Option<BTreeMap<String, String>>,
    /// Nodes and pods that attract or repel.
    pub affinity: Option<Affinity>,
    /// Taints that are tolerated.
    pub tolerations: Option<Vec<Toleration>>,
    /// How pods are spread, instead of as usual.
    pub spread: Option<Vec<TopologySpreadConstraint>>,
    /// Priority class.
    pub priority_class_name: Option<String>,
    /// Scheduler.
    pub scheduler_name: Option<String>,
    /// Runtime class.
    pub runtime_class_name: Option<String>,
    /// Labels and annotations of the pods alone.
    pub metadata: Metadata,
    security: Map<String, Value>,
    host_aliases: Vec<HostAlias>,
    dns_config: Option<PodDNSConfig>,
    volumes: Vec<Volume>,
    init_containers: Vec<Container>,
    own_container: Option<Container>,
    containers: Vec<Container>,
}

/// Reads a template for the pods whose container has the name `own`.
///
/// # Errors
/// [`TemplateError`] names the field.
pub fn read(template: Option<&PodTemplate>, own: &str) -> Result<Additions, TemplateError> {
    let Some(PodTemplate { metadata, spec }) = template else { return Ok(Additions::default()) };
    let spread: Vec<_> = read_all("topologySpreadConstraints", &spec.topology_spread_constraints)?;
    let security = spec.security_context.clone().unwrap_or_default();
    read_one::<PodSecurityContext>("securityContext", &security)?;
    check_security(&security)?;
    let mut additions = Additions {
        node_selector: (!spec.node_selector.is_empty()).then(|| spec.node_selector.clone()),
        affinity: spec.affinity.as_ref().map(|given| read_one("affinity", given)).transpose()?,
        tolerations: (!spec.tolerations.is_empty()).then(|| spec.tolerations.clone()),
        spread: (!spread.is_empty()).then_some(spread),
        priority_class_name: spec.priority_class_name.clone(),
        scheduler_name: spec.scheduler_name.clone(),
        runtime_class_name: spec.runtime_class_name.clone(),
        metadata: metadata.clone(),
        security,
        host_aliases: read_all("hostAliases", &spec.host_aliases)?,
        dns_config: spec.dns_config.as_ref().map(|given| read_one("dnsConfig", given)).transpose()?,
        volumes: read_all("volumes", &spec.volumes)?,
        init_containers: read_all("initContainers", &spec.init_containers)?,
        own_container: None,
        containers: read_all("containers", &spec.containers)?,
    };
    additions.check(own)?;
    let at = additions.containers.iter().position(|container| container.name == own);
    additions.own_container = at.map(|at| additions.containers.remove(at));
    Ok(additions)
}

impl Additions {
    fn check(&self, own: &str) -> Result<(), TemplateError> {
        let volumes: Vec<&str> = self.volumes.iter().map(|volume| volume.name.as_str()).collect();
        check_unique("volumes", volumes.iter().copied())?;
        let containers = self.containers.iter().chain(&self.init_containers);
        check_unique("containers", containers.map(|container| container.name.as_str()))?;
        self.volumes.iter().enumerate().try_for_each(|(at, volume)| check_volume(at, volume))?;
        let given = self.init_containers.iter().enumerate();
        given.into_iter().try_for_each(|(at, container)| check_init(own, at, container, &volumes))?;
        let given = self.containers.iter().enumerate();
        given.into_iter().try_for_each(|(at, container)| check_container(own, at, container, &volumes))
    }

    /// A pod with what is added, as the operator has built it: with its container first, and its volumes.
    #[must_use]
    pub fn complete(&self, mut pod: PodSpec) -> PodSpec {
        pod = self.complete_own(pod);
        pod.containers.extend(self.containers.iter().cloned());
        if !self.init_containers.is_empty() {
            pod.init_containers.get_or_insert_default().extend(self.init_containers.iter().cloned());
        }
        pod
    }

    /// The same without other containers: for a pod that works once and ends.
    #[must_use]
    pub fn complete_own(&self, mut pod: PodSpec) -> PodSpec {
        pod.volumes.get_or_insert_default().extend(self.volumes.iter().cloned());
        if !self.host_aliases.is_empty() {
            pod.host_aliases = Some(self.host_aliases.clone());
        }
        pod.dns_config = self.dns_config.clone().or(pod.dns_config);
        pod.security_context = pod.security_context.map(|built| overlay(built, &self.security));
        if let (Some(given), Some(container)) = (&self.own_container, pod.containers.first_mut()) {
            add_to_own(container, given);
        }
        pod
    }
}

/// Fields that are given win over those that the operator has built; both were read before.
fn overlay(built: PodSecurityContext, given: &Map<String, Value>) -> PodSecurityContext {
    let Ok(Value::Object(mut all)) = serde_json::to_value(&built) else { return built };
    all.extend(given.clone());
    serde_json::from_value(Value::Object(all)).unwrap_or(built)
}

fn add_to_own(container: &mut Container, given: &Container) {
    let env = container.env.get_or_insert_default();
    for variable in given.env.iter().flatten() {
        match env.iter_mut().find(|known| known.name == variable.name) {
            Some(known) => *known = variable.clone(),
            None => env.push(variable.clone()),
        }
    }
    if env.is_empty() {
        container.env = None;
    }
    if given.env_from.is_some() {
        container.env_from.clone_from(&given.env_from);
    }
    container.volume_mounts.get_or_insert_default().extend(given.volume_mounts.iter().flatten().cloned());
}

fn check_unique<'a>(field: &str, names: impl Iterator<Item = &'a str>) -> Result<(), TemplateError> {
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        if seen.contains(&name) {
            return Err(invalid(field, format!("the name {name} is given twice")));
        }
        seen.push(name);
    }
    Ok(())
}

fn read_all<T: DeserializeOwned + Serialize>(
    field: &str,
    given: &[Map<String, Value>],
) -> Result<Vec<T>, TemplateError> {
    given.iter().enumerate().map(|(at, given)| read_one(&format!("{field}[{at}]"), given)).collect()
}

fn read_one<T: DeserializeOwned + Serialize>(
    field: &str,
    given: &Map<String, Value>,
) -> Result<T, TemplateError> {
    let read: T = serde_json::from_value(Value::Object(given.clone()))
        .map_err(|error| invalid(field, error.to_string()))?;
    match serde_json::to_value(&read) {
        Ok(Value::Object(known)) => match find_unknown(given, &known) {
            Some(unknown) => Err(invalid(field, format!("there is no field {unknown}"))),
            None => Ok(read),
        },
        _ => Err(invalid(field, "it isn't an object".into())),
    }
}

fn invalid(field: &str, fault: String) -> TemplateError {
    TemplateError::Invalid { field: field.into(), fault }
}

/// The first field that was given and isn't known.
fn find_unknown(given: &Map<String, Value>, known: &Map<String, Value>) -> Option<String> {
    given.iter().find_map(|(name, value)| match (value, known.get(name)) {
        (Value::Object(given), Some(Value::Object(known))) => find_unknown(given, known),
        (Value::Array(given), Some(Value::Array(known))) => given
            .iter()
            .zip(known)
            .find_map(|(given, known)| find_unknown(given.as_object()?, known.as_object()?)),
        (Value::Null, None) | (_, Some(_)) => None,
        (_, None) => Some(name.clone()),
    })
}
