//! The access log: a line for each request that was answered.

use std::time::Duration;

use log::kv::{Error, Key, Source, Value, VisitSource};
use log::{Level, Record};
use warp::http::StatusCode;

use crate::http::context::Context;

/// A line of the access log. In formats for programs, each value has a field.
pub(super) struct Line<'a> {
    context: &'a Context,
    status: StatusCode,
    took: Duration,
    client: Option<String>,
    /// The ids of the trace, of the service's span, and of the client's span.
    trace: Option<[String; 3]>,
}

impl<'a> Line<'a> {
    pub(super) fn new(context: &'a Context, status: StatusCode, took: Duration) -> Self {
        let client = context.client().map(|client| client.address().to_string());
        let trace = context.trace().map(|trace| [trace.id(), trace.span(), trace.parent()]);
        Line { context, status, took, client, trace }
    }

    /// Writes the line.
    pub(super) fn tell(&self) {
        if !log::log_enabled!(Level::Info) {
            return;
        }
        let (id, method, path) = (self.context.id(), self.context.method(), self.context.path());
        let (status, took) = (self.status.as_u16(), self.took.as_secs_f64() * 1000.0);
        let mut record = Record::builder();
        record.level(Level::Info).target(module_path!()).module_path_static(Some(module_path!()));
        record.file_static(Some(file!())).line(Some(line!())).key_values(self);
        let message = format_args!("{id} {method} {path} {status} {took:.1}ms");
        log::logger().log(&record.args(message).build());
    }
}

impl Source for Line<'_> {
    fn visit<'a>(&'a self, to: &mut dyn VisitSource<'a>) -> Result<(), Error> {
        let context = self.context;
        let mut tell = |name, value: Value<'a>| to.visit_pair(Key::from_str(name), value);
        tell("request_id", context.id().into())?;
        tell("method", context.method().as_str().into())?;
        // The template, one of a fixed set; the path is in the message.
        tell("route", context.template().unwrap_or("none").into())?;
        tell("status", self.status.as_u16().into())?;
        // In seconds.
        tell("duration", self.took.as_secs_f64().into())?;
        if let Some(client) = &self.client {
            tell("client", client.as_str().into())?;
        }
        // A password that was right lately may be wrong now.
        if let Some(user) = context.user().filter(|_| self.status != StatusCode::UNAUTHORIZED) {
            tell("user", user.into())?;
        }
        if let Some([trace, span, parent]) = &self.trace {
            tell("trace_id", trace.as_str().into())?;
            tell("span_id", span.as_str().into())?;
            tell("parent_id", parent.as_str().into())?;
        }
        Ok(())
    }
}
