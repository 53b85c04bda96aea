//! Live queries of the database, as the source of a hub.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use reql::{Query, Term, r};
use serde_json::Value;
use serde_json::value::RawValue;

use super::related::Expansions;
use crate::catalog::{Index, Status};
use crate::conn::Conn;
use crate::database::{Beside, Credentials, Database};
use crate::error::{Code, Error};
use crate::http::context::Context;
use crate::live::{Related, Rows, Shape, Source};
use crate::query::{self, Live};

/// The largest batch of a follower's own feed, in bytes: a client that doesn't read holds one.
const OWN_BATCH: usize = 16 << 10;
/// The most bytes of what the database says of an index.
const STATUS: u64 = 1 << 20;
/// The seed of passwords' fingerprints.
static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A live query of a list or a document, with the account of a user.
pub(super) struct Followed {
    database: Database,
    /// The user; `None` for the service's own account.
    who: Option<Credentials>,
    /// The term to follow.
    rows: Term,
    /// A cheap query that needs the permission to read the table.
    question: Term,
    /// The index that it goes through, with the query for its status.
    index: Option<(query::Index, Term)>,
    shape: Shape,
    placed: bool,
    single: bool,
    /// The way to what is told beside the documents.
    expansions: Option<Expansions>,
    /// The most changes in the database's queue.
    queue: u32,
    /// The connection of the feed that was opened last.
    beside: Mutex<Option<Beside>>,
    /// True while that feed has rows whose related documents are still being read.
    is_behind: Mutex<Arc<AtomicBool>>,
}

impl Followed {
    /// Returns a list as a source.
    pub(super) fn list(
        context: &Context,
        conn: &Conn,
        (table, primary_key): (&str, String),
        live: &Live,
    ) -> Self {
        let rows = live.rows(&r.table(table));
        Followed::of(context, conn, (table, primary_key), (live, rows))
    }

    /// Returns a document as a source.
    pub(super) fn document(
        context: &Context,
        conn: &Conn,
        (table, primary_key): (&str, String),
        (live, id): (&Live, Value),
    ) -> Self {
        let row = live.row(&r.table(table), id);
        Followed { single: true, ..Followed::of(context, conn, (table, primary_key), (live, row)) }
    }

    fn of(
        context: &Context,
        conn: &Conn,
        (table, primary_key): (&str, String),
        (live, rows): (&Live, Term),
    ) -> Self {
        let limits = context.app().limits();
        let status = |index: &query::Index| r.table(table).index_status(&index.name);
        let index = live.index().map(|index| (index.clone(), status(index)));
        Followed {
            database: conn.database().clone(),
            who: conn.credentials().cloned(),
            rows,
            question: r.table(table).get("").eq(()),
            index,
            shape: if live.is_whole() { Shape::Documents(primary_key) } else { Shape::Keyed },
            placed: live.is_placed(),
            single: false,
            expansions: Expansions::of(live, r.table(table).into(), limits.answer),
            queue: limits.feed_queue,
            beside: Mutex::new(None),
            is_behind: Mutex::default(),
        }
    }

    /// Returns the key of the hub: the user, and the query, which includes the rules that apply. With another
    /// password, it is another hub, which opens its connections with that one.
    ///
    /// # Errors
    ///
    /// [`Error::internal`] if the query can't be serialized.
    pub(super) fn key(&self) -> Result<String, Error> {
        let json = |term: Term| Query::from(term).to_json().map_err(Error::from);
        let query = json(self.rows.clone())?;
        let related =
            self.expansions.as_ref().map(|expansions| json(expansions.query(Vec::new()))).transpose()?;
        let print = |who: &Credentials| (who.user().to_owned(), SEED.hash_one(who.password().expose()));
        let user = self.who.as_ref().map(print);
        let kind = (self.placed, self.single);
        Ok(serde_json::json!([self.database.name(), user, kind, query, related]).to_string())
    }

    /// Returns a changefeed.
    fn changes(&self, initial: bool) -> Query {
        let feed = self
            .rows
            .changes()
            .include_initial(initial)
            .include_states(true)
            .include_types(true)
            .changefeed_queue_size(self.queue);
        if self.placed { feed.include_offsets(true).into() } else { feed.into() }
    }

    async fn open(&self, feed: Query, is_behind: Arc<AtomicBool>) -> Result<(Rows, Beside), Error> {
        let feed = self.database.follow_as::<Box<RawValue>>(self.who.as_ref(), feed).await?;
        let beside = feed.beside(&self.database);
        let rows = match &self.expansions {
            Some(expansions) => expansions.beside(feed.boxed(), beside.clone(), is_behind),
            None => feed.boxed(),
        };
        Ok((rows, beside))
    }

    /// Fails if the index that it goes through was dropped or replaced. A feed of the database says nothing
    /// then, or much later.
    async fn check_index(&self, beside: &Beside) -> Result<(), Error> {
        let Some((index, status)) = &self.index else { return Ok(()) };
        let found: Vec<Status> = beside.all(status.clone(), STATUS).await?;
        let is_same = |status| Index::from(status).plain().is_some_and(|fields| fields == index.fields);
        let is_there = found.into_iter().next().is_some_and(is_same);
        if is_there { Ok(()) } else { Err(Code::NoSuchIndex.into()) }
    }

    fn beside(&self) -> Option<Beside> {
        self.beside.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Source for Followed {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn is_placed(&self) -> bool {
        self.placed
    }

    fn is_single(&self) -> bool {
        self.single
    }

    fn follow(&self) -> BoxFuture<'_, Result<Rows, Error>> {
        let followed = async {
            let is_behind = Arc::<AtomicBool>::default();
            let (rows, beside) = self.open(self.changes(self.is_short()), is_behind.clone()).await?;
            *self.is_behind.lock().unwrap_or_else(PoisonError::into_inner) = is_behind;
            *self.beside.lock().unwrap_or_else(PoisonError::into_inner) = Some(beside);
            Ok(rows)
        };
        followed.boxed()
    }

    fn join(&self) -> BoxFuture<'_, Result<Rows, Error>> {
        let feed = self.changes(true).max_batch_bytes(OWN_BATCH);
        async { self.open(feed, Arc::default()).await.map(|(rows, _)| rows) }.boxed()
    }

    fn related(&self, keys: Vec<String>) -> Option<BoxFuture<'_, Result<Related, Error>>> {
        let expansions = self.expansions.as_ref()?;
        let related = async move {
            let beside = self.beside().ok_or(Code::DatabaseUnreachable)?;
            expansions.found(&beside, &keys).await
        };
        Some(related.boxed())
    }

    fn is_behind(&self) -> bool {
        self.is_behind.lock().unwrap_or_else(PoisonError::into_inner).load(Ordering::Relaxed)
    }

    fn ask(&self) -> BoxFuture<'_, Result<(), Error>> {
        let asked = async {
            let Some(beside) = self.beside() else { return Ok(()) };
            beside.run(self.question.clone()).await?;
            self.check_index(&beside).await
        };
        asked.boxed()
    }
}
