//! A route of a daemon's own, which goes with it.

use super::refused::refused;
use crate::failure::Failure;
use alveary::kernel::{
    Namespace,
    netlink::srv6::{Existing, SteeredRoute},
};

/// A route that is there as long as this value.
#[derive(Debug)]
pub(super) struct Installed {
    route: SteeredRoute,
    /// The network namespace that it is in, from wherever this value is dropped.
    namespace: Namespace,
}

impl Installed {
    pub(super) fn new(route: SteeredRoute) -> Result<Installed, Failure> {
        let key = route.key;
        let namespace = Namespace::own()?;
        route.add(Existing::Kept).map_err(|why| {
            refused(format!("the route to {}/{} cannot be added", key.destination, key.prefix), &why)
                .help("`alveary srv6 route show` shows those that steer packets")
        })?;
        Ok(Installed { route, namespace })
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        // One that somebody else has removed is not missed.
        let _ = self.namespace.run(|| self.route.delete());
    }
}
