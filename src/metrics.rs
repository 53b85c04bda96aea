//! Prometheus metrics: requests, connections, feeds, the embedded database, the process.
//!
//! Labels have values out of fixed sets only, so that clients can't create time series: a route is the
//! template of a path and never the path itself, and an unknown method is `other`.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use warp::http::{Method, StatusCode};

use crate::database::Stats;
use crate::live::Figures;

/// The value of `Content-Type`.
pub(crate) const TEXT: &str = prometheus::TEXT_FORMAT;

/// Upper bounds of the latency histogram, in seconds: from a read of one document up to the usual query
/// timeout.
const BUCKETS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The label of requests that match no route.
const NO_ROUTE: &str = "none";

/// Metrics that are updated as things happen. Cheap to clone; clones share the values.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    seconds: HistogramVec,
    running: IntGauge,
    expired: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Metrics::registered().expect("the names are well-formed and distinct")
    }

    fn registered() -> prometheus::Result<Self> {
        let labels = ["route", "method", "status"];
        let requests =
            IntCounterVec::new(Opts::new("http_requests_total", "Requests that were answered."), &labels)?;
        let seconds =
            HistogramOpts::new("http_request_duration_seconds", "Time until the head of the answer.");
        let metrics = Metrics {
            registry: Registry::new(),
            requests,
            seconds: HistogramVec::new(seconds.buckets(BUCKETS.to_vec()), &labels[..2])?,
            running: IntGauge::new("http_requests_running", "Requests that are being answered.")?,
            expired: IntCounterVec::new(
                Opts::new(
                    "warp_reql_expired_documents_total",
                    "Documents that expired, and that this service deleted.",
                ),
                &["table"],
            )?,
        };
        metrics.registry.register(Box::new(metrics.requests.clone()))?;
        metrics.registry.register(Box::new(metrics.seconds.clone()))?;
        metrics.registry.register(Box::new(metrics.running.clone()))?;
        metrics.registry.register(Box::new(metrics.expired.clone()))?;
        #[cfg(target_os = "linux")]
        {
            let process = prometheus::process_collector::ProcessCollector::for_self();
            metrics.registry.register(Box::new(process))?;
        }
        Ok(metrics)
    }

    /// Counts a request once the head of its answer is known.
    pub(crate) fn answered(
        &self,
        route: Option<&'static str>,
        method: &Method,
        status: StatusCode,
        took: Duration,
    ) {
        let (route, method) = (route.unwrap_or(NO_ROUTE), name(method));
        self.requests.with_label_values(&[route, method, status.as_str()]).inc();
        self.seconds.with_label_values(&[route, method]).observe(took.as_secs_f64());
    }

    /// Counts documents of a table of the settings that have expired and been deleted.
    pub(crate) fn expired(&self, table: &str, deleted: u64) {
        self.expired.with_label_values(&[table]).inc_by(deleted);
    }

    /// Counts a request that runs until the returned value is dropped.
    pub(crate) fn request(&self) -> GaugeGuard {
        GaugeGuard::new(&self.running)
    }

    /// Returns all metrics in Prometheus' text format.
    ///
    /// # Errors
    ///
    /// If the library can't encode its metrics.
    pub(crate) fn text(
        &self,
        stats: Stats,
        live: Figures,
        embedded: Vec<MetricFamily>,
    ) -> prometheus::Result<String> {
        let mut families = self.registry.gather();
        families.extend(connections(stats)?);
        families.extend(live_queries(live)?);
        #[cfg(feature = "server")]
        families.extend(log_lines()?);
        families.extend(embedded);
        TextEncoder::new().encode_to_string(&families)
    }
}

/// A guard that has incremented a gauge, and decrements it on drop.
pub(crate) struct GaugeGuard(IntGauge);

