//! The fields of each document that an answer holds: `select=a,b.c`, `omit=a`.

use reql::Term;

use crate::error::Error;
use crate::query::parameters::{Parameters, bad};
use crate::query::path::{IN_LIST, Path};
use crate::query::syntax::Reader;

/// The most fields that a request may choose.
const CHOSEN: usize = 100;

/// The fields of each document that an answer holds.
#[derive(Debug, Clone)]
pub(crate) enum Fields {
    All,
    /// All fields of the document, and of related documents only these.
    AllAnd(Vec<Path>),
    Only(Vec<Path>),
    Without(Vec<Path>),
}

impl Fields {
    /// Takes `select` or `omit`.
    pub(crate) fn take(parameters: &mut Parameters) -> Result<Self, Error> {
        match (parameters.take("select")?, parameters.take("omit")?) {
            (Some(_), Some(_)) => Err(bad("omit", "it can't be combined with `select`")),
            (Some(select), None) => Fields::selected(&select),
            (None, Some(omit)) => Path::parse_list(&omit, "omit", CHOSEN).map(Fields::Without),
            (None, None) => Ok(Fields::All),
        }
    }

    /// The fields of `select`, where `*` means all.
    fn selected(text: &str) -> Result<Self, Error> {
        let mut reader = Reader::new(text, "select");
        let fields = reader.separated(CHOSEN, |reader| {
            let start = reader.at();
            let names = reader.names(IN_LIST)?;
            Path::check_listed(&names, reader, start)?;
            let all = matches!(&names[..], [name] if name.is_word("*"));
            Ok((!all).then(|| Path::from(names)))
        })?;
        reader.finish()?;
        let has_all = fields.iter().any(Option::is_none);
        let named: Vec<_> = fields.into_iter().flatten().collect();
        Ok(match (has_all, named.is_empty()) {
            (true, true) => Fields::All,
            (true, false) => Fields::AllAnd(named),
            (false, _) => Fields::Only(named),
        })
    }

    /// Returns whether documents are returned with all their fields.
    pub(crate) fn are_all(&self) -> bool {
        matches!(self, Fields::All | Fields::AllAnd(_))
    }

    /// Takes out what is said of the fields in one field, which holds something that isn't the document's
    /// own. What isn't said to be left out is told.
    pub(super) fn split_off(&mut self, name: &str) -> Result<Fields, Error> {
        let (paths, only) = match self {
            Fields::All => return Ok(Fields::All),
            Fields::Only(paths) | Fields::AllAnd(paths) => (paths, true),
            Fields::Without(paths) => (paths, false),
        };
        let inner: Vec<_> = paths.extract_if(.., |path| path.begins_with(name)).collect();
        let inner: Option<Vec<_>> = inner.iter().map(Path::below).collect();
        match inner {
            None if only => Ok(Fields::All),
            None => Err(bad("omit", format!("`{name}` is asked for by `expand`"))),
            Some(inner) if inner.is_empty() => Ok(Fields::All),
            Some(inner) if only => Ok(Fields::Only(inner)),
            Some(inner) => Ok(Fields::Without(inner)),
        }
    }

    pub(crate) fn of(&self, row: &Term) -> Term {
        match self {
            Fields::All | Fields::AllAnd(_) => row.clone(),
            Fields::Only(paths) => row.pluck(Path::tree(paths)),
            Fields::Without(paths) => row.without(Path::tree(paths)),
        }
    }
}
