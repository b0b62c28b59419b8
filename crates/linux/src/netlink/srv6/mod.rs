//! Segment routing by netlink: what a route does with segments or lets programs do ([`Encap`]), the routes that do such
//! things ([`SteeredRoute`]), tunnels' source address and HMAC keys (the generic netlink family `SEG6`).

mod encap;
mod keys;
mod read;
mod routes;

pub use encap::{Counters, Encap, Endpoint, Flavours, Mode, NextCsid, RouteProgram};
pub use keys::{Algorithm, HmacKey, hmac_keys, set_hmac_key, set_tunnel_source, tunnel_source};
pub use routes::{Existing, Found, Next, RouteKey, SteeredRoute, steered_routes, ways_to};
