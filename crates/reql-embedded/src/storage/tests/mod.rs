//! Tests that need the inside of the storage: the disk under the file, and time.

mod attempts;
mod build;
mod disk;
mod hold;
mod recovery;
mod torn;

use std::sync::Arc;

use super::{IndexCompiler, IndexFunction, IndexSpec};
use crate::datum::{Datum, key};
use crate::error::Result;

/// A compiler whose functions return the field that the source names.
struct Fields;

struct Field(String);

impl IndexCompiler for Fields {
    fn compile(&self, spec: &IndexSpec) -> Result<Arc<dyn IndexFunction>> {
        Ok(Arc::new(Field(spec.source.clone())))
    }
}

impl IndexFunction for Field {
    fn keys(&self, document: &Datum) -> Vec<Vec<u8>> {
        document.get(&self.0).and_then(|value| key::secondary(&value).ok()).into_iter().collect()
    }
}
