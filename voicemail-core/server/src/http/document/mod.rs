//! The OpenAPI document, made from the routes themselves and checked in as `docs/openapi.json`.
//!
//! Parts common to all operations are added here: authentication, with the roles that each takes, and the problems that
//! any may answer ([`problems`]); and the bounds of values ([`bounds`]).

mod bounds;
mod problems;

use super::{PREFIX, SESSION_COOKIE, routes};
use utoipa::PartialSchema;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{InfoBuilder, OpenApi};
use voicemail_api::gdpr::Problem;
use voicemail_engine::mwi::{MwiEvent, MwiGone, MwiState};

const BEARER: &str = "bearer";
const BASIC: &str = "basic";
const TICKET: &str = "ticket";
const SESSION: &str = "session";

/// Operations that take other roles beside their tag's: by path and tag.
const ALSO: [(&str, &str, &[&str]); 12] = [
    ("/me", "agent", &["telephony", "admin", "privacy"]),
    ("/mailboxes/{mailbox}/greetings", "agent", &["telephony", "admin"]),
    ("/mailboxes/{mailbox}/mwi", "agent", &["telephony"]),
    ("/mailboxes/{mailbox}/pin", "agent", &["admin"]),
    ("/messages/search", "admin", &["privacy"]),
    ("/mailboxes/{mailbox}/reception", "telephony", &["agent"]),
    ("/mailboxes/{mailbox}/preferences", "agent", &["admin"]),
    ("/mailboxes/{mailbox}/greetings/{greeting}", "telephony", &["agent", "admin"]),
    ("/mailboxes/{mailbox}/greetings/{greeting}", "agent", &["admin"]),
    ("/mailboxes/{mailbox}/greetings/alternate/schedule", "agent", &["admin"]),
    ("/telephony/fronts/{front}", "telephony", &["admin"]),
    ("/greetings/{greeting}", "telephony", &["agent", "admin"]),
];
/// Operations that a ticket opens.
const TICKETED: [&str; 2] = ["/mwi/events", "/mailboxes/{mailbox}/messages/{id}/audio"];

/// The document of the whole API.
pub fn openapi() -> OpenApi {
    let (_, mut document) = routes().split_for_parts();
    document.info = InfoBuilder::new()
        .title("Voicemail")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .build();
    let components = document.components.get_or_insert_default();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    let basic = HttpBuilder::new().scheme(HttpAuthScheme::Basic).build();
    components.add_security_scheme(BASIC, SecurityScheme::Http(basic));
    let ticket = ApiKeyValue::with_description(TICKET, "The ticket from POST /tickets, valid for a minute");
    components.add_security_scheme(TICKET, SecurityScheme::ApiKey(ApiKey::Query(ticket)));
    let session = ApiKeyValue::with_description(SESSION_COOKIE, SESSION_DESCRIPTION);
    components.add_security_scheme(SESSION, SecurityScheme::ApiKey(ApiKey::Cookie(session)));
    components.schemas.insert("Problem".into(), Problem::schema());
    // Data of events, which the schema of an event holds as text.
    components.schemas.insert("MwiState".into(), MwiState::schema());
    components.schemas.insert("MwiEvent".into(), MwiEvent::schema());
    components.schemas.insert("MwiGone".into(), MwiGone::schema());
    for (path, item) in &mut document.paths.paths {
        let path = path.trim_start_matches(PREFIX);
        for (method, operation) in operations(item) {
            add_security(path, operation);
            problems::add_problems(path, method, operation);
            bounds::bound_parameters(path, method, operation);
        }
    }
    bounds::bound_schemas(&mut document);
    document
}

const DESCRIPTION: &str = "Mailboxes, message waiting indication and data-subject rights of one tenant. \
    Each tag is the role that its operations take; the security of an operation names all that do. \
    Errors are RFC 9457 problem documents with a stable `type`.";

const SESSION_DESCRIPTION: &str = "The session of a page below /ui. It counts for that page's own requests alone: without \
    Authorization, with Sec-Fetch-Site: same-origin as browsers send it, and but for GET with X-Voicemail-Page: 1. It never \
    gives the role telephony.";

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("get", &mut item.get),
        ("put", &mut item.put),
        ("post", &mut item.post),
        ("delete", &mut item.delete),
        ("patch", &mut item.patch),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// A token or a password with any of the roles, or a ticket where one will do.
fn add_security(path: &str, operation: &mut Operation) {
    let own = operation.tags.iter().flatten().next().cloned().unwrap_or_default();
    let also = ALSO.iter().filter(|(other, tag, _)| *other == path && *tag == own);
    let also = also.flat_map(|(.., roles)| roles.iter().map(|role| (*role).to_owned()));
    let roles: Vec<String> = std::iter::once(own.clone()).chain(also).collect();
    let of = |scheme: &str| {
        let scheme = scheme.to_owned();
        roles.iter().map(move |role| SecurityRequirement::new(scheme.clone(), [role.clone()]))
    };
    let mut security: Vec<SecurityRequirement> = of(BEARER).chain(of(BASIC)).collect();
    security.extend(of(SESSION).zip(&roles).filter(|(_, role)| *role != "telephony").map(|(one, _)| one));
    if TICKETED.contains(&path) {
        security.push(SecurityRequirement::new(TICKET, Vec::<String>::new()));
    }
    operation.security = Some(security);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checked_in_document_is_the_one_that_the_routes_make() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let checked_in = std::fs::read_to_string(path).unwrap_or_default();
        let made = openapi().to_pretty_json().unwrap() + "\n";
        assert!(
            checked_in == made,
            "run: cargo run -p voicemail-server --bin voicemail -- openapi > docs/openapi.json"
        );
    }
}
