//! The state that the API's handlers share: the database, the settings, the shares of what is bounded, and
//! what is known of tables.

mod guesses;
mod kept;
pub(crate) mod outage;
mod ready;
pub(crate) mod scale;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use prometheus::proto::MetricFamily;
use tokio::sync::watch;

use crate::access::Access;
use crate::catalog::Catalog;
use crate::database::Database;
use crate::error::{Code, Error};
use crate::live::{Bounds, Hubs, Keep};
use crate::metrics::Metrics;
use crate::rates::Rates;
use crate::settings::{Limits, Schema, Settings};
use crate::shares::{Client, Holder, Percent, Share, Shares, Taken};
use guesses::Guesses;
use kept::Kept;
use outage::Outage;
use ready::Ready;
use scale::{Arrived, Scale};

#[cfg(not(feature = "embedded"))]
use std::convert::Infallible as Activity;

#[cfg(feature = "embedded")]
use reql_embedded::Activity;

/// The state that the API's handlers share. Cheap to clone.
///
/// ```
/// use warp_reql::settings::{Rdb, Settings};
/// use warp_reql::{App, Database, Error, service};
///
/// # fn main() -> Result<(), Error> {
/// let app = App::new(Settings::default(), Database::new(Rdb::default())?);
/// let service = service::<warp::hyper::body::Incoming>(app);
/// # let _ = service;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct App {
    present: Arc<Present>,
    shared: Arc<Shared>,
}

/// The settings, and what is made of them, for as long as they are in force. Requests that run when they
/// change are finished by those that they began with.
struct Present {
    settings: Settings,
    access: Access,
    rates: Option<Arc<Rates>>,
}

struct Shared {
    database: Database,
    #[cfg_attr(not(feature = "embedded"), allow(dead_code, reason = "there is none"))]
    embedded: Option<Activity>,
    metrics: Metrics,
    /// Requests about tables that are being answered.
    requests: Shares,
    /// Those of them whose users are known.
    of_users: Shares,
    guesses: Guesses,
    ready: Ready,
    /// Answers that are being streamed.
    streams: Shares,
    catalog: Catalog,
    /// Work that goes on though nobody may be waiting for it any more.
    kept: Kept,
    /// Clients that follow live queries.
    feeds: Shares,
    /// Distinct live queries.
    live_queries: Shares,
    hubs: Arc<Hubs>,
    /// Answers in memory, in KiB.
    answers: Shares,
    /// Bodies in memory, in KiB.
    bodies: Shares,
    outage: Outage,
    stop: watch::Sender<bool>,
}

impl App {
    /// Makes an API over this database.
    pub fn new(settings: Settings, database: Database) -> Self {
        App::with_activity(settings, database, None)
    }

    /// Makes an API over a database in this process, whose figures are then among the metrics.
    #[cfg(feature = "embedded")]
    pub fn with_embedded(settings: Settings, database: Database, embedded: Option<Activity>) -> Self {
        App::with_activity(settings, database, embedded)
    }

    fn with_activity(settings: Settings, database: Database, embedded: Option<Activity>) -> Self {
        let limits = &settings.limits;
        let percent = Percent { client: limits.client_share, user: limits.user_share };
        let shares = |total| Shares::new(total, percent);
        let shared = Shared {
            database,
            embedded,
            metrics: Metrics::new(),
            kept: Kept::new(shares(limits.requests)),
            requests: shares(limits.requests),
            of_users: shares(limits.requests),
            guesses: Guesses::new(limits.guesses),
            ready: Ready::default(),
            streams: shares(limits.streams),
            feeds: shares(limits.feeds),
            live_queries: shares(limits.live_queries),
            hubs: Arc::new(Hubs::new(bounds(&settings))),
            answers: shares(kib(limits.answers)),
            bodies: shares(kib(limits.bodies)),
            outage: Outage::default(),
            stop: watch::Sender::new(false),
            catalog: Catalog::new(),
        };
        let (access, rates) = (Access::new(&settings), rates(&settings.limits));
        App { present: Arc::new(Present { settings, access, rates }), shared: Arc::new(shared) }
    }

    /// Returns the same API by other settings. What goes on counts against the bounds of these, too. The
    /// database stays as it is.
    pub(crate) fn with_settings(&self, settings: Settings) -> Self {
        let limits = &settings.limits;
        let percent = Percent { client: limits.client_share, user: limits.user_share };
        let shared = &self.shared;
        shared.kept.resize(limits.requests, percent);
        shared.requests.resize(limits.requests, percent);
        shared.of_users.resize(limits.requests, percent);
        shared.streams.resize(limits.streams, percent);
        shared.feeds.resize(limits.feeds, percent);
        shared.live_queries.resize(limits.live_queries, percent);
        shared.hubs.bound(bounds(&settings));
        shared.answers.resize(kib(limits.answers), percent);
        shared.bodies.resize(kib(limits.bodies), percent);
        shared.guesses.allow(limits.guesses);
        if (&settings.rules, &settings.token) != (&self.settings().rules, &self.settings().token) {
            shared.hubs.renew();
        }
        let access = self.access().followed_by(self.settings(), &settings);
        let before = self.limits();
        let is_same = (limits.rate, limits.burst) == (before.rate, before.burst);
        let rates = if is_same { self.present.rates.clone() } else { rates(limits) };
        App { present: Arc::new(Present { settings, access, rates }), shared: Arc::clone(shared) }
    }

    /// Ends what would go on for ever, the live queries; other requests are left to finish by themselves.
    pub fn stop(&self) {
        self.shared.stop.send_replace(true);
        self.shared.hubs.stop();
    }

    /// Waits until live queries have to end.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + Sync + use<> {
        let mut stop = self.shared.stop.subscribe();
        async move {
            // An error says that nobody is left who could stop it: that is an end, too.
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }

