//! Arguments of the demo, and from where they let it take cluster and image.

use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use voicemail_test_cluster::image::{ImageRef, build_archive, build_image};
use voicemail_test_machine::cargo::Profile;
use voicemail_test_machine::command::run;
use voicemail_tests::stage::Site;

/// Shows the main job on a real Kubernetes: the local one, which is started if need be, or one of yours.
#[derive(Parser)]
#[command(name = "cargo demo", bin_name = "cargo demo")]
pub(super) struct Arguments {
    /// Leave everything running and tell how to look around.
    #[arg(long)]
    pub(super) keep: bool,
    /// Use the cluster of this context of your kubeconfig.
    #[arg(long, value_name = "NAME")]
    pub(super) context: Option<String>,
    /// How the image gets to that cluster.
    #[arg(long, value_enum, default_value = "none", requires = "context")]
    pub(super) load: Load,
    /// The image that is there already, with `--load none`.
    #[arg(long, value_name = "REF", requires = "context")]
    pub(super) image: Option<String>,
    /// Storage class of that cluster that offers ReadWriteMany.
    #[arg(long, value_name = "NAME", requires = "context")]
    pub(super) storage_class: Option<String>,
}

/// How an image gets to a cluster.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Load {
    /// `kind load image-archive`.
    Kind,
    /// `k3d image import`.
    K3d,
    /// It is there, or can be pulled: name it by `--image`.
    None,
}

impl Arguments {
    /// Finds or starts the cluster.
    pub(super) async fn open_site(&self) -> Result<Site> {
        match &self.context {
            Some(name) => Site::of_context(name).await,
            None => Site::local().await,
        }
    }

    /// Builds the image and puts it on the cluster, or takes the one that is there.
    pub(super) async fn provide_image(&self, site: &Site) -> Result<ImageRef> {
        if let Some(cluster) = site.cluster() {
            return build_image(cluster, Profile::current()).await;
        }
        let context = self.context.clone().unwrap_or_default();
        match (&self.image, self.load) {
            (Some(image), Load::None) => Ok(ImageRef::named(image)),
            (None, Load::None) => bail!("with --context, say --load kind, --load k3d or --image REF"),
            (_, load) => tokio::task::spawn_blocking(move || load_into(&context, load)).await?,
        }
    }
}

fn load_into(context: &str, load: Load) -> Result<ImageRef> {
    let folder = tempfile::Builder::new().prefix("voicemail-image-").tempdir()?;
    let (image, archive) = build_archive(folder.path(), Profile::current())?;
    let mut command = match load {
        Load::Kind => Command::new("kind"),
        Load::K3d | Load::None => Command::new("k3d"),
    };
    match load {
        Load::Kind => {
            let name = context.strip_prefix("kind-").unwrap_or(context);
            command.args(["load", "image-archive", "--name", name]).arg(&archive)
        }
        Load::K3d | Load::None => {
            let name = context.strip_prefix("k3d-").unwrap_or(context);
            command.args(["image", "import", "--cluster", name]).arg(&archive)
        }
    };
    run(&mut command).context("putting the image on the cluster")?;
    Ok(image)
}
