//! The bounds of values in the document: names, ids, times and limits, by where they stand. Checked by the handlers.
//!
//! The handlers' own types decide; here the same rules are told to whoever reads the document, and schemathesis
//! compares the two.

use utoipa::Number;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, SchemaType, Type};
use utoipa::openapi::{Object, OpenApi, RefOr, Schema, SchemaFormat};

/// The bound of a value.
#[derive(Clone, Copy)]
enum Bound {
    /// A text of this form.
    Pattern(&'static str),
    /// A text of so many characters.
    Length(usize, usize),
    /// A text of so many characters, none of them a control character.
    Plain(usize, usize),
    /// So many characters that match.
    Named(&'static str, usize, usize),
    /// A number from one to another.
    Range(isize, isize),
    /// As JSON Schema or the OpenAPI registry calls it.
    Format(&'static str),
    /// One of these.
    OneOf(&'static [&'static str]),
}

use Bound::{Format, Length, Named, OneOf, Pattern, Plain, Range};

const NAME: Bound = Pattern("^[A-Za-z0-9_-]{1,64}$");
const MAILBOX: Bound = Named("^[A-Za-z0-9_+*#-][A-Za-z0-9_.+*#-]*(@[A-Za-z0-9_.+*#-]+)?$", 1, 64);
const USER: Bound = Length(1, 512);
const MESSAGE: Bound =
    Pattern("^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$");
const KEY: Bound = Pattern("^[!-~]{1,255}$");
const CASE: Bound = Plain(1, 100);
const WORDS: Bound = Plain(1, 500);
const ADDRESS: Bound = Named("^[!-?A-~]{1,64}@[A-Za-z0-9.-]+$", 3, 254);
const CONTENT: Bound = OneOf(&["none", "note", "caller", "link", "audio"]);
const MOMENT: Bound = Format("date-time");
const TIME_OF_DAY: Bound = Pattern("^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$");

/// Properties of bodies, by schema and name.
const PROPERTIES: [(&str, &str, Bound); 46] = [
    ("AuditSubject", "message", MESSAGE),
    ("CancelBody", "reason", WORDS),
    ("DatesBody", "from", Format("date")),
    ("DatesBody", "to", Format("date")),
    ("DenyBody", "text", WORDS),
    ("DepositAnswer", "id", MESSAGE),
    ("EmailRefusedBody", "at", MOMENT),
    ("EmailRefusedBody", "code", Range(400, 599)),
    ("ExtendBody", "months", Range(1, 2)),
    ("ExtendBody", "reason", WORDS),
    ("ForwardBody", "to", MAILBOX),
    ("FrontBody", "oldest", MOMENT),
    ("FrontBody", "spooled", Range(0, 1_000_000)),
    ("ForwardedCopy", "id", MESSAGE),
    ("GdprBody", "caseid", CASE),
    ("GdprBody", "receivedAt", MOMENT),
    ("GdprBody", "requestedBy", WORDS),
    ("HoldBody", "reason", WORDS),
    ("MailboxBody", "label", Length(0, 100)),
    ("MessageRef", "id", MESSAGE),
    ("MessageView", "id", MESSAGE),
    ("OwnEmail", "address", ADDRESS),
    ("OwnEmail", "allowed", CONTENT),
    ("OwnEmail", "content", CONTENT),
    ("OwnEmail", "digestMinutes", Range(0, 1_440)),
    ("OwnEmail", "usualDigestMinutes", Range(0, 1_440)),
    ("OwnEmailBody", "content", CONTENT),
    ("OwnEmailBody", "digestMinutes", Range(0, 1_440)),
    ("PinBody", "pin", Pattern("^[0-9]{6,10}$")),
    ("SearchBody", "caller", Length(1, 6_144)),
    ("SearchBody", "from", MOMENT),
    ("SearchBody", "limit", Range(1, 500)),
    ("SearchBody", "to", MOMENT),
    ("TicketBody", "message", MESSAGE),
    ("UserBody", "email", ADDRESS),
    ("UserBody", "emailChosen", CONTENT),
    ("UserBody", "emailContent", CONTENT),
    ("UserBody", "groups", NAME),
    ("UserBody", "language", Named("^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$", 2, 35)),
    ("UserBody", "mailboxes", MAILBOX),
    ("UserBody", "readOnlyGroups", NAME),
    ("Verification", "at", MOMENT),
    ("Verification", "method", WORDS),
    ("WatchBody", "mailboxes", MAILBOX),
    ("WindowBody", "from", TIME_OF_DAY),
    ("WindowBody", "to", TIME_OF_DAY),
];
/// How many a list may hold, by schema and name.
const LISTS: [(&str, &str, Option<usize>, usize); 6] = [
    ("ForwardBody", "to", Some(1), 20),
    ("ScheduleBody", "dates", None, 100),
    ("ScheduleBody", "weekly", None, 100),
    ("UserBody", "groups", None, 100),
    ("UserBody", "mailboxes", None, 10),
    ("UserBody", "readOnlyGroups", None, 100),
];
/// Schemas whose variants take no other fields, which the derived document doesn't say.
const CLOSED: [&str; 1] = ["TicketBody"];

/// Bounds all properties of the shared schemas.
pub(super) fn bound_schemas(document: &mut OpenApi) {
    let schemas = document.components.iter_mut().flat_map(|components| &mut components.schemas);
    for (name, schema) in schemas {
        bound_schema(name, schema);
    }
}

fn bound_schema(name: &str, schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            for (field, property) in &mut object.properties {
                bound_property(name, field, property);
            }
            if CLOSED.contains(&name) {
                object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
            }
        }
        RefOr::T(Schema::OneOf(one)) => one.items.iter_mut().for_each(|item| bound_schema(name, item)),
        RefOr::T(Schema::AllOf(all)) => all.items.iter_mut().for_each(|item| bound_schema(name, item)),
        _ => {}
    }
}