    /// Returns the right to answer one more request about tables, for as long as it is held.
    pub(crate) fn request(&self, client: Option<Client>) -> Result<Share, Error> {
        taken(self.shared.requests.take(client))
    }

    /// Returns the right of this user to have one more of those answered.
    pub(crate) fn request_of(&self, user: &str) -> Result<Share, Error> {
        taken(self.shared.of_users.take(Holder::default().with_user(Some(user))))
    }

    /// Returns the right to stream one more answer, for as long as it is held.
    pub(crate) fn stream(&self, holder: Holder) -> Result<Share, Error> {
        let share = self.shared.streams.take(holder);
        share.map_err(|taken| {
            taken.error("streamed answers", |limit| Error::about(Code::StreamsExhausted, limit))
        })
    }

    /// Returns the right to have one more client follow a live query, for as long as it is held.
    pub(crate) fn feed(&self, holder: Holder) -> Result<Share, Error> {
        let share = self.shared.feeds.take(holder);
        share.map_err(|taken| taken.error("live queries", |limit| Error::about(Code::FeedsExhausted, limit)))
    }

    /// Returns the right to follow one more distinct live query, for as long as it is held.
    pub(crate) fn live_query(&self, holder: Holder) -> Result<Share, Error> {
        let share = self.shared.live_queries.take(holder);
        share.map_err(|taken| {
            taken.error("distinct live queries", |limit| {
                let detail = format!("All {limit} distinct live queries that there may be are followed.");
                Error::new(Code::FeedsExhausted, detail)
            })
        })
    }

    /// Returns all live queries that are followed.
    pub(crate) fn hubs(&self) -> &Arc<Hubs> {
        &self.shared.hubs
    }

    /// Returns a scale for an answer that is made in memory.
    pub(crate) fn scale(&self, holder: Holder) -> Scale {
        Scale::new(self.shared.answers.nothing(holder), self.limits())
    }

    /// Returns a scale for a body that is to be read.
    pub(crate) fn arriving(&self, holder: Holder) -> Arrived {
        Arrived::new(self.shared.bodies.nothing(holder), self.limits())
    }

    /// Has work done to its end, even if nobody waits for it any more. Fails if there is too much of such
    /// work already.
    pub(crate) fn to_its_end<T, W>(
        &self,
        holder: Holder,
        work: W,
    ) -> Result<impl Future<Output = Result<T, Error>> + use<T, W>, Error>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, Error>> + Send + 'static,
    {
        self.shared.kept.spawn(holder, work)
    }

    /// Waits for all work that goes on though nobody may be waiting for it.
    pub(crate) fn finished(&self) -> impl Future<Output = ()> + use<> {
        self.shared.kept.finished()
    }

    /// Returns the wrong passwords that clients have sent.
    pub(crate) fn guesses(&self) -> &Guesses {
        &self.shared.guesses
    }

    /// Returns what is known of whether the database can be used.
    pub(crate) fn ready(&self) -> &Ready {
        &self.shared.ready
    }

    /// How often clients have asked, if that has a limit.
    pub(crate) fn rates(&self) -> Option<&Rates> {
        self.present.rates.as_deref()
    }

    /// Returns the database behind the API.
    pub fn database(&self) -> &Database {
        &self.shared.database
    }

    /// Returns who may do what.
    pub(crate) fn access(&self) -> &Access {
        &self.present.access
    }

    /// Returns the schema that the settings have for a table.
    pub(crate) fn schema(&self, table: &str) -> Option<&Schema> {
        self.settings().tables.iter().find(|spec| spec.name == table)?.schema.as_ref()
    }

    /// Returns the settings it runs with.
    pub fn settings(&self) -> &Settings {
        &self.present.settings
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Returns the outage of the database that is going on, if there is one.
    pub(crate) fn outage(&self) -> &Outage {
        &self.shared.outage
    }

    /// Returns all figures, as Prometheus reads them.
    pub(crate) fn figures(&self) -> Result<String, Error> {
        let live = self.hubs().figures();
        let text = self.metrics().text(self.database().stats(), live, self.of_embedded()?);
        text.map_err(Error::internal)
    }

    #[cfg(feature = "embedded")]
    fn of_embedded(&self) -> Result<Vec<MetricFamily>, Error> {
        let figures = self.shared.embedded.as_ref().map(crate::metrics::of_embedded).transpose();
        figures.map(Option::unwrap_or_default).map_err(Error::internal)
    }

    #[cfg(not(feature = "embedded"))]
    fn of_embedded(&self) -> Result<Vec<MetricFamily>, Error> {
        Ok(Vec::new())
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.settings().limits
    }

    /// Returns what is known of tables.
    pub(crate) fn catalog(&self) -> &Catalog {
        &self.shared.catalog
    }
}

fn rates(limits: &Limits) -> Option<Arc<Rates>> {
    let rate = limits.rate?;
    Some(Arc::new(Rates::new(rate, NonZeroU32::new(limits.burst).unwrap_or(rate.count))))
}

/// Returns the bounds of live queries.
fn bounds(settings: &Settings) -> Bounds {
    let limits = &settings.limits;
    let keep = Keep { events: limits.replay_events, bytes: limits.replay_bytes, time: limits.replay_time };
    Bounds::new(keep, limits.answer, settings.rdb.query_timeout, limits.send_time)
}

fn kib(bytes: u64) -> usize {
    usize::try_from(bytes >> 10).unwrap_or(usize::MAX)
}

fn taken(share: Result<Share, Taken>) -> Result<Share, Error> {
    share.map_err(|taken| taken.error("requests", |limit| Error::about(Code::TooManyRequests, limit)))
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("database", self.database()).finish_non_exhaustive()
    }
}
