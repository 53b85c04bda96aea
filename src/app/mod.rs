//! The state that the API's handlers share: the database, the settings, the shares of limited resources, and
//! the cache of table metadata.

mod full;
mod guesses;
mod kept;
pub(crate) mod outage;
mod ready;
pub(crate) mod scale;
mod tables;
pub(crate) mod tickets;
mod turns;

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
use crate::metrics::{Metrics, storage};
use crate::rates::Rates;
use crate::settings::{Limits, Settings};
use crate::shares::{Client, Holder, Percent, Share, Shares, Taken};
use full::Full;
use guesses::Guesses;
use kept::Kept;
use outage::Outage;
use ready::Ready;
use scale::{Arrived, Scale, Weight};
use tickets::Tickets;
use turns::Turns;

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

/// The current settings, and the state derived from them. Requests that run during a reload keep those that
/// they began with.
struct Present {
    settings: Settings,
    access: Arc<Access>,
    rates: Option<Arc<Rates>>,
}

struct Shared {
    database: Database,
    #[cfg_attr(not(feature = "embedded"), allow(dead_code, reason = "there is none"))]
    embedded: Option<Activity>,
    metrics: Metrics,
    /// Running requests about tables.
    requests: Shares,
    /// Running requests about tables, of authenticated users.
    of_users: Shares,
    guesses: Guesses,
    ready: Ready,
    /// Answers that are being streamed.
    streams: Shares,
    catalog: Catalog,
    /// Tasks that run to their end even if their client disconnects.
    kept: Kept,
    /// Clients that follow live queries.
    feeds: Shares,
    /// Distinct live queries.
    live_queries: Shares,
    hubs: Arc<Hubs>,
    tickets: Tickets,
    /// Answers in memory, in KiB.
    answers: Shares,
    /// Bodies in memory, in KiB.
    bodies: Shares,
    /// Large answers that are being made.
    turns: Turns,
    outage: Outage,
    full: Full,
    /// The access control of the current settings, for answers that outlast a reload.
    access: watch::Sender<Arc<Access>>,
    stop: watch::Sender<bool>,
}

impl App {
    /// Creates an API over this database.
    pub fn new(settings: Settings, database: Database) -> Self {
        App::with_activity(settings, database, None)
    }

    /// Creates an API over a database in this process, whose metrics are added to those of the service.
    #[cfg(feature = "embedded")]
    pub fn with_embedded(settings: Settings, database: Database, embedded: Option<Activity>) -> Self {
        App::with_activity(settings, database, embedded)
    }

