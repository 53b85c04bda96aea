//! HTTP as the API speaks it: what a request says, and how an answer is made.

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod call;
pub(crate) mod credentials;
pub(crate) mod etag;
pub(crate) mod head;
pub(crate) mod paced;
pub(crate) mod paths;
pub(crate) mod strict;
