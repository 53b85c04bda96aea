//! The documents of a short list: a single document, or the first ones of an order.
//!
//! The hub keeps these documents as text, with the size limit of a page. A follower that joins gets them as
//! of some event, so it needs no feed of its own, and places in the list are right. After an outage the hub
//! compares the documents, and sends its followers the differences.

use std::collections::HashSet;

use warp::hyper::body::Bytes;

use super::row::{Change, Kind, Side};
use super::source::Related;
use crate::error::{Code, Error};
use crate::query::expanded;

/// The documents of a short list, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    documents: Vec<Document>,
    bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Document {
    /// The JSON of the primary key, and of the document; shared by all copies of the list.
    key: Bytes,
    text: Bytes,
    /// The document with related ones, where they are told.
    expanded: Option<Bytes>,
}

impl Document {
    fn of(side: Side<'_>) -> Self {
        let copy = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        Document { key: copy(side.key), text: copy(side.document), expanded: side.expanded.map(copy) }
    }

    fn side(&self) -> Side<'_> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or("null");
        let expanded = self.expanded.as_deref().map(text);
        Side { expanded, ..Side::plain(text(&self.key), text(&self.text)) }
    }

    fn len(&self) -> u64 {
        (self.key.len() + self.side().len()) as u64
    }
}

impl View {
    /// Applies a change. Returns `false` if it doesn't fit, after which the view is invalid.
    ///
    /// # Errors
    ///
    /// [`Code::AnswerTooLarge`] if the documents together exceed `limit`.
    pub(crate) fn apply(&mut self, change: &Change<'_>, limit: u64) -> Result<bool, Error> {
        if let Some(old) = change.old {
            let is_old = |document: &Document| document.key == old.key.as_bytes();
            let told = change.old_place.filter(|at| self.documents.get(*at).is_some_and(is_old));
            let Some(at) = told.or_else(|| self.documents.iter().position(is_old)) else { return Ok(false) };
            self.bytes -= self.documents.remove(at).len();
        }
        if let Some(new) = change.new {
            let end = self.documents.len();
            let at = change.new_place.unwrap_or(end);
            if at > end {
                return Ok(false);
            }
            let document = Document::of(new);
            self.bytes += document.len();
            self.documents.insert(at, document);
        }
        if self.bytes > limit {
            return Err(Error::beyond(Code::AnswerTooLarge, limit));
        }
        Ok(true)
    }

    /// Returns the document at this place.
    pub(crate) fn get(&self, place: usize) -> Option<Side<'_>> {
        self.documents.get(place).map(Document::side)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// Returns the JSON of the documents' keys.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.documents.iter().map(|document| document.side().key.to_owned()).collect()
    }

    /// Returns the documents with these related ones.
    ///
    /// # Errors
    ///
    /// If one of them is no object.
    pub(crate) fn expanded(&self, related: &Related) -> Result<View, Error> {
        let documents = self.documents.iter().map(|document| {
            let Side { key, document: text, .. } = document.side();
            let told = related.get(key).map(|beside| expanded(text, beside)).transpose()?;
            let told = told.map(|told| Bytes::from(Box::<str>::from(told).into_string()));
            Ok(Document { expanded: told, ..document.clone() })
        });
        Ok(View { documents: documents.collect::<Result<_, Error>>()?, bytes: self.bytes })
    }

    /// Calls `tell` with each of the changes that turn this list into another one.
    pub(crate) fn compare(mut self, other: &View, mut tell: impl FnMut(&Change<'_>)) {
        let stay: HashSet<&[u8]> = other.documents.iter().map(|document| &document.key[..]).collect();
        for at in (0..self.documents.len()).rev() {
            if stay.contains(&self.documents[at].key[..]) {
                continue;
            }
            let gone = self.documents.remove(at);
            let old = Some(gone.side());
            tell(&Change { kind: Kind::Remove, old, new: None, old_place: Some(at), new_place: None });
        }
        for (at, document) in other.documents.iter().enumerate() {
            if self.documents.get(at) == Some(document) {
                continue;
            }
            // The documents before it are in place already.
            let was = self.documents.iter().skip(at).position(|own| own.key == document.key);
            let was = was.map(|behind| (at + behind, self.documents.remove(at + behind)));
            let (old, old_place) = (was.as_ref().map(|(_, own)| own.side()), was.as_ref().map(|(at, _)| *at));
            let kind = if old.is_some() { Kind::Change } else { Kind::Add };
            tell(&Change { kind, old, new: Some(document.side()), old_place, new_place: Some(at) });
            self.documents.insert(at, document.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 1000;

    fn side(text: &str) -> Side<'_> {
        Side::plain(&text[..1], text)
    }

    fn view(documents: &[&str]) -> View {
        let mut view = View::default();
        for document in documents {
            let new = Some(side(document));
            let initial = Change { kind: Kind::Initial, old: None, new, old_place: None, new_place: None };
            assert!(view.apply(&initial, LIMIT).unwrap());
        }
        view
    }

    fn texts(view: &View) -> Vec<String> {
        view.documents.iter().map(|document| document.side().document.to_owned()).collect()
    }

    #[test]
    fn changes_are_done_where_they_say() {
        let mut view = view(&["a", "b", "c"]);
        let change =
            |old, new, old_place, new_place| Change { kind: Kind::Change, old, new, old_place, new_place };
        assert!(view.apply(&change(Some(side("c")), Some(side("d")), Some(2), Some(0)), LIMIT).unwrap());
        assert_eq!(texts(&view), ["d", "a", "b"]);
        // A document at a wrong place is searched for.
        assert!(view.apply(&change(Some(side("a")), None, Some(0), None), LIMIT).unwrap());
        assert_eq!(texts(&view), ["d", "b"]);
        assert!(!view.apply(&change(Some(side("x")), None, Some(0), None), LIMIT).unwrap());
        assert!(!view.apply(&change(None, Some(side("y")), None, Some(9)), LIMIT).unwrap());
        let long = "z".repeat(2000);
        assert!(view.apply(&change(None, Some(side(&long)), None, None), LIMIT).is_err());
    }

    #[test]
    fn the_difference_leads_from_one_to_the_other() {
        for seed in 0..500 {
            let mut chance = fastrand::Rng::with_seed(seed);
            let mut some = || {
                let mut all = ["a", "a1", "b", "c", "c2", "d", "e", "f"];
                chance.shuffle(&mut all);
                let mut view = View::default();
                for document in &all[..chance.usize(0..all.len())] {
                    if !view.documents.iter().any(|known| known.side().key == &document[..1]) {
                        let new = Some(side(document));
                        let change =
                            Change { kind: Kind::Initial, old: None, new, old_place: None, new_place: None };
                        assert!(view.apply(&change, LIMIT).unwrap());
                    }
                }
                view
            };
            let (one, other) = (some(), some());
            let mut followed = one.clone();
            let mut told = 0;
            one.clone().compare(&other, |change| {
                assert!(followed.apply(change, LIMIT).unwrap(), "seed {seed}: {change:?}");
                if let Some(old) = change.old {
                    assert!(one.documents.iter().any(|known| known.side() == old), "seed {seed}: {change:?}");
                }
                told += 1;
            });
            assert_eq!(texts(&followed), texts(&other), "seed {seed}");
            assert_eq!(followed.bytes, other.bytes);
            other.clone().compare(&other, |change| panic!("seed {seed}: {change:?}"));
        }
    }
}
