//! Fair shares of limited resources: one client, and one database user, may hold only a part of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Code, Error};

/// A client. Clients are equal if their IPv4 addresses, or the first 64 bits of their IPv6 addresses, are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client(IpAddr);

impl Client {
    /// Returns the address itself.
    pub(crate) fn address(self) -> IpAddr {
        self.0
    }

    /// Returns the part of the address that identifies the client.
    pub(crate) fn network(self) -> IpAddr {
        match self.0 {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
            address => address,
        }
    }
}

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        Client(address.to_canonical())
    }
}

impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        self.network() == other.network()
    }
}

impl Eq for Client {}

impl Hash for Client {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.network().hash(state);
    }
}

/// The holder of a share: the client's address, and its authenticated database user, as far as known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holder {
    client: Option<Client>,
    user: Option<Arc<str>>,
}

/// A client or a user, each of which has a limit of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Name {
    Client(Client),
    User(Arc<str>),
}

/// The percentages of the total that one client, and one user, may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Percent {
    pub(crate) client: u8,
    pub(crate) user: u8,
}

/// A counter of a limited resource. Cheap to clone; clones share the count.
#[derive(Debug, Clone)]
pub(crate) struct Shares(Arc<Mutex<Held>>);

#[derive(Debug)]
struct Held {
    bounds: Bounds,
    total: usize,
    by: HashMap<Name, usize>,
}

/// The limits of all holders together, of one client, and of one user.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    total: usize,
    per_client: usize,
    per_user: usize,
}

/// A held part of the resource, returned on drop.
#[derive(Debug)]
pub(crate) struct Share {
    of: Shares,
    holder: Holder,
    count: usize,
}

/// The reason why nothing could be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The total is used up. Holds the total.
    All(usize),
    /// The client or user has used up its share. Holds the size of a share.
    Share(usize),
}

impl Holder {
    /// Adds the authenticated database user.
    pub(crate) fn with_user(self, user: Option<&str>) -> Self {
        Holder { user: user.map(Arc::from), ..self }
    }

    /// Returns the client.
    pub(crate) fn client(&self) -> Option<Client> {
        self.client
    }

    fn names(&self) -> impl Iterator<Item = Name> + use<> {
        let (client, user) = (self.client.map(Name::Client), self.user.clone().map(Name::User));
        client.into_iter().chain(user)
    }
}

impl From<Option<Client>> for Holder {
    fn from(client: Option<Client>) -> Self {
        Holder { client, user: None }
    }
}

impl Taken {
    /// Returns the error of a request that gets no share. `things` names the resource. `all` makes the error
    /// for a used-up total, from that total.
    pub(crate) fn error(self, things: &str, all: impl FnOnce(usize) -> Error) -> Error {
        match self {
            Taken::All(limit) => all(limit),
            Taken::Share(limit) => Error::about(Code::ShareUsedUp, format!("{limit} {things}")),
        }
    }
}

impl Shares {
    /// Counts up to `total`, of which one client and one user may hold these percentages, but at least one.
    pub(crate) fn new(total: usize, percent: Percent) -> Self {
        let bounds = Bounds::new(total, percent);
        Shares(Arc::new(Mutex::new(Held { bounds, total: 0, by: HashMap::new() })))
    }

    /// Changes the limits. Shares that are held stay valid, even if they exceed the new limits.
    pub(crate) fn resize(&self, total: usize, percent: Percent) {
        self.lock().bounds = Bounds::new(total, percent);
    }

    /// Takes one. A holder without client and user is limited by the total only.
    pub(crate) fn take(&self, holder: impl Into<Holder>) -> Result<Share, Taken> {
        let mut share = self.nothing(holder);
        share.grow(1)?;
        Ok(share)
    }

    /// Returns an empty share, to be grown later.
    pub(crate) fn nothing(&self, holder: impl Into<Holder>) -> Share {
        Share { of: self.clone(), holder: holder.into(), count: 0 }
    }

    /// Returns the number of those held.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bounds {
    fn new(total: usize, percent: Percent) -> Self {
        Bounds {
            total,
            per_client: percentage(total, percent.client),
            per_user: percentage(total, percent.user),
        }
    }

    fn of(&self, name: &Name) -> usize {
        match name {
            Name::Client(_) => self.per_client,
            Name::User(_) => self.per_user,
        }
    }
}

/// Returns this percentage of a total, but at least one.
pub(crate) fn percentage(total: usize, percent: u8) -> usize {
    ((total as u128 * u128::from(percent) / 100) as usize).max(1)
}

impl Share {
    /// Returns the most that its holder may have.
    pub(crate) fn most(&self) -> usize {
        let bounds = self.of.lock().bounds;
        self.holder.names().map(|name| bounds.of(&name)).fold(bounds.total, usize::min)
    }

