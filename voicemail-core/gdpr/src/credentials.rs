//! How the command signs in: a user's token as it is, or a client's, for which the authorisation server gives one.

use super::client::{lost, plain_client, require_https};
use super::{Arguments, Failure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// The value of the header `Authorization`.
pub(super) async fn sign_in(arguments: &Arguments) -> Result<String, Failure> {
    if let Some(user) = &arguments.user {
        let token = read_secret(user)?;
        return Ok(format!("{} {token}", if arguments.basic { "Basic" } else { "Bearer" }));
    }
    let Some(client) = &arguments.client else {
        return Err(Failure::Usage("name a user token (-u) or client credentials (-c)"));
    };
    let (id, secret) = split(&read_secret(client)?, std::env::var("GWS_CLIENT_ID").ok())?;
    fetch_token(arguments, &id, &secret).await.map(|token| format!("Bearer {token}"))
}

/// The text itself, or what the file holds that it names after `@`.
fn read_secret(given: &str) -> Result<String, Failure> {
    let Some(file) = given.strip_prefix('@') else { return Ok(given.to_owned()) };
    let text = std::fs::read_to_string(file).map_err(|error| Failure::Local(format!("{file}: {error}")))?;
    Ok(text.trim().to_owned())
}

/// `id:secret`, the same in base64, or the secret alone beside the environment's id.
fn split(given: &str, id: Option<String>) -> Result<(String, String), Failure> {
    let pair = |text: &str| text.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()));
    let decoded = || String::from_utf8(STANDARD.decode(given).ok()?).ok();
    let printable = |text: &String| text.chars().all(|c| c.is_ascii_graphic());
    pair(given)
        .or_else(|| decoded().filter(printable).and_then(|text| pair(&text)))
        .or_else(|| id.map(|id| (id, given.to_owned())))
        .ok_or(Failure::Usage("-c: write id:secret, or the secret alone with the id in GWS_CLIENT_ID"))
}

/// OAuth 2 client credentials. The server's own description says where; GWS's place when there is none.
async fn fetch_token(arguments: &Arguments, id: &str, secret: &str) -> Result<String, Failure> {
    let base = std::env::var("GWS_URL")
        .map_err(|_| Failure::Usage("-c: set GWS_URL to the authorisation server"))?;
    let base = require_https(base.trim_end_matches('/'), "the authorisation server (GWS_URL)")?;
    let http = plain_client(arguments)?;
    let found = http.get(format!("{base}/.well-known/openid-configuration")).send().await.map_err(lost)?;
    let described: Value = match found.status().is_success() {
        true => found.json().await.map_err(lost)?,
        false => Value::Null,
    };
    let standard = format!("{base}/auth/v3/oauth/token");
    let endpoint = described["token_endpoint"].as_str().unwrap_or(&standard);
    let endpoint = require_https(endpoint, "the authorisation server's token_endpoint")?;
    let mut form = vec![("grant_type", "client_credentials".to_owned())];
    for (field, variable) in [("scope", "GWS_SCOPE"), ("resource", "GWS_RESOURCE")] {
        form.extend(std::env::var(variable).ok().map(|value| (field, value)));
    }
    let answer = http.post(endpoint).basic_auth(id, Some(secret)).form(&form).send().await.map_err(lost)?;
    let status = answer.status();
    if status.is_client_error() {
        return Err(Failure::NotSignedIn(format!("the authorisation server answered {status}")));
    }
    let answer: Value = answer.error_for_status().map_err(lost)?.json().await.map_err(lost)?;
    let token = answer["access_token"].as_str().map(str::to_owned);
    token.ok_or_else(|| Failure::NotSignedIn("the authorisation server gave no access_token".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_come_as_a_pair_in_base64_or_as_a_secret_beside_an_id() {
        let pair = |given: &str, id: Option<&str>| split(given, id.map(str::to_owned)).ok();
        let expected = Some(("me".to_owned(), "word".to_owned()));
        assert_eq!(pair("me:word", None), expected);
        assert_eq!(pair(&STANDARD.encode("me:word"), None), expected);
        assert_eq!(pair("word", Some("me")), expected);
        assert_eq!(pair("word", None), None);
    }

    #[test]
    fn a_secret_that_happens_to_be_base64_stays_one() {
        let secret = "iPdZIMR5qHAohE4wsC0La0eAopUyJDZalmwN6FPH9rjUcztZ";
        assert_eq!(split(secret, Some("me".into())).unwrap(), ("me".to_owned(), secret.to_owned()));
    }
}
