//! The bodies of bulk inserts, parsed as they arrive: an array of documents, a document in each line, or CSV.
//! Only one batch is in memory.

mod insert;
mod outcomes;
mod split;

use serde_json::{Map, Value};
use warp::http::HeaderMap;
use warp::http::header::CONTENT_LENGTH;

use super::csv::{Dialect, Line, Table};
use crate::app::scale::Arrived;
use crate::error::{Code, Error};
use crate::http::body::Chunks;
use crate::settings::Limits;
pub(crate) use insert::{insert, resolution};
pub(crate) use outcomes::Outcome;
use split::{Item, Splitter};

/// The most documents of a batch: enough to make the cost of the round trips small.
const BATCH: usize = 200;
/// The bytes of documents that make a batch full: well below the limit of a query.
const BATCH_BYTES: usize = 1 << 20;

/// A body that has been read already.
pub(crate) fn whole(body: Vec<u8>) -> Chunks {
    Chunks::new(futures_util::stream::iter([Ok(body)]))
}

/// A body of documents.
pub(crate) struct Documents {
    chunks: Chunks,
    /// Bytes that have arrived and aren't parsed yet.
    pending: Vec<u8>,
    length: u64,
    ended: bool,
    /// The most bytes of the body.
    limit: u64,
    /// The most bytes of a document.
    item_limit: u64,
    cutter: Cutter,
    arrived: Arrived,
}

/// The format of a body of documents.
pub(crate) enum Form {
    /// An array, or a single document.
    Array,
    /// A document in each line.
    Lines,
    Csv(Dialect),
}

/// Finds the documents of a body.
enum Cutter {
    Json(Splitter),
    Csv(Box<Table>),
}

/// Consecutive documents, and the kind of input after them.
pub(crate) struct Batch {
    pub(crate) documents: Vec<Map<String, Value>>,
    pub(crate) next: Next,
}

pub(crate) enum Next {
    More,
    End,
    /// The rest of the body is malformed or can't be read.
    Fault(Error),
}

impl Documents {
    /// Starts to read a body of this format.
    pub(crate) fn new(
        chunks: Chunks,
        headers: &HeaderMap,
        limits: &Limits,
        form: Form,
        arrived: Arrived,
    ) -> Self {
        let told = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        Documents {
            chunks,
            pending: Vec::new(),
            // A body that is too long is refused at the beginning instead of in the middle.
            length: told.filter(|length| *length > limits.bulk_body).unwrap_or(0),
            ended: false,
            limit: limits.bulk_body,
            item_limit: limits.body,
            cutter: match form {
                Form::Array => Cutter::Json(Splitter::array()),
                Form::Lines => Cutter::Json(Splitter::lines()),
                Form::Csv(dialect) => Cutter::Csv(Box::new(Table::new(dialect))),
            },
            arrived,
        }
    }

    /// Returns whether the body is an array, by its first character.
    pub(crate) async fn is_array(&mut self) -> Result<bool, Error> {
        // No byte is checked twice, however small the parts are.
        let mut looked = 0;
        loop {
            let unseen = self.pending.get(looked..).unwrap_or_default();
            if let Some(first) = unseen.iter().find(|byte| !byte.is_ascii_whitespace()) {
                return Ok(*first == b'[');
            }
            looked = self.pending.len();
            if self.pending.len() as u64 > self.item_limit {
                return Err(Error::beyond(Code::BodyTooLarge, self.item_limit));
            }
            if !self.fill().await? {
                return Ok(false);
            }
        }
    }

    /// Returns the whole body, which is a single document.
    pub(crate) async fn into_whole(mut self) -> Result<(Vec<u8>, Arrived), Error> {
        let limit = self.item_limit;
        loop {
            if self.pending.len() as u64 > limit {
                self.drain().await;
                return Err(Error::beyond(Code::BodyTooLarge, limit));
            }
            if !self.fill().await? {
                return Ok((self.pending, self.arrived));
            }
        }
    }

    /// Reads the next batch.
    pub(crate) async fn batch(&mut self) -> Batch {
        let mut documents = Vec::new();
        let next = match self.read(&mut documents).await {
            Ok(true) => Next::More,
            Ok(false) => Next::End,
            Err(error) => Next::Fault(error),
        };
        Batch { documents, next }
    }

    /// Reads the rest, up to a limit, so that the client gets to see the answer.
    pub(crate) async fn drain(&mut self) {
        self.chunks.drain().await;
    }

