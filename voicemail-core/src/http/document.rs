//! The OpenAPI document, made from the routes themselves and checked in as `docs/openapi.json`.

use super::routes;
use crate::gdpr_api::Problem;
use utoipa::PartialSchema;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, InfoBuilder, OpenApi, Ref, ResponseBuilder};

const BEARER: &str = "bearer";

/// The document of the whole API.
pub fn openapi() -> OpenApi {
    let (_, mut document) = routes().split_for_parts();
    document.info = InfoBuilder::new()
        .title("Voicemail")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .build();
    let components = document.components.get_or_insert_default();
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    components.add_security_scheme(BEARER, SecurityScheme::Http(scheme));
    components.schemas.insert("Problem".into(), Problem::schema());
    document.security = Some(vec![SecurityRequirement::new(BEARER, Vec::<String>::new())]);
    document.paths.paths.values_mut().flat_map(operations).for_each(add_problem);
    document
}

const DESCRIPTION: &str = "Mailboxes, message waiting indication and data-subject rights of one tenant. \
    Each tag is the role that its operations take; `mwi` takes `telephony` or `agent`. \
    Errors are RFC 9457 problem documents with a stable `type`.";

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}

/// Every operation may answer a problem.
fn add_problem(operation: &mut Operation) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = ResponseBuilder::new()
        .description("A problem, by its type")
        .content("application/problem+json", content)
        .build();
    operation.responses.responses.insert("default".into(), response.into());
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
