//! The cluster and namespace that the plugin works in, with the rights of whoever calls it.

use super::{Arguments, PluginError};
use crate::api::{GdprRequest, VoicemailTenant};
use crate::calls::within_deadline;
use crate::tenant::build::names::selector_text;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, Resource, ResourceExt};

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
        let found = within_deadline("read the tenant", self.api().get_opt(name)).await?;
        found.ok_or_else(|| PluginError::NotThere(format!("there is no tenant {name} in {}", self.namespace)))
    }

    /// A tenant's pods.
    pub(super) async fn pods(&self, tenant: &str) -> Result<Vec<Pod>, PluginError> {
        let parameters = ListParams::default().labels(&selector_text(tenant));
        Ok(within_deadline("list the pods", self.api().list(&parameters)).await?.items)
    }

    /// The requests of a tenant, or of all, oldest first.
    pub(super) async fn requests(&self, tenant: Option<&str>) -> Result<Vec<GdprRequest>, PluginError> {
        let (api, parameters) = (self.api::<GdprRequest>(), ListParams::default());
        let listed = within_deadline("list the data-subject requests", api.list(&parameters)).await?;
        let mut items = listed.items;
        items.retain(|request| tenant.is_none_or(|tenant| request.spec.tenant == tenant));
        items.sort_by_key(|request| (request.creation_timestamp().map(|time| time.0), request.name_any()));
        Ok(items)
    }
}