    /// Reads documents until the batch is full. Returns whether there may be more.
    async fn read(&mut self, documents: &mut Vec<Map<String, Value>>) -> Result<bool, Error> {
        let mut size = 0;
        self.arrived.forget_trees();
        loop {
            let pending = std::mem::take(&mut self.pending);
            let read = match &mut self.cutter {
                Cutter::Json(splitter) => {
                    let parsed = |item: Item| parse(&item, &mut self.arrived);
                    cut(splitter, &pending, documents, &mut size, (self.item_limit, parsed))?
                }
                Cutter::Csv(table) => {
                    let made = |line: Line<'_>| make(line, &mut self.arrived);
                    tabulate(table, &pending, documents, &mut size, made)?
                }
            };
            self.pending = pending.get(read..).unwrap_or_default().to_vec();
            if self.cutter.held() as u64 > self.item_limit {
                return Err(Error::beyond(Code::BodyTooLarge, self.item_limit));
            }
            if is_full(documents, size) {
                return Ok(true);
            }
            if !self.fill().await? {
                documents.extend(self.cutter.finish(&mut self.arrived)?);
                return Ok(false);
            }
        }
    }

    /// Waits for more of the body. Returns `false` at its end.
    async fn fill(&mut self) -> Result<bool, Error> {
        if self.ended {
            return Ok(false);
        }
        match self.chunks.next().await {
            Some(chunk) => {
                let chunk = chunk?;
                self.length += chunk.len() as u64;
                if self.length > self.limit {
                    return Err(Error::beyond(Code::BodyTooLarge, self.limit));
                }
                self.pending.extend(chunk);
                self.arrived.reach(self.pending.len() + self.cutter.weight())?;
                Ok(true)
            }
            None => {
                self.ended = true;
                Ok(false)
            }
        }
    }
}

impl Cutter {
    /// Returns the number of bytes of the unfinished document.
    fn held(&self) -> usize {
        match self {
            Cutter::Json(splitter) => splitter.held(),
            Cutter::Csv(table) => table.held(),
        }
    }

    /// Returns the number of bytes that it has in memory.
    fn weight(&self) -> usize {
        match self {
            Cutter::Json(splitter) => splitter.held(),
            Cutter::Csv(table) => table.weight(),
        }
    }

    fn finish(&mut self, arrived: &mut Arrived) -> Result<Option<Map<String, Value>>, Error> {
        match self {
            Cutter::Json(splitter) => splitter.finish()?.map(|item| parse(&item, arrived)).transpose(),
            Cutter::Csv(table) => {
                table.finish()?.map(|line| make(line, arrived).map(|(_, document)| document)).transpose()
            }
        }
    }
}

fn is_full(documents: &[Map<String, Value>], size: usize) -> bool {
    documents.len() >= BATCH || size >= BATCH_BYTES
}

/// Reads a document, and has it weigh.
fn parse(item: &Item, arrived: &mut Arrived) -> Result<Map<String, Value>, Error> {
    arrived.reach_tree(item.text())?;
    item.parse()
}

/// Makes the document of a line, and has it weigh. Returns its length in JSON, too.
fn make(line: Line<'_>, arrived: &mut Arrived) -> Result<(usize, Map<String, Value>), Error> {
    let size = line.size();
    arrived.reach_values(size.length as u64, size.values)?;
    Ok((size.length, line.document()?))
}

/// Parses documents from JSON until the batch is full. Returns the number of bytes read.
fn cut(
    splitter: &mut Splitter,
    pending: &[u8],
    documents: &mut Vec<Map<String, Value>>,
    size: &mut usize,
    (limit, mut parsed): (u64, impl FnMut(Item) -> Result<Map<String, Value>, Error>),
) -> Result<usize, Error> {
    for (at, byte) in pending.iter().enumerate() {
        if let Some(item) = splitter.push(*byte)? {
            *size += item.len();
            documents.push(parsed(item)?);
            if is_full(documents, *size) {
                return Ok(at + 1);
            }
        }
        if splitter.held() as u64 > limit {
            return Err(Error::beyond(Code::BodyTooLarge, limit));
        }
    }
    Ok(pending.len())
}

