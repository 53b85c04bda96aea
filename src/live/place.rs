//! Where a follower is, and what there is for it.

use std::sync::{Arc, Mutex};

use warp::hyper::body::Bytes;

use super::splice::Splice;
use super::view::View;
use crate::error::Error;

/// How a hub has ended.
#[derive(Debug, Clone)]
pub(crate) enum End {
    /// The service stops.
    Stopped,
    /// Nobody follows it.
    Lonely,
    /// Other rules may apply.
    Renewed,
    Failed(Error),
}

/// Where a follower of a hub is.
#[derive(Debug)]
pub(crate) struct Place {
    /// The number of the next event.
    pub(super) next: u64,
    pub(super) joining: Option<(u64, Arc<Mutex<Splice>>)>,
}

/// What there is for a follower.
pub(crate) enum Portion {
    Events(Vec<Bytes>),
    /// So many events are lost.
    Gap(u64),
    /// It has to begin anew.
    Void,
    End(End),
    /// Nothing yet.
    Wait,
}

/// How a follower that joins begins.
pub(crate) enum Beginning {
    /// With these documents; it knows all then.
    Short(Arc<View>, Place),
    /// With a feed of its own.
    Long(Place),
    End(End),
    /// The list isn't followed yet.
    Wait,
}