fn bound_property(schema: &str, field: &str, property: &mut RefOr<Schema>) {
    let listed = PROPERTIES.iter().find(|(of, name, _)| *of == schema && *name == field);
    let usual = matches!(field, "mailbox" | "Mailbox").then_some(MAILBOX);
    if let RefOr::T(Schema::Array(array)) = property
        && let Some((.., least, most)) = LISTS.iter().find(|(of, name, ..)| *of == schema && *name == field)
    {
        (array.min_items, array.max_items) = (*least, Some(*most));
    }
    if let Some(bound) = listed.map(|(.., bound)| *bound).or(usual) {
        apply(bound, property);
    }
}

/// Bounds the parameters of an operation.
pub(super) fn bound_parameters(path: &str, method: &str, operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && let Some(schema) = &mut parameter.schema
        {
            forbid_null(schema);
        }
        if let RefOr::T(parameter) = parameter
            && let Some(bound) = bound_of(path, method, parameter)
            && let Some(schema) = &mut parameter.schema
        {
            apply(bound, schema);
        }
    }
}

/// What isn't sent is absent: neither a header nor a query can hold null.
fn forbid_null(schema: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::Object(object)) = schema
        && let SchemaType::Array(types) = &mut object.schema_type
    {
        types.retain(|kind| *kind != Type::Null);
        if let [only] = types.as_slice() {
            object.schema_type = SchemaType::Type(only.clone());
        }
    }
}

fn bound_of(path: &str, method: &str, parameter: &Parameter) -> Option<Bound> {
    let provisioned = ["/mailboxes", "/users", "/groups"].contains(&path);
    Some(match (&parameter.parameter_in, parameter.name.as_str()) {
        (ParameterIn::Path, "mailbox") => MAILBOX,
        (ParameterIn::Path, "user") => USER,
        (ParameterIn::Query, "name") if path == "/users" => USER,
        (ParameterIn::Query, "user") => USER,
        (ParameterIn::Query, "mailbox") => MAILBOX,
        (ParameterIn::Query, "case") => CASE,
        (ParameterIn::Path, "group") => NAME,
        (ParameterIn::Path, "front") => Named("^[A-Za-z0-9:-][A-Za-z0-9.:-]*$", 1, 253),
        (ParameterIn::Path, "id") => MESSAGE,
        (ParameterIn::Path, "caseid") => CASE,
        (ParameterIn::Path, "number") => Pattern(r"^((forgetme|exportme)\.)?[0-9]{1,9}$"),
        (ParameterIn::Path, "greeting") if path.starts_with("/mailboxes") => {
            OneOf(&["standard", "alternate", "name"])
        }
        (ParameterIn::Path, "greeting") => OneOf(&["default", "disclaimer"]),
        (ParameterIn::Query, "limit") if matches!(path, "/audit" | "/gdpr/register") => Range(1, 1_000),
        (ParameterIn::Query, "limit") if path.ends_with("/messages") => Range(1, 1_000),
        (ParameterIn::Query, "limit") if path == "/directory" => Range(1, 50),
        (ParameterIn::Query, "limit") => Range(1, 200),
        (ParameterIn::Query, "from" | "to") => MOMENT,
        (ParameterIn::Query, "codec") => OneOf(&["pcm16", "alaw", "mulaw"]),
        (ParameterIn::Query, "rate") => Range(8_000, 48_000),
        (ParameterIn::Query, "after") => Format("uint64"),
        (ParameterIn::Query, "cursor") if matches!(path, "/mailboxes" | "/directory") => MAILBOX,
        (ParameterIn::Query, "cursor") if path == "/users" => {
            Pattern(r"^([A-Za-z0-9_-]{1,64}|x\.[0-9a-f]{64})$")
        }
        (ParameterIn::Query, "cursor") if provisioned => NAME,
        (ParameterIn::Header, "Idempotency-Key") => KEY,
        (ParameterIn::Header, "If-None-Match") if method == "put" => OneOf(&["*"]),
        _ => return None,
    })
}

fn apply(bound: Bound, schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => apply_to(bound, object),
        RefOr::T(Schema::Array(array)) => {
            if let ArrayItems::RefOrSchema(item) = &mut array.items {
                apply(bound, item);
            }
        }
        _ => {}
    }
}

fn apply_to(bound: Bound, object: &mut Object) {
    match bound {
        Pattern(pattern) => object.pattern = Some(pattern.into()),
        Named(pattern, least, most) => {
            object.pattern = Some(pattern.into());
            (object.min_length, object.max_length) = (Some(least), Some(most));
        }
        Length(least, most) => (object.min_length, object.max_length) = (Some(least), Some(most)),
        Plain(least, most) => {
            (object.min_length, object.max_length) = (Some(least), Some(most));
            object.pattern = Some(r"^[^\u0000-\u001f\u007f-\u009f]*$".into());
        }
        Range(least, most) => {
            (object.minimum, object.maximum) = (Some(Number::Int(least)), Some(Number::Int(most)));
        }
        Format(format) => object.format = Some(SchemaFormat::Custom(format.into())),
        OneOf(words) => {
            object.enum_values = Some(words.iter().map(|word| (*word).into()).collect());
        }
    }
}
