//! The OpenAPI document, made from the routes themselves and checked in as `docs/openapi.json`.
//!
//! What all operations share is added here: how to say who one is, with the roles that each takes, and the problems that
//! any may answer.

use super::{PREFIX, ProblemKind, routes};
use crate::gdpr_api::Problem;
use utoipa::PartialSchema;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ContentBuilder, InfoBuilder, OpenApi, Ref, Response, ResponseBuilder};

const BEARER: &str = "bearer";
const BASIC: &str = "basic";
const TICKET: &str = "ticket";

/// Operations that take other roles beside their tag's: by path and tag.
const ALSO: [(&str, &str, &[&str]); 9] = [
    ("/mailboxes/{mailbox}/mwi", "agent", &["telephony"]),
    ("/mailboxes/{mailbox}/pin", "agent", &["admin"]),
    ("/messages/search", "admin", &["privacy"]),
    ("/mailboxes/{mailbox}/reception", "telephony", &["agent"]),
    ("/mailboxes/{mailbox}/preferences", "agent", &["admin"]),
    ("/mailboxes/{mailbox}/greetings/{greeting}", "telephony", &["agent", "admin"]),
    ("/mailboxes/{mailbox}/greetings/{greeting}", "agent", &["admin"]),
    ("/mailboxes/{mailbox}/greetings/alternate/schedule", "agent", &["admin"]),
    ("/greetings/{greeting}", "telephony", &["agent", "admin"]),
];
/// Operations that a ticket opens.
const TICKETED: [&str; 2] = ["/mwi/events", "/mailboxes/{mailbox}/messages/{id}/audio"];

/// Problems that every operation may answer; others are described by `default`.
const SHARED: [ProblemKind; 6] = [
    ProblemKind::InvalidRequest,
    ProblemKind::Unauthenticated,
    ProblemKind::RoleMissing,
    ProblemKind::UnknownPath,
    ProblemKind::TooManyRequests,
    ProblemKind::StoreUnavailable,
];

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
    let ticket = ApiKeyValue::with_description(TICKET, "What POST /tickets answered, for a minute");
    components.add_security_scheme(TICKET, SecurityScheme::ApiKey(ApiKey::Query(ticket)));
    components.schemas.insert("Problem".into(), Problem::schema());
    for (path, item) in &mut document.paths.paths {
        let path = path.trim_start_matches(PREFIX);
        operations(item).for_each(|operation| {
            add_security(path, operation);
            add_problems(operation);
        });
    }
    document
}

const DESCRIPTION: &str = "Mailboxes, message waiting indication and data-subject rights of one tenant. \
    Each tag is the role that its operations take; the security of an operation names all that do. \
    Errors are RFC 9457 problem documents with a stable `type`.";

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
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
    if TICKETED.contains(&path) {
        security.push(SecurityRequirement::new(TICKET, Vec::<String>::new()));
    }
    operation.security = Some(security);
}

/// Every operation may answer these, and any other problem.
fn add_problems(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    for kind in SHARED {
        let status = kind.status().as_u16().to_string();
        responses.entry(status).or_insert_with(|| problem(kind.title(), Some(kind)).into());
    }
    responses.insert("default".into(), problem("A problem, by its type", None).into());
}

fn problem(description: &str, example: Option<ProblemKind>) -> Response {
    let mut content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
    if let Some(kind) = example {
        content = content.example(Some(serde_json::json!({
            "type": format!("/problems/{}", kind.slug()), "title": kind.title(),
            "status": kind.status().as_u16(), "detail": "What to do about it",
        })));
    }
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content.build())
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checked_in_document_is_the_one_that_the_routes_make() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
        let checked_in = std::fs::read_to_string(path).unwrap_or_default();
        let made = openapi().to_pretty_json().unwrap() + "\n";
        assert!(
            checked_in == made,
            "run: cargo run -p voicemail-core --bin voicemail -- openapi > docs/openapi.json"
        );
    }
}
