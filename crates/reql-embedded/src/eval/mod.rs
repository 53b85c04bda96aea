//! Evaluation: compiles terms, walks them, and yields values and streams.

mod aside;
mod call;
mod captures;
mod compile;
mod env;
mod func;
mod geo_index;
pub mod grouped;
#[cfg(feature = "javascript")]
mod javascript;
mod mentioned;
mod order;
pub mod pathspec;
mod query;
mod report;
mod scope;
mod selection;
mod slice;
mod source;
mod spec;
mod stable_sort;
mod stats;
mod stored;
pub mod stream;
pub mod system;
pub mod table;
mod term;
pub mod terms;
mod val;
pub mod watch;
pub mod write;

pub use call::Call;
pub use compile::{compile, compile_element_function, compile_function};
pub use env::{Env, Limits};
pub use func::{Func, NativeFunc, Shortcut};
pub use mentioned::Mentioned;
pub use order::Order;
pub use query::{Answer, Batch, Cursor, Program, run};
pub use scope::{Captured, Scope};
pub use source::{Keys, Rows};
pub use spec::{Arity, Determinism, Grouping, Spec};
pub use stored::Functions;
pub use stream::Stream;
pub use table::{Database, SingleSelection, TableRef, TableSlice};
pub use term::{Flags, Term};
pub use val::{Groups, Later, Val, Value};
