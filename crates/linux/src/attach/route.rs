//! Programs of routes: lightweight tunnels, SRv6 endpoints.

use super::{Link, Place, Program, explain::refused_by_netlink, link::Part};
use crate::netlink::{Route, Tunnel};
use alveary_diag::Diagnostic;

pub(super) fn attach(
    program: Program<'_>,
    place: &Place<'_>,
    route: &Route,
    tunnel: Tunnel,
    replace: bool,
) -> Result<Link, Diagnostic> {
    route.add(tunnel, program.fd, program.name, replace).map_err(|refusal| {
        let why = refused_by_netlink(program, place, &refusal);
        if refusal.errno == alveary_abi::Errno::EEXIST {
            return why.help("`--replace` puts this program on the route that is there");
        }
        why
    })?;
    Ok(Link::of(place, RouteProgram { route: route.clone(), tunnel }))
}

/// A route that we added.
#[derive(Debug)]
struct RouteProgram {
    route: Route,
    tunnel: Tunnel,
}

impl Part for RouteProgram {
    fn detach(&mut self) -> Result<(), Diagnostic> {
        self.route.delete().map_err(|refusal| {
            let message = format!("the route to {}/{} cannot be removed", self.route.destination, self.route.prefix);
            Diagnostic::new("detach", message, alveary_diag::Place::Nowhere).found(refusal.errno.to_string())
        })
    }

    fn replace(&mut self, program: Program<'_>) -> Option<Result<(), Diagnostic>> {
        let (route, tunnel) = (self.route.clone(), self.tunnel);
        let done = self.route.add(tunnel, program.fd, program.name, true);
        let place = Place::Route { route, tunnel, replace: true };
        Some(done.map_err(|refusal| refused_by_netlink(program, &place, &refusal)))
    }

    fn outlives_us(&self) -> bool {
        true
    }
}