    fn with_activity(settings: Settings, database: Database, embedded: Option<Activity>) -> Self {
        let limits = &settings.limits;
        let percent = Percent { client: limits.client_share, user: limits.user_share };
        let shares = |total| Shares::new(total, percent);
        let access = Arc::new(Access::new(&settings));
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
            tickets: Tickets::new(limits.tickets, percent),
            answers: shares(kib(limits.answers)),
            bodies: shares(kib(limits.bodies)),
            turns: Turns::new(),
            outage: Outage::default(),
            full: Full::default(),
            access: watch::Sender::new(Arc::clone(&access)),
            stop: watch::Sender::new(false),
            catalog: Catalog::new(),
        };
        let rates = rates(&settings.limits);
        App { present: Arc::new(Present { settings, access, rates }), shared: Arc::new(shared) }
    }

    /// Returns the API with other settings and the same database. Running requests count against the new
    /// limits, too.
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
        shared.tickets.resize(limits.tickets, percent);
        shared.answers.resize(kib(limits.answers), percent);
        shared.bodies.resize(kib(limits.bodies), percent);
        shared.guesses.allow(limits.guesses);
        let access = match self.access().followed_by(self.settings(), &settings) {
            None => Arc::clone(&self.present.access),
            Some(access) => {
                let access = Arc::new(access);
                shared.access.send_replace(Arc::clone(&access));
                shared.hubs.renew();
                access
            }
        };
        let before = self.limits();
        let is_same = (limits.rate, limits.burst) == (before.rate, before.burst);
        let rates = if is_same { self.present.rates.clone() } else { rates(limits) };
        App { present: Arc::new(Present { settings, access, rates }), shared: Arc::clone(shared) }
    }

    /// Ends live queries, which would never end by themselves; other requests are left to finish.
    pub fn stop(&self) {
        self.shared.stop.send_replace(true);
        self.shared.hubs.stop();
    }

    /// Returns a future that is done when live queries have to end.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + Sync + use<> {
        let mut stop = self.shared.stop.subscribe();
        async move {
            // An error means that the sender is gone, which ends live queries as well.
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }

    /// Takes the share of a request about tables.
    pub(crate) fn request(&self, client: Option<Client>) -> Result<Share, Error> {
        taken(self.shared.requests.take(client))
    }

    /// Takes the share of a request about tables for its authenticated user.
    pub(crate) fn request_of(&self, user: &str) -> Result<Share, Error> {
        taken(self.shared.of_users.take(Holder::default().with_user(Some(user))))
    }

    /// Takes the share of a streamed answer.
    pub(crate) fn stream(&self, holder: Holder) -> Result<Share, Error> {
        let share = self.shared.streams.take(holder);
        share.map_err(|taken| {
            taken.error("streamed answers", |limit| Error::about(Code::StreamsExhausted, limit))
        })
    }

    /// Takes the share of a client that follows a live query.
    pub(crate) fn feed(&self, holder: Holder) -> Result<Share, Error> {
        let share = self.shared.feeds.take(holder);
        share.map_err(|taken| taken.error("live queries", |limit| Error::about(Code::FeedsExhausted, limit)))
    }

    /// Takes the share of a distinct live query.
    pub(crate) fn live_query(&self, holder: Holder) -> Result<Share, Error> {
        let share = self.shared.live_queries.take(holder);
        share.map_err(|taken| {
            taken.error("distinct live queries", |limit| {
                let detail = format!("All {limit} distinct live queries that there may be are followed.");
                Error::new(Code::FeedsExhausted, detail)
            })
        })
    }

    /// Returns the live queries that are being followed.
    pub(crate) fn hubs(&self) -> &Arc<Hubs> {
        &self.shared.hubs
    }

    /// Returns the tickets that wait to be used.
    pub(crate) fn tickets(&self) -> &Tickets {
        &self.shared.tickets
    }

    /// Returns a scale for an answer that is made in memory.
    pub(crate) fn scale(&self, holder: Holder) -> Scale {
        let queue = self.shared.turns.queue(holder.client(), self.limits().client_share);
        Scale::new(self.shared.answers.nothing(holder), queue, self.limits())
    }

    /// Returns a scale for what is kept for a client of a live query.
    pub(crate) fn follower_scale(&self, holder: Holder) -> Scale {
        Scale::of_follower(self.shared.answers.nothing(holder), self.limits())
    }

    /// Takes the share of an answer that is there already, of this length in bytes.
    pub(crate) fn weigh(&self, length: u64, holder: Holder) -> Result<Weight, Error> {
        Weight::of(length, self.shared.answers.nothing(holder), self.limits())
    }

    /// Returns a scale for a body that is to be read.
    pub(crate) fn arriving(&self, holder: Holder) -> Arrived {
        Arrived::new(self.shared.bodies.nothing(holder), self.limits())
    }

    /// Runs a task to its end, even if its client disconnects. Fails if there are too many such tasks.
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

    /// Waits for all tasks started with [`App::to_its_end`].
    pub(crate) fn finished(&self) -> impl Future<Output = ()> + use<> {
        self.shared.kept.finished()
    }

    /// Returns the counts of wrong passwords.
    pub(crate) fn guesses(&self) -> &Guesses {
        &self.shared.guesses
    }

    /// Returns the readiness of the database.
    pub(crate) fn ready(&self) -> &Ready {
        &self.shared.ready
    }

    /// Returns the rate limits of clients, if there are any.
    pub(crate) fn rates(&self) -> Option<&Rates> {
        self.present.rates.as_deref()
    }

    /// Returns the database behind the API.
    pub fn database(&self) -> &Database {
        &self.shared.database
    }

    /// Returns the access control of the current settings, and of those to come.
    pub(crate) fn access_in_force(&self) -> watch::Receiver<Arc<Access>> {
        self.shared.access.subscribe()
    }

    /// Returns whether the settings have said otherwise who may do what since this request began.
    pub(crate) fn is_superseded(&self) -> bool {
        !Arc::ptr_eq(&self.present.access, &self.shared.access.borrow())
    }

    /// Returns the access control.
    pub(crate) fn access(&self) -> &Access {
        &self.present.access
    }

    /// Returns the current settings.
    pub fn settings(&self) -> &Settings {
        &self.present.settings
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Returns the monitor of database outages.
    pub(crate) fn outage(&self) -> &Outage {
        &self.shared.outage
    }

    /// Returns what is known of the room on the database's disk.
    pub(crate) fn full(&self) -> &Full {
        &self.shared.full
    }

    /// Returns all metrics in Prometheus' text format.
    pub(crate) fn figures(&self) -> Result<String, Error> {
        let live = self.hubs().figures();
        let mut others = self.of_embedded()?;
        others.extend(storage(self.full().lasts()).map_err(Error::internal)?);
        let text = self.metrics().text(self.database().stats(), live, others);
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

    /// Returns the cache of table metadata.
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
