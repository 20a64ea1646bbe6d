//! The cluster that is worked on: the local one, or a context of the user's kubeconfig.
//!
//! The local one brings its own kubectl and helm; a context needs both on the `PATH`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use kube::config::{Config, KubeConfigOptions};
use kube::{Api, Client};

use voicemail_test_cluster::Cluster;
use voicemail_test_machine::command::{find_program, run, run_with_input};

/// A cluster, and how to reach it.
#[derive(Clone, Debug)]
pub struct Site {
    place: Place,
    config: Config,
}

#[derive(Clone, Debug)]
enum Place {
    Local(Box<Cluster>),
    Context(String),
}

impl Site {
    /// The local cluster, which is started if it doesn't run.
    pub async fn local() -> Result<Self> {
        Self::of_cluster(Cluster::ensure().await?).await
    }

    /// A local cluster that runs.
    pub async fn of_cluster(cluster: Cluster) -> Result<Self> {
        Ok(Self { config: cluster.config().await?, place: Place::Local(Box::new(cluster)) })
    }

    /// A context of the user's kubeconfig.
    pub async fn of_context(name: &str) -> Result<Self> {
        for program in ["kubectl", "helm"] {
            ensure!(find_program(program).is_some(), "{program} isn't on the PATH; --context needs it");
        }
        let options = KubeConfigOptions { context: Some(name.to_owned()), ..KubeConfigOptions::default() };
        let config = Config::from_kubeconfig(&options).await;
        let config = config.with_context(|| format!("no usable context {name} in the kubeconfig"))?;
        Ok(Self { place: Place::Context(name.to_owned()), config })
    }

    /// The local cluster, if it is that.
    pub fn cluster(&self) -> Option<&Cluster> {
        match &self.place {
            Place::Local(cluster) => Some(cluster),
            Place::Context(_) => None,
        }
    }

    /// Configuration for kube's client.
    pub fn config(&self) -> Config {
        self.config.clone()
    }

    /// A client that belongs to the runtime that asks for it.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::try_from(self.config())?)
    }

    /// The API of one kind in a namespace.
    pub fn api<K>(&self, namespace: &str) -> Result<Api<K>>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Ok(Api::namespaced(self.client()?, namespace))
    }

    /// kubectl, to add arguments to.
    pub fn kubectl(&self) -> Command {
        match &self.place {
            Place::Local(cluster) => cluster.kubectl().command(),
            Place::Context(name) => with_arguments("kubectl", &["--context", name]),
        }
    }

    /// helm, to add arguments to.
    pub fn helm(&self) -> Command {
        match &self.place {
            Place::Local(cluster) => cluster.helm(),
            Place::Context(name) => with_arguments("helm", &["--kube-context", name]),
        }
    }

    /// The command line by which a person uses this cluster's kubectl.
    pub fn kubectl_words(&self) -> String {
        match &self.place {
            Place::Local(_) => "cargo cluster kubectl".to_owned(),
            Place::Context(name) => format!("kubectl --context {name}"),
        }
    }

    /// Runs kubectl to its end and returns what it printed.
    pub async fn run_kubectl(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.kubectl();
        command.args(arguments);
        run_aside(command).await
    }

    /// Applies a file or folder of manifests in a namespace.
    pub async fn apply_file(&self, namespace: &str, path: &Path) -> Result<String> {
        let mut command = self.kubectl();
        command.args(["apply", "--server-side", "--force-conflicts", "-n", namespace, "-f"]).arg(path);
        run_aside(command).await
    }

    /// Applies manifests given as text in a namespace.
    pub async fn apply_text(&self, namespace: &str, manifests: String) -> Result<String> {
        let mut command = self.kubectl();
        command.args(["apply", "--server-side", "--force-conflicts", "-n", namespace, "-f", "-"]);
        tokio::task::spawn_blocking(move || run_with_input(&mut command, &manifests)).await?
    }
}

fn with_arguments(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Runs a program to its end without holding up the runtime.
pub(super) async fn run_aside(mut command: Command) -> Result<String> {
    tokio::task::spawn_blocking(move || run(&mut command)).await?
}
