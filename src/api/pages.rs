//! The web pages: the explorer, if it is enabled, and the documentation of the API, with their files.

use serde_json::Value;
use utoipa::openapi::ContentBuilder;
use warp::http::StatusCode;
use warp::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName};
use warp::reply::{Reply, Response};

use super::endpoint::{Endpoint, get};
use super::openapi::operation::{described, text_of};
use super::openapi::parameters;
use crate::error::{Code, Error};
use crate::explorer::{self, DOCS, EXPLORER, POLICY};
use crate::http::answer::{json, with_header};
use crate::http::context::Context;
use crate::http::negotiate::HTML;
use crate::settings::Settings;

const NO_SNIFF: HeaderName = HeaderName::from_static("x-content-type-options");
const NO_REFERRER: HeaderName = HeaderName::from_static("referrer-policy");
/// The name of the file with the commands of ReQL.
const COMMANDS: &str = "commands.json";

pub(crate) fn endpoints(settings: &Settings) -> Vec<Endpoint> {
    let mut all = vec![
        get("/docs", "docs", "A page that shows this document")
            .answers(200, text_of("The page.", HTML))
            .open(|context| page(context, DOCS)),
        get("/explorer/{file}", "explorerFile", "A file that the pages load")
            .takes([parameters::name("file")])
            .answers(200, described("The file.").content("*/*", ContentBuilder::new().build()))
            .problems(&[Code::NoSuchPath])
            .open(file),
    ];
    if settings.explorer {
        let explorer = get("/", "explorer", "A page to view and change data and to run ReQL");
        let page = explorer.answers(200, text_of("The page.", HTML)).open(|context| page(context, EXPLORER));
        all.push(page);
    }
    all
}

async fn page(context: Context, text: &'static str) -> Result<Response, Error> {
    context.accept(&[HTML])?;
    let page = with_header(text.into_response(), CONTENT_TYPE, "text/html; charset=utf-8");
    Ok(guarded(with_header(page, CONTENT_SECURITY_POLICY, POLICY)))
}

async fn file(context: Context) -> Result<Response, Error> {
    let name = context.segment("file");
    if name == COMMANDS {
        let commands: Value = explorer::commands();
        return Ok(guarded(json(StatusCode::OK, &commands)));
    }
    let file = explorer::file(name).ok_or(Error::from(Code::NoSuchPath))?;
    Ok(guarded(with_header(file.text.into_response(), CONTENT_TYPE, file.media_type)))
}

/// Adds headers against sniffing of types, and against sending the referrer to other sites.
fn guarded(response: Response) -> Response {
    with_header(with_header(response, NO_SNIFF, "nosniff"), NO_REFERRER, "no-referrer")
}
