//! Archives in the form that RethinkDB's tools `dump` and `restore` exchange: a gzipped tar of
//! `NAME/DB/TABLE.json`, one array of documents, and `NAME/DB/TABLE.info`, the table's description
//! (<https://rethinkdb.com/docs/backup/>).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Component, Path, PathBuf};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::{NamedTempFile, TempDir};

use super::Failure;
use super::name::Table;

/// The longest description of a table, in bytes.
const INFO_MAX: u64 = 64 << 20;

/// The description of a table. What RethinkDB writes beyond this is not needed to make the table again.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Info {
    /// The table's database.
    pub(super) db: DbInfo,
    /// The table's name.
    pub(super) name: String,
    /// The field that identifies documents.
    pub(super) primary_key: String,
    /// The indexes, as `index_status` describes them. Very old archives have their names only.
    #[serde(default)]
    pub(super) indexes: Vec<Value>,
    /// The write hook, as `get_write_hook` describes it.
    #[serde(default)]
    pub(super) write_hook: Option<Value>,
    /// Whatever else there is.
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
}

/// The description of a database.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DbInfo {
    /// The database's name.
    pub(super) name: String,
    /// Whatever else there is.
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
}

/// An archive that is being written. It has its name only once it is complete.
pub(super) struct Writer {
    tar: tar::Builder<GzEncoder<BufWriter<NamedTempFile>>>,
    target: PathBuf,
    root: String,
}

impl Writer {
    /// Begins an archive that is to have this name.
    pub(super) fn create(target: &Path) -> Result<Writer, Failure> {
        if target.exists() {
            return Err(Failure::file(target, "there already, and no archive is written over"));
        }
        let directory = directory_of(target);
        let file = NamedTempFile::new_in(directory).map_err(|error| Failure::file(target, plain(&error)))?;
        let compressed = GzEncoder::new(BufWriter::new(file), Compression::default());
        let root = target.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let root = root.trim_end_matches(".gz").trim_end_matches(".tar").to_owned();
        Ok(Writer { tar: tar::Builder::new(compressed), target: target.to_owned(), root })
    }

    /// Adds a table: its documents from a file, which is read from its beginning, and its description.
    pub(super) fn add(&mut self, table: &Table, documents: &mut File, info: &Info) -> Result<(), Failure> {
        let info = serde_json::to_vec(info).map_err(|error| Failure::file(&self.target, error));
        let info = info?;
        let append = || {
            let length = documents.seek(io::SeekFrom::End(0))?;
            documents.rewind()?;
            let place = Path::new(&self.root).join(&table.db);
            self.tar.append_data(
                &mut header(length),
                place.join(format!("{}.json", table.name)),
                documents,
            )?;
            let info_name = place.join(format!("{}.info", table.name));
            self.tar.append_data(&mut header(info.len() as u64), info_name, info.as_slice())
        };
        append().map_err(|error| Failure::file(&self.target, error))
    }

    /// Completes the archive, and gives it its name once it is on disk.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let Writer { tar, target, .. } = self;
        let finish = || {
            let file = tar.into_inner()?.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            file.persist_noclobber(&target)?;
            File::open(directory_of(&target))?.sync_all()
        };
        finish().map_err(|error: io::Error| Failure::file(&target, error))
    }
}

/// Returns the directory that a file is in.
pub(super) fn directory_of(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn header(length: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(length);
    header.set_mode(0o600);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    header.set_mtime(now.map(|now| now.as_secs()).unwrap_or_default());
    header
}

/// A table of an archive, unpacked.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) table: Table,
    pub(super) info: Info,
    pub(super) documents: PathBuf,
}

/// Unpacks the tables of an archive into a directory that is there as long as it is held.
///
/// Only files that belong to tables are looked at. Their names in the directory are chosen here, so no name
/// in the archive leads elsewhere.
pub(super) fn unpack(archive: &Path) -> Result<(TempDir, Vec<Unpacked>), Failure> {
    let failed = |error| Failure::file(archive, unreadable(&error));
    let file = File::open(archive).map_err(failed)?;
    let directory = TempDir::new_in(directory_of(archive)).or_else(|_| TempDir::new()).map_err(failed)?;
    let mut found: BTreeMap<Table, (Option<PathBuf>, Option<Info>)> = BTreeMap::new();
    let mut tar = tar::Archive::new(MultiGzDecoder::new(BufReader::new(file)));
    for (number, entry) in tar.entries().map_err(failed)?.enumerate() {
        let mut entry = entry.map_err(failed)?;
        let path = entry.path().map_err(failed)?.into_owned();
        let Some((table, extension)) = table_of(&path).filter(|_| entry.header().entry_type().is_file())
        else {
            continue;
        };
        let (documents, info) = found.entry(table).or_default();
        if extension == "json" {
            let name = directory.path().join(format!("{number}.json"));
            io::copy(&mut entry, &mut File::create(&name).map_err(failed)?).map_err(failed)?;
            *documents = Some(name);
        } else {
            let mut text = Vec::new();
            entry.take(INFO_MAX).read_to_end(&mut text).map_err(failed)?;
            let read = serde_json::from_slice(&text);
            *info =
                Some(read.map_err(|error| Failure::file(archive, format!("{}: {error}", path.display())))?);
        }
    }
    let tables = found.into_iter().map(|(table, files)| match files {
        (Some(documents), Some(info)) => Ok(Unpacked { table, info, documents }),
        (_, None) => Err(Failure::file(archive, format!("{table} has no description"))),
        (None, _) => Err(Failure::file(archive, format!("{table} has no documents"))),
    });
    let tables: Vec<_> = tables.collect::<Result<_, _>>()?;
    if tables.is_empty() {
        return Err(Failure::file(archive, "it has no tables"));
    }
    Ok((directory, tables))
}

