//! The endpoints of documents, with their descriptions and handlers.

use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type,
};
use utoipa::openapi::{ComponentsBuilder, Content, ContentBuilder, RefOr};

use super::bulk::Outcome;
use super::json_patch::OPERATIONS;
use super::{idempotency, list, many};
use crate::api::endpoint::{Described, Endpoint, delete, get, patch, post, put};
use crate::api::live;
use crate::api::openapi::operation::{CHANGE, WRITE, described, json_of, said, sent, tagged};
use crate::api::openapi::parameters::{
    all as everything, chosen, columns, expansions, filter, groups, header, header_like, id,
    live as streamed, name, page, separator, tags,
};
use crate::api::openapi::schemas::{list_of, named, one_or, text};
use crate::error::{Code, Violation};
use crate::http::negotiate::{CHANGES, CSV, GEO_JSON, JSON, JSON_PATCH, MERGE_PATCH, NDJSON};
use crate::query::Path;
use crate::settings::Settings;

const MANY: &str = "/tables/{table}/docs";
const ONE: &str = "/tables/{table}/docs/{id}";
/// The preference of all reads.
const READ_MODE: &str = "`read-mode=` one of `single`, `majority`, `outdated` says which replicas are read";
/// The preference of all writes.
const DURABILITY: &str = "`durability=hard` answers once the write is on disk, `durability=soft` before";

pub(crate) fn endpoints(settings: &Settings) -> Vec<Endpoint> {
    vec![
        listing(settings),
        creating(),
        patch(MANY, "changeDocuments", "Change all documents that match")
            .takes([name("table"), everything(), guards()])
            .takes(filter())
            .patches(&[MERGE_PATCH, CHANGES])
            .body(
                sent(&[MERGE_PATCH, JSON], named("Document"))
                    .content(CHANGES, ContentBuilder::new().schema(Some(named("Changes"))).build()),
            )
            .answers(200, json_of("Counts, or the changed documents.", counts_or_documents()))
            .problems(&WRITE)
            .problems(&[Code::QueryLogic, Code::ResourceLimit, Code::TooManyAffected])
            .problems(&[Code::PreconditionRequired])
            .problems(&[Code::AnswerTooLarge, Code::AnswersExhausted])
            .problems(&[Code::PatchFailed, Code::InvalidDocument, Code::Contended, Code::NotUnique])
            .documents_and_body(many::patch),
        delete(MANY, "deleteDocuments", "Delete all documents that match")
            .takes([name("table"), everything(), guards()])
            .takes(filter())
            .answers(200, json_of("Counts, or the deleted documents.", counts_or_documents()))
            .problems(&WRITE)
            .problems(&[Code::QueryLogic, Code::ResourceLimit, Code::TooManyAffected])
            .problems(&[Code::PreconditionRequired])
            .problems(&[Code::AnswerTooLarge, Code::AnswersExhausted])
            .documents(many::delete),
    ]
    .into_iter()
    .chain(of_one(settings))
    .collect()
}

