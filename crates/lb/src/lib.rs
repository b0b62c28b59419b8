//! The balancer's control plane as a library. It prints nothing.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | the configuration: a file, and what is wrong with it |
//! | [`keepalived`] | configurations of keepalived as ours |
//! | [`maglev`] | which real server has which slot of a VIP's table; rings as Katran computes them |

#![forbid(unsafe_code)]

pub mod config;
pub mod keepalived;
pub mod maglev;
