//! The pages, from a tenant's spec to the core's configuration. Pure.
//!
//! Client id and secret at an issuer are mounted in a folder named after their Secret, so that an issuer that is added or moved
//! in the list moves no other one's files.

use crate::tenant::build::access::read_wait;
use crate::tenant::steps::refusal::Refusal;
use std::collections::BTreeMap;
use std::path::Path;
use voicemail_api::config::{IdentityFrom, LoginConfig, MaskCallers, SessionConfig, WebConfig};
use voicemail_resources::voicemail_tenant::{self as given, VoicemailTenant};

/// Folder with a folder for each Secret of an issuer where people sign in.
pub const LOGINS_DIR: &str = "/etc/voicemail/logins";
/// Keys of such a Secret.
pub const LOGIN_KEYS: [&str; 2] = ["clientId", "clientSecret"];

/// The Secrets to mount, by their folders.
pub fn login_secrets(tenant: &VoicemailTenant) -> BTreeMap<String, String> {
    let logins = tenant.spec.web.iter().flat_map(|web| &web.login);
    logins.map(|login| (login.secret_ref.name.clone(), login.secret_ref.name.clone())).collect()
}

/// The pages.
///
/// # Errors
/// [`Refusal::InvalidSpec`] names the field.
pub fn plan_web(given: &given::Web) -> Result<WebConfig, Refusal> {
    Ok(WebConfig {
        host: Some(given.host.clone()),
        login: given.login.iter().map(plan_login).collect(),
        passwords: given.passwords == given::Passwords::Allowed,
        embed_in: given.embed_in.clone(),
        session: SessionConfig {
            lifetime: read_wait("web.session.lifetime", &given.session.lifetime)?,
            idle: read_wait("web.session.idle", &given.session.idle)?,
            epoch: given.session.epoch.unsigned_abs(),
        },
        fresh_login: read_wait("web.freshLogin", &given.fresh_login)?,
        mask_callers: match given.mask_callers {
            given::MaskCallers::Never => MaskCallers::Never,
            given::MaskCallers::Numbers => MaskCallers::Numbers,
            given::MaskCallers::All => MaskCallers::All,
        },
    })
}

fn plan_login(given: &given::Login) -> LoginConfig {
    let folder = Path::new(LOGINS_DIR).join(&given.secret_ref.name);
    let [client_id_file, client_secret_file] = LOGIN_KEYS.map(|key| folder.join(key));
    LoginConfig {
        issuer: given.issuer.clone(),
        label: given.label.clone(),
        client_id_file,
        client_secret_file,
        scopes: given.scopes.clone(),
        resource: given.resource.clone(),
        identity_from: match given.identity_from {
            given::IdentityFrom::AccessToken => IdentityFrom::AccessToken,
            given::IdentityFrom::IdToken => IdentityFrom::IdToken,
        },
    }
}
