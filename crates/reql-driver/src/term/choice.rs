//! Options that have one of a few values.

use super::argument::markers::{Computed, Function, Known};
use super::{Argument, AsTerm, Content, Term};

/// A type whose values are the values of an option.
///
/// ```
/// use reql::{Durability, Enumeration};
///
/// assert_eq!(Durability::Soft.name(), "soft");
/// ```
pub trait Enumeration {
    /// Returns the value as ReQL has it.
    fn name(&self) -> &'static str;
}

/// The value of an option: one of `T`, or a term whose value is one of them.
///
/// ```
/// use reql::{Durability, r};
///
/// r.table("users").delete().durability(Durability::Soft);
/// r.table("users").delete().durability(r.branch(reql::args![true, "soft", "hard"]));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` isn't a value of this option",
    note = "the option takes a value of `{T}`, or a term"
)]
pub trait Choice<T, K> {
    /// Makes a term of the choice.
    fn into_term(self) -> Term;
}

impl<T: Enumeration> Choice<T, Known> for T {
    fn into_term(self) -> Term {
        Term::new(Content::Text(self.name().to_owned()))
    }
}

impl<T: Enumeration, C: AsTerm> Choice<T, Computed> for C {
    fn into_term(self) -> Term {
        self.as_term().clone()
    }
}

/// A function of the primary key, the old and the new document, which returns the document to store.
impl<F, R, K> Choice<Conflict, Function<3, K>> for F
where
    F: FnOnce(Term, Term, Term) -> R,
    R: Argument<K>,
{
    fn into_term(self) -> Term {
        Argument::<Function<3, K>>::into_term(self)
    }
}

impl Choice<ReturnChanges, bool> for bool {
    fn into_term(self) -> Term {
        Term::new(Content::Bool(self))
    }
}

macro_rules! choices {
    ($(
        $(#[$doc:meta])*
        $name:ident = $example:literal { $($(#[$case_doc:meta])* $case:ident = $text:literal,)* }
    )*) => { $(
        $(#[$doc])*
        ///
        /// ```
        /// # use reql::*;
        #[doc = concat!($example, ";")]
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$case_doc])* $case,)*
        }

        impl Enumeration for $name {
            fn name(&self) -> &'static str {
                match self { $($name::$case => $text,)* }
            }
        }
    )* };
}

choices! {
    /// The point at which a write is answered.
    Durability = r#"r.table("log").insert(obj! { "at": r.now() }).durability(Durability::Soft)"# {
        /// Once it is on disk. The default.
        Hard = "hard",
        /// Once it is in memory.
        Soft = "soft",
    }
    /// The way in which an insert deals with documents whose primary key is taken. A closure of the key, the
    /// old and the new document may stand instead.
    Conflict = r#"r.table("users").insert(obj! { "id": 1 }).conflict(Conflict::Replace)"# {
        /// Counts an error. The default.
        Error = "error",
        /// Replaces the old document.
        Replace = "replace",
        /// Updates the old document.
        Update = "update",
    }
    /// The replica that a read asks.
    ReadMode = r#"r.table("users").read_mode(ReadMode::Outdated)"# {
        /// The primary replica. The default.
        Single = "single",
        /// A majority of the replicas: its rows can't get lost.
        Majority = "majority",
        /// Any replica, which may be behind.
        Outdated = "outdated",
    }
    /// The changes that the answer to a write has. `true` and `false` may stand instead.
    ReturnChanges = r#"r.table("users").delete().return_changes(ReturnChanges::Always)"# {
        /// The changes of all documents, changed or not.
        Always = "always",
    }
    /// The form in which system tables name databases, tables and servers.
    IdentifierFormat =
        r#"r.db("rethinkdb").table("table_config").identifier_format(IdentifierFormat::Uuid)"# {
        /// Their names. The default.
        Name = "name",
        /// Their UUIDs.
        Uuid = "uuid",
    }
    /// A bound of a range.
    Bound = r#"r.table("users").between(18, 65).index("age").right_bound(Bound::Closed)"# {
        /// Lies outside of the range.
        Open = "open",
        /// Belongs to the range.
        Closed = "closed",
    }
    /// A unit of length.
    Unit = "r.circle(r.point(2, 49), 1).unit(Unit::Kilometre)" {
        /// Metres. The default.
        Metre = "m",
        /// Kilometres.
        Kilometre = "km",
        /// International miles.
        Mile = "mi",
        /// Nautical miles.
        NauticalMile = "nm",
        /// International feet.
        Foot = "ft",
    }
    /// The shape of the earth.
    GeoSystem = "r.circle(r.point(2, 49), 0.1).geo_system(GeoSystem::UnitSphere)" {
        /// The ellipsoid of the World Geodetic System. The default.
        Wgs84 = "WGS84",
        /// A sphere of radius 1, whose only unit of length is its radius.
        UnitSphere = "unit_sphere",
    }
    /// The state to wait for.
    WaitFor = r#"r.table("users").wait().wait_for(WaitFor::ReadyForReads)"# {
        /// Outdated reads.
        ReadyForOutdatedReads = "ready_for_outdated_reads",
        /// Reads.
        ReadyForReads = "ready_for_reads",
        /// Writes.
        ReadyForWrites = "ready_for_writes",
        /// Everything, on all replicas. The default.
        AllReplicasReady = "all_replicas_ready",
    }
    /// The data that a table which has lost a majority of its replicas may lose to be usable again.
    EmergencyRepair = r#"r.table("users").reconfigure().emergency_repair(EmergencyRepair::UnsafeRollback)"# {
        /// The writes that the lost replicas may have had alone.
        UnsafeRollback = "unsafe_rollback",
        /// The writes that the lost replicas may have had alone, and all data of shards without any replica
        /// left.
        UnsafeRollbackOrErase = "unsafe_rollback_or_erase",
    }
    /// The method of an HTTP request.
    HttpMethod = r#"r.http("http://example.com").method(HttpMethod::Post)"# {
        /// The default.
        Get = "GET",
        /// With data.
        Post = "POST",
        /// With data.
        Put = "PUT",
        /// With data.
        Patch = "PATCH",
        /// With data.
        Delete = "DELETE",
        /// Without the answer's body.
        Head = "HEAD",
    }
    /// The format that the body of an HTTP answer is taken for.
    ResultFormat = r#"r.http("http://example.com").result_format(ResultFormat::Text)"# {
        /// The format that its type says. The default.
        Auto = "auto",
        /// JSON.
        Json = "json",
        /// JSON in a call of a function.
        Jsonp = "jsonp",
        /// Text.
        Text = "text",
        /// Bytes.
        Binary = "binary",
    }
}
