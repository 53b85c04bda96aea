//! Unpacking archives. They may come from anywhere, so nothing in one takes memory without a bound, or leads
//! out of the directory into which it is unpacked.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tempfile::TempDir;

use super::Failure;
use super::archive::{Info, directory_of};
use super::bounded::Bounded;
use super::name::{Place, Table, chosen, is_chosen};

/// The longest description of a table, in bytes.
const INFO_MAX: u64 = 1 << 20;

/// The length of all descriptions together, in bytes. In memory they take several times as much.
const INFOS_MAX: u64 = 32 << 20;

/// The most tables of an archive.
const TABLES_MAX: usize = 100_000;

/// The bytes between the contents of two files: the second one's header, and its name if that is long.
const HEADERS_MAX: u64 = 1 << 20;

/// The bytes among which the array of documents has to begin.
const BEGINNING: usize = 512;

/// A table of an archive, unpacked.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) table: Table,
    pub(super) info: Info,
    pub(super) documents: PathBuf,
}

/// Unpacks the tables of an archive that these places hold, all of them if there are no places, into a
/// directory that is there as long as it is held.
///
/// Only files that belong to tables are looked at. Their names in the directory are chosen here, so no name
/// in the archive leads elsewhere.
pub(super) fn unpack(archive: &Path, places: &[Place]) -> Result<(TempDir, Vec<Unpacked>), Failure> {
    let failed = |error| Failure::file(archive, unreadable(&error));
    let directory = TempDir::new_in(directory_of(archive)).or_else(|_| TempDir::new()).map_err(failed)?;
    let (reader, grant) = Bounded::new(open(archive).map_err(failed)?, HEADERS_MAX, "a name is");
    let mut tables = Tables::new(directory.path(), places);
    for entry in tar::Archive::new(reader).entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        grant.set(u64::MAX);
        if entry.header().entry_type().is_file() {
            let path = entry.path().map_err(failed)?.into_owned();
            tables.take(&path, &mut entry).map_err(failed)?;
        }
        // What is left of the contents is not for the next file's name.
        io::copy(&mut entry, &mut io::sink()).map_err(failed)?;
        grant.set(HEADERS_MAX);
    }
    let tables = tables.finish(archive)?;
    Ok((directory, tables))
}