impl GaugeGuard {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        GaugeGuard(gauge.clone())
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Returns the metrics of connections to the database.
fn connections(stats: Stats) -> prometheus::Result<Vec<MetricFamily>> {
    let help = "Connections to the database that are open, by what they do.";
    let open = IntGaugeVec::new(Opts::new("warp_reql_db_connections", help), &["state"])?;
    open.with_label_values(&["in_use"]).set(signed(stats.in_use));
    open.with_label_values(&["standing_by"]).set(signed(stats.standing_by));
    open.with_label_values(&["shared"]).set(signed(stats.shared));
    let help = "Timeouts, by what was waited for.";
    let timeouts = IntCounterVec::new(Opts::new("warp_reql_db_timeouts_total", help), &["waiting_for"])?;
    timeouts.with_label_values(&["connection"]).inc_by(stats.timed_out.connect);
    timeouts.with_label_values(&["answer"]).inc_by(stats.timed_out.query);
    let families = [
        open.collect(),
        timeouts.collect(),
        counter("warp_reql_db_connections_opened_total", "Connections opened so far.", stats.opened)?,
        counter("warp_reql_db_connections_closed_total", "Connections closed so far.", stats.closed)?,
        counter(
            "warp_reql_db_refused_total",
            "Requests that waited for a connection in vain.",
            stats.refused,
        )?,
        gauge("warp_reql_db_waiting", "Requests that wait for a connection.", stats.waiting)?,
    ];
    Ok(families.into_iter().flatten().collect())
}

/// Returns the metric of the room on the database's disk, as far as writes have shown it.
pub(crate) fn storage(is_full: bool) -> prometheus::Result<Vec<MetricFamily>> {
    let help = "1 if a write found the disk of the database full within the last minute.";
    gauge("warp_reql_db_storage_full", help, u64::from(is_full))
}

/// Returns the metrics of live queries.
fn live_queries(live: Figures) -> prometheus::Result<Vec<MetricFamily>> {
    let families = [
        gauge("warp_reql_feeds", "Event streams that are open.", live.followers)?,
        gauge("warp_reql_live_queries", "Distinct live queries that are followed.", live.hubs)?,
        gauge("warp_reql_live_kept_bytes", "Events that are kept for clients that return.", live.bytes)?,
        counter("warp_reql_live_events_total", "Changes, each counted once for all clients.", live.events)?,
        counter("warp_reql_live_resumed_total", "Clients that resumed after reconnecting.", live.resumed)?,
        counter("warp_reql_live_replayed_total", "Events replayed to resumed clients.", live.replayed)?,
        counter("warp_reql_live_resets_total", "Clients that got a `reset`.", live.resets)?,
        counter("warp_reql_live_gaps_total", "Times that a client read too slowly.", live.gaps)?,
    ];
    Ok(families.into_iter().flatten().collect())
}

/// Returns the number of dropped log lines.
#[cfg(feature = "server")]
fn log_lines() -> prometheus::Result<Vec<MetricFamily>> {
    let help = "Lines of the log that nobody read in time.";
    counter("warp_reql_log_lines_dropped_total", help, crate::logger::dropped())
}

/// Returns the metrics of the embedded database.
#[cfg(feature = "embedded")]
pub(crate) fn of_embedded(activity: &reql_embedded::Activity) -> prometheus::Result<Vec<MetricFamily>> {
    let (open, queries) = (activity.open_connections() as u64, activity.queries());
    let families = [
        gauge("reql_embedded_connections", "Client connections that are open.", open)?,
        gauge("reql_embedded_queries_running", "Queries that run, feeds included.", queries.running)?,
        counter("reql_embedded_queries_total", "Queries that began.", queries.begun)?,
        counter(
            "reql_embedded_stalls_total",
            "Queries that held a thread of sessions for 200 ms.",
            activity.stalls(),
        )?,
    ];
    Ok(families.into_iter().flatten().collect())
}

fn gauge(name: &str, help: &str, value: u64) -> prometheus::Result<Vec<MetricFamily>> {
    let gauge = IntGauge::new(name, help)?;
    gauge.set(signed(value));
    Ok(gauge.collect())
}

fn counter(name: &str, help: &str, value: u64) -> prometheus::Result<Vec<MetricFamily>> {
    let counter = IntCounter::new(name, help)?;
    counter.inc_by(value);
    Ok(counter.collect())
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
