//! The client library's client for a bucket, by the configuration: credentials, endpoint, headers of encryption.

use crate::StoreError;
use crate::object::client::{Patience, client_options};
use crate::object::credentials::{FileCredentials, read_aws};
use crate::object::observe::{Observed, ObservingConnector};
use crate::object::partition::{endpoint_of, sts_endpoint_of};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsCredentialProvider};
use std::sync::Arc;
use voicemail_api::config::{S3Config, S3Credentials};
use voicemail_model::clock::World;

pub(super) fn find_credentials(
    config: &S3Config,
    world: &World,
) -> Result<Option<AwsCredentialProvider>, StoreError> {
    match &config.credentials {
        S3Credentials::Files { dir } => Ok(Some(FileCredentials::open(dir, read_aws, world)?)),
        S3Credentials::WebIdentity {} => {
            let given = |name: &str| std::env::var_os(name).is_some();
            let irsa = given("AWS_WEB_IDENTITY_TOKEN_FILE") && given("AWS_ROLE_ARN");
            if irsa || given("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
                return Ok(None);
            }
            Err(StoreError::Credentials(
                "the pod has no web identity: AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN aren't set; \
                 is the identity webhook installed, and the service account annotated?"
                    .into(),
            ))
        }
    }
}

pub(super) fn build_client(
    config: &S3Config,
    credentials: Option<&AwsCredentialProvider>,
    observed: &Arc<Observed>,
    patience: Patience,
) -> Result<AmazonS3, StoreError> {
    let endpoint = endpoint_of(config);
    let mut builder = match credentials {
        Some(credentials) => AmazonS3Builder::new().with_credentials(Arc::clone(credentials)),
        None => AmazonS3Builder::from_env(),
    };
    for (key, value) in encryption_of(config) {
        builder = builder.with_config(key, value);
    }
    if let Some(endpoint) = sts_endpoint_of(config) {
        builder = builder.with_config(AmazonS3ConfigKey::StsEndpoint, endpoint);
    }
    builder = builder
        .with_bucket_name(&config.bucket)
        .with_region(&config.region)
        .with_virtual_hosted_style_request(false)
        .with_endpoint(&endpoint)
        .with_retry(patience.retries())
        .with_client_options(client_options(folder_of(config), &endpoint, patience)?)
        .with_http_connector(ObservingConnector(Arc::clone(observed)));
    builder.build().map_err(crate::object::errors::reading)
}

/// The headers of every write, as the library's settings.
pub(super) fn encryption_of(config: &S3Config) -> Vec<(AmazonS3ConfigKey, String)> {
    let Some(asked) = &config.encryption else { return Vec::new() };
    let key = |name: &str| name.parse::<AmazonS3ConfigKey>().ok();
    let algorithm = key("aws_server_side_encryption").map(|key| (key, asked.algorithm.header().to_owned()));
    let id = asked.kms_key_id.clone().and_then(|id| Some((key("aws_sse_kms_key_id")?, id)));
    algorithm.into_iter().chain(id).collect()
}

pub(super) fn folder_of(config: &S3Config) -> Option<&std::path::Path> {
    match &config.credentials {
        S3Credentials::Files { dir } => Some(dir),
        S3Credentials::WebIdentity {} => None,
    }
}