/// Opens an archive, which may be compressed or not.
fn open(archive: &Path) -> io::Result<Box<dyn Read>> {
    const GZIP: &[u8] = &[0x1f, 0x8b];
    let mut file = BufReader::new(File::open(archive)?);
    Ok(if file.fill_buf()?.starts_with(GZIP) { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// The tables of an archive, as far as they have come.
struct Tables<'a> {
    directory: &'a Path,
    places: &'a [Place],
    /// The directory of the archive that all tables are in.
    root: Option<OsString>,
    /// Documents and descriptions of the tables that are wanted, and the names of the others.
    found: BTreeMap<Table, (Option<PathBuf>, Option<Info>)>,
    /// The number of files that were made.
    files: usize,
    /// The bytes of all descriptions.
    infos: u64,
}

impl<'a> Tables<'a> {
    fn new(directory: &'a Path, places: &'a [Place]) -> Self {
        Tables { directory, places, root: None, found: BTreeMap::new(), files: 0, infos: 0 }
    }

    /// Takes a file of the archive, if it is one of a table that is wanted.
    fn take(&mut self, path: &Path, contents: &mut dyn Read) -> io::Result<()> {
        let Some((root, table, extension)) = table_of(path) else { return Ok(()) };
        if let Some(other) = self.root.replace(root).filter(|other| Some(other) != self.root.as_ref()) {
            let other = other.to_string_lossy();
            return Err(damaged(format!("it has the tables of two dumps, `{other}` and another")));
        }
        let is_wanted = is_chosen(&table, self.places);
        if self.found.len() >= TABLES_MAX {
            return Err(damaged(format!("it has more than {TABLES_MAX} tables")));
        }
        let (documents, info) = self.found.entry(table).or_default();
        match extension {
            _ if !is_wanted => {}
            Kind::Documents => {
                let file = self.directory.join(format!("{}.json", self.files));
                self.files += 1;
                unpack_documents(path, contents, &file)?;
                *documents = Some(file);
            }
            Kind::Info => *info = Some(read_info(path, contents, &mut self.infos)?),
        }
        Ok(())
    }

    /// Returns the tables that are wanted, which have to be complete.
    fn finish(self, archive: &Path) -> Result<Vec<Unpacked>, Failure> {
        let mut found = self.found;
        if found.is_empty() {
            return Err(Failure::file(archive, "it has no tables"));
        }
        let wanted = chosen(found.keys().cloned().collect(), self.places)?;
        let complete = |table: Table| match found.remove(&table).unwrap_or_default() {
            (Some(documents), Some(info)) => Ok(Unpacked { table, info, documents }),
            (_, None) => Err(Failure::file(archive, format!("{table} has no description"))),
            (None, _) => Err(Failure::file(archive, format!("{table} has no documents"))),
        };
        wanted.into_iter().map(complete).collect()
    }
}

/// Unpacks documents, unless they aren't the array that they have to be.
fn unpack_documents(path: &Path, contents: &mut dyn Read, file: &Path) -> io::Result<()> {
    let mut beginning = Vec::new();
    contents.take(BEGINNING as u64).read_to_end(&mut beginning)?;
    if !beginning.trim_ascii_start().starts_with(b"[") {
        return Err(damaged(format!("{} is no array of documents", path.display())));
    }
    io::copy(&mut beginning.chain(contents), &mut File::create_new(file)?).map(drop)
}

/// Reads a description, and adds its length to that of the others.
fn read_info(path: &Path, contents: &mut dyn Read, infos: &mut u64) -> io::Result<Info> {
    let mut text = Vec::new();
    let length = contents.take(INFO_MAX + 1).read_to_end(&mut text)? as u64;
    *infos += length;
    if length > INFO_MAX || *infos > INFOS_MAX {
        return Err(damaged(format!("{}: descriptions are too long", path.display())));
    }
    serde_json::from_slice(&text).map_err(|error| damaged(format!("{}: {error}", path.display())))
}

fn damaged(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
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

/// The contents of a file of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Documents,
    Info,
}

/// Returns the directory and the table that a file of an archive is about, and its contents:
/// `NAME/DB/TABLE.json`.
fn table_of(path: &Path) -> Option<(OsString, Table, Kind)> {
    let parts: Vec<_> = path.components().filter(|part| *part != Component::CurDir).collect();
    let [Component::Normal(root), Component::Normal(db), Component::Normal(file)] = parts[..] else {
        return None;
    };
    let file = Path::new(file);
    let kind = match file.extension()?.to_str()? {
        "json" => Kind::Documents,
        "info" => Kind::Info,
        _ => return None,
    };
    let (db, name) = (db.to_str()?.to_owned(), file.file_stem()?.to_str()?.to_owned());
    Some((root.to_owned(), Table { db, name }, kind))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::{EntryType, Header};

    use super::*;

    const INFO: &str = r#"{"db":{"name":"shop"},"name":"t","primary_key":"id"}"#;

    fn header(kind: EntryType, length: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(length);
        header
    }

    /// An unpacked archive, and the directory that it is in.
    struct Opened {
        tables: Vec<Unpacked>,
        unpacked: TempDir,
        _directory: TempDir,
    }

    /// Makes an archive of files and unpacks it, compressed or not.
    fn opened(files: &[(&str, &str)], is_compressed: bool, places: &[Place]) -> Result<Opened, Failure> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, text) in files {
            let mut header = header(EntryType::Regular, text.len() as u64);
            tar.append_data(&mut header, path, text.as_bytes()).expect("a file");
        }
        of_bytes(&tar.into_inner().expect("an archive"), is_compressed, places)
    }

    fn of_bytes(tar: &[u8], is_compressed: bool, places: &[Place]) -> Result<Opened, Failure> {
        let directory = TempDir::new().expect("a directory");
        let archive = directory.path().join("archive");
        if is_compressed {
            let mut file = GzEncoder::new(File::create(&archive).expect("a file"), Compression::fast());
            io::copy(&mut &tar[..], &mut file).expect("written");
            file.finish().expect("written");
        } else {
            fs::write(&archive, tar).expect("written");
        }
        let (unpacked, tables) = unpack(&archive, places)?;
        Ok(Opened { tables, unpacked, _directory: directory })
    }

    fn reason<T>(result: Result<T, Failure>) -> String {
        result.err().map(|failure| failure.to_string()).unwrap_or_default()
    }

    #[test]
    fn only_files_of_tables_count() {
        let of = |path: &str| table_of(Path::new(path)).map(|(_, table, kind)| format!("{table} {kind:?}"));
        assert_eq!(of("dump/shop/orders.json").as_deref(), Some("shop.orders Documents"));
        assert_eq!(of("./dump/shop/orders.info").as_deref(), Some("shop.orders Info"));
        for other in
            ["shop/orders.json", "a/b/c/d.json", "../shop/orders.json", "/a/b/c.json", "a/b/c.txt", "a/b/c"]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }

    /// RethinkDB's tools have descriptions and documents in whatever order they come, and take archives that
    /// are not compressed.
    #[test]
    fn each_table_gets_its_own_documents() {
        let names = ["a.info", "a.json", "b.json", "c.info", "d.json", "d.info", "c.json", "b.info"];
        let files = names.map(|file| {
            let (name, extension) = file.split_at(1);
            let info = format!(r#"{{"db":{{"name":"shop"}},"name":"{name}","primary_key":"id"}}"#);
            let text = if extension == ".info" { info } else { format!(r#"[{{"id":"{name}"}}]"#) };
            (format!("dump/shop/{file}"), text)
        });
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        for is_compressed in [true, false] {
            let opened = opened(&files, is_compressed, &[]).expect("tables");
            assert_eq!(opened.tables.len(), 4);
            for Unpacked { table, info, documents } in opened.tables {
                assert_eq!(info.name, table.name);
                let documents = fs::read_to_string(documents).expect("documents");
                assert_eq!(documents, format!(r#"[{{"id":"{}"}}]"#, table.name));
            }
        }
    }

    #[test]
    fn what_is_not_wanted_is_not_unpacked() {
        let files = [("d/shop/t.json", "[]"), ("d/shop/t.info", INFO), ("d/shop/u.json", "no documents")];
        let only = |place: &str| opened(&files, true, &[place.parse().expect("a place")]);
        let opened = only("shop.t").expect("a table");
        assert_eq!(opened.tables.len(), 1);
        assert_eq!(fs::read_dir(opened.unpacked.path()).expect("files").count(), 1);
        assert!(reason(only("shop.u")).contains("no array of documents"), "{}", reason(only("shop.u")));
        assert!(reason(only("shop.x")).contains("nothing under the name `shop.x`"));
    }

    #[test]
    fn archives_have_bounds() {
        let long = format!("[{}]", " ".repeat(INFO_MAX as usize));
        let blank = " ".repeat(BEGINNING + 1) + "[]";
        for (files, expected) in [
            (vec![("d/shop/t.info", long.as_str())], "descriptions are too long"),
            (vec![("d/shop/t.json", blank.as_str())], "no array of documents"),
            (vec![("d/shop/t.json", "[]"), ("e/shop/t.info", INFO)], "the tables of two dumps, `d`"),
        ] {
            let reason = reason(opened(&files, true, &[]));
            assert!(reason.contains(expected), "{reason}");
        }
    }

    /// A name is read into memory whole, so a long one is refused before that.
    #[test]
    fn names_have_bounds() {
        for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader] {
            for (length, is_refused) in [(HEADERS_MAX / 2, false), (HEADERS_MAX * 2, true)] {
                let mut tar = tar::Builder::new(Vec::new());
                let mut name = header(kind, length);
                name.set_cksum();
                tar.append(&name, io::repeat(b'a').take(length)).expect("a name");
                for (path, text) in [("d/shop/t.json", "[]"), ("d/shop/t.info", INFO)] {
                    let mut header = header(EntryType::Regular, text.len() as u64);
                    tar.append_data(&mut header, path, text.as_bytes()).expect("a file");
                }
                let bytes = tar.into_inner().expect("an archive");
                let reason = reason(of_bytes(&bytes, true, &[]));
                assert_eq!(reason.contains("a name is too long"), is_refused, "{kind:?}: {reason}");
            }
        }
    }
}
