//! The balancer's control plane as a library. It prints nothing.
//!
//! | module | holds |
//! |---|---|
//! | [`announce`] | whether VIPs are announced, and withdrawing them |
//! | [`api`] | where the API is answered, and to whom |
//! | [`apply`] | from what the data plane holds to what it shall hold, step by step |
//! | [`asked`] | what the bodies of requests to it say |
//! | [`bird`] | BIRD: its configuration's part that is ours, its control socket |
//! | [`mod@check`] | one check of one real |
//! | `clock` | the data plane's clocks |
//! | [`config`] | the configuration: a file, and what is wrong with it |
//! | [`control`] | how reals are: health, draining, slow start |
//! | [`etcd`] | configuration from etcd: a key that is read and watched |
//! | [`http`] | as much of HTTP as an API needs |
//! | [`instance`] | a balancer in the running kernel: pins, links, adoption |
//! | [`keepalived`] | configurations of keepalived as ours |
//! | [`maglev`] | which real server has which slot of a VIP's table; rings as Katran computes them |
//! | [`owner`] | who serves a balancer: one process at a time |
//! | `places` | where what a key names stands in a list |
//! | [`record`] | packets of a running balancer, as they came and as they left |
//! | [`report`] | what it tells of itself: JSON, Prometheus, a page |
//! | [`samples`] | the flow log: packets that a running balancer samples |
//! | [`serve`] | a balancer that is served: configuration, checks, API |
//! | [`store`] | the maps on a target: steps carried out, what runs read back, counters |
//! | [`mod@sync`] | connections told to peers |
//! | [`tls`] | TLS of checks and of the API |
//! | [`mod@trace`] | what would become of a packet, step by step |
//! | [`tunnel`] | checks on the way that packets go |
//! | [`wanted`] | what the data plane shall hold |
//! | [`wire`] | keys and values of its maps |

#![forbid(unsafe_code)]

pub mod announce;
pub mod api;
pub mod apply;
pub mod asked;
pub mod bird;
pub mod check;
mod clock;
pub mod config;
pub mod control;
pub mod etcd;
mod fault;
pub mod http;
pub mod instance;
pub mod keepalived;
pub mod maglev;
mod occupied;
pub mod owner;
mod places;
pub mod record;
pub mod report;
mod resolver;
pub mod samples;
pub mod serve;
mod shared;
pub mod store;
pub mod sync;
pub mod tls;
pub mod trace;
pub mod tunnel;
pub mod wanted;
pub mod wire;

pub use fault::{Fault, Result};
