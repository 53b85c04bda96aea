//! Endpoints for operators: liveness, readiness, metrics, settings, and the OpenAPI document.

use std::sync::{Arc, OnceLock};

use serde_json::json;
use utoipa::openapi::ContentBuilder;
use warp::http::StatusCode;
use warp::http::header::CONTENT_TYPE;
use warp::hyper::body::Bytes;
use warp::reply::{Reply, Response};

use super::endpoint::{Endpoint, get};
use super::openapi::operation::{described, json_of, text_of};
use super::openapi::schemas::named;
use crate::conn::Conn;
use crate::error::{Code, Error};
use crate::http::answer::{json as reply, with_header};
use crate::http::context::Context;
use crate::http::negotiate::{JSON, TEXT};
use crate::metrics;
use crate::settings::Settings;

/// The OpenAPI document as text. It is set once all endpoints are known, including its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Text(Arc<OnceLock<Result<Bytes, String>>>);

impl Text {
    pub(crate) fn set(&self, text: Result<String, String>) {
        let _ = self.0.set(text.map(Bytes::from));
    }
}

pub(crate) fn endpoints(settings: &Settings, document: &Text) -> Vec<Endpoint> {
    let free = || ContentBuilder::new().schema(Some(utoipa::openapi::schema::empty())).build();
    let document = document.clone();
    let mut all = vec![
        get("/health/live", "live", "Check that the process is alive")
            .answers(200, json_of("The process answers.", named("Health")))
            .open(live),
        get("/health/ready", "ready", "Check that the database answers")
            .answers(200, json_of("The database answers.", named("Health")))
            .problems(&[Code::DatabaseUnreachable, Code::ConnectionsExhausted])
            .open(ready),
        get("/metrics", "metrics", "Metrics in Prometheus' text format")
            .answers(200, text_of("The metrics.", TEXT))
            .open(metrics),
        get("/openapi.json", "openapi", "This document")
            .answers(200, described("The OpenAPI document.").content(JSON, free()))
            .open(move |context| openapi(context, document.clone())),
    ];
    if settings.debug {
        let config =
            get("/config", "config", "The effective settings, with secrets masked; only with `debug`");
        all.push(config.answers(200, described("The settings.").content(JSON, free())).open(config_of));
    }
    all
}

async fn live(context: Context) -> Result<Response, Error> {
    context.plain()?;
    Ok(reply(StatusCode::OK, &json!({"status": "live"})))
}

async fn ready(context: Context) -> Result<Response, Error> {
    context.plain()?;
    let conn = Conn::new(context.app().database().clone());
    context.timed_by(&conn);
    context.app().ready().ask(conn).await?;
    // Who only reads is served all the same.
    Ok(match context.app().full().lasts() {
        true => reply(StatusCode::OK, &json!({"status": "ready", "storage": "full"})),
        false => reply(StatusCode::OK, &json!({"status": "ready"})),
    })
}

async fn metrics(context: Context) -> Result<Response, Error> {
    context.parameters()?.finish()?;
    context.accept(&[TEXT])?;
    let figures = context.app().figures()?.into_response();
    Ok(with_header(figures, CONTENT_TYPE, metrics::TEXT))
}

async fn openapi(context: Context, Text(document): Text) -> Result<Response, Error> {
    context.plain()?;
    let text = document.get().cloned().unwrap_or_else(|| Err("it isn't written yet".to_owned()));
    // All answers share the text.
    let text = text.map_err(Error::internal)?;
    Ok(with_header(Response::new(text.into()), CONTENT_TYPE, JSON))
}

/// Answers with the effective settings. Secrets mask themselves when they are serialized.
async fn config_of(context: Context) -> Result<Response, Error> {
    context.plain()?;
    Ok(reply(StatusCode::OK, context.app().settings()))
}
