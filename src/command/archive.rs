//! Archives in the form that RethinkDB's tools `dump` and `restore` exchange: a gzipped tar of
//! `NAME/DB/TABLE.json`, one array of documents, and `NAME/DB/TABLE.info`, the table's description
//! (<https://rethinkdb.com/docs/backup/>).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::NamedTempFile;

use super::Failure;
use super::name::Table;

/// The directory in an archive whose own name gives none.
const ROOT: &str = "rethinkdb_dump";

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
        let root = match root.trim_end_matches(".gz").trim_end_matches(".tar") {
            "" => ROOT,
            root => root,
        };
        Ok(Writer { tar: tar::Builder::new(compressed), target: target.to_owned(), root: root.to_owned() })
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

/// Returns why a file could not be made, without the passing name that it would have had.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" at path ").map_or(text.as_str(), |(reason, _)| reason).to_owned()
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
