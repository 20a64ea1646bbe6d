//! The scene: cluster, image, operator and tenant; and how it is struck again.

use anyhow::Result;
use voicemail_test_cluster::STORAGE_CLASS;
use voicemail_tests::stage::{
    Accounts, Api, Installation, OperatorLock, Site, Steps, Tenant, TenantManifest, Watch,
};

use crate::arguments::Arguments;
use crate::pages::{self, People};
use crate::rooms::Rooms;

/// Namespace of the tenant; its service accounts are there too.
pub(super) const NAMESPACE: &str = "voice";

/// A tenant that serves.
pub(super) struct Scene {
    pub(super) site: Site,
    pub(super) tenant: Tenant,
    pub(super) manifest: TenantManifest,
    /// Those who sign in to the pages.
    pub(super) people: People,
    installation: Installation,
    // Nobody else may change or use the operator while the demo has it to itself.
    _lock: OperatorLock,
}

impl Scene {
    /// Makes everything up to a tenant that is Ready.
    pub(super) async fn set(arguments: &Arguments, steps: &mut Steps) -> Result<Self> {
        let site = steps.run_talking("a Kubernetes cluster runs", arguments.open_site()).await?;
        let image = steps.run_talking("programs and image are built", arguments.provide_image(&site)).await?;
        steps.show(&format!("image {image}"));
        let lock = OperatorLock::alone(&site).await?;
        let manifest = write_manifest(arguments)?;
        let installation = Installation::shared(&site);
        let leftovers = remove_leftovers(&site, &installation, &manifest);
        steps.run("nothing is left of an earlier run", leftovers).await?;
        let people = People::make();
        let tenant = raise(&site, &installation, &image, (&manifest, &people), steps).await?;
        Ok(Self { site, tenant, manifest, people, installation, _lock: lock })
    }

    /// Makes the accounts and opens the way to the API.
    pub(super) async fn open_rooms(&self, steps: &mut Steps) -> Result<Rooms> {
        let connect = async {
            let accounts = Accounts::create(&self.site, &self.manifest).await?;
            Ok::<(Accounts, Api), anyhow::Error>((accounts, self.tenant.connect().await?))
        };
        let (accounts, api) = steps.run("service accounts have tokens for the tenant", connect).await?;
        Rooms::furnish(accounts, api, steps).await
    }

    /// Removes tenant, operator and namespaces.
    pub(super) async fn strike(&self, steps: &mut Steps) -> Result<()> {
        steps.run("the tenant and its data are removed", self.tenant.remove()).await?;
        steps.run("the operator is removed", self.installation.uninstall()).await
    }
}

/// Also the operator: it would take a while to notice that it may work in the new namespace.
async fn remove_leftovers(site: &Site, installation: &Installation, manifest: &TenantManifest) -> Result<()> {
    Tenant::refuse_foreign_tenants(site, NAMESPACE).await?;
    let tenant = Tenant::remove_leftovers(site, NAMESPACE, manifest);
    tokio::try_join!(tenant, installation.uninstall()).map(drop)
}

async fn raise(
    site: &Site,
    installation: &Installation,
    image: &voicemail_test_cluster::image::ImageRef,
    (manifest, people): (&TenantManifest, &People),
    steps: &mut Steps,
) -> Result<Tenant> {
    let install = async {
        Tenant::create_namespace(site, NAMESPACE).await?;
        installation.install(image, &Watch::Namespaces(vec![NAMESPACE.to_owned()])).await
    };
    steps.run("the operator is available in the cluster", install).await?;
    let apply = async {
        people.bring(site).await?;
        let tenant = Tenant::apply(site, NAMESPACE, manifest).await?;
        tenant.wait_ready().await?;
        Ok(tenant)
    };
    steps.run("examples/volume-tenant.yaml, with pages, is applied and tenant acme is Ready", apply).await
}

fn write_manifest(arguments: &Arguments) -> Result<TenantManifest> {
    let mut manifest = TenantManifest::example()?;
    pages::write_into(&mut manifest.document()["spec"]);
    Ok(match &arguments.storage_class {
        Some(class) => manifest.on_storage_class(class),
        None if arguments.context.is_none() => manifest.on_storage_class(STORAGE_CLASS),
        None => manifest,
    })
}
