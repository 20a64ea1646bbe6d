//! The cluster's certificates, service-account keys and kubeconfigs, made anew for each cluster.
//!
//! One authority signs all. Certificates keep rcgen's default validity, which outlives any test cluster. The
//! service-account key is RSA because the big providers' clusters sign with RS256 too.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize,
};
use serde_json::json;

use crate::layout::{
    API_PORT, API_SERVICE_IP, API_SERVICE_IP6, CONTEXT, Layout, NODE_IP, NODE_IP6, NODE_NAME,
};

type Authority = CertifiedIssuer<'static, KeyPair>;

/// Names under which the API server is reached.
const SERVER_NAMES: [&str; 11] = [
    "127.0.0.1",
    NODE_IP,
    API_SERVICE_IP,
    NODE_IP6,
    API_SERVICE_IP6,
    "localhost",
    NODE_NAME,
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];

/// (kubeconfig, common name, organization)
const CLIENTS: [(&str, &str, Option<&str>); 5] = [
    ("admin", "voicemail-admin", Some("system:masters")),
    ("kube-controller-manager", "system:kube-controller-manager", None),
    ("kube-scheduler", "system:kube-scheduler", None),
    ("kube-proxy", "system:kube-proxy", None),
    ("kubelet", "system:node:voicemail-node", Some("system:nodes")),
];

/// Makes everything below `pki/` and `kubeconfigs/`.
pub(super) fn create(layout: &Layout) -> Result<()> {
    let authority = create_authority().context("making the cluster's authority")?;
    write(&layout.path("pki/ca.crt"), &authority.pem())?;
    write(&layout.path("pki/ca.key"), &authority.key().serialize_pem())?;
    create_server(layout, &authority).context("making the API server's certificate")?;
    create_service_account_keys(layout)?;
    for (file, name, organization) in CLIENTS {
        let (certificate, key) = create_client(&authority, name, organization)?;
        write(&layout.path("kubeconfigs").join(file), &render_kubeconfig(&authority, &certificate, &key)?)?;
    }
    let (certificate, key) =
        create_client(&authority, "kube-apiserver-kubelet-client", Some("system:masters"))?;
    write(&layout.path("pki/kubelet-client.crt"), &certificate)?;
    write(&layout.path("pki/kubelet-client.key"), &key)
}

fn create_authority() -> Result<Authority> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "voicemail-local-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn create_server(layout: &Layout, authority: &Authority) -> Result<()> {
    let names: Vec<String> = SERVER_NAMES.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    write(&layout.path("pki/apiserver.crt"), &params.signed_by(&key, authority)?.pem())?;
    write(&layout.path("pki/apiserver.key"), &key.serialize_pem())
}

fn create_service_account_keys(layout: &Layout) -> Result<()> {
    let key =
        KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).context("making the token key")?;
    write(&layout.path("pki/service-account.key"), &key.serialize_pem())?;
    write(&layout.path("pki/service-account.pub"), &key.public_key_pem())
}

fn create_client(authority: &Authority, name: &str, organization: Option<&str>) -> Result<(String, String)> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(organization) = organization {
        params.distinguished_name.push(DnType::OrganizationName, organization);
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, authority)?.pem(), key.serialize_pem()))
}

fn render_kubeconfig(authority: &Authority, certificate: &str, key: &str) -> Result<String> {
    let server = format!("https://{NODE_IP}:{API_PORT}");
    let encode = |text: &str| STANDARD.encode(text);
    let user = json!({"client-certificate-data": encode(certificate), "client-key-data": encode(key)});
    let cluster = json!({"server": server, "certificate-authority-data": encode(&authority.pem())});
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": CONTEXT,
        "clusters": [{"name": CONTEXT, "cluster": cluster}],
        "users": [{"name": CONTEXT, "user": user}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
    });
    Ok(serde_yaml::to_string(&config)?)
}

fn write(path: &Path, content: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}
