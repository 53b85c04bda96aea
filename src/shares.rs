//! Fair shares: one client may hold only a part of what there is a bounded number of.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Error;

/// A client, as shares count them: an IPv4 address, or the 64 bits of an IPv6 address that its network has in
/// common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Client(IpAddr);

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() & (u128::MAX << 64);
                Client(Ipv6Addr::from_bits(network).into())
            }
            address => Client(address),
        }
    }
}

/// A count of something that there is a bounded number of. It is cheap to clone, and clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Shares(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    total: usize,
    each: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    total: usize,
    by: HashMap<Client, usize>,
}

/// A part of what is counted, which is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    of: Shares,
    client: Option<Client>,
    count: usize,
}

/// The reason why nothing could be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// All are held, by any clients. Holds the number of all.
    All(usize),
    /// This client holds as many as one client may. Holds that number.
    Share(usize),
}

impl Taken {
    /// Returns the error of a request that gets none, which `all` makes of the number of all there are.
    pub(crate) fn error(self, all: impl FnOnce(usize) -> Error) -> Error {
        match self {
            Taken::All(limit) => all(limit),
            Taken::Share(limit) => Error::ShareUsedUp { limit },
        }
    }
}

impl Shares {
    /// Counts up to `total`, of which one client may hold `percent`, but always one.
    pub(crate) fn new(total: usize, percent: u8) -> Self {
        let each = (total as u128 * u128::from(percent) / 100) as usize;
        Shares(Arc::new(Counted { total, each: each.max(1), held: Mutex::default() }))
    }

    /// Takes one. A client that isn't known is bounded by the total alone.
    pub(crate) fn take(&self, client: Option<Client>) -> Result<Share, Taken> {
        let mut share = Share { of: self.clone(), client, count: 0 };
        share.grow(1)?;
        Ok(share)
    }

    /// Returns a share of nothing yet, which may grow.
    pub(crate) fn nothing(&self, client: Option<Client>) -> Share {
        Share { of: self.clone(), client, count: 0 }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Takes `more` of them; if fewer are left, takes none.
    pub(crate) fn grow(&mut self, more: usize) -> Result<(), Taken> {
        let Counted { total, each, .. } = *self.of.0;
        let mut held = self.of.held();
        if more > total.saturating_sub(held.total) {
            return Err(Taken::All(total));
        }
        if let Some(client) = self.client {
            let own = held.by.get(&client).copied().unwrap_or_default();
            if more > each.saturating_sub(own) {
                return Err(Taken::Share(each));
            }
            held.by.insert(client, own + more);
        }
        held.total += more;
        drop(held);
        self.count += more;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.of.held();
        held.total -= self.count;
        if let Some(client) = self.client
            && let Some(own) = held.by.get_mut(&client)
        {
            *own -= self.count;
            // The map holds only who holds something, so it can't outgrow the total.
            if *own == 0 {
                held.by.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> Option<Client> {
        Some(address.parse::<IpAddr>().unwrap().into())
    }

    #[test]
    fn one_client_leaves_others_their_part() {
        let shares = Shares::new(4, 50);
        let one: Vec<_> = (0..2).map(|_| shares.take(client("10.0.0.1")).unwrap()).collect();
        assert_eq!(shares.take(client("10.0.0.1")).unwrap_err(), Taken::Share(2));
        let other = shares.take(client("10.0.0.2")).unwrap();
        let unknown = shares.take(None).unwrap();
        assert_eq!(shares.take(client("10.0.0.2")).unwrap_err(), Taken::All(4));
        drop((one, other, unknown));
        assert_eq!(shares.held().total, 0);
        assert!(shares.held().by.is_empty());
    }

    #[test]
    fn everybody_may_hold_one() {
        let shares = Shares::new(3, 1);
        let first = shares.take(client("::1")).unwrap();
        assert_eq!(shares.take(client("::1")).unwrap_err(), Taken::Share(1));
        drop(first);
        assert!(shares.take(client("::1")).is_ok());
        assert_eq!(Shares::new(0, 50).take(None).unwrap_err(), Taken::All(0));
    }

    #[test]
    fn shares_grow_as_far_as_they_may() {
        let shares = Shares::new(10, 60);
        let mut share = shares.nothing(client("10.0.0.1"));
        share.grow(4).unwrap();
        assert_eq!(share.grow(3).unwrap_err(), Taken::Share(6));
        share.grow(2).unwrap();
        assert_eq!(shares.nothing(None).grow(5).unwrap_err(), Taken::All(10));
        drop(share);
        assert_eq!(shares.held().total, 0);
        assert!(shares.held().by.is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:0:0:1"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(client("::ffff:10.0.0.1"), client("10.0.0.1"));
    }
}
