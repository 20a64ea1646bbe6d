//! The cluster and namespace that the plugin works in, with the rights of the user who calls it.

use super::{Arguments, PluginError};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use voicemail_operator::tenant::build::names::selector_text;
use voicemail_resources::{GdprRequest, VoicemailTenant};
use voicemail_runtime::calls::within_deadline;
use voicemail_runtime::redact::redact;

/// A namespace of a cluster.
pub(super) struct Place {
    /// The API server.
    pub(super) client: Client,
    /// The namespace.
    pub(super) namespace: String,
}

impl Place {
    /// As the flags and the kubeconfig say.
    pub(super) async fn connect(arguments: &Arguments) -> Result<Self, PluginError> {
        let unusable = |error: &dyn std::error::Error| PluginError::Kubeconfig(error.to_string());
        let file = match &arguments.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let options = KubeConfigOptions { context: arguments.context.clone(), ..Default::default() };
        let config = Config::from_custom_kubeconfig(file.map_err(|error| unusable(&error))?, &options).await;
        let config = config.map_err(|error| unusable(&error))?;
        let namespace = arguments.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| unusable(&error))?;
        Ok(Self { client, namespace })
    }

    /// The API of one kind in the namespace.
    pub(super) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A tenant that must be there.
    pub(super) async fn tenant(&self, name: &str) -> Result<VoicemailTenant, PluginError> {
        decode(self.raw_tenant(name).await?)
    }

    /// The same as it is stored, though this version may not be able to read it.
    pub(super) async fn raw_tenant(&self, name: &str) -> Result<DynamicObject, PluginError> {
        let found = within_deadline("read the tenant", self.raw::<VoicemailTenant>().get_opt(name)).await?;
        found.ok_or_else(|| PluginError::NotThere(format!("there is no tenant {name} in {}", self.namespace)))
    }

    /// A request that must be there.
    pub(super) async fn request(&self, name: &str) -> Result<GdprRequest, PluginError> {
        let found = within_deadline("read the request", self.raw::<GdprRequest>().get_opt(name)).await?;
        decode(found.ok_or_else(|| {
            PluginError::NotThere(format!("there is no GdprRequest {name} in {}", self.namespace))
        })?)
    }

    /// A tenant's pods.
    pub(super) async fn pods(&self, tenant: &str) -> Result<Vec<Pod>, PluginError> {
        let parameters = ListParams::default().labels(&selector_text(tenant));
        Ok(within_deadline("list the pods", self.api().list(&parameters)).await?.items)
    }

    /// The requests of a tenant, or of all, oldest first, as they are stored: one that this version can't read hides no
    /// other.
    pub(super) async fn raw_requests(&self, tenant: Option<&str>) -> Result<Vec<DynamicObject>, PluginError> {
        let (api, parameters) = (self.raw::<GdprRequest>(), ListParams::default());
        let listed = within_deadline("list the data-subject requests", api.list(&parameters)).await?;
        Ok(choose(listed.items, tenant))
    }

    /// The same, each decoded by itself.
    pub(super) async fn requests(&self, tenant: Option<&str>) -> Result<Requests, PluginError> {
        Ok(Requests::of(self.raw_requests(tenant).await?))
    }

    fn raw<K>(&self) -> Api<DynamicObject>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced_with(self.client.clone(), &self.namespace, &ApiResource::erase::<K>(&()))
    }
}

fn choose(mut items: Vec<DynamicObject>, tenant: Option<&str>) -> Vec<DynamicObject> {
    items.retain(|request| tenant.is_none_or(|tenant| request.data["spec"]["tenantRef"]["name"] == tenant));
    items.sort_by_key(|request| (request.creation_timestamp().map(|time| time.0), request.name_any()));
    items
}

/// Requests, and those that this version can't read.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// In the order of the list.
    pub(super) readable: Vec<GdprRequest>,
    /// Of each of the others its name, and why.
    pub(super) unreadable: Vec<String>,
}

impl Requests {
    fn of(items: Vec<DynamicObject>) -> Self {
        let mut requests = Self::default();
        for item in items {
            match decode(item) {
                Ok(request) => requests.readable.push(request),
                Err(error) => requests.unreadable.push(error.to_string()),
            }
        }
        requests
    }

    /// A line for each that can't be read.
    pub(super) fn warnings(&self) -> String {
        self.unreadable.iter().map(|why| format!("{why}\n")).collect()
    }
}

/// An object as this version reads it. What the parser says may hold what was written in the wrong field, such as a number.
fn decode<K>(object: DynamicObject) -> Result<K, PluginError>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let name = object.name_any();
    let read = serde_json::to_value(object).and_then(serde_json::from_value);
    read.map_err(|error| {
        let (kind, why) = (K::kind(&()), redact(&error.to_string(), ""));
        PluginError::NotThere(format!("{kind} {name} can't be read by this version of the plugin: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(name: &str, tenant: &str, received: &str) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "voicemail.dev/v1beta1", "kind": "GdprRequest", "metadata": {"name": name},
            "spec": {"tenantRef": { "name": tenant }, "operation": "ForgetMe", "caseID": "1", "receivedAt": received},
        }))
        .unwrap()
    }

    #[test]
    fn a_request_that_cannot_be_read_is_named_and_hides_no_other() {
        let all = vec![
            request("b", "acme", "2026-01-31T10:00:00Z"),
            request("a", "acme", "+441632960001"),
            request("c", "beta", "never"),
        ];
        let found = Requests::of(choose(all.clone(), Some("acme")));
        assert_eq!(found.readable.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["b"]);
        let warnings = found.warnings();
        assert!(warnings.starts_with("GdprRequest a can't be read by this version"), "{warnings}");
        assert!(!warnings.contains("1632960001") && warnings.lines().count() == 1, "{warnings}");
        assert_eq!(Requests::of(choose(all, None)).unreadable.len(), 2);
    }
}