    /// Takes `more` of them, or none if fewer are left.
    pub(crate) fn grow(&mut self, more: usize) -> Result<(), Taken> {
        let mut held = self.of.lock();
        let bounds = held.bounds;
        if more > bounds.total.saturating_sub(held.total) {
            return Err(Taken::All(bounds.total));
        }
        for name in self.holder.names() {
            let (bound, own) = (bounds.of(&name), held.by.get(&name).copied().unwrap_or_default());
            if more > bound.saturating_sub(own) {
                return Err(Taken::Share(bound));
            }
        }
        for name in self.holder.names() {
            *held.by.entry(name).or_default() += more;
        }
        held.total += more;
        drop(held);
        self.count += more;
        Ok(())
    }

    /// Returns all of them.
    pub(crate) fn clear(&mut self) {
        if self.count == 0 {
            return;
        }
        let mut held = self.of.lock();
        held.total -= self.count;
        for name in self.holder.names() {
            if let Entry::Occupied(mut own) = held.by.entry(name) {
                *own.get_mut() -= self.count;
                // Entries without a share are removed, so the map never has more of them than the total.
                if *own.get() == 0 {
                    own.remove();
                }
            }
        }
        self.count = 0;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> Option<Client> {
        Some(address.parse::<IpAddr>().unwrap().into())
    }

    /// Users are bounded by the total alone.
    fn part(client: u8) -> Percent {
        Percent { client, user: 100 }
    }

    #[test]
    fn one_client_leaves_others_their_part() {
        let shares = Shares::new(4, part(50));
        let one: Vec<_> = (0..2).map(|_| shares.take(client("10.0.0.1")).unwrap()).collect();
        assert_eq!(shares.take(client("10.0.0.1")).unwrap_err(), Taken::Share(2));
        let other = shares.take(client("10.0.0.2")).unwrap();
        let unknown = shares.take(None).unwrap();
        assert_eq!(shares.take(client("10.0.0.2")).unwrap_err(), Taken::All(4));
        drop((one, other, unknown));
        assert_eq!(shares.held(), 0);
        assert!(shares.lock().by.is_empty());
    }

    #[test]
    fn everybody_may_hold_one() {
        let shares = Shares::new(3, part(1));
        let first = shares.take(client("::1")).unwrap();
        assert_eq!(shares.take(client("::1")).unwrap_err(), Taken::Share(1));
        drop(first);
        assert!(shares.take(client("::1")).is_ok());
        assert_eq!(Shares::new(0, part(50)).take(None).unwrap_err(), Taken::All(0));
    }

    #[test]
    fn shares_grow_as_far_as_they_may() {
        let shares = Shares::new(10, part(60));
        let mut share = shares.nothing(client("10.0.0.1"));
        share.grow(4).unwrap();
        assert_eq!(share.grow(3).unwrap_err(), Taken::Share(6));
        share.grow(2).unwrap();
        assert_eq!(shares.nothing(None).grow(5).unwrap_err(), Taken::All(10));
        drop(share);
        assert_eq!(shares.held(), 0);
        assert!(shares.lock().by.is_empty());
    }

    #[test]
    fn other_bounds_hold_for_what_is_taken_next() {
        let shares = Shares::new(4, part(100));
        let held: Vec<_> = (0..4).map(|_| shares.take(None).unwrap()).collect();
        shares.resize(2, part(100));
        assert_eq!(shares.take(None).unwrap_err(), Taken::All(2));
        drop(held);
        let _one = shares.take(client("10.0.0.1")).unwrap();
        shares.resize(5, part(20));
        assert_eq!(shares.take(client("10.0.0.1")).unwrap_err(), Taken::Share(1));
        assert!(shares.take(None).is_ok());
    }

    #[test]
    fn a_user_of_many_addresses_leaves_others_their_part() {
        let shares = Shares::new(10, Percent { client: 50, user: 20 });
        let holder = |address, user| Holder::from(client(address)).with_user(user);
        let one = shares.take(holder("10.0.0.1", Some("bob"))).unwrap();
        let other = shares.take(holder("10.0.0.2", Some("bob"))).unwrap();
        assert_eq!(shares.take(holder("10.0.0.3", Some("bob"))).unwrap_err(), Taken::Share(2));
        // The same address has room for others.
        let another: Vec<_> =
            ["a", "b", "c", "d"].map(|user| shares.take(holder("10.0.0.1", Some(user)))).into();
        assert!(another.iter().all(Result::is_ok));
        assert_eq!(shares.take(holder("10.0.0.1", Some("e"))).unwrap_err(), Taken::Share(5));
        assert_eq!(shares.held(), 6, "what was refused holds nothing");
        drop((one, other, another));
        assert!(shares.lock().by.is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:0:0:1"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(client("::ffff:10.0.0.1"), client("10.0.0.1"));
    }
}
