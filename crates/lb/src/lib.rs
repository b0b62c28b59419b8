//! The balancer's control plane as a library. It prints nothing.
//!
//! | module | holds |
//! |---|---|
//! | [`maglev`] | which real server has which slot of a VIP's table; rings as Katran computes them |

#![forbid(unsafe_code)]

pub mod maglev;
