//! The place of a follower in a hub's events, and the events after it.

use std::sync::{Arc, Mutex};

use super::splice::Splice;
use super::view::View;
use crate::error::Error;

/// The reason for the end of a hub.
#[derive(Debug, Clone)]
pub(crate) enum End {
    /// The service stops.
    Stopped,
    /// The hub has no followers.
    Lonely,
    /// The settings have changed, and with them maybe the rules.
    Renewed,
    Failed(Error),
}

/// The place of a follower in a hub's events.
#[derive(Debug)]
pub(crate) struct Place {
    /// The number of the next event.
    pub(super) next: u64,
    pub(super) joining: Option<(u64, Arc<Mutex<Splice>>)>,
}

/// The next part for a follower.
pub(crate) enum Portion {
    /// Events, which have been added to the parts to be sent.
    Events,
    /// The follower has missed this many events.
    Gap(u64),
    /// The follower has to start over.
    Void,
    End(End),
    /// Nothing yet.
    Wait,
}

/// The way in which a follower joins.
pub(crate) enum Beginning {
    /// With these documents, which are all there are.
    Short(Arc<View>, Place),
    /// With a feed of its own.
    Long(Place),
    End(End),
    /// The list isn't followed yet.
    Wait,
}
