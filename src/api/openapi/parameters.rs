//! Descriptions of parameters: in the path, in the query string, in headers.

use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, Required};

use super::schemas::{text, whole};
use crate::names;
use crate::query::Path;
use crate::settings::{Limits, RelationSpec};

/// A name in quotes.
const QUOTED: &str = r#""([^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{4})*""#;
/// The characters that end a name in a list of fields, in an aggregate, and in a group of conditions.
const IN_LIST: &str = ",";
const IN_AGGREGATE: &str = ",()";
const IN_GROUP: &str = ",()=";
/// A plain value in a list. Values may also have balanced brackets or be JSON.
const VALUE: &str = r#"[^\s,()\[\]{}"\\][^,()\[\]{}"\\]*"#;
/// The general form of a condition.
const CONDITION: &str = r"(not\.)?(has|[a-z]+\.[\s\S]*)";
/// The general form of a group, which may have further ones in it.
const GROUP: &str = r"\([\s\S]+\)";
/// The value of `If-Match`: tags, or `*`.
const TAGS: &str = "^(\\*|(W/)?\"[!#-~]*\"(, *(W/)?\"[!#-~]*\")*)$";

fn parameter(
    place: ParameterIn,
    name: &str,
    about: &str,
    schema: impl Into<RefOr<Schema>>,
) -> ParameterBuilder {
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(about))
        .schema(Some(schema))
}

pub(crate) fn name(of: &str) -> Parameter {
    let schema = text().pattern(Some(names::PATTERN)).build();
    parameter(ParameterIn::Path, of, &format!("The name of the {of}."), Schema::from(schema)).build()
}

pub(crate) fn id() -> Parameter {
    let about = "The document's id: read as JSON if it is JSON, else as a string. `42` is a number, \
                 `%2242%22` a string. The ids `.` and `..` have to be JSON, since clients take them out of \
                 paths.";
    let id = text().pattern(Some(r"^(?!\.{1,2}$)[\s\S]+$"));
    parameter(ParameterIn::Path, "id", about, Schema::from(id.build())).build()
}

pub(crate) fn header(name: &str, about: &str) -> Parameter {
    parameter(ParameterIn::Header, name, about, Schema::from(text().build())).build()
}

/// Describes a header whose value matches a regular expression.
pub(crate) fn header_like(name: &str, about: &str, pattern: &str) -> Parameter {
    let schema = Schema::from(text().pattern(Some(pattern)).build());
    parameter(ParameterIn::Header, name, about, schema).build()
}

pub(crate) fn tags(name: &str, about: &str) -> Parameter {
    let tags = Schema::from(text().pattern(Some(TAGS)).build());
    parameter(ParameterIn::Header, name, about, tags).example(Some("*".into())).build()
}

/// Returns the pattern of a field whose names end before any of these characters. No name is empty, and
/// surrounding blanks are ignored. The bound on levels is left out, which many programs couldn't compile.
fn field(ends: &str) -> String {
    let name = format!(r#"\s*([^\s.{ends}"\x00][^.{ends}"\x00]*|{QUOTED}\s*)"#);
    format!(r"{name}(\.{name})*")
}

/// Returns the schema of a list of at most `most` fields.
fn fields(most: usize) -> ObjectBuilder {
    let field = field(IN_LIST);
    text().pattern(Some(format!("^{field}(,{field}){{0,{}}}$", most - 1)))
}

/// Returns a pattern that admits all texts of the form `general`. It names those of the form `usual`, too,
/// which is narrower, so that tools that make up requests find them.
fn usually(usual: &str, general: &str) -> String {
    format!(r"^({usual}|\s*{general}\s*)$")
}

/// Returns the pattern of the usual conditions: the text that follows a field and `=`.
fn condition(value: &str) -> String {
    let list = format!(r"\((\s*{VALUE}(,\s*{VALUE})*)?\)");
    let many = format!(r"(any|all)\.((eq|ne|lt|lte|gt|gte|contains|starts)\.)?{list}");
    let types = "array|binary|boolean|geometry|number|object|string|time";
    let near = r"near\.\(-?[1-9]?\d(\.\d{1,6})?,-?[1-8]?\d(\.\d{1,6})?,\d{1,4}(m|km|mi|ft)\)";
    let ops = "eq|ne|lt|lte|gt|gte|match|imatch|starts|contains";
    format!(r"(not\.)?(has|is\.(null|true|false)|type\.({types})|({ops})\.{value}|in\.{list}|{many}|{near})")
}

fn query(name: &str, about: &str, schema: ObjectBuilder) -> Parameter {
    parameter(ParameterIn::Query, name, about, Schema::from(schema.build())).build()
}

/// Describes conditions of filters.
pub(crate) fn filter() -> Vec<Parameter> {
    let about = "Conditions that must all hold, each `FIELD=OP.VALUE`, such as `age=gte.18` or \
                 `address.city=eq.Oslo`. OP is one of `eq ne lt lte gt gte in match imatch starts contains \
                 is type`, or `has` without a value, or `any.OP`, `all.OP` with a list, or for geometries \
                 `near within intersects`, after an optional `not.`. Names that hold a dot, or are those of \
                 parameters, are quoted: `\"a.b\".c=has`. Dates and times are written as ISO 8601 has them.";
    let conditions = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property_names(Some(Schema::from(text().pattern(Some(Path::PATTERN)).build())))
        .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(
            text().pattern(Some(usually(&condition(r"[\s\S]*"), CONDITION))).build().into(),
        ))))
        .build();
    let conditions = parameter(ParameterIn::Query, "conditions", about, Schema::from(conditions))
        .style(Some(ParameterStyle::Form))
        .explode(Some(true))
        .build();
    let any = format!("{}={}", field(IN_GROUP), condition(VALUE));
    let any = usually(&format!(r"\({any}(,{any})*\)"), GROUP);
    let group = |name, holds| {
        let about = format!(
            "Conditions {holds}: `(age=lt.10,age=gt.60)`. Groups may lie in each other, 8 deep: \
             `(a=eq.1,and=(b=eq.2,not.or=(c=has,d=has)))`."
        );
        query(name, &about, text().pattern(Some(any.clone())))
    };
    vec![
        conditions,
        group("or", "any of which must hold"),
        group("and", "that must all hold"),
        group("not.or", "none of which may hold"),
        group("not.and", "that may not all hold"),
    ]
}

