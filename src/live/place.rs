//! The place of a follower in a hub's events, and the events after it.

use std::sync::Arc;

use warp::http::StatusCode;

use super::joining::{Joining, Shared};
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

impl End {
    /// Returns whether followers aren't even told of the events before it. They may not have the right to
    /// them any more, or the service waits for them.
    pub(super) fn is_at_once(&self) -> bool {
        match self {
            End::Stopped | End::Lonely | End::Renewed => true,
            End::Failed(error) => {
                matches!(error.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            }
        }
    }
}

/// The place of a follower in a hub's events.
#[derive(Debug)]
pub(crate) struct Place {
    /// The number of the next event.
    pub(super) next: u64,
    pub(super) joining: Option<(u64, Shared)>,
}

/// The next part for a follower.
pub(crate) enum Portion {
    /// Events, which have been added to the parts to be sent.
    Events,
    /// The follower has missed this many events.
    Gap(u64),
    /// The follower has to start over, since the list was lost.
    Void,
    /// The follower has to start over, since it has missed events that it can't do without.
    Missed,
    End(End),
    /// Nothing yet.
    Wait,
}

/// The way in which a follower joins.
pub(crate) enum Beginning {
    /// With these documents, which are all there are.
    Short(Arc<View>, Place),
    /// With a feed of its own.
    Long(Place, Joining),
    End(End),
    /// The list isn't followed yet.
    Wait,
}