/// Returns the endpoints of one document.
fn of_one(settings: &Settings) -> Vec<Endpoint> {
    vec![
        about_one(get(ONE, "readDocument", "A document"))
            .takes(chosen())
            .takes(expansions(&settings.relations))
            .takes([matching(), other(), header("Prefer", &format!("{READ_MODE}."))])
            .takes(streamed())
            .answers(200, tagged(json_of("The document.", named("Document"))))
            .answers(304, tagged(described("The document still has one of the tags.")))
            .problems(&[Code::PreconditionFailed, Code::AnswerTooLarge, Code::AnswersExhausted])
            .live(live::document)
            .documents(super::read::get_one),
        about_one(put(ONE, "putDocument", "Create or replace a document"))
            .takes([matching(), other(), minimal()])
            .body(sent(&[JSON], named("Document")))
            .answers(200, tagged(json_of("The document as it is now.", named("Document"))))
            .answers(201, tagged(json_of("The new document.", named("Document"))))
            .answers(204, tagged(described("The document is replaced, and left out of the answer.")))
            .problems(&CHANGE)
            .problems(&WRITE)
            .problems(&[Code::ResourceLimit, Code::Contended, Code::NotUnique])
            .documents_and_body(super::put_one),
        about_one(patch(
            ONE,
            "patchDocument",
            "Change a document by a JSON merge patch (RFC 7396), a JSON Patch (RFC 6902), or atomic updates",
        ))
        .takes([matching(), other(), minimal()])
        .patches(&[MERGE_PATCH, JSON_PATCH, CHANGES])
        .problems(&[Code::PatchFailed, Code::InvalidDocument, Code::Contended, Code::NotUnique])
        .body(
            sent(&[MERGE_PATCH, JSON], named("Document"))
                .content(JSON_PATCH, ContentBuilder::new().schema(Some(named("Operations"))).build())
                .content(CHANGES, ContentBuilder::new().schema(Some(named("Changes"))).build()),
        )
        .answers(200, tagged(json_of("The document as it is now.", named("Document"))))
        .answers(204, tagged(described("The document is changed, and left out of the answer.")))
        .problems(&CHANGE)
        .problems(&WRITE)
        .problems(&[Code::ResourceLimit])
        .documents_and_body(super::patch_one),
        about_one(delete(ONE, "deleteDocument", "Delete a document"))
            .takes([matching(), other(), header("Prefer", &format!("{DURABILITY}."))])
            .answers(204, described("The document is gone."))
            .problems(&CHANGE)
            .problems(&WRITE)
            .documents(super::delete_one),
    ]
}

fn listing(settings: &Settings) -> Endpoint {
    let prefer = format!(
        "`count=exact` counts the whole result in `X-Total-Count`; `explain` tells the query and its index \
         instead of running it; {READ_MODE}."
    );
    get(MANY, "listDocuments", "A page of documents; as NDJSON, all of them")
        .takes([name("table")])
        .takes(filter())
        .takes(page(&settings.limits))
        .takes(chosen())
        .takes(groups())
        .takes(expansions(&settings.relations))
        .takes([separator(), header("Prefer", &prefer), unless_known()])
        .takes(streamed())
        .answers(
            200,
            json_of("The page.", list_of("Document"))
                .content(NDJSON, lines())
                .content(CSV, lines())
                .content(GEO_JSON, features())
                .header("Link", said("The next page, if there is one."))
                .header("X-Total-Count", said("The number of documents in the whole result."))
                .header("ETag", said("The tag of the page; nothing of a stream.")),
        )
        .answers(304, described("The page still has one of the tags."))
        .problems(&[Code::PreconditionFailed])
        .problems(&[Code::QueryLogic, Code::NoSuchIndex, Code::ResourceLimit, Code::Refused])
        .problems(&[Code::AnswerTooLarge, Code::AnswersExhausted, Code::StreamsExhausted])
        .live(live::list)
        .documents(list::list)
}

fn creating() -> Endpoint {
    let prefer = format!(
        "`resolution=merge-duplicates` or `resolution=replace-duplicates` merges into documents that are \
         there already, or replaces them; with one document, `return=minimal` leaves it out of the answer; \
         {DURABILITY}."
    );
    let key = header_like(
        "Idempotency-Key",
        "A request that is repeated with the same key within a day is done once.",
        idempotency::PATTERN,
    );
    post(MANY, "createDocuments", "Create a document, or many")
        .takes([name("table"), header("Prefer", &prefer), key, separator()])
        .takes(columns())
        .body(sent(&[JSON], one_or_many()).content(NDJSON, lines()).content(CSV, table()))
        .answers(
            201,
            tagged(json_of("The document, or a result for each.", one_or("Document", "Outcomes")))
                .header("Location", said("The path of the document.")),
        )
        .answers(200, tagged(json_of("The document, which existed already.", named("Document"))))
        .answers(207, json_of("A result for each document.", named("Outcomes")))
        .problems(&WRITE)
        .problems(&[Code::Conflict, Code::ResourceLimit, Code::KeyInUse, Code::KeyReused])
        .problems(&[Code::InvalidDocument, Code::Contended, Code::NotUnique, Code::PreconditionRequired])
        .documents_and_chunks(super::create_any)
}

/// Adds what all endpoints of one document have in common.
fn about_one(endpoint: Described) -> Described {
    endpoint.takes([name("table"), id()]).problems(&[Code::NoSuchDocument, Code::Refused])
}