/// Returns why a file could not be made, without the passing name that it would have had.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" at path ").map_or(text.as_str(), |(reason, _)| reason).to_owned()
}

/// Returns why an archive can't be unpacked. What it is made of says so itself in terms of its own format.
fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => format!("it ends too soon ({error})"),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::Other => {
            format!("it is no archive of `dump`, or a damaged one ({error})")
        }
        _ => error.to_string(),
    }
}

/// Returns the table that a file of an archive is about, and the file's extension: `NAME/DB/TABLE.json`.
fn table_of(path: &Path) -> Option<(Table, &str)> {
    let parts: Vec<_> = path.components().filter(|part| *part != Component::CurDir).collect();
    let [Component::Normal(_), Component::Normal(db), Component::Normal(file)] = parts[..] else {
        return None;
    };
    let file = Path::new(file);
    let extension = file.extension()?.to_str().filter(|extension| ["json", "info"].contains(extension))?;
    let (db, name) = (db.to_str()?.to_owned(), file.file_stem()?.to_str()?.to_owned());
    Some((Table { db, name }, extension))
}

/// Creates a file without a name for the documents of a table, where the archive will be.
pub(super) fn scratch(archive: &Path) -> Result<File, Failure> {
    tempfile::tempfile_in(directory_of(archive)).map_err(|error| Failure::file(archive, plain(&error)))
}

/// Writes the documents of a table as they come.
pub(super) struct Documents {
    file: BufWriter<File>,
    pub(super) count: u64,
}

impl Documents {
    /// Begins the array of documents.
    pub(super) fn new(file: File) -> io::Result<Documents> {
        let mut file = BufWriter::new(file);
        file.write_all(b"[")?;
        Ok(Documents { file, count: 0 })
    }

    /// Adds a document.
    pub(super) fn add(&mut self, json: &str) -> io::Result<()> {
        self.file.write_all(if self.count == 0 { b"\n" } else { b",\n" })?;
        self.count += 1;
        self.file.write_all(json.as_bytes())
    }

    /// Ends the array and returns the file.
    pub(super) fn finish(mut self) -> io::Result<File> {
        self.file.write_all(b"\n]\n")?;
        self.file.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

/// Returns how long a file is, in bytes; 0 if that can't be told.
pub(super) fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_tables_count() {
        let of =
            |path: &str| table_of(Path::new(path)).map(|(table, extension)| format!("{table} {extension}"));
        assert_eq!(of("dump/shop/orders.json").as_deref(), Some("shop.orders json"));
        assert_eq!(of("./dump/shop/orders.info").as_deref(), Some("shop.orders info"));
        for other in
            ["shop/orders.json", "a/b/c/d.json", "../shop/orders.json", "/a/b/c.json", "a/b/c.txt", "a/b/c"]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }

    /// RethinkDB's tools have descriptions and documents in whatever order they come.
    #[test]
    fn each_table_gets_its_own_documents() -> Result<(), Box<dyn std::error::Error>> {
        let directory = TempDir::new()?;
        let archive = directory.path().join("mixed.tar.gz");
        let mut tar = tar::Builder::new(GzEncoder::new(File::create(&archive)?, Compression::fast()));
        for file in ["a.info", "a.json", "b.json", "c.info", "d.json", "d.info", "c.json", "b.info"] {
            let (name, extension) = file.split_at(1);
            let info = format!(r#"{{"db":{{"name":"shop"}},"name":"{name}","primary_key":"id"}}"#);
            let text = if extension == ".info" { info } else { format!(r#"[{{"id":"{name}"}}]"#) };
            let path = format!("dump/shop/{file}");
            tar.append_data(&mut header(text.len() as u64), path, text.as_bytes())?;
        }
        tar.into_inner()?.finish()?;
        let (_unpacked, tables) = unpack(&archive)?;
        assert_eq!(tables.len(), 4);
        for Unpacked { table, info, documents } in tables {
            assert_eq!(info.name, table.name);
            assert_eq!(fs::read_to_string(documents)?, format!(r#"[{{"id":"{}"}}]"#, table.name));
        }
        Ok(())
    }

    #[test]
    fn documents_are_one_array() -> io::Result<()> {
        for count in [0, 1, 3] {
            let mut documents = Documents::new(tempfile::tempfile()?)?;
            for n in 0..count {
                documents.add(&format!("{{\"id\": {n}}}"))?;
            }
            let mut file = documents.finish()?;
            file.rewind()?;
            let read: Vec<Value> = serde_json::from_reader(file)?;
            assert_eq!(read.len(), count);
        }
        Ok(())
    }
}
