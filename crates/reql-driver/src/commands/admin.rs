//! Administration.

use super::{Reconfigure, Wait, methods};
use crate::term::{Argument, Term};

methods! {
    /// Returns the configuration of a table or a database: `r.table("users").config()`.
    config() -> Term = Config with;
    /// Returns the status of a table: `r.table("users").status()`.
    status() -> Term = Status with;
    /// Waits until a table, or all of a database, can be used: `r.table("users").wait()`.
    wait() -> Wait = Wait with;
    /// Changes shards and replicas: `r.table("users").reconfigure().shards(2).replicas(1)`.
    reconfigure() -> Reconfigure = Reconfigure with;
    /// Spreads documents evenly over shards: `r.table("users").rebalance()`.
    rebalance() -> Term = Rebalance with;
    /// Grants permissions on a table or a database: `r.table("users").grant("ada", obj! { "read": true })`.
    grant<U, K>(user: Argument<U>, permissions: Argument<K>) -> Term = Grant with;
}
