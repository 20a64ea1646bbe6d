//! Stores for the tenants of the examples: servers that pods reach, with the bucket or container that the examples name,
//! and the Secrets with the credentials.

use anyhow::{Context, Result};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;
use voicemail_resources::VoicemailTenant;

use crate::tenant_manifest::named_example;
use voicemail_test_cluster::layout::HOST_IP;
use voicemail_test_machine::servers::azure_admin::{AzureAccount, AzureEndpoint};
use voicemail_test_machine::servers::azurite::Azurite;
use voicemail_test_machine::servers::minio::Minio;
use voicemail_test_machine::servers::s3_admin::REGION;

/// The bucket of `examples/s3-tenant.yaml`.
pub const BUCKET: &str = "contact-centre";
/// The container of the examples on Azure.
pub const CONTAINER: &str = "voicemail";
/// The Secret of `examples/s3-tenant.yaml`.
pub const S3_SECRET: &str = "acme-s3";

/// An S3 server with the bucket.
pub async fn start_minio() -> Result<Minio> {
    let minio = Minio::start(HOST_IP.parse()?).await?;
    minio.endpoint().admin()?.create_bucket(BUCKET).await?;
    Ok(minio)
}

/// An Azure emulator with that account and the container.
pub async fn start_azurite(account: &str) -> Result<(Azurite, AzureEndpoint)> {
    let azurite = Azurite::start(HOST_IP.parse()?, &[AzureAccount::random(account)]).await?;
    let endpoint = azurite.endpoint(account)?;
    endpoint.admin()?.create_container(CONTAINER).await?;
    Ok((azurite, endpoint))
}

/// The example's tenant on that server, with one pod.
pub fn tenant_on_minio(minio: &Minio) -> Result<VoicemailTenant> {
    let mut tenant = named_example("s3-tenant.yaml")?;
    tenant.spec.replicas = 1;
    tenant.spec.resources = None;
    let s3 = tenant.spec.regions.first_mut().and_then(|region| region.storage.s3.as_mut());
    let s3 = s3.context("the example isn't on S3")?;
    (s3.endpoint, s3.region) = (Some(minio.endpoint().url), REGION.to_owned());
    Ok(tenant)
}

/// The credentials of the server.
pub fn minio_secret(minio: &Minio) -> Secret {
    let keys = minio.endpoint().keys;
    secret(S3_SECRET, &[("accessKeyId", &keys.access_key), ("secretAccessKey", &keys.secret_key)])
}

/// A Secret with these texts.
pub fn secret(name: &str, entries: &[(&str, &str)]) -> Secret {
    let entry = |(key, text): &(&str, &str)| ((*key).to_owned(), ByteString(text.as_bytes().to_vec()));
    Secret {
        metadata: ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() },
        data: Some(entries.iter().map(entry).collect()),
        ..Secret::default()
    }
}
