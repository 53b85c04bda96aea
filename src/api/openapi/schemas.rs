//! Schemas of bodies and answers.

use serde_json::json;
use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{ComponentsBuilder, Ref, RefOr};

use crate::error::Code;

/// Adds the schemas that several resources share.
pub(crate) fn components(components: ComponentsBuilder) -> ComponentsBuilder {
    components
        .schema("Document", document())
        .schema("Value", value())
        .schema("Outcomes", list_of("Outcome"))
        .schema("Counts", counts())
        .schema("Health", health())
        .schema("Id", id())
        .schema("Problem", problem())
}

pub(crate) fn named(name: &str) -> RefOr<Schema> {
    Ref::from_schema_name(name).into()
}

pub(crate) fn list_of(name: &str) -> Schema {
    ArrayBuilder::new().items(named(name)).build().into()
}

pub(crate) fn one_or(one: &str, other: &str) -> Schema {
    OneOfBuilder::new().item(named(one)).item(named(other)).build().into()
}

pub(crate) fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

pub(crate) fn whole() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer)
}

/// Returns the schema of an object without NUL in names of fields, since the database cuts names there.
fn object() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property_names(Some(Schema::from(text().pattern(Some(r"^[^\x00]*$")).build())))
        .additional_properties(Some(named("Value")))
}

fn value() -> Schema {
    // One alternative for each type: not every tool supports several types in one schema.
    let plain = [Type::String, Type::Number, Type::Boolean, Type::Null].into_iter();
    plain
        .fold(OneOfBuilder::new(), |any, of| any.item(ObjectBuilder::new().schema_type(of)))
        .item(ArrayBuilder::new().items(named("Value")))
        .item(object())
        .description(Some("Any JSON."))
        .build()
        .into()
}

fn document() -> Object {
    object()
        .description(Some(
            "A JSON object. Its primary key (`id` unless the table has another) identifies it; without one \
             it gets a UUID. ReQL's own types are written as it writes them: `{\"$reql_type$\": \"TIME\", \
             ...}`.",
        ))
        .examples([json!({"id": "batman", "name": "Bruce", "age": 38})])
        .build()
}

/// Returns the schema of ids.
fn id() -> Object {
    let types = [Type::String, Type::Number, Type::Boolean, Type::Array, Type::Object];
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter(types))
        .description(Some(
            "A string of at most 127 bytes, a number, a boolean, a time or binary data as ReQL \
             writes them, or an array of those.",
        ))
        .build()
}

fn counts() -> Object {
    let count = |text| whole().minimum(Some(0)).description(Some(text));
    ObjectBuilder::new()
        .property("replaced", count("Documents that were changed."))
        .property("unchanged", count("Documents that were already as they should be."))
        .property("deleted", count("Documents that were deleted."))
        .property("skipped", count("Documents that were gone by then."))
        .property("errors", count("Documents that could not be changed."))
        .property("first_error", first_error())
        .required("replaced")
        .required("unchanged")
        .required("deleted")
        .required("skipped")
        .required("errors")
        .build()
}

/// Returns the schema of the reason why the first of many documents could not be changed.
fn first_error() -> Object {
    ObjectBuilder::new()
        .description(Some("The reason why the first of the `errors` could not be changed."))
        .property("code", text().enum_values(Some(Code::ALL.iter().map(|code| code.as_str()))))
        .property("detail", text().description(Some("A sentence for people.")))
        .required("code")
        .required("detail")
        .build()
}

fn health() -> Object {
    ObjectBuilder::new()
        .property("status", text().enum_values(Some(["live", "ready"])))
        .required("status")
        .property("storage", text().enum_values(Some(["full"])))
        .build()
}

/// Returns the schema of problem documents (RFC 9457), with the additional fields in `docs/errors.md`.
fn problem() -> Object {
    let codes = Code::ALL.iter().map(|code| code.as_str());
    let place = |least, about| whole().minimum(Some(least)).description(Some(about));
    ObjectBuilder::new()
        .description(Some("A problem document by RFC 9457."))
        .property("type", text().description(Some("`urn:warp-reql:problem:` and the code.")))
        .property("title", text().description(Some("The status in words.")))
        .property("status", whole().minimum(Some(400)).maximum(Some(599)))
        .property("detail", text().description(Some("A sentence for people.")))
        .property("instance", text().description(Some("The path of the request.")))
        .property(
            "code",
            text().enum_values(Some(codes)).description(Some("Its name for programs, which stays the same.")),
        )
        .property(
            "request_id",
            text().description(Some("The `X-Request-Id` under which the log tells more.")),
        )
        .property("hint", text().description(Some("What to do about it.")))
        .property(
            "line",
            place(1, "The line at which the body stops being JSON, or in which a query is wrong."),
        )
        .property(
            "column",
            place(
                0,
                "With `bad-json` the bytes of the line that were read; with a query the first character.",
            ),
        )
        .property("end_line", place(1, "The line in which the wrong part of a query ends."))
        .property("end_column", place(1, "The character after the wrong part of a query."))
        .property("excerpt", text().description(Some("The wrong line of a query, and its underline.")))
        .property("parameter", text().description(Some("The parameter that is wrong.")))
        .property(
            "errors",
            ArrayBuilder::new()
                .items(named("Violation"))
                .description(Some("The places of the document that are wrong.")),
        )
        .property("cause", text().description(Some("What the database said; only with `debug`.")))
        .required("type")
        .required("title")
        .required("status")
        .required("detail")
        .required("instance")
        .required("code")
        .required("request_id")
        .build()
}
