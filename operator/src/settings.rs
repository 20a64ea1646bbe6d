//! Settings of the operator at its start: flags, each with an environment variable for the chart.

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use std::net::SocketAddr;
use std::path::PathBuf;
use voicemail_api::listen::everywhere;
use voicemail_cores::core_client::Account;

/// Where the alert rules say that their runbooks are.
pub const RUNBOOKS: &str = "https://github.com/voicemail-dev/voicemail/blob/main/docs/runbooks/";

/// Settings of `voicemail-operator run`.
#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// Image of the core for tenants that name none.
    #[arg(long, env = "VOICEMAIL_IMAGE", default_value = "ghcr.io/voicemail-dev/voicemail:0.1.0")]
    pub image: String,
    /// Namespaces to watch, separated by commas; all when empty.
    #[arg(long, env = "WATCH_NAMESPACES", default_value = "", value_parser = parse_namespaces)]
    pub watch_namespaces: Namespaces,
    /// Namespace of the operator: where its lease and service account are.
    #[arg(long, env = "POD_NAMESPACE", default_value = "voicemail-system")]
    pub namespace: String,
    /// The operator's service account, whose tokens the cores accept.
    #[arg(long, env = "SERVICE_ACCOUNT", default_value = "voicemail-operator")]
    pub service_account: String,
    /// Name of this replica in the lease and in events.
    #[arg(long, env = "POD_NAME")]
    pub identity: Option<String>,
    /// Name of this cluster in a store that several share; the UID of the namespace kube-system when absent.
    #[arg(long, env = "CLUSTER_NAME")]
    pub cluster: Option<String>,
    /// Where to answer /healthz, /readyz and /metrics.
    #[arg(long, env = "HEALTH_ADDRESS", default_value_t = everywhere(8080))]
    pub health_address: SocketAddr,
    /// Tenants reconciled at a time.
    #[arg(long, env = "TENANT_CONCURRENCY", default_value_t = 8)]
    pub tenant_concurrency: u16,
    /// Tenants that move to a newer default image at a time.
    #[arg(long, env = "MAX_CONCURRENT_ROLLOUTS", default_value_t = 5)]
    pub max_concurrent_rollouts: u16,
    /// Whether each tenant gets alert rules of its own; false where rules for all tenants are installed.
    #[arg(long, env = "TENANT_RULES", default_value_t = true, action = clap::ArgAction::Set)]
    pub tenant_rules: bool,
    /// Folder of the runbooks that alerts link to, with a slash at its end.
    #[arg(long, env = "RUNBOOKS", default_value = RUNBOOKS)]
    pub runbooks: String,
    /// Secrets for private registries that tenants' pods get, by name in the tenant's namespace, separated by commas.
    #[arg(long, env = "TENANT_PULL_SECRETS", value_delimiter = ',')]
    pub tenant_pull_secrets: Vec<String>,
    /// File with specs of VoicemailPolicies by their names, which tenants are kept to beside the objects of that kind.
    #[arg(long, env = "POLICIES_FILE")]
    pub policies_file: Option<PathBuf>,
    /// Domain of the cluster's own names.
    #[arg(long, env = "CLUSTER_DOMAIN", default_value = "cluster.local")]
    pub cluster_domain: String,
    /// Data-subject requests reconciled at a time.
    #[arg(long, env = "GDPR_CONCURRENCY", default_value_t = 2)]
    pub gdpr_concurrency: u16,
}

/// The namespaces to watch; none means all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Namespaces(pub Vec<String>);

impl Namespaces {
    /// An API for each of the namespaces, or the one for all.
    pub fn apis<K>(&self, client: &Client) -> Vec<Api<K>>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        match self.0.as_slice() {
            [] => vec![Api::all(client.clone())],
            names => names.iter().map(|name| Api::namespaced(client.clone(), name)).collect(),
        }
    }
}

/// Reads a list of namespaces separated by commas; one that is named twice is watched once.
///
/// # Errors
/// None: any text is a list.
pub fn parse_namespaces(text: &str) -> Result<Namespaces, std::convert::Infallible> {
    let mut names: Vec<String> = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    Ok(Namespaces(names))
}

impl Settings {
    /// The account that signs in to the tenants' cores.
    pub fn account(&self) -> Account {
        Account { namespace: self.namespace.clone(), name: self.service_account.clone() }
    }

    /// The replica's name: given, or with a random ending, since two on one host must differ.
    pub fn replica(&self) -> String {
        let random = || {
            let mut bytes = [0u8; 4];
            let _ = aws_lc_rs::rand::fill(&mut bytes);
            format!("{}-{}-{}", self.service_account, std::process::id(), hex::encode(bytes))
        };
        self.identity.clone().unwrap_or_else(random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_of_namespaces_means_all() {
        assert_eq!(parse_namespaces(""), Ok(Namespaces(vec![])));
        assert_eq!(parse_namespaces(" a, b,"), Ok(Namespaces(vec!["a".into(), "b".into()])));
    }

    #[test]
    fn a_namespace_that_is_named_twice_is_watched_once() {
        assert_eq!(parse_namespaces("b,a, b,a"), Ok(Namespaces(vec!["b".into(), "a".into()])));
    }
}