/// Describes the order and the pages of a list.
pub(crate) fn page(limits: &Limits) -> Vec<Parameter> {
    let page = limit(limits).default(Some(limits.page.into()));
    let offset = whole().minimum(Some(0)).maximum(Some(limits.offset_max)).default(Some(0.into()));
    vec![
        order(),
        query("limit", "How many documents the page holds at most.", page),
        query("offset", "How many documents to skip; a cursor is cheaper.", offset),
        query("cursor", "Where the page begins: as the `Link` of the page before has it.", text()),
        index(),
    ]
}

/// Describes the order of a list that is followed, and the number of documents in it.
pub(crate) fn followed(limits: &Limits) -> [Parameter; 3] {
    let about = "How many documents of the order are followed; without it, all that match.";
    [order(), query("limit", about, limit(limits)), index()]
}

fn order() -> Parameter {
    query("order", "How they are sorted: `age.desc,name`. The primary key comes last by itself.", fields(32))
}

fn limit(limits: &Limits) -> ObjectBuilder {
    whole().minimum(Some(0)).maximum(Some(limits.page_max))
}

fn index() -> Parameter {
    query(
        "index",
        "The index to go through, which has to fit the conditions or the order; without it the service \
         chooses one.",
        text(),
    )
}

/// Describes `select` and `omit`.
pub(crate) fn chosen() -> Vec<Parameter> {
    vec![
        query("select", "Only these fields: `name,address.city`; `*` is all.", fields(100)),
        query("omit", "All but these fields; not together with `select`.", fields(100)),
    ]
}

/// Describes related documents; nothing if the settings name no relation.
pub(crate) fn expansions(relations: &[RelationSpec]) -> Option<Parameter> {
    let mut names: Vec<_> = relations.iter().map(|relation| relation.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let names = (!names.is_empty()).then(|| names.join("|"))?;
    let about = "Related documents that are told beside, in fields of these names: \
                 `author,comments(limit=3;order=at.desc)`. Which a table has is in the settings.";
    let item = format!(r"\s*({names})\s*(\([\s\S]*\S[\s\S]*\)\s*)?");
    Some(query("expand", about, text().pattern(Some(format!("^{item}(,{item}){{0,19}}$")))))
}

/// Describes groups and their aggregates.
pub(crate) fn groups() -> Vec<Parameter> {
    let figure = format!(r"\s*(count|(sum|avg|min|max)\({}\))\s*", field(IN_AGGREGATE));
    let figures = text().pattern(Some(format!("^{figure}(,{figure}){{0,19}}$")));
    let about = "What is told of each group, or of all documents together: \
                 `count,sum(age),avg(age),min(age),max(age)`.";
    vec![
        query(
            "group",
            "By which fields documents are grouped; not together with an order, pages or fields.",
            fields(20),
        ),
        query("agg", about, figures),
        query(
            "distinct",
            "The distinct values of a field in their order, instead of documents; with conditions and \
             `limit` only.",
            fields(1),
        ),
    ]
}

/// Describes the separator of CSV.
pub(crate) fn separator() -> Parameter {
    let separators = text().enum_values(Some([",", ";", "|", "tab"])).default(Some(",".into()));
    query("separator", "With CSV: the separator of its cells.", separators)
}

/// Describes the columns of CSV in a body.
pub(crate) fn columns() -> [Parameter; 2] {
    let field = field(IN_LIST);
    let fields = || text().pattern(Some(format!("^{field}(,{field})*$")));
    [
        query("text", "With CSV: the columns that are read as strings; `*` is all.", fields()),
        query("time", "With CSV: the columns that are read as times; `*` is all.", fields()),
    ]
}

/// Describes what only a live query takes.
pub(crate) fn live() -> [Parameter; 3] {
    let flag = ObjectBuilder::new().schema_type(Type::Boolean).default(Some(true.into()));
    [
        query("initial", "Of a live query: whether it begins with the documents that are there.", flag),
        query(
            "ticket",
            "Of a live query: a ticket that `/tickets` gave for this URL, in place of credentials. It counts \
             once.",
            text().pattern(Some("^[0-9a-f]{32}$")),
        ),
        header(
            "Last-Event-ID",
            "Of a live query: the client returns, and this is the last event that it saw. It gets those that \
             it has missed, or a `reset` event and everything anew.",
        ),
    ]
}

pub(crate) fn all() -> Parameter {
    let flag = ObjectBuilder::new().schema_type(Type::Boolean);
    query("all", "Whether all documents are meant; needed when there is no filter.", flag)
}