fn unless_known() -> utoipa::openapi::path::Parameter {
    tags("If-None-Match", "Only if the page has none of these tags.")
}

fn matching() -> utoipa::openapi::path::Parameter {
    tags("If-Match", "Only if the document has one of these tags.")
}

fn other() -> utoipa::openapi::path::Parameter {
    tags("If-None-Match", "Only if the document has none of these tags; `*`: only if there is none.")
}

fn minimal() -> utoipa::openapi::path::Parameter {
    header("Prefer", &format!("`return=minimal` leaves the document out of the answer; {DURABILITY}."))
}

fn guards() -> utoipa::openapi::path::Parameter {
    let about = format!(
        "`max-affected=N` refuses to change more than so many; `tx=rollback` shows what would be done \
         without doing it; `return=representation` returns the documents instead of counts, unless \
         they are too large, or some can't be changed; `explain` returns the query instead of running \
         it; {DURABILITY}."
    );
    header("Prefer", &about)
}

fn counts_or_documents() -> Schema {
    OneOfBuilder::new().item(named("Counts")).item(list_of("Document")).build().into()
}

fn lines() -> Content {
    ContentBuilder::new().schema(Some(text())).build()
}

/// CSV, which has a line of names at least.
fn table() -> Content {
    ContentBuilder::new().schema(Some(text().min_length(Some(1)))).build()
}

/// A page as GeoJSON.
fn features() -> Content {
    let collection = ObjectBuilder::new()
        .property("type", text().enum_values(Some(["FeatureCollection"])))
        .property("features", ArrayBuilder::new().items(ObjectBuilder::new().schema_type(Type::Object)))
        .required("type")
        .required("features");
    ContentBuilder::new().schema(Some(Schema::from(collection.build()))).build()
}

fn one_or_many() -> Schema {
    OneOfBuilder::new().item(named("Document")).item(list_of("Document")).build().into()
}

/// Returns the schema of a JSON Patch.
fn operations() -> Schema {
    let ops = ["add", "remove", "replace", "move", "copy", "test"];
    let pointer = || text().pattern(Some(r"^(/([^/~]|~[01])*)*$"));
    let operation = ObjectBuilder::new()
        .property("op", text().enum_values(Some(ops)))
        .property("path", pointer())
        .property("from", pointer())
        .property("value", named("Value"))
        .required("op")
        .required("path");
    let about = "A JSON Patch (RFC 6902) of at most 1000 operations.";
    ArrayBuilder::new().items(operation).max_items(Some(OPERATIONS)).description(Some(about)).build().into()
}

/// Returns the schema of atomic updates.
fn small_changes() -> Schema {
    let fields = |about: &str, value: RefOr<Schema>| {
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some(about))
            .property_names(Some(Schema::from(text().pattern(Some(Path::PATTERN)).build())))
            .additional_properties(Some(AdditionalProperties::RefOr(value)))
    };
    let number = || RefOr::T(Schema::from(ObjectBuilder::new().schema_type(Type::Number).build()));
    let names = |about: &str| {
        let name = text().pattern(Some(Path::PATTERN));
        ArrayBuilder::new().items(name).description(Some(about))
    };
    ObjectBuilder::new()
        .description(Some(
            "Changes of fields, nested ones as `a.b`; at most 100, of which none is a part of another.",
        ))
        .property("inc", fields("Adds a number; a field that isn't there counts as 0.", number()))
        .property("push", fields("Puts a member at the end of an array.", named("Value")))
        .property("add", fields("Does the same, unless it is in there.", named("Value")))
        .property("pull", fields("Takes a member out of an array, wherever it stands.", named("Value")))
        .property("set", fields("Sets fields.", named("Value")))
        .property("unset", names("Takes fields away."))
        .property("now", names("Sets fields to the time of the change."))
        .build()
        .into()
}

/// Adds the schemas of bodies and answers.
pub(crate) fn schemas(components: ComponentsBuilder) -> ComponentsBuilder {
    components
        .schema_from::<Outcome>()
        .schema_from::<Violation>()
        .schema("Operations", operations())
        .schema("Changes", small_changes())
}
