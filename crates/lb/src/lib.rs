//! The balancer's control plane as a library. It prints nothing.
//!
//! | module | holds |
//! |---|---|
//! | [`apply`] | from what the data plane holds to what it shall hold, step by step |
//! | [`config`] | the configuration: a file, and what is wrong with it |
//! | [`keepalived`] | configurations of keepalived as ours |
//! | [`maglev`] | which real server has which slot of a VIP's table; rings as Katran computes them |
//! | [`wanted`] | what the data plane shall hold |
//! | [`wire`] | keys and values of its maps |

#![forbid(unsafe_code)]

pub mod apply;
pub mod config;
pub mod keepalived;
pub mod maglev;
pub mod wanted;
pub mod wire;