/// Parses documents from CSV until the batch is full. Returns the number of bytes read.
fn tabulate(
    table: &mut Table,
    pending: &[u8],
    documents: &mut Vec<Map<String, Value>>,
    size: &mut usize,
    mut made: impl FnMut(Line<'_>) -> Result<(usize, Map<String, Value>), Error>,
) -> Result<usize, Error> {
    let mut read = 0;
    while !is_full(documents, *size) {
        let (taken, line) = table.push(pending.get(read..).unwrap_or_default())?;
        read += taken;
        let Some(line) = line else { break };
        // A document is as long as its names are, too, which are not in its line.
        let (length, document) = made(line)?;
        *size += length;
        documents.push(document);
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use serde_json::json;

    use super::*;
    use crate::query::Parameters;
    use crate::shares::{Percent, Shares};

    fn documents(parts: &[&str], lines: bool) -> Documents {
        let limits = Limits { body: 100, bulk_body: 10_000, ..Limits::default() };
        let bodies = Shares::new(1 << 20, Percent { client: 100, user: 100 });
        of(parts, if lines { Form::Lines } else { Form::Array }, &limits, &bodies)
    }

    fn of(parts: &[&str], form: Form, limits: &Limits, bodies: &Shares) -> Documents {
        let parts: Vec<_> = parts.iter().map(|part| Ok(part.as_bytes().to_vec())).collect();
        let arrived = Arrived::new(bodies.nothing(None), limits);
        Documents::new(Chunks::new(stream::iter(parts)), &HeaderMap::new(), limits, form, arrived)
    }

    async fn read(parts: &[&str], lines: bool) -> (usize, Option<Error>) {
        let mut documents = documents(parts, lines);
        let mut count = 0;
        loop {
            let batch = documents.batch().await;
            count += batch.documents.len();
            match batch.next {
                Next::More => {}
                Next::End => return (count, None),
                Next::Fault(error) => return (count, Some(error)),
            }
        }
    }

    #[tokio::test]
    async fn documents_are_found_wherever_the_body_is_cut() {
        let array = r#" [{"a": "]},{\"["}, {"b": [1, {"c": 2}]},{}] "#;
        let lines = "{\"a\": \"\\n\"}\n\n  \r\n{\"b\": 1}\n{}";
        for (body, lines) in [(array, false), (lines, true)] {
            for cut in 0..body.len() {
                let (one, other) = body.split_at(cut);
                assert!(matches!(read(&[one, other], lines).await, (3, None)), "{one} | {other}");
            }
        }
        assert!(matches!(read(&["[", "]"], false).await, (0, None)));
        assert!(matches!(read(&[""], true).await, (0, None)));
    }

    #[tokio::test]
    async fn faults_have_a_place() {
        for (body, lines, line, column) in [
            ("[{},\n {\"a\": trx}]", false, 2, 10),
            ("[{}, ]", false, 1, 5),
            ("[{}", false, 1, 3),
            ("[{}] x", false, 1, 6),
            ("{}\n{\"a\":\n", true, 2, 5),
        ] {
            let (_, error) = read(&[body], lines).await;
            assert_eq!(error.and_then(|error| error.place()), Some((line, column)), "{body}");
        }
        let (count, error) = read(&["[1]"], false).await;
        assert_eq!((count, error.map(|error| error.code())), (0, Some(Code::BadRequest)));
    }

    #[tokio::test]
    async fn lengths_are_bounded() {
        let long = format!("[{{\"a\": \"{}\"}}]", "x".repeat(100));
        let (count, error) = read(&[&long], false).await;
        assert_eq!(
            (count, error.map(|error| error.to_string()).as_deref()),
            (0, Some("The body is longer than 100 bytes."))
        );
        let many = vec!["{\"a\": 1}\n"; 2000];
        let (count, error) = read(&many, true).await;
        assert_eq!((count >= 1000, error.map(|error| error.code())), (true, Some(Code::BodyTooLarge)));
    }

    #[tokio::test]
    async fn names_of_columns_count_in_each_document() {
        let dialect = || Dialect::take(&mut Parameters::parse("").unwrap()).unwrap();
        let names: Vec<_> = (0..100).map(|at| format!("{}{at}", "n".repeat(1000))).collect();
        let line = format!("{}\n", vec!["1"; 100].join(","));
        let text = format!("{}\n{}", names.join(","), line.repeat(50));
        let bodies = Shares::new(64 << 10, Percent { client: 100, user: 100 });
        let mut documents = of(&[&text], Form::Csv(dialect()), &Limits::default(), &bodies);
        let (mut count, mut largest) = (0, 0);
        loop {
            let batch = documents.batch().await;
            let length: usize = batch.documents.iter().map(|it| json!(it).to_string().len()).sum();
            assert!(length < BATCH_BYTES + (200 << 10), "{length}");
            assert!(bodies.held() << 10 > length, "{} of {length}", bodies.held());
            (count, largest) = (count + batch.documents.len(), largest.max(length));
            if !matches!(batch.next, Next::More) {
                break;
            }
        }
        assert!(count == 50 && largest > BATCH_BYTES / 2, "{count} {largest}");
        // Each document weighs before it is made.
        let few = Shares::new(400, Percent { client: 100, user: 100 });
        let mut others = few.nothing(None);
        others.grow(100).unwrap();
        let mut documents = of(&[&text], Form::Csv(dialect()), &Limits::default(), &few);
        let fault = documents.batch().await.next;
        assert!(matches!(fault, Next::Fault(error) if error.code() == Code::BodiesExhausted));
    }
}
